"""The daemon is busy, spent or stuck with something else, and then the kill is pulled.

A drill has just begun, every REST call hangs, the disk is full, the dial budget is gone, a strategy's own cancel waits
for an answer that never comes, the venue takes single cancels and none of everything: no reason for a kill to wait.
"""

import pytest
import trio

from canceld.contract.ids import Venue
from canceld.engine.backoff import CONNECT_LIMIT

from ..world import SEEDS, WS_HOST, Stage
from .stages import MASS, ask_kill, assert_flat, book, empty, kill, operations, operator, place_everywhere, stage

SOON_S = 1.0


async def flat_in(world: Stage, since_s: float) -> float:
    """How long after `since_s` the book of the story's venue was empty."""
    with trio.fail_after(100):
        while world.resting:
            await world.passed(0.01)
    return trio.current_time() - since_s


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_drill_that_has_just_begun_takes_no_place(autojump_clock: object, seed: int) -> None:
    async with stage(seed) as world:
        await place_everywhere(world, 5)
        # No answer of REST comes for as long as a look is waited for.
        world.inject("rest_delay", match="OpenOrders", seconds=0.2)
        killer, driller = operator(world), operator(world)
        asked = ask_kill(killer)
        driller.ask("kill", reason="drill", drill=True, deadline_ms=3000)
        reply = await killer.hear()
        assert_flat(reply)
        assert killer.took(asked) < 2.5
        await driller.hear()


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("venue", ["spot", "futures"])
async def test_rest_calls_that_hang_hold_no_kill_up(autojump_clock: object, seed: int, venue: Venue) -> None:
    async with stage(seed, (venue,)) as world:
        orders = await world.place_seen(30)
        if venue == "spot":
            world.cut_off(WS_HOST)
            await world.passed(0.02)
        for one in ("CancelOrder", "CancelOrderBatch", "QueryOrders", "cancelorder", "batchorder", "orders/status"):
            world.inject("rest_delay", match=one, seconds=3600.0, request=True)
        strategy = world.strategy()
        for order_id in orders:
            strategy.ask(order_id=order_id, deadline_ms=20_000)
        await world.passed(1.0)
        since, began = len(world.exchange.received), trio.current_time()
        ask_kill(killer := operator(world))
        await world.passed(0.05)
        assert set(operations(world, venue, since)) & MASS[venue]
        assert await flat_in(world, began) < SOON_S
        assert_flat(await killer.hear(), [venue])
        await strategy.hear_all(30)
        world.clear()
        world.reconnect()


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("trouble", ["fails", "hangs", "full"])
async def test_a_disk_in_trouble_holds_no_kill_up(autojump_clock: object, seed: int, trouble: str) -> None:
    async with stage(seed) as world:
        await place_everywhere(world, 10)
        faults = world.directory(world.settings.state.dir).faults
        if trouble == "fails":
            faults.detail = "Input/output error"
        elif trouble == "hangs":
            faults.hangs = True
        else:
            faults.room_bytes = 0
        await world.passed(1.0)
        ask_kill(killer := operator(world), deadline_ms=3000)
        await world.passed(0.05)
        assert book(world) == empty()
        reply = await killer.hear()
        assert_flat(reply)
        assert reply.get("durable", True) is (trouble == "full")
        faults.detail, faults.hangs, faults.room_bytes = None, False, None
        await world.passed(8.0)
        assert (await killer.do("status"))["kill"]["durable"] is True


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_dial_budget_that_others_have_spent_leaves_enough_for_it(autojump_clock: object, seed: int) -> None:
    async with stage(seed, ("prime",)) as world:
        await world.place_seen(10)
        budget = world.desk.sessions[0]._parts.budget
        for _ in range(CONNECT_LIMIT):
            budget.take(world.clock.monotonic_ns())
        world.inject("reset_sockets")
        await world.passed(3.0)
        assert not world.pursuits.live
        began = trio.current_time()
        reply = await kill(operator(world))
        assert_flat(reply, ["prime"])
        assert await flat_in(world, began) < 2.0


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_cancel_of_a_strategy_that_is_stuck_takes_no_order_with_it(autojump_clock: object, seed: int) -> None:
    """Prime has no cancel of everything: each order is cancelled by itself, also one that somebody waits for."""
    async with stage(seed, ("prime",)) as world:
        orders = await world.place_seen(10)
        world.inject("swallow_ack_before_effect", match="OrderCancelRequest")
        strategy = world.strategy()
        for order_id in orders:
            strategy.ask(order_id=order_id, deadline_ms=60_000)
        await world.passed(4.0)
        world.clear()
        assert len(world.resting) == 10
        began = trio.current_time()
        ask_kill(killer := operator(world))
        assert await flat_in(world, began) < SOON_S
        assert_flat(await killer.hear(), ["prime"])
        await strategy.hear_all(10)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("venue", ["spot", "futures"])
@pytest.mark.parametrize("error", ["odd", "unavailable", "busy"])
async def test_where_only_single_cancels_are_taken_they_are_sent(
    autojump_clock: object, seed: int, venue: Venue, error: str
) -> None:
    words = {
        "spot": {
            "odd": "EGeneral:Something new",
            "unavailable": "EService:Unavailable",
            "busy": "EAPI:Rate limit exceeded",
        },
        "futures": {"odd": "somethingNew", "unavailable": "Unavailable", "busy": "apiLimitExceeded"},
    }[venue][error]
    async with stage(seed, (venue,)) as world:
        await world.place_seen(40)
        for one in MASS[venue]:
            world.inject("rest_error", match=one, error=words)
            world.inject("ack_error", match=one, error=words)
        began = trio.current_time()
        ask_kill(killer := operator(world), deadline_ms=20_000)
        assert await flat_in(world, began) < 4.0
        assert_flat(await killer.hear(), [venue])


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("venue", ["spot", "prime", "futures"])
async def test_a_mode_that_was_never_said_to_be_over_holds_no_kill_up(
    autojump_clock: object, seed: int, venue: Venue
) -> None:
    async with stage(seed, (venue,)) as world:
        await world.place_seen(20)
        world.desk.dispatcher.mode_changed("maintenance")
        began = trio.current_time()
        ask_kill(killer := operator(world))
        assert await flat_in(world, began) < SOON_S
        assert_flat(await killer.hear(), [venue])


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("venue", ["spot", "futures"])
async def test_a_venue_that_was_silent_is_flat_within_a_second_of_its_first_answer(
    autojump_clock: object, seed: int, venue: Venue
) -> None:
    """Each call is waited for, and while it is, others are made: the first that is answered is never far."""
    async with stage(seed, (venue,)) as world:
        # More than singly cancelled ones could be in that time.
        await world.place_seen(400)
        if venue == "spot":
            world.cut_off(WS_HOST)
            await world.passed(0.05)
        world.inject("rest_delay", seconds=3600.0, request=True, for_s=21.0)
        ask_kill(operator(world), deadline_ms=60_000)
        await world.passed(21.0)
        assert len(world.resting) == 400
        assert await flat_in(world, trio.current_time()) < SOON_S + 0.1
        await world.passed(4.0)
        world.reconnect()


@pytest.mark.parametrize("seed", SEEDS)
async def test_single_cancels_by_rest_alone_wait_for_no_maintenance_that_is_over(
    autojump_clock: object, seed: int
) -> None:
    """Both sockets are gone, the last word on the market was maintenance, and the venue takes single cancels only."""
    async with stage(seed, ("spot",)) as world:
        await world.place_seen(20)
        world.desk.dispatcher.mode_changed("maintenance")
        world.cut_off(WS_HOST)
        for one in MASS["spot"]:
            world.inject("rest_error", match=one, error="EGeneral:Something new")
        began = trio.current_time()
        ask_kill(killer := operator(world), deadline_ms=20_000)
        assert await flat_in(world, began) < 4.0
        assert_flat(await killer.hear(), ["spot"])
        world.reconnect()
