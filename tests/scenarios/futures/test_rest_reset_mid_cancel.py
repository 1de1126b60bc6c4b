"""The venue resets its REST connections with cancels on them.

REST is the only hand there is, and no answer will come. What the venue had carried out is told by the feed, or by
asking for the order's state; what it had not is sent again. The strategy hears what is true, never a guess.
"""

import pytest

from ..world import FEED_HOST, FUTURES_HOST, SEEDS
from .stages import stage


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("effect", ["before", "after"])
@pytest.mark.parametrize("witness", ["feed up", "feed down"])
async def test_one_cancel_whose_connection_is_reset_ends_in_proof(
    autojump_clock: object, seed: int, effect: str, witness: str
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        if witness == "feed down":
            world.cut_off(FEED_HOST)
            await world.passed(0.01)
        world.inject("rest_close_before_answer", match="cancelorder", effect=effect, times=1)
        reply = await strategy.cancel(order_id=order_id)
        assert reply["outcome"] == "canceled"
        assert strategy.took(reply["id"]) < 0.5
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("carried_out", [0.0, 0.5, 1.0])
async def test_a_burst_in_flight_moves_to_new_connections(
    autojump_clock: object, seed: int, carried_out: float
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        orders = await world.place_seen(20)
        world.inject("rest_close_before_answer", match="cancelorder", effect="after", fraction=carried_out, times=10)
        world.inject("rest_delay", match="cancelorder", seconds=0.2, times=6)
        for order_id in orders:
            strategy.ask(order_id=order_id)
        await world.passed(0.05)
        world.inject("reset_sockets", route="futures_rest")
        replies = await strategy.hear_all(20)
        assert {reply["outcome"] for reply in replies.values()} == {"canceled"}
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_every_connection_reset_and_none_to_be_had_is_unknown_and_then_told_late(
    autojump_clock: object, seed: int
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        late = world.listen("late.futures")
        [order_id] = await world.place_seen(1)
        world.cut_off(FEED_HOST)
        world.inject("rest_delay", match="cancelorder", seconds=5.0, request=True, times=1)
        asked = strategy.ask(order_id=order_id)
        await world.passed(0.05)
        world.cut_off(FUTURES_HOST)
        reply = await strategy.hear()
        assert (reply["id"], reply["outcome"], reply["tried"]) == (asked, "unknown", ["rest"])
        assert world.resting == [order_id]
        world.reconnect()
        await world.passed(20.0)
        assert late.events == []
        reply = await strategy.cancel(order_id=order_id)
        assert reply["outcome"] == "canceled"
        assert world.resting == []
        assert [event["outcome"] for event in late.events] == ["canceled"]
