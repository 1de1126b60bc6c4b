"""A cancel leaves and nothing comes back: it was lost on its way, or its answer was.

Silence is neither success nor failure. After the hedge delay the order's state is asked for: when it still rests the
cancel goes out again, when it is gone that is the proof, and the silent request is no longer waited for.
"""

import pytest

from ..world import FEED_HOST, SEEDS
from .stages import stage


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("witness", ["feed up", "feed down"])
async def test_a_request_that_is_lost_is_sent_again_once_the_order_is_known_to_rest(
    autojump_clock: object, seed: int, witness: str
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        if witness == "feed down":
            world.cut_off(FEED_HOST)
            await world.passed(0.01)
        world.inject("rest_delay", match="cancelorder", seconds=600.0, request=True, times=1)
        reply = await strategy.cancel(order_id=order_id)
        assert reply["outcome"] == "canceled"
        assert strategy.took(reply["id"]) == pytest.approx(0.4, abs=0.05)
        assert world.resting == []
        assert len(world.received("cancelorder")) == 2


@pytest.mark.parametrize("seed", SEEDS)
async def test_with_the_answer_lost_the_feed_is_the_proof(autojump_clock: object, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        world.inject("rest_delay", match="cancelorder", seconds=600.0, times=1)
        reply = await strategy.cancel(order_id=order_id)
        assert (reply["outcome"], reply["route"]) == ("canceled", "stream")
        assert strategy.took(reply["id"]) == pytest.approx(0.0, abs=0.01)
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_with_answer_and_feed_lost_the_orders_state_is_the_proof(autojump_clock: object, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        world.inject("drop_event", match="canceled")
        world.inject("rest_delay", match="cancelorder", seconds=600.0, times=1)
        reply = await strategy.cancel(order_id=order_id)
        assert (reply["outcome"], reply["route"]) == ("canceled", "rest")
        assert strategy.took(reply["id"]) == pytest.approx(0.4, abs=0.05)
        assert len(world.received("cancelorder")) == 1
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_swallowed_again_and_again_it_is_sent_for_as_long_as_the_deadline_lasts(
    autojump_clock: object, seed: int
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        world.inject("rest_delay", match="cancelorder", seconds=600.0, request=True, times=3)
        reply = await strategy.cancel(order_id=order_id)
        assert (reply["outcome"], reply["attempts"]) == ("canceled", 4)
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_silent_requests_do_not_hold_up_the_next(autojump_clock: object, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        orders = await world.place_seen(5)
        world.inject("rest_delay", match="cancelorder", seconds=600.0, request=True, times=4)
        for order_id in orders[:4]:
            strategy.ask(order_id=order_id)
            await world.passed(0.001)
        last = strategy.ask(order_id=orders[4])
        replies = await strategy.hear_all(5)
        assert {reply["outcome"] for reply in replies.values()} == {"canceled"}
        assert strategy.took(last) < 0.45
        assert world.resting == []
