"""Spot's dead man's timer: armed over the socket, renewed while all is well, by REST when the sockets are down.

Whether it does what it is for is asked of the exchange, whose own timer it is.
"""

import pytest

from canceld.sim.server import DEFAULT_ACCOUNT
from canceld.transport.signals import Signal

from ..world import REST_HOST, SEEDS, WS_HOST, Staging
from .stages import REFRESH_S, SPOT, TIMEOUT_S, alerts, by_rest, by_socket, shown


async def test_nobody_who_did_not_ask_for_it_has_one(autojump_clock: object, stage: Staging) -> None:
    async with stage() as world:
        await world.passed(60.0)
        assert by_socket(world) == by_rest(world) == []
        assert (await world.strategy().do("status"))["deadman"] == {}


@pytest.mark.parametrize("seed", SEEDS)
async def test_renewed_over_the_socket_while_all_is_well(autojump_clock: object, stage: Staging, seed: int) -> None:
    async with stage(seed, SPOT) as world:
        strategy, orders = world.strategy(), await world.place_seen(3)
        await world.passed(600.0)
        assert world.resting == orders
        told = await shown(strategy)
        assert (told["state"], told["timeout_s"]) == ("armed", TIMEOUT_S)
        assert (TIMEOUT_S - REFRESH_S) * 1000 - 1000 <= told["fires_in_ms"] <= TIMEOUT_S * 1000
        assert set(by_socket(world)) == {TIMEOUT_S}
        assert 600 / REFRESH_S <= len(by_socket(world)) <= 600 / REFRESH_S + 2
        assert by_rest(world) == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_by_rest_while_the_sockets_are_down(autojump_clock: object, stage: Staging, seed: int) -> None:
    async with stage(seed, SPOT) as world:
        orders = await world.place_seen(3)
        await world.passed(20.0)
        world.cut_off(WS_HOST)
        await world.passed(300.0)
        assert world.resting == orders
        assert len(by_rest(world)) >= 300 / REFRESH_S - 2
        world.reconnect()
        await world.passed(60.0)
        before = len(by_rest(world)), len(by_socket(world))
        await world.passed(60.0)
        # Back on the socket, and on one way only.
        assert len(by_rest(world)) == before[0]
        assert len(by_socket(world)) > before[1]


async def test_a_socket_that_swallows_the_command_does_not_let_it_fire(autojump_clock: object, stage: Staging) -> None:
    async with stage(settings=SPOT) as world:
        orders = await world.place_seen(2)
        await world.passed(10.0)
        world.inject("swallow_ack_before_effect", route="spot_ws", match="cancelAllOrdersAfter")
        await world.passed(300.0)
        assert world.resting == orders
        assert by_rest(world)


@pytest.mark.parametrize("seed", SEEDS)
async def test_cut_off_for_good_the_venue_cancels_by_itself(autojump_clock: object, stage: Staging, seed: int) -> None:
    async with stage(seed, SPOT) as world:
        strategy, orders = world.strategy(), await world.place_seen(5)
        await world.passed(30.0)
        world.cut_off(WS_HOST, REST_HOST)
        await world.passed(TIMEOUT_S - REFRESH_S - 1)
        assert world.resting == orders
        assert await alerts(strategy, "is not renewed")
        await world.passed(REFRESH_S + 2)
        assert world.resting == []
        world.reconnect()
        await world.passed(40.0)
        assert (await shown(strategy))["state"] == "armed"
        assert not await alerts(strategy, "is not renewed")


async def test_when_it_fires_on_the_dot_people_are_told(autojump_clock: object, stage: Staging) -> None:
    async with stage(settings=SPOT) as world:
        strategy = world.strategy()
        await world.place_seen(3)
        await world.passed(1.0)
        # The sockets still tell, but no command gets through.
        world.inject("swallow_ack_before_effect", route="spot_ws", match="cancelAllOrdersAfter")
        world.cut_off(REST_HOST)
        await world.passed(TIMEOUT_S + 5)
        assert world.resting == []
        assert await alerts(strategy, "has cancelled every order")
        world.clear()
        world.reconnect()
        await world.passed(20.0)
        assert (await shown(strategy))["state"] == "armed"


async def test_latched_it_is_left_to_run_out(autojump_clock: object, stage: Staging) -> None:
    async with stage(settings=SPOT) as world:
        operator = world.strategy()
        await world.passed(20.0)
        assert (await operator.do("kill", reason="story", deadline_ms=10_000))["latched"]
        before = len(by_socket(world)) + len(by_rest(world))
        world.cut_off(WS_HOST, REST_HOST)
        order = world.place(1)
        await world.passed(TIMEOUT_S + 1)
        # Nobody could reach it, and it is gone.
        assert order[0] not in world.resting
        assert (await shown(operator))["holding"] == "latched"
        world.reconnect()
        await world.passed(60.0)
        assert len(by_socket(world)) + len(by_rest(world)) == before


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_clean_stop_switches_it_off_and_then_closes(autojump_clock: object, stage: Staging, seed: int) -> None:
    async with stage(seed, SPOT) as world:
        orders = await world.place_seen(3)
        await world.passed(20.0)
        world.signals.raise_now(Signal.TERMINATE)
        await world.passed(2.0)
        assert world.ended.is_set()
        assert by_socket(world)[-1] == 0
        await world.passed(2 * TIMEOUT_S)
        assert world.resting == orders


async def test_a_stop_with_the_venue_out_of_reach_is_bounded_and_says_what_is_left(
    autojump_clock: object, stage: Staging
) -> None:
    async with stage(settings=SPOT) as world:
        told = world.listen("alert")
        await world.place_seen(3)
        await world.passed(20.0)
        world.cut_off(WS_HOST, REST_HOST)
        await world.passed(1.0)
        world.signals.raise_now(Signal.TERMINATE)
        await world.passed(3.5)
        assert world.ended.is_set()
        assert any("may be armed after the stop" in alert["what"] for alert in told.events)
        await world.passed(TIMEOUT_S)
        assert world.resting == []


async def test_a_stop_while_latched_leaves_it_to_the_venue(autojump_clock: object, stage: Staging) -> None:
    async with stage(settings=SPOT) as world:
        await world.passed(20.0)
        await world.strategy().do("kill", reason="story", deadline_ms=10_000)
        world.signals.raise_now(Signal.TERMINATE)
        await world.passed(3.0)
        assert world.ended.is_set()
        assert 0 not in by_socket(world)


async def test_somebody_else_who_uses_it_is_found_out(autojump_clock: object, stage: Staging) -> None:
    async with stage(settings=SPOT) as world:
        strategy = world.strategy()
        await world.place_seen(3)
        await world.passed(16.0)
        world.exchange.exchange.arm(DEFAULT_ACCOUNT, "spot", 5)
        await world.passed(10.0)
        assert world.resting == []
        [alert] = await alerts(strategy, "somebody else uses the dead man's timer")
        assert alert["severity"] == "critical"


async def test_a_key_that_may_not_is_told_to_people(autojump_clock: object, stage: Staging) -> None:
    async with stage(settings=SPOT) as world:
        strategy = world.strategy()
        await world.passed(10.0)
        world.inject("swallow_ack_before_effect", route="spot_ws", match="cancelAllOrdersAfter")
        world.inject("rest_error", match="CancelAllOrdersAfter", error="EGeneral:Permission denied")
        await world.passed(40.0)
        [alert] = await alerts(strategy, "takes no commands")
        assert "tried again" in alert["do"]
        world.clear()
        await world.passed(10.0)
        assert not await alerts(strategy, "takes no commands")
