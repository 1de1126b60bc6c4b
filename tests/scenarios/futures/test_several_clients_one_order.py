"""Several strategies want the same Futures order gone at the same moment: one request leaves, each gets its answer."""

import pytest

from ..world import SEEDS
from .stages import stage


@pytest.mark.parametrize("seed", SEEDS)
async def test_one_request_and_a_reply_for_each(autojump_clock: object, seed: int) -> None:
    async with stage(seed) as world:
        strategies = [world.strategy() for _ in range(5)]
        [order_id] = await world.place_seen(1, cl_ord_id="mm-1")
        for n, strategy in enumerate(strategies):
            name = {"cl_ord_id": "mm-1"} if n % 2 else {"order_id": order_id}
            strategy.ask(**name, until="proof" if n == 4 else "ack")
        for strategy in strategies:
            assert (await strategy.hear())["outcome"] == "canceled"
        assert len(world.asked_of_venue(order_id)) == 1
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_one_asks_alone_and_one_in_a_batch_while_another_wants_everything(
    autojump_clock: object, seed: int
) -> None:
    async with stage(seed) as world:
        one, many, everything = world.strategy(), world.strategy(), world.strategy()
        orders = await world.place_seen(100)
        one.ask(order_id=orders[0])
        many.ask("cancel_batch", orders=[{"order_id": order_id} for order_id in orders[:60]])
        everything.ask("cancel_all", until="proof")
        assert (await one.hear())["outcome"] == "canceled"
        assert {told["outcome"] for told in (await many.hear())["outcomes"]} == {"canceled"}
        assert (await everything.hear())["venues"]["futures"]["outcome"] == "canceled"
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_who_asks_after_the_end_is_told_it_without_a_request(autojump_clock: object, seed: int) -> None:
    async with stage(seed) as world:
        first, second = world.strategy(), world.strategy()
        [order_id] = await world.place_seen(1)
        assert (await first.cancel(order_id=order_id))["outcome"] == "canceled"
        reply = await second.cancel(order_id=order_id)
        assert (reply["outcome"], reply["state"], reply["attempts"]) == ("closed", "canceled", 0)
        assert len(world.asked_of_venue(order_id)) == 1
        assert world.resting == []
