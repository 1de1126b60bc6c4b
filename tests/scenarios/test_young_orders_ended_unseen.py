"""Twenty orders are a second old when both sockets are lost, and they end while nobody listens.

The list of open orders that comes with the new sockets does not hold them. It might lack an order because that one is
so young, so they are believed in for a moment longer; but two seconds on, with the stream alive and silent about them,
they are not shown as resting any more, and a cancel of everything names none of them.
"""

import trio

from .world import REST_HOST, WS_HOST, stage


async def test_they_are_not_taken_for_open_for_ever(autojump_clock: trio.testing.MockClock) -> None:
    async with stage() as world:
        strategy = world.strategy()
        await world.place_seen(20)
        await world.passed(0.5)
        world.cut_off(WS_HOST, REST_HOST)
        for order_id in list(world.resting):
            world.fill(order_id)
        await world.passed(0.2)
        world.reconnect()
        await world.live()
        await world.passed(4)

        assert len(world.pursuits.resting) == 0
        reply = await strategy.do("cancel_all", venue="spot")

        assert reply["venues"]["spot"]["residual"] == []
        assert world.resting == []
