"""The venue announces maintenance for three seconds. In maintenance it takes no cancels; in cancel_only it does.

A cancel with time left waits, and leaves in the very moment the venue announces cancel_only. One whose deadline comes
first is refused, honestly: nothing was sent for it.
"""

import pytest

from .world import SEEDS, WS_HOST, Staging


@pytest.mark.parametrize("seed", SEEDS)
async def test_cancels_wait_and_leave_the_moment_cancels_are_taken_again(
    autojump_clock: object, stage: Staging, seed: int
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        orders = await world.place_seen(20)
        world.inject("maintenance", for_s=3.0)
        await world.passed(0.01)
        for order_id in orders[:10]:
            strategy.ask(order_id=order_id, deadline_ms=10_000)
        await world.passed(1.0)
        for order_id in orders[10:]:
            strategy.ask(order_id=order_id, deadline_ms=10_000)
        await world.passed(1.9)
        assert world.frames("cancelOrder") == []
        assert world.frames("CancelOrder") == []
        replies = await strategy.hear_all(20)
        assert {reply["outcome"] for reply in replies.values()} <= {"acked", "canceled"}
        waited = [2.99] * 10 + [1.99] * 10
        assert [strategy.took(id) for id in sorted(replies)] == pytest.approx(waited, abs=0.005)
        assert world.resting == []


async def test_a_cancel_that_cannot_wait_so_long_is_refused_and_was_not_sent(
    autojump_clock: object, stage: Staging
) -> None:
    async with stage() as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        world.inject("maintenance", for_s=3.0)
        await world.passed(0.01)
        reply = await strategy.cancel(order_id=order_id, deadline_ms=1000)
        assert (reply["outcome"], reply["reason"]) == ("refused", "no_route")
        assert "maintenance" in reply["detail"]
        assert world.asked_of_venue(order_id) == []
        assert world.resting == [order_id]


async def test_a_cancel_in_flight_when_maintenance_begins_is_finished_after_it(
    autojump_clock: object, stage: Staging
) -> None:
    async with stage() as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        world.inject("maintenance", match="cancelOrder", times=1, for_s=3.0)
        reply = await strategy.cancel(order_id=order_id, deadline_ms=10_000)
        assert reply["outcome"] in ("acked", "canceled")
        assert strategy.took(reply["id"]) == pytest.approx(3.0, abs=0.6)
        assert world.resting == []


async def test_sockets_lost_in_maintenance_come_back_and_take_the_waiting_cancels(
    autojump_clock: object, stage: Staging
) -> None:
    async with stage() as world:
        strategy = world.strategy()
        orders = await world.place_seen(5)
        world.inject("maintenance", for_s=20.0, cancel_only_s=60.0)
        await world.passed(0.01)
        for order_id in orders:
            strategy.ask(order_id=order_id, deadline_ms=60_000)
        world.inject("reset_sockets", route="spot_ws")
        replies = await strategy.hear_all(5)
        assert {reply["outcome"] for reply in replies.values()} <= {"acked", "canceled", "closed"}
        assert world.resting == []
        # No faster than once in 5 s while the venue is down: more gains nothing and costs the connection budget.
        assert len(world.dials_to("ws.sim.invalid")) <= 2 + 2 * 3 + 2 * 20 / 5


async def test_its_end_is_heard_over_rest_where_no_socket_can_be_had(autojump_clock: object, stage: Staging) -> None:
    async with stage() as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        world.inject("maintenance", for_s=1.0, cancel_only_s=0.0)
        await world.passed(0.01)
        world.cut_off(WS_HOST)
        await world.passed(5.0)
        reply = await strategy.cancel(order_id=order_id)
        assert (reply["outcome"], reply["route"]) == ("acked", "rest")
        assert world.resting == []
        world.reconnect()
        await world.passed(30.0)
