"""The machine fails too: SIGKILL, a power cut, a full disk, a disk that hangs, a latch file that is damaged.

The cancels never wait for the disk. What was confirmed as latched is latched in the next life, which goes on sweeping
by itself; a file that cannot be read counts as latched; and as long as a restart would not know of it, the reply and an
alert say so.
"""

import pytest

from canceld.contract.ids import VENUES
from canceld.engine.latch import VERSION, Latch, format_latch, parse_latch
from canceld.engine.sealed import seal
from canceld.tasks.latch_file import LATCH_FILE, UNSTORED
from canceld.tasks.trigger_file import TRIGGER_FILE
from canceld.transport.memory.disk import MemoryDirectory
from canceld.transport.signals import Signal

from ..world import SEEDS, Stage
from .stages import (
    ask_kill,
    assert_flat,
    book,
    empty,
    kill,
    operator,
    place_everywhere,
    rearm,
    stage,
    status,
)


def state(world: Stage) -> MemoryDirectory:
    return world.directory(world.settings.state.dir)


async def swept_in_the_next_life(world: Stage) -> None:
    """A restart finds it latched, cancels what rests by itself, and says that all is flat."""
    for venue in VENUES:
        world.place(3, venue)
    await world.restart()
    await world.passed(10.0)
    assert book(world) == empty()
    told = await status(operator(world))
    assert (told["latched"], told["durable"]) == (True, True)
    assert_flat(told)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("power_lost", [False, True], ids=["SIGKILL", "power cut"])
async def test_once_it_was_confirmed_it_outlives_the_process(
    autojump_clock: object, seed: int, power_lost: bool
) -> None:
    async with stage(seed) as world:
        await place_everywhere(world, 5)
        killer = operator(world)
        assert (await kill(killer))["latched"] is True
        await world.die(power_lost=power_lost)
        await swept_in_the_next_life(world)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("power_lost", [False, True], ids=["SIGKILL", "power cut"])
async def test_between_the_first_byte_and_the_disk_nothing_is_confirmed(
    autojump_clock: object, seed: int, power_lost: bool
) -> None:
    async with stage(seed) as world:
        await place_everywhere(world, 5)
        state(world).faults.sync_s = 1.0
        killer = operator(world)
        killer.counted = False
        ask_kill(killer)
        await world.passed(0.02)
        assert book(world) == empty()
        await world.die(power_lost=power_lost)
        assert killer.heard == []
        state(world).faults.sync_s = 0.0
        if power_lost:
            # What was not confirmed is not known any more. The kernel's cache would have kept it.
            await world.restart()
            assert (await status(operator(world)))["latched"] is False
        else:
            await swept_in_the_next_life(world)


async def test_a_trigger_file_stays_until_the_latch_is_stored(autojump_clock: object) -> None:
    async with stage() as world:
        await place_everywhere(world, 5)
        state(world).replace_now(TRIGGER_FILE, b"the pager says so\n")
        state(world).faults.sync_s = 1.0
        await world.passed(0.5)
        assert book(world) == empty()
        await world.die(power_lost=True)
        state(world).faults.sync_s = 0.0
        await swept_in_the_next_life(world)
        assert not state(world).exists(TRIGGER_FILE)
        assert (await status(operator(world)))["reason"] == "the pager says so"


LATCH = format_latch(Latch(trigger="command", reason="spilt coffee"))


@pytest.mark.parametrize(
    "content",
    [b"", LATCH[: len(LATCH) // 2], b"\x00\xff" * 40, seal(VERSION + 1, {"trigger": "moonlight"})],
    ids=["empty", "truncated", "garbage", "newer"],
)
async def test_a_damaged_latch_is_a_latch(autojump_clock: object, content: bytes) -> None:
    def damage(world: Stage) -> None:
        state(world).replace_now(LATCH_FILE, content)

    async with stage(before=damage) as world:
        await place_everywhere(world, 5)
        await world.passed(3.0)
        assert book(world) == empty()
        killer = operator(world)
        told = await status(killer)
        assert (told["latched"], told["trigger"]) == (True, "unreadable")
        assert_flat(told)
        assert (await rearm(killer))["latched"] is False


@pytest.mark.parametrize("trouble", ["full", "hangs"])
async def test_a_disk_in_trouble_holds_up_no_cancel_and_is_told(autojump_clock: object, trouble: str) -> None:
    async with stage() as world:
        await place_everywhere(world, 5)
        alerts = world.listen("alert")
        if trouble == "full":
            state(world).faults.detail = "No space left on device"
        else:
            state(world).faults.hangs = True
        killer = operator(world)
        asked = ask_kill(killer)
        await world.passed(0.02)
        assert book(world) == empty()
        reply = await killer.hear()
        assert killer.took(asked) == pytest.approx(10.0, abs=0.05)
        assert (reply["latched"], reply["durable"]) == (True, False)
        assert_flat(reply)
        assert (await status(killer))["durable"] is False
        assert any(event["what"] == UNSTORED and event["severity"] == "critical" for event in alerts.events)
        state(world).faults.detail, state(world).faults.hangs = None, False
        await world.passed(10.0)
        assert (await status(killer))["durable"] is True
        assert parse_latch(state(world).read(LATCH_FILE)) is not None
        assert UNSTORED not in {one["what"] for one in (await killer.do("status"))["alerts"]}


async def test_while_the_daemon_stops_it_still_kills_and_stores(autojump_clock: object) -> None:
    async with stage() as world:
        await place_everywhere(world, 5)
        # One cancel that nobody answers keeps it draining.
        busy = world.strategy(venue="spot")
        world.inject("swallow_ack_before_effect", match="cancelOrder")
        world.inject("rest_delay", match="CancelOrder", seconds=30.0, request=True)
        busy.ask(order_id=world.resting_at("spot")[0], deadline_ms=30_000)
        await world.passed(0.1)
        world.signals.raise_now(Signal.TERMINATE)
        await world.passed(0.1)
        killer = operator(world)
        ask_kill(killer)
        await world.passed(0.05)
        assert book(world) == empty()
        reply = await killer.hear()
        assert reply["latched"] is True
        await world.ended.wait()
        assert parse_latch(state(world).read(LATCH_FILE)) is not None


@pytest.mark.parametrize("after_s", [0.0, 0.1, 0.19])
async def test_a_signal_in_the_last_moment_of_a_clean_stop_is_latched_for_the_next_life(
    autojump_clock: object, after_s: float
) -> None:
    async with stage() as world:
        await place_everywhere(world, 5)
        state(world).faults.sync_s = 0.5
        world.signals.raise_now(Signal.TERMINATE)
        await world.passed(after_s)
        world.signals.raise_now(Signal.USER1)
        await world.ended.wait()
        assert book(world) == empty()
        assert parse_latch(state(world).read(LATCH_FILE)) is not None
        state(world).crash()
        state(world).faults.sync_s = 0.0
        await swept_in_the_next_life(world)


@pytest.mark.parametrize("step_s", [-3600, 3600])
async def test_the_wall_clock_steps_by_an_hour(autojump_clock: object, step_s: int) -> None:
    async with stage() as world:
        await place_everywhere(world, 5)
        world.clock.step_utc(step_s * 10**9)
        reply = await kill(operator(world), deadline_ms=30_000)
        assert book(world) == empty()
        assert reply["venues"]["prime"]["state"] == "flat"
        assert reply["venues"]["spot"]["state"] == "flat"
