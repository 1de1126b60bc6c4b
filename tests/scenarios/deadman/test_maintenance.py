"""Spot goes down for maintenance. A timer that is armed then fires when it comes back, and every order is gone.

What is announced is heeded: switched off ahead of it, armed again after. What is not cannot be, and people are told.
"""

from ..world import Stage, Staging
from .stages import SPOT, TIMEOUT_S, alerts, by_rest, by_socket, shown


def announce(world: Stage, in_s: float, for_s: float) -> None:
    """Let the venue announce maintenance, and hold it."""
    begins_s = world.clock.utc_ns() / 1e9 + in_s
    ends_s = begins_s + for_s
    steps = [(begins_s, "maintenance"), (ends_s, "cancel_only"), (ends_s + 10, "online")]
    world.exchange.spot.market.schedule(steps)


async def test_switched_off_ahead_of_it_and_armed_again_after(autojump_clock: object, stage: Staging) -> None:
    async with stage(settings=SPOT) as world:
        strategy, told, orders = world.strategy(), world.listen("deadman"), await world.place_seen(3)
        await world.passed(20.0)
        announce(world, 400.0, 300.0)
        await world.passed(200.0)
        assert (await shown(strategy))["state"] == "armed"
        await world.passed(150.0)
        showing = await shown(strategy)
        assert (showing["state"], showing["holding"]) == ("off", "maintenance")
        assert by_socket(world)[-1] == 0
        await world.passed(340.0)
        assert world.resting == orders
        await world.passed(60.0)
        assert world.resting == orders
        assert (await shown(strategy))["state"] == "armed"
        assert by_socket(world)[-1] == TIMEOUT_S
        words = [event["what"] for event in told.events if "what" in event]
        assert any("switched off ahead of it" in what for what in words)
        assert any("armed again" in what for what in words)
        assert not await alerts(strategy, "dead man's timer")


async def test_called_off_it_stays_armed(autojump_clock: object, stage: Staging) -> None:
    async with stage(settings=SPOT) as world:
        strategy = world.strategy()
        announce(world, 150.0, 300.0)
        await world.passed(60.0)
        assert (await shown(strategy))["state"] == "off"
        world.exchange.spot.market.schedule([])
        await world.passed(45.0)
        assert (await shown(strategy))["state"] == "armed"
        await world.passed(300.0)
        assert (await shown(strategy))["state"] == "armed"


async def test_not_announced_it_fires_when_the_venue_is_back(autojump_clock: object, stage: Staging) -> None:
    async with stage(settings=SPOT) as world:
        strategy = world.strategy()
        await world.place_seen(3)
        await world.passed(20.0)
        world.inject("maintenance", for_s=120.0)
        await world.passed(1.0)
        before = len(by_socket(world)) + len(by_rest(world))
        await world.passed(100.0)
        assert (await shown(strategy))["holding"] == "maintenance"
        await world.passed(60.0)
        assert world.resting == []
        assert (await shown(strategy))["state"] == "armed"
        assert len(by_socket(world)) + len(by_rest(world)) > before
