"""Two streams tell of Futures orders, the executions of the Unified WebSocket and the classic feed: either is enough.

Neither answer names how an order ended, so the proof is what a stream says; with both of them mute the order's state is
asked for. What one stream tells late never undoes what the other told before.
"""

import pytest

from ..world import FEED_HOST, SEEDS
from .stages import stage


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("mute", ["unified_ws", "futures_feed", "both"])
async def test_the_other_witness_or_the_orders_state_is_the_proof(autojump_clock: object, seed: int, mute: str) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        for route in ("unified_ws", "futures_feed") if mute == "both" else (mute,):
            world.inject("drop_event", route=route, match="canceled")
        reply = await strategy.cancel(order_id=order_id, until="proof")
        assert reply["outcome"] == "canceled"
        assert reply["route"] == ("rest" if mute == "both" else "stream")
        assert len(world.received("orders/status")) == (mute == "both")
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("slow", ["unified_ws", "futures_feed"])
async def test_a_stream_that_is_behind_undoes_nothing(autojump_clock: object, seed: int, slow: str) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        world.inject("delay_events", route=slow, seconds=3.0)
        filled, canceled = await world.place_seen(2)
        world.fill(filled, "0.3")
        await world.passed(0.05)
        world.fill(filled)
        await world.passed(0.05)
        reply = await strategy.cancel(order_id=filled, until="proof")
        assert (reply["outcome"], reply["state"]) == ("closed", "filled")
        reply = await strategy.cancel(order_id=canceled, until="proof")
        assert reply["outcome"] == "canceled"
        await world.passed(5.0)
        assert len(world.pursuits.resting) == 0
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_sequence_that_jumps_makes_the_session_ask_for_everything_again(
    autojump_clock: object, seed: int
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        world.cut_off(FEED_HOST)
        await world.passed(0.01)
        lives = sum(session.lives for session in world.desk.sessions)
        world.inject("sequence_gap", route="unified_ws", by=2, times=1)
        [order_id] = await world.place_seen(1)
        await world.passed(3.0)
        assert sum(session.lives for session in world.desk.sessions) > lives
        reply = await strategy.cancel(order_id=order_id, until="proof")
        assert reply["outcome"] == "canceled"
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", ["order_id", "cl_ord_id"])
async def test_a_cancel_that_overtakes_its_add_is_repeated_when_a_stream_shows_the_order(
    autojump_clock: object, seed: int, name: str
) -> None:
    soon = "11111111-2222-4333-8444-555555555555"
    async with stage(seed) as world:
        strategy = world.strategy()
        asked = strategy.ask(**{name: soon if name == "order_id" else "mm-1"})
        await world.passed(0.03)
        world.place(1, order_id=soon, cl_ord_id="mm-1")
        reply = await strategy.hear()
        assert reply["outcome"] in ("acked", "canceled")
        assert strategy.took(asked) < 0.1
        assert world.resting == []
