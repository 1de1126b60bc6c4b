"""An operator kills Spot and Prime by name, and this daemon has no Prime.

Refusing the whole command would leave Spot's orders on the book for want of a venue that is not even there. So Spot is
swept, and of Prime the reply says that nobody here can reach it. A kill of Prime alone is latched for Prime, and leaves
Spot's orders where they are.
"""

import trio

from ..world import stage


async def test_the_venues_that_are_there_are_killed(autojump_clock: trio.testing.MockClock) -> None:
    async with stage() as world:
        strategy = world.strategy()
        await world.place_seen(3)

        nothing = await strategy.do("kill", reason="fat finger", venues=["prime"])
        assert nothing["latched"] is True
        assert {venue: part["state"] for venue, part in nothing["venues"].items()} == {"prime": "unreachable"}
        assert len(world.resting) == 3

        reply = await strategy.do("kill", reason="fat finger", venues=["spot", "prime"])
        assert reply["latched"] is True
        assert reply["venues"]["spot"]["state"] == "flat"
        assert reply["venues"]["prime"]["state"] == "unreachable"
        assert world.resting == []
