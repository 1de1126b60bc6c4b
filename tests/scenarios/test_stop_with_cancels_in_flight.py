"""The service manager stops the daemon (SIGTERM) while cancels are in flight.

No new command is taken, each is told so; those in flight settle, or are told honestly that they did not; then the
sockets close and the process ends.
"""

import pytest

from canceld.transport.signals import Signal

from .world import SEEDS, Staging, stage


@pytest.mark.parametrize("seed", SEEDS)
async def test_all_in_flight_are_answered_and_new_ones_refused(
    autojump_clock: object, stage: Staging, seed: int
) -> None:
    async with stage(seed) as world:
        strategy, another = world.strategy(), world.strategy()
        orders = await world.place_seen(21)
        world.inject("delay", match="cancelOrder", seconds=1.0)
        world.inject("delay_events", seconds=2.0)
        for order_id in orders[:20]:
            strategy.ask(order_id=order_id)
        await world.passed(0.1)
        world.signals.raise_now(Signal.TERMINATE)
        await world.passed(0.1)
        reply = await another.cancel(order_id=orders[20])
        assert (reply["type"], reply["outcome"], reply["reason"]) == ("outcome", "refused", "draining")
        reply = await another.do("cancel_all")
        assert (reply["type"], reply["reason"]) == ("refused", "draining")
        assert (await another.do("ping"))["type"] == "pong"
        assert (await another.do("status"))["state"] == "draining"
        replies = await strategy.hear_all(20)
        assert {reply["outcome"] for reply in replies.values()} <= {"acked", "canceled"}
        await world.passed(1.0)
        assert world.ended.is_set()
        assert world.resting == [orders[20]]


@pytest.mark.parametrize("seed", SEEDS)
async def test_those_that_do_not_settle_in_time_are_told_unknown(
    autojump_clock: object, stage: Staging, seed: int
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        orders = await world.place_seen(5)
        world.inject("swallow_ack_before_effect", route="spot_ws", match="cancelOrder")
        world.inject("rest_delay", route="spot_rest", seconds=60.0, request=True)
        strategy.ask("cancel_batch", orders=[{"order_id": order_id} for order_id in orders[:2]], deadline_ms=60_000)
        for order_id in orders[2:]:
            strategy.ask(order_id=order_id, deadline_ms=60_000)
        strategy.ask(userref=7, deadline_ms=60_000)
        await world.passed(0.1)
        world.signals.raise_now(Signal.TERMINATE)
        replies = await strategy.hear_all(5)
        for reply in replies.values():
            if reply["type"] == "outcome":
                assert reply["outcome"] == "unknown"
                assert strategy.took(reply["id"]) == pytest.approx(3.1, abs=0.005)
        assert {outcome["outcome"] for outcome in replies[1]["outcomes"]} == {"unknown"}
        await world.passed(1.0)
        assert world.ended.is_set()


async def test_an_idle_daemon_ends_at_once_and_says_goodbye_to_the_venue(autojump_clock: object) -> None:
    async with stage() as world:
        world.signals.raise_now(Signal.TERMINATE)
        await world.passed(1.0)
        assert world.ended.is_set()
        assert world.exchange.sessions == {}


async def test_a_second_signal_changes_nothing(autojump_clock: object) -> None:
    async with stage() as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        world.inject("delay", match="cancelOrder", seconds=1.0)
        world.inject("delay_events", seconds=2.0)
        asked = strategy.ask(order_id=order_id)
        await world.passed(0.1)
        world.signals.raise_now(Signal.TERMINATE)
        await world.passed(0.1)
        world.signals.raise_now(Signal.INTERRUPT)
        reply = await strategy.hear()
        assert (reply["id"], reply["outcome"]) == (asked, "canceled" if reply["route"] == "rest" else "acked")
        assert world.resting == []
