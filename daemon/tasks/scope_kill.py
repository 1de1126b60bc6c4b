"""Scopes under the kill: what appears in one is cancelled on sight, and ordinary work elsewhere goes on.

They stand beside the whole account's latch, in a file of their own, and re-arm as it does: a code, then the
confirmation. First the bytes, then the disk, then the reply.
"""

from collections.abc import Mapping
from typing import Any, Final, Protocol

import msgspec
import structlog
import trio

from ..contract.commands import KillScope, Rearm
from ..contract.frames import refusal_map
from ..contract.ids import Venue
from ..engine.instants import FAR_NS
from ..engine.latch import CODE_CHARS, CODE_VALID_S, Latch, Switch, Verdict, code_from
from ..engine.scope_latch import SCOPES_LIMIT, ScopeLatch, format_scopes, parse_scopes
from ..transport.clock import Clock
from ..transport.disk import Directory
from ..transport.entropy import Entropy
from ..transport.files import DiskFailed
from .dispatcher import Dispatcher
from .events import Events
from .scope_front import ScopeFront
from .scoping import Scoping

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

SCOPES_FILE: Final = "scopes"
"""The latched scopes: what a restart has to know."""

DISK_RETRY_S: Final = 1.0
"""Pause before scopes that could not be stored are stored again."""

LATCHED: Final = "the kill switch is latched for a scope"
UNSTORED: Final = "a scope is latched, but a restart would not know it"
FORGOTTEN: Final = "latched scopes are forgotten"


class Asker(Protocol):
    """The command that waits for an answer."""

    @property
    def id(self) -> Any: ...

    def answer(self, reply: Mapping[str, Any]) -> None:
        """Give it its one reply."""
        ...


class _Latched:
    """One latched scope and its fronts."""

    def __init__(self, latch: ScopeLatch, fronts: dict[Venue, ScopeFront]) -> None:
        self.latch = latch
        self.fronts = fronts
        self.durable = False

    def is_flat(self, now_ns: int) -> bool:
        return all(front.is_flat(now_ns) for front in self.fronts.values())

    def status(self, now_ns: int) -> dict[str, Any]:
        return {
            "reason": self.latch.reason,
            "who": self.latch.who,
            "at": self.latch.at,
            "scope": msgspec.to_builtins(self.latch.scope),
            "durable": self.durable,
            "venues": {venue: front.status(now_ns) for venue, front in self.fronts.items()},
        }


class _Waiting:
    """A `kill_scope` that waits for its answer."""

    def __init__(self, asker: Asker, latched: _Latched, deadline_ns: int) -> None:
        self.asker = asker
        self.latched = latched
        self.deadline_ns = deadline_ns


class ScopeKills:
    """Every latched scope. All but the clearing are plain calls."""

    def __init__(
        self,
        desks: Mapping[Venue, Dispatcher],
        directory: Directory,
        clock: Clock,
        entropy: Entropy,
        events: Events,
        scoping: Scoping,
    ) -> None:
        """Reads the latched scopes, and sweeps them from here on."""
        self._desks = desks
        self._directory = directory
        self._clock = clock
        self._entropy = entropy
        self._events = events
        self._scoping = scoping
        self._latched: list[_Latched] = []
        self._waiting: list[_Waiting] = []
        self._switch = Switch(None)
        self._clearing = False
        self._unstored = trio.Event()
        self._nursery: trio.Nursery | None = None
        self._news = _nothing
        self.unreadable: str | None = None
        try:
            stored = parse_scopes(directory.read(SCOPES_FILE))
            self.unreadable = stored.why
        except DiskFailed as failed:
            self.unreadable = f"the file of latched scopes cannot be read: {failed.detail}"
            stored = parse_scopes(None)
        for latch in stored.scopes:
            log.error("scope latched since an earlier run", reason=latch.reason, at=latch.at)
            self._take(latch).durable = True
        if self.unreadable is not None:
            do = f"{self.unreadable}: see what rests, and kill it again; re-arm to be rid of this"
            events.alert("critical", FORGOTTEN, do)
            self._trip("unreadable")

    # ---------------------------------------------------------------- asking

    @property
    def latched(self) -> bool:
        """Whether some scope is latched, or was and cannot be told any more."""
        return bool(self._latched) or self.unreadable is not None

    def status(self) -> list[dict[str, Any]]:
        """The latched scopes, oldest first."""
        now_ns = self._clock.monotonic_ns()
        shown = [one.status(now_ns) for one in self._latched]
        return shown if self.unreadable is None else [*shown, {"unreadable": self.unreadable}]

    def kill(self, asker: Asker, command: KillScope, who: str, deadline_ns: int) -> None:
        """Latch a scope and sweep it: answered when all of it is flat and stored, or at the deadline."""
        latched = next((one for one in self._latched if one.latch.scope == command.scope), None)
        if latched is None and len(self._latched) >= SCOPES_LIMIT:
            why = f"{SCOPES_LIMIT} scopes are latched already; re-arm, or kill everything"
            asker.answer(refusal_map(asker.id, "overloaded", why))
            return
        if latched is not None:
            for front in latched.fronts.values():
                front.fire()
        else:
            utc_ns = self._clock.utc_ns()
            latched = self._take(ScopeLatch(reason=command.reason, scope=command.scope, who=who, utc_ns=utc_ns))
            self._unstored.set()
        self._trip(command.reason)
        shown = msgspec.to_builtins(command.scope)
        log.error("kill of a scope", reason=command.reason, who=who, scope=shown)
        told = {"state": "latched", "trigger": "command", "reason": command.reason, "who": who, "scope": shown}
        self._events.kill(told)
        self._events.alert("critical", LATCHED, f"{command.reason}; see status, then re-arm when it is over")
        self._waiting.append(_Waiting(asker, latched, deadline_ns))
        self.on_time(self._clock.monotonic_ns())
        self._news()

    def _take(self, latch: ScopeLatch) -> _Latched:
        fronts: dict[Venue, ScopeFront] = {}
        latched = _Latched(latch, fronts)
        self._latched.append(latched)
        for venue in self._scoping.venues(latch.scope):
            at = self._scoping.at(venue, latch.scope)
            front = fronts[venue] = ScopeFront(self._desks[venue], at, self._clock, self._events, self._moved)
            front.perform()
        return latched

    def _trip(self, reason: str) -> None:
        # The code of a re-arm that was asked for before is void: whoever asked did not know of this scope.
        self._switch.trip(Latch(trigger="command", reason=reason))

    def _moved(self) -> None:
        self._news()

    # ---------------------------------------------------------------- re-arming

    def rearm(self, asker: Asker, command: Rearm, who: str, deadline_ns: int) -> None:
        """A `rearm` while nothing but scopes is latched: the code first, then the confirmation, for all of them."""
        now_ns = self._clock.monotonic_ns()
        if self._clearing:
            asker.answer(refusal_map(asker.id, "invalid", "the scopes are just being re-armed; see status"))
            return
        if command.confirm is None:
            code = code_from(self._entropy.bytes(CODE_CHARS))
            self._switch.ask(now_ns, code)
            log.warning("re-arm of scopes asked for", who=who)
            asker.answer(
                {
                    "type": "rearm",
                    "id": asker.id,
                    "latched": True,
                    "code": code,
                    "expires_in_ms": CODE_VALID_S * 1000,
                    "residual": self._residual(now_ns),
                    "scopes": self.status(),
                }
            )
            return
        unproved = [one for one in self._latched if not one.is_flat(now_ns)]
        verdict = self._switch.confirm(command.confirm, now_ns, residual=bool(unproved), force=command.force)
        if verdict is not Verdict.REARMED:
            log.warning("re-arm of scopes refused", who=who, verdict=verdict.value)
            where = f": {', '.join(one.latch.reason for one in unproved)}" if verdict is Verdict.RESTS else ""
            asker.answer(refusal_map(asker.id, "invalid", f"confirm: {verdict.value}{where}"))
            return
        assert self._nursery is not None
        self._clearing = True
        self._nursery.start_soon(self._clear, asker, command, who, len(unproved), deadline_ns, name="re-arm of scopes")

    def _residual(self, now_ns: int) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for one in self._latched:
            for venue, front in one.fronts.items():
                found.setdefault(venue, []).extend(front.sweep.status(now_ns)["residual"])
        return found

    async def _clear(self, asker: Asker, command: Rearm, who: str, unproved: int, deadline_ns: int) -> None:
        """Remove the file, then stop sweeping; a file that stays would latch the next start."""
        latched = list(self._latched)
        why = None
        try:
            with trio.fail_after(max(deadline_ns - self._clock.monotonic_ns(), 0) / 1e9):
                await self._directory.remove(SCOPES_FILE)
        except (DiskFailed, trio.TooSlowError) as failed:
            why = failed.detail if isinstance(failed, DiskFailed) else "the disk has not answered in time"
            why = f"the file of latched scopes cannot be removed: {why}"
        self._clearing = False
        if why is None and self._latched != latched:
            why = "confirm: another scope was latched meanwhile"
        if why is not None:
            self._trip("not re-armed")
            # The file may be gone all the same, or go yet: it is written again behind that.
            self._unstored.set()
            asker.answer(refusal_map(asker.id, "invalid", why))
            return
        self.give_up()
        self._latched, self.unreadable = [], None
        for one in latched:
            for front in one.fronts.values():
                front.stop()
        log.error("scopes re-armed", who=who, reason=command.reason, forced=bool(unproved))
        shown = [msgspec.to_builtins(one.latch.scope) for one in latched]
        told = {"state": "rearmed", "reason": command.reason, "who": who, "forced": [], "scopes": shown}
        self._events.kill(told)
        for what in (LATCHED, UNSTORED, FORGOTTEN):
            self._events.clear(what)
        asker.answer({"type": "rearm", "id": asker.id, "latched": False, "scopes": []})

    # ---------------------------------------------------------------- time

    @property
    def wake_ns(self) -> int:
        """When `on_time` has something to do."""
        due = [front.sweep.wake_ns for one in self._latched for front in one.fronts.values()]
        return min([*due, *(one.deadline_ns for one in self._waiting)], default=FAR_NS)

    def on_time(self, now_ns: int) -> None:
        """Do what has become due, and answer whoever can be answered."""
        for one in list(self._latched):
            for front in one.fronts.values():
                if front.sweep.wake_ns <= now_ns:
                    front.on_time(now_ns)
        for waiting in list(self._waiting):
            latched = waiting.latched
            if (latched.is_flat(now_ns) and latched.durable) or waiting.deadline_ns <= now_ns:
                self._waiting.remove(waiting)
                self._answer(waiting)

    def give_up(self) -> None:
        """Answer whoever still waits with how it stands."""
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            self._answer(one)

    def _answer(self, one: _Waiting) -> None:
        shown = one.latched.status(self._clock.monotonic_ns())
        reply: dict[str, Any] = {
            "type": "killed",
            "id": one.asker.id,
            "latched": one.latched in self._latched,
            "scope": shown["scope"],
            "venues": shown["venues"],
        }
        if not one.latched.durable:
            reply["durable"] = False
        one.asker.answer(reply)

    # ---------------------------------------------------------------- the file

    def start(self, nursery: trio.Nursery, news: Any) -> None:
        """Have them stored for as long as the nursery lives. news: called whenever something may be due sooner."""
        self._nursery = nursery
        self._news = news
        nursery.start_soon(self._store, name="scope keeper")

    def close(self) -> None:
        """The process ends: what is not stored yet is stored now, for as long as the disk takes."""
        if all(one.durable for one in self._latched):
            return
        try:
            self._directory.replace_now(SCOPES_FILE, format_scopes(one.latch for one in self._latched))
        except DiskFailed as failed:
            log.error("scopes not stored", why=failed.detail)

    async def _store(self) -> None:
        """Make every latched scope durable, for as long as it takes."""
        while True:
            await self._unstored.wait()
            self._unstored = trio.Event()
            latched = list(self._latched)
            if not latched:
                continue
            try:
                await self._directory.replace(SCOPES_FILE, format_scopes(one.latch for one in latched))
            except DiskFailed as failed:
                log.error("scopes not stored", why=failed.detail)
                self._events.alert("critical", UNSTORED, f"mend the disk: {failed.detail}")
                await trio.sleep(DISK_RETRY_S)
                self._unstored.set()
                continue
            self._events.clear(UNSTORED)
            for one in latched:
                one.durable = True
            self.on_time(self._clock.monotonic_ns())


def _nothing() -> None:
    """Before the alarm runs there is nobody to wake."""
