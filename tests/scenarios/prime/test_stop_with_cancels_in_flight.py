"""The service manager stops the daemon while Prime cancels are in flight.

Those in flight settle, or are told honestly that they did not; new ones are refused; the sessions close cleanly.
"""

import pytest

from canceld.transport.signals import Signal

from ..world import SEEDS, Staging


@pytest.mark.parametrize("seed", SEEDS)
async def test_those_in_flight_settle_and_new_ones_are_refused(
    autojump_clock: object, stage: Staging, seed: int
) -> None:
    async with stage(seed) as world:
        strategy, another = world.strategy(), world.strategy()
        orders = await world.place_seen(21)
        world.inject("delay_events", seconds=1.0)
        for order_id in orders[:20]:
            strategy.ask(order_id=order_id, until="proof")
        await world.passed(0.1)
        world.signals.raise_now(Signal.TERMINATE)
        await world.passed(0.1)
        reply = await another.cancel(order_id=orders[20])
        assert (reply["outcome"], reply["reason"]) == ("refused", "draining")
        replies = await strategy.hear_all(20)
        assert {reply["outcome"] for reply in replies.values()} == {"canceled"}
        await world.passed(1.0)
        assert world.ended.is_set()
        assert world.exchange.sessions == {}
        assert world.resting == [orders[20]]


@pytest.mark.parametrize("seed", SEEDS)
async def test_those_that_do_not_settle_in_time_are_unknown(autojump_clock: object, stage: Staging, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        orders = await world.place_seen(5)
        world.inject("swallow_ack_before_effect", match="OrderCancelRequest")
        for order_id in orders:
            strategy.ask(order_id=order_id, deadline_ms=60_000)
        everything = strategy.ask("cancel_all", until="proof", deadline_ms=60_000)
        await world.passed(0.1)
        world.signals.raise_now(Signal.TERMINATE)
        replies = await strategy.hear_all(6)
        told = replies.pop(everything)["venues"]["prime"]
        assert (told["outcome"], sorted(told["residual"])) == ("unknown", sorted(orders))
        assert {reply["outcome"] for reply in replies.values()} == {"unknown"}
        await world.passed(1.0)
        assert world.ended.is_set()
        assert sorted(world.resting) == sorted(orders)
