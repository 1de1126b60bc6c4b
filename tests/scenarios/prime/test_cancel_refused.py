"""Prime refuses a cancel by a report that names a reason, in FIX's numbers or in words nobody has published.

Too late, already under way: gone or going, only the order's own state tells. Broker option: the order stays, and the
strategy hears `rejected` once it was tried again. A cancel that was accepted can still be refused in the end: whoever
was told `acked` hears of it on the event socket, and an operator does too.
"""

from typing import Any

import pytest

from ..world import SEEDS, Staging
from .reports import nameless, refusal, rest_again, tell

TOO_LATE = (0, "0", "TooLateToCancel", "Too late to cancel")
BROKER = (2, "2", "BrokerOption", "Broker / Exchange option")
PENDING = (3, "3", "AlreadyPending", "Order already in Pending Cancel or Pending Replace status")
UNKNOWN = (1, "1", "UnknownOrder", "Unknown order")
STRANGE = (99, "99", "Whatever", "")


@pytest.mark.parametrize("reason", [*TOO_LATE, *BROKER, *PENDING, *UNKNOWN, *STRANGE])
@pytest.mark.parametrize("bears", ["cancel", "order"])
async def test_one_refusal_is_not_the_end(
    autojump_clock: object, stage: Staging, bears: str, reason: str | int
) -> None:
    async with stage() as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        world.inject("swallow_ack_before_effect", match="OrderCancelRequest", times=1)
        asked = strategy.ask(order_id=order_id)
        await world.passed(0.05)
        ids: dict[str, Any] = {}
        if bears == "order":
            # FIX can be read so that the report has the order's own ClOrdID and the cancel's is the other one.
            ids = {"ClOrdID": refusal(world, order_id)["OrderID"], "OrigClOrdID": refusal(world, order_id)["ClOrdID"]}
        tell(world, refusal(world, order_id, CxlRejReason=reason, **ids))
        reply = await strategy.hear()
        assert (reply["id"], reply["outcome"]) in ((asked, "acked"), (asked, "canceled"))
        assert world.resting == []


@pytest.mark.parametrize("until", ["ack", "proof"])
async def test_too_late_by_client_order_id_is_told_as_the_end_of_the_order_that_bore_it(
    autojump_clock: object, stage: Staging, until: str
) -> None:
    async with stage() as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1, cl_ord_id="mm-1-bid")
        world.fill(order_id)
        await world.passed(0.5)
        reply = await strategy.cancel(cl_ord_id="mm-1-bid", until=until)
        assert (reply["outcome"], reply["state"], reply["attempts"]) == ("closed", "filled", 1)
        assert float(reply["filled_qty"]) == 1


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("until", ["ack", "proof"])
async def test_a_venue_that_will_not_cancel_is_told_as_rejected(
    autojump_clock: object, stage: Staging, seed: int, until: str
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        world.inject("cancel_rejected", match="OrderCancelRequest")
        reply = await strategy.cancel(order_id=order_id, until=until)
        assert (reply["outcome"], reply["class"]) == ("rejected", "unavailable")
        assert "BrokerOption" in reply["error"]
        assert {received.session for received in world.received("OrderCancelRequest")} == {0, 1}
        assert world.resting == [order_id]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("reason", ["TooLateToCancel", "AlreadyPending", "UnknownOrder", "Whatever"])
async def test_nothing_is_called_gone_that_the_streams_show_to_rest(
    autojump_clock: object, stage: Staging, seed: int, reason: str
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        world.inject("cancel_rejected", match="OrderCancelRequest", reason=reason, text="")
        reply = await strategy.cancel(order_id=order_id)
        assert reply["outcome"] in ("unknown", "rejected")
        assert reason in reply["error"]
        assert world.resting == [order_id]


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_refusal_that_names_no_order_is_known_by_the_cancel_it_names(
    autojump_clock: object, stage: Staging, seed: int
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        world.inject("swallow_ack_before_effect", match="OrderCancelRequest", times=1)
        strategy.ask(order_id=order_id)
        await world.passed(0.05)
        tell(world, nameless(world, CxlRejReason=1))
        reply = await strategy.hear()
        assert reply["outcome"] in ("acked", "canceled")
        assert reply["attempts"] == 2
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_an_accepted_cancel_that_is_refused_in_the_end_is_told_late_and_raises_an_alert(
    autojump_clock: object, stage: Staging, seed: int
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        lates, alerts = world.listen("late.prime"), world.listen("alert")
        [order_id] = await world.place_seen(1)
        world.inject("linger", match="OrderCancelRequest", times=1)
        reply = await strategy.cancel(order_id=order_id)
        assert reply["outcome"] == "acked"
        await world.passed(1.0)
        rest_again(world, order_id)
        tell(world, refusal(world, order_id))
        await world.passed(0.1)
        [late] = lates.events
        assert (late["id"], late["outcome"], late["class"]) == (reply["id"], "rejected", "unavailable")
        [alert] = alerts.events
        assert order_id in alert["what"]
        assert world.resting == [order_id]
        assert (await strategy.cancel(order_id=order_id))["outcome"] in ("acked", "canceled")
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_whoever_waits_for_proof_has_it_tried_again(autojump_clock: object, stage: Staging, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        world.inject("linger", match="OrderCancelRequest", times=1)
        strategy.ask(order_id=order_id, until="proof")
        await world.passed(0.05)
        rest_again(world, order_id)
        tell(world, refusal(world, order_id))
        reply = await strategy.hear()
        assert reply["outcome"] == "canceled"
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_the_refused_hedge_of_a_cancel_that_worked_alarms_nobody(
    autojump_clock: object, stage: Staging, seed: int
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        lates, alerts = world.listen("late.prime"), world.listen("alert")
        [order_id] = await world.place_seen(1)
        # The first one arrives as late as its hedge: one of them is accepted, and the other comes too late.
        world.inject("delay_request", match="OrderCancelRequest", seconds=0.45, times=1)
        world.inject("delay_request", match="OrderCancelRequest", seconds=0.05, times=1)
        reply = await strategy.cancel(order_id=order_id)
        assert (reply["outcome"], reply["attempts"]) == ("acked", 2)
        await world.passed(2.0)
        assert (lates.events, alerts.events) == ([], [])
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_hedge_refused_while_the_first_is_under_way_alarms_nobody(
    autojump_clock: object, stage: Staging, seed: int
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        lates, alerts = world.listen("late.prime"), world.listen("alert")
        [order_id] = await world.place_seen(1)
        world.inject("delay_request", match="OrderCancelRequest", seconds=0.45, times=1)
        world.inject("delay_request", match="OrderCancelRequest", seconds=0.05, times=1)
        world.inject("linger", match="OrderCancelRequest", seconds=3.0, times=1)
        reply = await strategy.cancel(order_id=order_id)
        assert (reply["outcome"], reply["attempts"]) == ("acked", 2)
        await world.passed(5.0)
        assert (lates.events, alerts.events) == ([], [])
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_cancel_that_is_long_under_way_is_not_asked_for_again_and_again(
    autojump_clock: object, stage: Staging, seed: int
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        world.inject("linger", match="OrderCancelRequest", seconds=20.0)
        reply = await strategy.cancel(order_id=order_id, until="proof", deadline_ms=30_000)
        assert reply["outcome"] == "canceled"
        assert len(world.frames("OrderCancelRequest")) <= 16
        assert world.resting == []
