"""The drill: the whole way of a kill is walked every week, with orders that nobody has, and nothing is cancelled.

Each socket and each REST lane has to answer for itself, so a way that is down is found on a quiet day. `status` shows
how long ago the last good drill was; after a week without one, people are told.
"""

import pytest

from canceld.tasks.drill import DRILL_FILE, LATCH_FILE, STALE
from canceld.tasks.latch_file import LATCH_FILE as REAL_LATCH

from ..world import SEEDS, WS_HOST
from .stages import MASS, book, kill, operations, operator, place_everywhere, stage, status


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("uws", [False, True], ids=["futures by REST", "futures by the Unified WebSocket"])
async def test_every_way_answers_and_every_order_stays(autojump_clock: object, seed: int, uws: bool) -> None:
    async with stage(seed, uws=uws) as world:
        placed = await place_everywhere(world, 3)
        directory = world.directory(world.settings.state.dir)
        killer = operator(world)
        assert (await status(killer))["drill"] == {"at": None, "age_s": None}
        reply = await kill(killer, drill=True)
        assert (reply["drill"], reply["good"], reply["latched"], reply["disk"]) == (True, True, False, "good"), reply
        ways = {venue: set(part["ways"]) for venue, part in reply["venues"].items()}
        assert ways["spot"] == {"spot-0", "spot-1", "rest", "look"}
        assert ways["prime"] == {"prime-0", "prime-1", "look"}
        assert {"rest", "look"} <= ways["futures"]
        assert len(ways["futures"]) == (4 if uws else 2)
        assert {part["state"] for part in reply["venues"].values()} == {"residual"}
        assert book(world) == placed
        for venue in ("spot", "futures"):
            assert not MASS[venue] & set(operations(world, venue))
        assert not directory.exists(LATCH_FILE)
        assert not directory.exists(REAL_LATCH)
        await world.passed(120.0)
        told = await status(killer)
        assert told["latched"] is False
        assert told["drill"]["age_s"] == pytest.approx(120, abs=2)


async def test_a_way_that_is_down_is_found(autojump_clock: object) -> None:
    async with stage(venues=("spot",)) as world:
        alerts = world.listen("alert")
        world.cut_off(WS_HOST)
        await world.passed(0.1)
        killer = operator(world)
        reply = await kill(killer, drill=True)
        assert reply["good"] is False
        assert reply["venues"]["spot"]["ways"] == {
            "spot-0": "is down", "spot-1": "is down", "rest": "good", "look": "good"
        }  # fmt: skip
        assert (await status(killer))["drill"]["at"] is None
        assert any(event["what"] == "a kill drill failed" for event in alerts.events)


async def test_a_full_disk_and_a_silent_venue_fail_it_at_the_deadline(autojump_clock: object) -> None:
    async with stage() as world:
        world.inject("swallow_ack_before_effect", match="OrderCancelRequest")
        world.directory(world.settings.state.dir).faults.detail = "No space left on device"
        killer = operator(world)
        reply = await kill(killer, drill=True, deadline_ms=3000)
        assert (reply["good"], reply["disk"]) == (False, "No space left on device")
        assert reply["venues"]["prime"]["ways"]["prime-0"] == "no answer"
        world.directory(world.settings.state.dir).faults.detail = None


async def test_it_is_possible_while_latched_and_re_arms_nothing(autojump_clock: object) -> None:
    async with stage() as world:
        killer = operator(world)
        await kill(killer)
        reply = await kill(killer, drill=True)
        assert (reply["good"], reply["latched"]) == (True, True)
        assert (await status(killer))["latched"] is True


async def test_two_at_once_are_one_too_many(autojump_clock: object) -> None:
    async with stage() as world:
        killer = operator(world)
        killer.ask("kill", reason="drill", drill=True, deadline_ms=10_000)
        killer.ask("kill", reason="drill", drill=True, deadline_ms=10_000)
        replies = [await killer.hear(), await killer.hear()]
        assert sorted(reply["type"] for reply in replies) == ["killed", "refused"]


async def test_a_week_without_one_is_told_and_a_restart_remembers_the_last(autojump_clock: object) -> None:
    async with stage(venues=("spot",)) as world:
        killer = operator(world)
        assert (await kill(killer, drill=True))["good"] is True
        assert world.directory(world.settings.state.dir).exists(DRILL_FILE)
        await world.die()
        world.clock.step_utc(8 * 86_400 * 10**9)
        alerts = world.listen("alert")
        await world.restart()
        await world.live()
        await world.passed(601.0)
        assert any(event["what"] == STALE and event["severity"] == "warning" for event in alerts.events)
        killer = operator(world)
        assert (await status(killer))["drill"]["age_s"] > 7 * 86_400
        assert (await kill(killer, drill=True))["good"] is True
        assert STALE not in {one["what"] for one in (await killer.do("status"))["alerts"]}
