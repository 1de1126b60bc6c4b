"""The ack comes after the strategy has had its answer.

A late ack is news and no second reply: after `unknown` it goes to the event socket as `late`; after an answer that held
already it is counted and forgotten.
"""

import pytest

from .world import REST_HOST, SEEDS, Staging


@pytest.mark.parametrize("seed", SEEDS)
async def test_an_ack_after_unknown_is_told_as_late(autojump_clock: object, stage: Staging, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        late = world.listen("late.spot")
        [order_id] = await world.place_seen(1)
        world.cut_off(REST_HOST)
        world.inject("delay", match="cancelOrder", seconds=3.0)
        world.inject("delay_events", seconds=5.0)
        reply = await strategy.cancel(order_id=order_id, deadline_ms=1000)
        assert reply["outcome"] == "unknown"
        assert world.resting == []
        await world.passed(10.0)
        [event] = late.events
        assert (event["type"], event["id"], event["outcome"]) == ("late", reply["id"], "acked")
        assert event["order_id"] == order_id


@pytest.mark.parametrize("seed", SEEDS)
async def test_an_order_event_after_unknown_is_told_as_late(autojump_clock: object, stage: Staging, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        late = world.listen("late.spot")
        [order_id] = await world.place_seen(1)
        world.cut_off(REST_HOST)
        world.inject("swallow_ack_after_effect", match="cancelOrder")
        world.inject("delay_events", seconds=3.0)
        reply = await strategy.cancel(order_id=order_id, deadline_ms=1000)
        assert reply["outcome"] == "unknown"
        await world.passed(10.0)
        [event] = late.events
        assert (event["id"], event["outcome"], float(event["filled_qty"])) == (reply["id"], "canceled", 0.0)


@pytest.mark.parametrize("seed", SEEDS)
async def test_an_ack_after_rest_had_answered_changes_nothing(
    autojump_clock: object, stage: Staging, seed: int
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        late = world.listen("late.spot")
        [order_id] = await world.place_seen(1)
        world.inject("delay", match="cancelOrder", seconds=1.5)
        world.inject("delay_events", seconds=1.5)
        reply = await strategy.cancel(order_id=order_id)
        assert (reply["outcome"], reply["route"]) == ("canceled", "rest")
        await world.passed(10.0)
        assert late.events == []
        assert world.pursuits.counts.repeated_acks >= 1
        assert world.resting == []
