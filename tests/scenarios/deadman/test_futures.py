"""Futures' dead man's timer: by REST alone, also where the Unified WebSocket could carry it."""

import pytest

from canceld.settings import Settings
from canceld.transport.signals import Signal

from ..world import FUTURES_HOST, SEEDS, UWS_HOST
from ..world import stage as any_stage
from .stages import FUTURES, REFRESH_S, TIMEOUT_S, UNIFIED, alerts, by_rest, shown


@pytest.mark.parametrize("settings", [FUTURES, UNIFIED], ids=["classic", "unified"])
@pytest.mark.parametrize("seed", SEEDS)
async def test_renewed_by_rest_alone_and_switched_off_at_a_clean_stop(
    autojump_clock: object, settings: Settings, seed: int
) -> None:
    async with any_stage(seed, settings) as world:
        strategy, orders = world.strategy(), await world.place_seen(3)
        await world.passed(300.0)
        assert world.resting == orders
        assert (await shown(strategy))["state"] == "armed"
        assert 300 / REFRESH_S <= len(by_rest(world)) <= 300 / REFRESH_S + 2
        assert world.frames("cancel_all_orders_after") == []
        world.signals.raise_now(Signal.TERMINATE)
        await world.passed(2.0)
        assert world.ended.is_set()
        assert by_rest(world)[-1] == 0
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


async def test_rest_down_but_the_unified_socket_up_is_not_its_business(autojump_clock: object) -> None:
    async with any_stage(settings=UNIFIED) as world:
        strategy = world.strategy()
        await world.passed(20.0)
        world.cut_off(FUTURES_HOST)
        await world.passed(20.0)
        # Two ways would be two hands at what may be one timer.
        assert world.frames("cancel_all_orders_after") == []
        assert await alerts(strategy, "is not renewed")
        assert UWS_HOST not in world.unreachable


async def test_the_feed_tells_that_it_fired(autojump_clock: object) -> None:
    async with any_stage(settings=FUTURES) as world:
        strategy = world.strategy()
        await world.place_seen(3)
        await world.passed(10.0)
        world.cut_off(FUTURES_HOST)
        await world.passed(TIMEOUT_S + 2)
        assert world.resting == []
        assert await alerts(strategy, "has cancelled every order")
