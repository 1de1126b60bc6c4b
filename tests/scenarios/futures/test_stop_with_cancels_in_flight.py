"""The service manager stops the daemon while Futures cancels are in flight: they settle first, new ones are refused."""

import pytest

from canceld.transport.signals import Signal

from ..world import SEEDS
from .stages import stage


@pytest.mark.parametrize("seed", SEEDS)
async def test_those_in_flight_settle_and_new_ones_are_refused(autojump_clock: object, seed: int) -> None:
    async with stage(seed) as world:
        strategy, another = world.strategy(), world.strategy()
        orders = await world.place_seen(11)
        world.inject("rest_delay", route="futures_rest", seconds=1.0)
        world.inject("delay_events", seconds=2.0)
        for order_id in orders[:10]:
            strategy.ask(order_id=order_id)
        await world.passed(0.1)
        world.signals.raise_now(Signal.TERMINATE)
        await world.passed(0.1)
        reply = await another.cancel(order_id=orders[10])
        assert (reply["outcome"], reply["reason"]) == ("refused", "draining")
        replies = await strategy.hear_all(10)
        assert {reply["outcome"] for reply in replies.values()} == {"canceled"}
        await world.passed(1.0)
        assert world.ended.is_set()
        assert world.resting == [orders[10]]


@pytest.mark.parametrize("seed", SEEDS)
async def test_those_that_do_not_settle_in_time_are_told_unknown(autojump_clock: object, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        orders = await world.place_seen(3)
        world.inject("rest_delay", route="futures_rest", seconds=60.0, request=True)
        for order_id in orders:
            strategy.ask(order_id=order_id, deadline_ms=60_000)
        await world.passed(0.1)
        world.signals.raise_now(Signal.TERMINATE)
        replies = await strategy.hear_all(3)
        assert {reply["outcome"] for reply in replies.values()} == {"unknown"}
        await world.passed(1.0)
        assert world.ended.is_set()
        assert world.resting == orders
