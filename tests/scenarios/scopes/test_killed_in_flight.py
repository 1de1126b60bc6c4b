"""The daemon dies with a command for a scope in flight. The next one goes on with what it meant, and no further."""

import pytest

from .stages import DIALECTS, stage


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_the_next_daemon_cancels_what_was_meant(autojump_clock: object, dialect: str) -> None:
    async with stage(dialect) as world:
        buys = await world.place_seen(3, side="buy")
        sells = await world.place_seen(3, side="sell")
        strategy = world.strategy()
        strategy.counted = False
        world.cut_off_venue(world.venue)
        strategy.ask("cancel_all", scope=[{"side": "buy"}], deadline_ms=30_000)
        await world.passed(0.2)
        await world.die()
        assert set(world.resting) == {*buys, *sells}
        world.reconnect()
        await world.restart()
        await world.passed(30)
        assert world.resting == sells
