"""Futures' dead man's timer: over the Unified WebSocket where there is one, else and when that is down by REST.

Classic REST ends on 1 March 2027, and an outage of it is no reason for the venue to take every order off the book while
the sockets are healthy.
"""

import pytest

from canceld.transport.signals import Signal

from ..world import FUTURES_HOST, SEEDS, UWS_HOST, Stage
from ..world import stage as any_stage
from .stages import FUTURES, REFRESH_S, TIMEOUT_S, UNIFIED, alerts, by_rest, shown


def by_unified(world: Stage) -> list[int]:
    """The timeouts that were asked for over the Unified WebSocket, oldest first."""
    return [int(asked["timeout"]) for asked in world.frames("cancel_all_orders_after")]


@pytest.mark.parametrize("seed", SEEDS)
async def test_renewed_by_rest_and_switched_off_at_a_clean_stop(autojump_clock: object, seed: int) -> None:
    async with any_stage(seed, FUTURES) as world:
        strategy, orders = world.strategy(), await world.place_seen(3)
        await world.passed(300.0)
        assert world.resting == orders
        told = await shown(strategy)
        assert (told["state"], told["route"]) == ("armed", "rest")
        assert 300 / REFRESH_S <= len(by_rest(world)) <= 300 / REFRESH_S + 2
        world.signals.raise_now(Signal.TERMINATE)
        await world.passed(2.0)
        assert world.ended.is_set()
        assert by_rest(world)[-1] == 0
        await world.passed(2 * TIMEOUT_S)
        assert world.resting == orders


@pytest.mark.parametrize("seed", SEEDS)
async def test_renewed_over_the_unified_websocket_and_switched_off_at_a_clean_stop(
    autojump_clock: object, seed: int
) -> None:
    async with any_stage(seed, UNIFIED) as world:
        strategy, orders = world.strategy(), await world.place_seen(3)
        await world.passed(300.0)
        assert world.resting == orders
        told = await shown(strategy)
        assert (told["state"], told["route"]) == ("armed", "ws")
        assert 300 / REFRESH_S - 1 <= len(by_unified(world)) <= 300 / REFRESH_S + 2
        # At the very start, before a session was up.
        assert len(by_rest(world)) <= 1
        world.signals.raise_now(Signal.TERMINATE)
        await world.passed(2.0)
        assert world.ended.is_set()
        assert by_unified(world)[-1] == 0
        await world.passed(2 * TIMEOUT_S)
        assert world.resting == orders


@pytest.mark.parametrize("seed", SEEDS)
async def test_cut_off_for_good_the_venue_cancels_by_itself(autojump_clock: object, seed: int) -> None:
    async with any_stage(seed, FUTURES) as world:
        strategy, orders = world.strategy(), await world.place_seen(3)
        await world.passed(30.0)
        world.cut_off_venue("futures")
        await world.passed(TIMEOUT_S - REFRESH_S - 1)
        assert world.resting == orders
        await world.passed(REFRESH_S + 2)
        assert world.resting == []
        assert await alerts(strategy, "is not renewed")


async def test_rest_down_but_the_unified_sockets_up_does_not_let_it_fire(autojump_clock: object) -> None:
    async with any_stage(settings=UNIFIED) as world:
        strategy, orders = world.strategy(), await world.place_seen(3)
        await world.passed(20.0)
        world.cut_off(FUTURES_HOST)
        await world.passed(3.0 * TIMEOUT_S)
        assert world.resting == orders
        assert not await alerts(strategy, "is not renewed")
        assert (await shown(strategy))["route"] == "ws"


@pytest.mark.parametrize("seed", SEEDS)
async def test_with_the_unified_sockets_down_by_rest_and_then_back(autojump_clock: object, seed: int) -> None:
    async with any_stage(seed, UNIFIED) as world:
        strategy, orders = world.strategy(), await world.place_seen(3)
        await world.passed(20.0)
        world.cut_off(UWS_HOST)
        await world.passed(3.0 * TIMEOUT_S)
        assert world.resting == orders
        assert (await shown(strategy))["route"] == "rest"
        world.reconnect()
        await world.passed(60.0)
        assert (await shown(strategy))["route"] == "ws"
        assert world.resting == orders


async def test_the_feed_tells_that_it_fired(autojump_clock: object) -> None:
    async with any_stage(settings=FUTURES) as world:
        strategy = world.strategy()
        await world.place_seen(3)
        await world.passed(10.0)
        world.cut_off(FUTURES_HOST)
        await world.passed(TIMEOUT_S + 2)
        assert world.resting == []
        assert await alerts(strategy, "has cancelled every order")
