"""REST is gone, and orders are to be canceled by a userref of which the daemon knows nothing.

The request's answers are lost with the socket, so the daemon must find out what rests under that userref. With REST
dead only a list of everything can be had, over a session. Everything is not what was asked for: an order under another
userref, or under none, must rest on.
"""

import pytest
import trio

from .world import REST_HOST, stage


@pytest.mark.parametrize("protocol", ["v1", "v2"])
async def test_no_order_of_another_userref_is_touched(protocol: str, autojump_clock: trio.testing.MockClock) -> None:
    async with stage(protocol=protocol) as world:
        strategy = world.strategy()
        others = [*await world.place_seen(3), *await world.place_seen(2, userref=8)]
        world.inject("drop_event", times=2)
        [meant] = world.place(1, userref=7)
        await world.passed(0.1)
        world.clear()
        world.cut_off(REST_HOST)
        world.inject("swallow_ack_before_effect")
        asked = strategy.ask(userref=7, until="proof", deadline_ms=8000)
        await world.passed(0.5)
        world.clear("swallow_ack_before_effect")

        reply = await strategy.hear()

        assert reply["id"] == asked
        assert sorted(set(world.resting) - {meant}) == sorted(others)
        assert reply["outcome"] in ("canceled", "closed", "unknown")
        world.reconnect()


async def test_thirty_userrefs_share_one_list(autojump_clock: trio.testing.MockClock) -> None:
    """Thirty userrefs are to be proved gone: a list for each would take half a minute of REST's patience."""
    async with stage() as world:
        strategy = world.strategy()
        for userref in range(1, 31):
            await world.place_seen(1, userref=userref)
        [other] = await world.place_seen(1, userref=99)
        world.inject("delay", seconds=0.6)

        reply = await strategy.do(
            "cancel_batch", orders=[{"userref": userref} for userref in range(1, 31)], until="proof", deadline_ms=5000
        )

        assert {outcome["outcome"] for outcome in reply["outcomes"]} == {"canceled"}
        assert world.resting == [other]
