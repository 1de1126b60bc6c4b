"""The venue cancels the order and its ack is lost.

Where the order stream tells of the cancel, that is the proof and the answer comes at once. Where the event is lost too,
the second asking is told "unknown order": the order is gone and it was us. That must never be reported as an order that
was not there.
"""

import pytest

from .world import SEEDS, Staging


@pytest.mark.parametrize("seed", SEEDS)
async def test_the_order_stream_answers_for_the_lost_ack(autojump_clock: object, stage: Staging, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        world.inject("swallow_ack_after_effect", match="cancelOrder", times=1)
        reply = await strategy.cancel(order_id=order_id)
        assert (reply["outcome"], reply["route"], reply["attempts"]) == ("canceled", "stream", 1)
        assert strategy.took(reply["id"]) < 0.01
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_with_the_event_lost_too_a_query_tells_that_it_was_us(
    autojump_clock: object, stage: Staging, seed: int
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        world.inject("swallow_ack_after_effect", match="cancelOrder", times=1)
        world.inject("drop_event", match="canceled")
        reply = await strategy.cancel(order_id=order_id)
        assert (reply["outcome"], reply["route"], reply["attempts"]) == ("canceled", "rest", 2)
        assert strategy.took(reply["id"]) < 0.5
        assert world.resting == []


async def test_with_nothing_left_to_ask_the_answer_is_gone_but_unconfirmed(
    autojump_clock: object, stage: Staging
) -> None:
    async with stage() as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        world.inject("swallow_ack_after_effect", match="cancelOrder", times=1)
        world.inject("drop_event", match="canceled")
        world.inject("rest_status", route="spot_rest", match="QueryOrders")
        reply = await strategy.cancel(order_id=order_id, deadline_ms=5000)
        # The order stream still shows it open, the venue says it is not: nobody may call that an end.
        assert reply["outcome"] == "unknown"
        assert world.resting == []
