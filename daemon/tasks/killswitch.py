"""The kill switch: pulls, makes it durable, sweeps every venue until it is re-armed, and says how it stands.

First the bytes, then the disk, then the reply. `pull` is a plain call: when it returns, the first cancel-all of every
venue has been handed to its socket or stands first in its REST lane. Nothing here decides when a venue is flat, or when
a code re-arms: engine/sweep.py and engine/latch.py do.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

import structlog
import trio

from ..contract.commands import Kill, Rearm
from ..contract.frames import refusal_map
from ..contract.ids import Venue
from ..engine.instants import MS
from ..engine.latch import CODE_CHARS, CODE_VALID_S, Latch, Trigger, Verdict, code_from
from ..transport.clock import Clock
from ..transport.disk import Directory
from ..transport.entropy import Entropy
from .dispatcher import Dispatcher
from .drill import Drills
from .events import Events
from .kill_front import Front
from .latch_file import LatchFile
from .scope_kill import ScopeKills
from .scoping import Scoping
from .trigger_file import TriggerFile

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

KILL_DEADLINE_MS: Final = 10_000
"""How long a `kill` that names no deadline waits for every venue to be flat before it is answered as it stands."""

LATCHED: Final = "the kill switch is latched"
"""An alert."""

BEAT_NS: Final = 500 * MS
"""The alarm goes off this often even when nothing is due: the watchdog takes its silence for a hang."""


class Asker(Protocol):
    """The command that waits for an answer: what the gateway hands over."""

    @property
    def id(self) -> Any: ...

    def answer(self, reply: Mapping[str, Any]) -> None:
        """Give it its one reply."""
        ...


class _Waiting:
    """A `kill` that waits for its answer."""

    def __init__(self, asker: Asker, venues: Sequence[Venue], deadline_ns: int) -> None:
        self.asker = asker
        self.venues = venues
        self.deadline_ns = deadline_ns


class KillSwitch:
    """One for the whole daemon. `run` keeps its promises; everything else is a plain call."""

    def __init__(
        self,
        desks: Mapping[Venue, Dispatcher],
        directory: Directory,
        clock: Clock,
        entropy: Entropy,
        events: Events,
        scoping: Scoping,
        *,
        adopted: Callable[[], None] = lambda: None,
    ) -> None:
        """Reads the latch; when it is set, every venue that it covers is swept from here on.

        adopted: told, before the sweep, that another program has latched us.
        """
        self._desks = desks
        self._directory = directory
        self._clock = clock
        self._entropy = entropy
        self._events = events
        self._fronts: dict[Venue, Front] = {}
        # What latched each venue first: the switch keeps the first cause of all.
        self._causes: dict[Venue, Latch] = {}
        self._waiting: list[_Waiting] = []
        self._alarm: trio.CancelScope | None = None
        self._nursery: trio.Nursery | None = None
        self.beats = 0
        self.pulls = 0
        """How often it was pulled."""
        self.drills = Drills(desks, directory, clock, entropy, events)
        self.scopes = ScopeKills(desks, directory, clock, entropy, events, scoping)
        self._rearmed: str | None = None
        self._file = LatchFile(
            directory, tuple(desks), clock, events, latched=self._begin, news=self.news, adopted=adopted
        )
        self._trigger = TriggerFile(
            directory, events, adopt=self._file.adopt, pull=self.pull, stored=lambda: self.latched and self.durable
        )
        self._switch = self._file.switch
        latch = self._switch.latch
        if latch is not None:
            log.error("latched since an earlier run", trigger=latch.trigger, reason=latch.reason, at=latch.at)
            self._sweep_all(latch)

    # ---------------------------------------------------------------- asking

    @property
    def latched(self) -> bool:
        """Whether the switch is pulled."""
        return self._file.standing is not None

    @property
    def durable(self) -> bool:
        """Whether a restart would find the switch as it is now."""
        return self._file.durable

    def covers(self, venue: Venue) -> bool:
        """Whether the switch is pulled for this venue."""
        latch = self._switch.latch
        return latch is not None and latch.covers(venue)

    def status(self) -> dict[str, Any]:
        """The `kill` member of a `status` reply."""
        latch = self._file.standing
        scopes = {"scopes": self.scopes.status()} if self.scopes.latched else {}
        if latch is None:
            return {"latched": False, "pulls": self.pulls, **scopes, "drill": self.drills.status()}
        shown: dict[str, Any] = {
            "latched": True,
            "durable": self._file.durable,
            # Since the start: a pull while it is latched already changes nothing else here.
            "pulls": self.pulls,
            "trigger": latch.trigger,
            "reason": latch.reason,
            "who": latch.who,
            "at": latch.at,
            "venues": self._venues_and_causes(),
            **scopes,
            "drill": self.drills.status(),
        }
        return shown

    # ---------------------------------------------------------------- pulling

    def pull(self, trigger: Trigger, reason: str, who: str = "", venues: Sequence[Venue] | None = None) -> None:
        """Cancel everything at these venues (None: at every one), now and until the switch is re-armed."""
        latch = Latch(
            trigger=trigger,
            reason=reason,
            who=who,
            utc_ns=self._clock.utc_ns(),
            venues=None if venues is None else tuple(venues),
        )
        self.pulls += 1
        self._sweep_all(latch)
        self._file.trip(latch)
        log.error("kill", trigger=trigger, reason=reason, who=who, venues=venues)
        self._tell(latch)
        self.news()

    def _begin(self, latch: Latch) -> None:
        """Somebody latched us from outside."""
        self._sweep_all(latch)
        self._tell(latch)

    def _tell(self, latch: Latch) -> None:
        told = {"state": "latched", "trigger": latch.trigger, "reason": latch.reason, "who": latch.who}
        self._events.kill(told)
        if self._rearmed is not None:
            self._events.clear(self._rearmed)
        do = f"{latch.trigger}: {latch.reason}; see status, then re-arm when it is over"
        self._events.alert("critical", LATCHED, do)

    def kill(self, asker: Asker, command: Kill, who: str, deadline_ns: int) -> None:
        """A `kill` command: pulled at once, answered when all is flat and the latch is stored, or at the deadline.

        A drill pulls nothing.
        """
        if command.drill:
            drilled = tuple(venue for venue in self._desks if venue in (command.venues or self._desks))
            self.drills.begin(asker, who, drilled, deadline_ns, latched=self.latched)
            return
        self.pull("command", command.reason, who, command.venues)
        self._waiting.append(_Waiting(asker, command.venues or tuple(self._desks), deadline_ns))
        self.news()

    def give_up(self) -> None:
        """The process is about to end: answer whoever still waits with how it stands."""
        self.drills.give_up()
        self.scopes.give_up()
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            self._answer(one)

    def close(self) -> None:
        """The process ends: a latch that is not stored yet is stored now, for as long as the disk takes."""
        self._file.close()
        self.scopes.close()

    def _sweep_all(self, latch: Latch) -> None:
        for venue in self._desks:
            if latch.covers(venue):
                self._causes.setdefault(venue, latch)
                try:
                    self._sweep(venue)
                except Exception:
                    # A fault of this program at one venue must not leave the orders at the others where they are.
                    log.exception("the kill broke down", venue=venue)
                    do = "cancel on the venue's own pages; run canceld panic"
                    self._events.alert("critical", f"{venue}: the kill broke down", do)

    def _sweep(self, venue: Venue) -> None:
        front = self._fronts.get(venue)
        if front is not None:
            front.fire()
        else:
            front = Front(self._desks[venue], self._clock, self._events, self.news)
            self._fronts[venue] = front
            front.perform()

    # ---------------------------------------------------------------- re-arming

    def rearm(self, asker: Asker, command: Rearm, who: str, deadline_ns: int) -> None:
        """A `rearm` command from the control socket: the code first, then the confirmation."""
        now_ns = self._clock.monotonic_ns()
        if self._file.clearing is not None:
            asker.answer(refusal_map(asker.id, "invalid", "the switch is just being re-armed; see status"))
            return
        if self._switch.latch is None and self.scopes.latched:
            self.scopes.rearm(asker, command, who, deadline_ns)
            return
        forbids = self._trigger.forbids_rearm()
        if forbids is not None and self.latched:
            log.warning("re-arm refused", who=who, verdict=forbids)
            asker.answer(refusal_map(asker.id, "invalid", forbids))
            return
        if command.confirm is None:
            self._ask(asker, who, now_ns)
            return
        latch = self._switch.latch
        unproved = [venue for venue, front in self._fronts.items() if front.sweep.state(now_ns) != "flat"]
        verdict = self._switch.confirm(command.confirm, now_ns, residual=bool(unproved), force=command.force)
        if verdict is not Verdict.REARMED:
            log.warning("re-arm refused", who=who, verdict=verdict.value)
            where = f": {', '.join(unproved)}" if verdict is Verdict.RESTS else ""
            asker.answer(refusal_map(asker.id, "invalid", f"confirm: {verdict.value}{where}"))
            return
        assert latch is not None
        assert self._nursery is not None
        self._file.clearing = latch
        self._nursery.start_soon(self._clear, asker, command, who, latch, unproved, deadline_ns, name="re-arm")

    def _ask(self, asker: Asker, who: str, now_ns: int) -> None:
        code = code_from(self._entropy.bytes(CODE_CHARS))
        if not self._switch.ask(now_ns, code):
            asker.answer({"type": "rearm", "id": asker.id, "latched": False})
            return
        log.warning("re-arm asked for", who=who)
        asker.answer(
            {
                "type": "rearm",
                "id": asker.id,
                "latched": True,
                "code": code,
                "expires_in_ms": CODE_VALID_S * 1000,
                "residual": {venue: front.sweep.status(now_ns)["residual"] for venue, front in self._fronts.items()},
                "venues": self._venues(tuple(self._fronts)),
                **({"scopes": self.scopes.status()} if self.scopes.latched else {}),
            }
        )

    async def _clear(
        self, asker: Asker, command: Rearm, who: str, latch: Latch, unproved: Sequence[Venue], deadline_ns: int
    ) -> None:
        """Remove the latch file, then stop sweeping."""
        why_not = await self._file.clear(latch, deadline_ns)
        if why_not is not None:
            asker.answer(refusal_map(asker.id, "invalid", why_not))
            return
        self.give_up()
        self._causes.clear()
        fronts, self._fronts = self._fronts, {}
        for front in fronts.values():
            front.stop()
        forced = f", forced while {', '.join(unproved)} is not proved flat" if unproved else ""
        log.error("re-armed", who=who, reason=command.reason, forced=bool(unproved))
        self._events.kill({"state": "rearmed", "reason": command.reason, "who": who, "forced": list(unproved)})
        self._events.clear(LATCHED)
        why = "no reason was given" if command.reason is None else f"reason given: {command.reason}"
        self._rearmed = f"the kill switch was re-armed{forced}"
        self._events.alert("warning", self._rearmed, why)
        # Scopes are re-armed by themselves, and named as long as they are latched.
        scopes = {"scopes": self.scopes.status()} if self.scopes.latched else {}
        asker.answer({"type": "rearm", "id": asker.id, "latched": False, **scopes})

    # ---------------------------------------------------------------- tasks

    def news(self) -> None:
        """Something happened: answer whoever can be answered, and wake in time for what is due next."""
        now_ns = self._clock.monotonic_ns()
        for one in list(self._waiting):
            fronts = [self._fronts[venue] for venue in one.venues if venue in self._fronts]
            flat = all(front.sweep.state(now_ns) == "flat" for front in fronts)
            if (flat and self._file.durable) or one.deadline_ns <= now_ns:
                self._waiting.remove(one)
                self._answer(one)
        if self._alarm is not None:
            self._alarm.deadline = min(self._alarm.deadline, self._next_at())

    async def run(self) -> None:
        """Sweep, store and watch for as long as the daemon lives; ends by cancellation."""
        async with trio.open_nursery() as self._nursery:
            self._file.start(self._nursery)
            self._nursery.start_soon(self._trigger.run, name="kill trigger")
            self._nursery.start_soon(self.drills.run, name="kill drills")
            self.scopes.start(self._nursery, self._rouse)
            while True:
                with trio.CancelScope(deadline=self._next_at()) as self._alarm:
                    await trio.sleep_forever()
                self._alarm = None
                self.beats += 1
                now_ns = self._clock.monotonic_ns()
                for front in list(self._fronts.values()):
                    if front.sweep.wake_ns <= now_ns:
                        front.on_time(now_ns)
                self.scopes.on_time(now_ns)
                self.news()

    def _rouse(self) -> None:
        """A scope has moved: wake in time for what is due next."""
        if self._alarm is not None:
            self._alarm.deadline = min(self._alarm.deadline, self._next_at())

    def _next_at(self) -> float:
        now_ns = self._clock.monotonic_ns()
        due = [front.sweep.wake_ns for front in self._fronts.values()] + [one.deadline_ns for one in self._waiting]
        # Never in the past: two things that wake each other must not keep everything else from running.
        return trio.current_time() + max(min([*due, self.scopes.wake_ns, now_ns + BEAT_NS]) - now_ns, MS) / 1e9

    # ---------------------------------------------------------------- answers

    def _venues(self, venues: Sequence[Venue]) -> dict[Venue, dict[str, Any]]:
        now_ns = self._clock.monotonic_ns()
        return {
            venue: self._fronts[venue].status(now_ns) if venue in self._fronts else dict(_NOT_ENABLED)
            for venue in venues
        }

    def _venues_and_causes(self) -> dict[Venue, dict[str, Any]]:
        venues = self._venues(tuple(self._fronts))
        for venue, part in venues.items():
            cause = self._causes[venue]
            part |= {"since": cause.at, "trigger": cause.trigger, "who": cause.who}
        return venues

    def _answer(self, one: _Waiting) -> None:
        reply: dict[str, Any] = {
            "type": "killed",
            "id": one.asker.id,
            "latched": self.latched,
            "venues": self._venues(one.venues),
        }
        if not self._file.durable:
            reply["durable"] = False
        one.asker.answer(reply)


_NOT_ENABLED: Final = {
    "state": "unreachable",
    "canceled": 0,
    "residual": [],
    "resting": 0,
    "tried": {"none": "not enabled in this daemon's configuration"},
}
"""What a kill can say of a venue that it was asked to kill and has no keys for."""
