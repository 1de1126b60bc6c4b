"""Getting out of it again is a person's decision: two steps on the control socket, with a code of a minute's life.

No strategy can do it, no second guess, no code from before the last kill, nothing while orders rest unless that is said
to be meant; and neither a reload nor a restart nor time does it either.
"""

from typing import Any

from canceld.contract.ids import VENUES
from canceld.tasks.latch_file import LATCH_FILE
from canceld.transport.signals import Signal

from ..test_audit_journal import records
from ..world import PRIME_HOST, Stage, Strategy
from .stages import ask_kill, assert_flat, book, empty, kill, operator, place_everywhere, rearm, stage, status


def has_latch(world: Stage) -> bool:
    return world.directory(world.settings.state.dir).exists(LATCH_FILE)


async def confirm(asker: Strategy, code: str, **fields: Any) -> dict[str, Any]:
    return await asker.do("rearm", confirm=code, reason="it is over", **fields)


def assert_refused(reply: dict[str, Any], why: str) -> None:
    assert (reply["type"], reply["outcome"], reply["reason"]) == ("refused", "refused", "invalid"), reply
    assert why in reply["detail"], reply


async def test_with_the_right_code_everything_is_as_before(autojump_clock: object) -> None:
    async with stage() as world:
        events = world.listen("kill")
        killer = operator(world)
        await kill(killer)
        first = await killer.do("rearm")
        assert (first["latched"], first["expires_in_ms"]) == (True, 60_000)
        assert first["residual"] == empty()
        reply = await confirm(killer, first["code"].lower())
        assert reply == {"type": "rearm", "id": reply["id"], "latched": False}
        assert not has_latch(world)
        assert (await status(killer))["latched"] is False
        assert events.events[-1]["state"] == "rearmed"
        assert events.events[-1]["reason"] == "it is over"
        await place_everywhere(world, 2)
        await world.passed(30.0)
        assert [len(left) for left in book(world).values()] == [2, 2, 2]
        # It can be pulled again.
        assert_flat(await kill(killer))
        assert book(world) == empty()


async def test_on_the_socket_of_the_strategies_it_is_refused(autojump_clock: object) -> None:
    async with stage() as world:
        killer, strategy = operator(world), world.strategy()
        await kill(strategy)
        assert_refused(await strategy.do("rearm"), "control socket")
        code = (await killer.do("rearm"))["code"]
        assert_refused(await confirm(strategy, code), "control socket")
        assert (await confirm(killer, code))["latched"] is False


async def test_a_code_is_good_for_a_minute_and_for_one_guess(autojump_clock: object) -> None:
    async with stage() as world:
        killer = operator(world)
        await kill(killer)
        assert_refused(await confirm(killer, "ABCDEFGH"), "no code is valid")
        code = (await killer.do("rearm"))["code"]
        assert_refused(await confirm(killer, "ABCDEFGH"), "wrong code")
        assert_refused(await confirm(killer, code), "no code is valid")
        code = (await killer.do("rearm"))["code"]
        await world.passed(60.0)
        assert_refused(await confirm(killer, code), "expired")
        old, new = (await killer.do("rearm"))["code"], (await killer.do("rearm"))["code"]
        assert_refused(await confirm(killer, old), "wrong code")
        assert has_latch(world)
        new = (await killer.do("rearm"))["code"]
        await world.passed(59.0)
        assert (await confirm(killer, new))["latched"] is False


async def test_a_kill_between_the_two_steps_voids_the_code(autojump_clock: object) -> None:
    async with stage() as world:
        killer = operator(world)
        await kill(killer)
        code = (await killer.do("rearm"))["code"]
        await kill(world.strategy(), reason="and again")
        assert_refused(await confirm(killer, code), "no code is valid")
        assert has_latch(world)


async def test_while_something_rests_it_takes_force_and_that_is_recorded(autojump_clock: object) -> None:
    async with stage() as world:
        await place_everywhere(world, 3)
        events = world.listen("kill")
        world.cut_off(PRIME_HOST)
        killer = operator(world)
        await kill(killer)
        first = await killer.do("rearm")
        assert len(first["residual"]["prime"]) == 3
        assert_refused(await confirm(killer, first["code"]), "orders rest")
        assert has_latch(world)
        assert (await confirm(killer, first["code"], force=True))["latched"] is False
        assert events.events[-1]["forced"] == ["prime"]
        world.reconnect()
        await world.passed(60.0)
        assert len(world.resting_at("prime")) == 3


async def test_a_kill_that_still_waits_is_answered_when_somebody_re_arms(autojump_clock: object) -> None:
    async with stage() as world:
        await place_everywhere(world, 3)
        world.cut_off(PRIME_HOST)
        waiting, killer = world.strategy(), operator(world)
        ask_kill(waiting)
        await world.passed(2.0)
        assert (await rearm(killer, force=True))["latched"] is False
        reply = await waiting.hear()
        assert reply["latched"] is False
        assert reply["venues"]["prime"]["state"] != "flat"
        world.reconnect()
        await world.passed(60.0)


async def test_a_latch_file_that_cannot_be_removed_holds(autojump_clock: object) -> None:
    async with stage() as world:
        killer = operator(world)
        await kill(killer)
        world.directory(world.settings.state.dir).faults.detail = "Read-only file system"
        assert_refused(await rearm(killer), "cannot be removed")
        assert (await status(killer))["latched"] is True
        for venue in VENUES:
            world.place(1, venue)
        await world.passed(1.0)
        assert book(world) == empty()
        world.directory(world.settings.state.dir).faults.detail = None
        await world.passed(5.0)
        assert (await rearm(killer))["latched"] is False
        assert not has_latch(world)


async def test_neither_reload_nor_restart_nor_time_clears_it(autojump_clock: object) -> None:
    async with stage() as world:
        killer = operator(world)
        await kill(killer)
        world.signals.raise_now(Signal.HANGUP)
        await world.passed(300.0)
        assert (await status(killer))["latched"] is True
        world.signals.raise_now(Signal.TERMINATE)
        await world.ended.wait()
        await world.restart()
        assert (await status(operator(world)))["latched"] is True
        assert has_latch(world)


async def test_a_latch_file_that_vanishes_is_put_back(autojump_clock: object) -> None:
    async with stage() as world:
        alerts = world.listen("alert")
        killer = operator(world)
        await kill(killer)
        world.directory(world.settings.state.dir).remove_now(LATCH_FILE)
        await world.passed(2.0)
        assert has_latch(world)
        assert (await status(killer))["latched"] is True
        assert any("vanished" in event["what"] for event in alerts.events)


def recorded(world: Stage) -> list[tuple[str, str]]:
    """Every line about re-arming: its state, and why it was refused."""
    lines = sorted(records(world, "rearm"), key=lambda line: int(str(line["n"])))
    return [(str(line["state"]), str(line.get("why", ""))) for line in lines]


async def test_every_step_and_every_refusal_is_on_record_and_no_code(autojump_clock: object) -> None:
    """Somebody tries to get trading back in the night: at the wrong door, with a guess, too late, while orders rest. In
    the morning each try is there, with its reason and with who it was."""
    async with stage() as world:
        killer, strategy = operator(world), world.strategy()
        assert (await killer.do("rearm"))["latched"] is False
        await kill(killer)
        await strategy.do("rearm")
        await confirm(killer, "22222222")
        code = (await killer.do("rearm"))["code"]
        await confirm(killer, "22222222")
        await confirm(killer, code)
        late = (await killer.do("rearm"))["code"]
        await world.passed(61.0)
        await confirm(killer, late)
        last = (await killer.do("rearm"))["code"]
        await confirm(killer, last)
        await world.passed(0.2)
        told = recorded(world)
        assert [state for state, _ in told] == [
            "refused", "refused", "asked", "refused", "refused", "asked", "refused", "asked", "rearmed",
        ]  # fmt: skip
        why = [why for state, why in told if state == "refused"]
        for part, reason in zip(("control socket", "no code", "wrong code", "no code", "expired"), why, strict=True):
            assert part in reason
        lines = records(world, "rearm")
        assert [line["state"] for line in lines if line.get("latched") is False] == ["rearmed"]
        assert all("who" in line for line in lines)
        assert not [line for line in lines if any(one in str(line) for one in (code, late, last))]
