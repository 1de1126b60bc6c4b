"""The venues are there, but not well: in maintenance, half deaf, throttling, lying, or refusing the key.

Each time the sweep goes on until the venue itself has shown twice that nothing rests; nothing less is called flat.
"""

import pytest

from canceld.contract.ids import VENUES, Venue
from canceld.engine.sweep import ROUND_PAUSES_MS

from ..world import SEEDS, WS_HOST
from .stages import (
    MASS,
    ask_kill,
    assert_flat,
    book,
    empty,
    kill,
    operations,
    operator,
    place_everywhere,
    rearm,
    stage,
    states,
    status,
)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("uws", [False, True], ids=["futures by REST", "futures by the Unified WebSocket"])
async def test_in_maintenance_it_keeps_asking_until_cancels_are_taken_again(
    autojump_clock: object, seed: int, uws: bool
) -> None:
    async with stage(seed, uws=uws) as world:
        await place_everywhere(world, 10)
        world.inject("maintenance", for_s=4.0)
        await world.passed(0.05)
        killer = operator(world)
        asked = ask_kill(killer)
        await world.passed(1.0)
        assert world.resting_at("prime") == []
        reply = await killer.hear()
        assert_flat(reply)
        assert book(world) == empty()
        assert killer.took(asked) < 4.0 + ROUND_PAUSES_MS[-1] / 1000 + 1.5


@pytest.mark.parametrize("seed", [*SEEDS, 3, 4])
@pytest.mark.parametrize("effect", ["before", "after"])
@pytest.mark.parametrize("uws", [False, True], ids=["futures by REST", "futures by the Unified WebSocket"])
async def test_half_of_the_acks_are_lost(autojump_clock: object, seed: int, effect: str, uws: bool) -> None:
    async with stage(seed, uws=uws) as world:
        await place_everywhere(world, 30)
        for operation in ("cancelAll", "cancel_all", "OrderCancelRequest"):
            world.inject(f"swallow_ack_{effect}_effect", match=operation, fraction=0.5)
        world.inject("rest_close_before_answer", fraction=0.5, effect=effect)
        world.inject("drop_event", match="canceled", fraction=0.5)
        reply = await kill(operator(world), deadline_ms=60_000)
        assert book(world) == empty()
        assert_flat(reply)
        world.clear()


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("venue", ["spot", "futures"])
async def test_a_mass_cancel_that_lies_is_followed_by_cancels_one_by_one(
    autojump_clock: object, seed: int, venue: Venue
) -> None:
    async with stage(seed, (venue,)) as world:
        orders = await world.place_seen(5)
        # It says that all is done, and does nothing.
        engine = world.exchange.spot if venue == "spot" else world.exchange.futures
        engine.cancel_all = lambda *_, **__: []  # type: ignore[assignment, method-assign, union-attr]
        reply = await kill(operator(world))
        assert world.resting == []
        assert_flat(reply, [venue])
        for order_id in orders:
            assert world.asked_of_venue(order_id)


@pytest.mark.parametrize("seed", SEEDS)
async def test_with_the_rest_key_refused_the_sockets_cancel_and_show_what_is_left(
    autojump_clock: object, seed: int
) -> None:
    async with stage(seed, ("spot",)) as world:
        await world.place_seen(10)
        world.inject("rest_error", error="EAPI:Invalid key")
        reply = await kill(operator(world))
        assert world.resting == []
        assert_flat(reply, ["spot"])
        assert "rest" in reply["venues"]["spot"]["tried"]
        await world.passed(120.0)
        # Wrong keys lock an account out: they are not repeated in a circle, also for a kill.
        assert len(world.received("CancelAll")) <= 3
        assert len(world.received("OpenOrders")) <= 2 + 4 * 2
        world.clear()


@pytest.mark.parametrize("seed", SEEDS)
async def test_with_the_rest_key_refused_and_no_socket_nobody_claims_flat(autojump_clock: object, seed: int) -> None:
    async with stage(seed, ("spot",)) as world:
        await world.place_seen(10)
        alerts = world.listen("alert")
        world.inject("rest_error", error="EAPI:Invalid key")
        world.cut_off(WS_HOST)
        killer = operator(world)
        asked = ask_kill(killer)
        reply = await killer.hear()
        assert killer.took(asked) == pytest.approx(10.0, abs=0.06)
        assert states(reply) == {"spot": "unreachable"}
        assert "Invalid key" in reply["venues"]["spot"]["tried"]["look"]
        assert any(event["what"].startswith("spot: not flat") for event in alerts.events)
        world.clear()
        world.reconnect()
        await world.passed(60.0)
        assert world.resting == []
        assert_flat(await status(killer), ["spot"])


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("venue", ["spot", "futures"])
async def test_a_throttled_venue_is_killed_all_the_same(autojump_clock: object, seed: int, venue: Venue) -> None:
    error = {"spot": "EAPI:Rate limit exceeded", "futures": "apiLimitExceeded"}[venue]
    async with stage(seed, (venue,)) as world:
        await world.place_seen(10)
        world.inject("rest_error", error=error, for_s=6.0)
        reply = await kill(operator(world), deadline_ms=30_000)
        assert world.resting == []
        assert_flat(reply, [venue])
        assert len([name for name in operations(world, venue) if name in MASS[venue]]) < 40


@pytest.mark.parametrize("seed", SEEDS)
async def test_all_tokens_are_revoked_in_the_moment_of_the_kill(autojump_clock: object, seed: int) -> None:
    async with stage(seed, ("spot",)) as world:
        await world.place_seen(10)
        world.inject("invalid_session")
        reply = await kill(operator(world))
        assert world.resting == []
        assert_flat(reply, ["spot"])


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("uws", [False, True], ids=["futures by REST", "futures by the Unified WebSocket"])
async def test_orders_placed_during_the_sweep_and_long_after_it_are_cancelled_on_sight(
    autojump_clock: object, seed: int, uws: bool
) -> None:
    async with stage(seed, uws=uws) as world:
        await place_everywhere(world, 10)
        killer = operator(world)
        ask_kill(killer)
        for _ in range(20):
            await world.passed(0.02)
            for venue in VENUES:
                world.place(1, venue)
        await world.passed(1.5)
        assert book(world) == empty()
        reply = await killer.hear()
        assert_flat(reply)
        await world.passed(100.0)
        for venue in VENUES:
            world.place(3, venue)
        await world.passed(0.3)
        assert book(world) == empty()
        await world.passed(3.0)
        assert_flat(await status(killer))
        assert (await rearm(killer))["latched"] is False
        for venue in VENUES:
            world.place(1, venue)
        await world.passed(15.0)
        assert [len(left) for left in book(world).values()] == [1, 1, 1]
