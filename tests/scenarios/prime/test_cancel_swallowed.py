"""Prime takes a cancel and says nothing: no error, no report.

Silence is neither success nor failure. After the hedge time a second cancel leaves by the other socket, under an id of
its own; when that is swallowed too the order's state is asked for, and the reply says no more than is known.
"""

import pytest

from ..world import SEEDS, Staging


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("until", ["ack", "proof"])
async def test_a_swallowed_cancel_is_hedged_on_the_other_socket(
    autojump_clock: object, stage: Staging, seed: int, until: str
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        world.inject("swallow_ack_before_effect", match="OrderCancelRequest", times=1)
        reply = await strategy.cancel(order_id=order_id, until=until)
        assert (reply["outcome"], reply["attempts"]) == ("acked" if until == "ack" else "canceled", 2)
        assert strategy.took(reply["id"]) == pytest.approx(0.4, abs=0.01)
        first, second = world.received("OrderCancelRequest")
        assert first.session != second.session
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_when_both_sockets_swallow_it_it_leaves_again_once_the_order_is_seen_to_rest(
    autojump_clock: object, stage: Staging, seed: int
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        world.inject("swallow_ack_before_effect", match="OrderCancelRequest", times=2)
        reply = await strategy.cancel(order_id=order_id)
        assert reply["outcome"] in ("acked", "canceled")
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("until", ["ack", "proof"])
async def test_a_venue_that_swallows_everything_leaves_the_outcome_unknown(
    autojump_clock: object, stage: Staging, seed: int, until: str
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        world.inject("swallow_ack_before_effect", match="OrderCancelRequest")
        reply = await strategy.cancel(order_id=order_id, until=until)
        assert (reply["outcome"], reply["tried"]) == ("unknown", ["ws"])
        assert strategy.took(reply["id"]) == pytest.approx(2.0, abs=0.01)
        assert world.resting == [order_id]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("until", ["ack", "proof"])
async def test_a_cancel_that_worked_and_was_told_to_nobody_is_found_out_by_asking(
    autojump_clock: object, stage: Staging, seed: int, until: str
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        world.fill(order_id, "0.25")
        await world.passed(0.05)
        for what in ("PendingCancel", "Canceled", "CancelRejected"):
            world.inject("drop_event", match=what)
        reply = await strategy.cancel(order_id=order_id, until=until)
        assert (reply["outcome"], float(reply["filled_qty"])) == ("canceled", 0.25)
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_report_after_the_deadline_is_told_as_late(autojump_clock: object, stage: Staging, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        lates = world.listen("late.prime")
        [order_id] = await world.place_seen(1)
        world.inject("delay_request", match="OrderCancelRequest", seconds=3.0)
        reply = await strategy.cancel(order_id=order_id)
        assert reply["outcome"] == "unknown"
        await world.passed(2.0)
        [late] = lates.events
        assert late["outcome"] in ("acked", "canceled")
        assert late["id"] == reply["id"]
        assert world.resting == []
