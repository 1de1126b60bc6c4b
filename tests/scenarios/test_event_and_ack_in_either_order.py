"""The venue promises no order between the ack of a cancel and the event that proves it.

`until: "proof"` waits for the proof and tells what had filled; `until: "ack"` takes whichever comes first.
"""

import pytest

from .world import SEEDS, Staging


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("until", ["ack", "proof"])
async def test_an_event_before_the_ack_is_the_proof(
    autojump_clock: object, stage: Staging, seed: int, until: str
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        world.fill(order_id, "0.25")
        world.inject("event_before_ack", match="cancelOrder")
        world.inject("delay", match="cancelOrder", seconds=0.1)
        reply = await strategy.cancel(order_id=order_id, until=until)
        assert (reply["outcome"], reply["route"], float(reply["filled_qty"])) == ("canceled", "stream", 0.25)
        assert strategy.took(reply["id"]) < 0.01
        await world.passed(1.0)
        assert world.pursuits.counts.repeated_acks == 1
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_an_ack_before_the_event_is_enough_for_ack_and_not_for_proof(
    autojump_clock: object, stage: Staging, seed: int
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        first, second = await world.place_seen(2)
        world.fill(second, "0.4")
        await world.passed(0.05)
        world.inject("delay_events", seconds=0.2)
        reply = await strategy.cancel(order_id=first)
        assert (reply["outcome"], reply["route"]) == ("acked", "ws")
        assert strategy.took(reply["id"]) == 0.0
        reply = await strategy.cancel(order_id=second, until="proof")
        assert (reply["outcome"], reply["route"], float(reply["filled_qty"])) == ("canceled", "stream", 0.4)
        assert strategy.took(reply["id"]) == pytest.approx(0.2, abs=0.005)
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_proof_whose_event_was_dropped_is_asked_for(autojump_clock: object, stage: Staging, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        world.fill(order_id, "0.4")
        await world.passed(0.05)
        world.inject("drop_event", match="canceled")
        reply = await strategy.cancel(order_id=order_id, until="proof")
        assert (reply["outcome"], reply["route"]) == ("canceled", "rest")
        assert float(reply["filled_qty"]) == 0.4
        assert strategy.took(reply["id"]) == pytest.approx(0.4, abs=0.005)
        assert len(world.frames("QueryOrders")) == 1
        assert world.resting == []


async def test_an_accepted_cancel_without_its_proof_is_unknown_at_the_deadline(
    autojump_clock: object, stage: Staging
) -> None:
    async with stage() as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        world.inject("drop_event", match="canceled")
        world.inject("rest_error", route="spot_rest", match="QueryOrders", error="EService:Busy")
        reply = await strategy.cancel(order_id=order_id, until="proof")
        assert reply["outcome"] == "unknown"
        assert "accepted" in reply["error"]
        assert strategy.took(reply["id"]) == pytest.approx(2.0, abs=0.005)
