"""The line is cut: no socket, no REST, nothing to send a cancel by.

It waits for as long as its deadline allows, in case a route comes back; then it is refused, which promises that no byte
left this machine. A route that comes back in time takes it.
"""

import pytest

from .world import REST_HOST, SEEDS, WS_HOST, Staging


@pytest.mark.parametrize("seed", SEEDS)
async def test_refused_at_the_deadline_and_nothing_was_sent(autojump_clock: object, stage: Staging, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        orders = await world.place_seen(20)
        world.cut_off(WS_HOST, REST_HOST)
        await world.passed(5.0)
        for order_id in orders:
            strategy.ask(order_id=order_id)
        replies = await strategy.hear_all(20)
        for reply in replies.values():
            assert (reply["outcome"], reply["reason"]) == ("refused", "no_route")
            assert strategy.took(reply["id"]) == pytest.approx(2.0, abs=0.005)
            assert "sent_ns" not in reply
            assert reply["attempts"] == 0
        assert all(world.asked_of_venue(order_id) == [] for order_id in orders)
        assert sorted(world.resting) == sorted(orders)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("host", [WS_HOST, REST_HOST])
async def test_a_route_that_comes_back_in_time_takes_the_waiting_cancels(
    autojump_clock: object, stage: Staging, seed: int, host: str
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        orders = await world.place_seen(5)
        world.cut_off(WS_HOST, REST_HOST)
        await world.passed(0.5)
        for order_id in orders:
            strategy.ask(order_id=order_id, deadline_ms=40_000)
        await world.passed(1.0)
        world.unreachable.discard(host)
        replies = await strategy.hear_all(5)
        assert {reply["outcome"] for reply in replies.values()} <= {"acked", "canceled"}
        assert world.resting == []
