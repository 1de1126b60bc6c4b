"""The kill switch: pulls, makes it durable, sweeps every venue until it is re-armed, and says how it stands.

First the bytes, then the disk, then the reply. `pull` is a plain call: when it returns, the first cancel-all of every
venue has been handed to its socket or stands first in its REST lane. Nothing here decides when a venue is flat, or when
a code re-arms: engine/sweep.py and engine/latch.py do.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

import structlog
import trio

from ..contract.commands import Kill, Rearm
from ..contract.evidence import Fault, RestAnswer, RestCanceled, RestFailed, RestOrders
from ..contract.frames import refusal_map
from ..contract.ids import Target, Venue
from ..contract.outcomes import Settlement
from ..engine.calls import Call
from ..engine.effects import Alert
from ..engine.instants import MS
from ..engine.lane import REST, Lane
from ..engine.latch import (
    CODE_CHARS,
    CODE_VALID_S,
    Latch,
    Switch,
    Trigger,
    Verdict,
    code_from,
    format_latch,
    parse_latch,
)
from ..engine.resting import Resting
from ..engine.sweep import CancelOne, FireAll, Flat, Look, Sweep, Walk
from ..transport.clock import Clock
from ..transport.disk import Directory
from ..transport.entropy import Entropy
from ..transport.files import DiskFailed
from .dispatcher import Dispatcher
from .drill import Drills
from .events import Events

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

LATCH_FILE: Final = "latch"
TRIGGER_FILE: Final = "kill"
"""The switch's state, and the file whose appearance pulls it."""

KILL_DEADLINE_MS: Final = 10_000
"""How long a `kill` that names no deadline waits for every venue to be flat before it is answered as it stands."""

BEAT_NS: Final = 500 * MS
"""The alarm goes off this often even when nothing is due: the watchdog takes its silence for a hang."""

TRIGGER_LOOK_S: Final = 0.1
"""How often the trigger file is looked for."""

LATCH_LOOK_S: Final = 1.0
"""How often the latch file is compared with the switch: `canceld panic` latches it past us."""

DISK_RETRY_S: Final = 1.0
"""Pause before a latch that could not be stored is stored again."""

ONE_NS: Final = 1_000 * MS
"""How long one round's cancels of single orders are pursued: until the next round does it again, so that the two do not
spend twice what the venue allows."""

TURNED_AWAY: Final = frozenset({Fault.THROTTLED, Fault.ROUTE_BUSY, Fault.UNAVAILABLE})
"""The venue takes no cancels now, or wants fewer calls."""

UNSTORED: Final = "the kill switch is latched, but a restart would not know it"
"""An alert."""

REASON_BYTES: Final = 512
"""What is read of the trigger file as the reason."""


class Asker(Protocol):
    """The command that waits for an answer: what the gateway hands over."""

    @property
    def id(self) -> Any: ...

    def answer(self, reply: Mapping[str, Any]) -> None:
        """Give it its one reply."""
        ...


class _Nobody:
    """The ticket of a sweep's own cancels: what they come to shows in the next look."""

    def answered(self, settlement: Settlement) -> None:
        log.debug("swept", venue=settlement.venue, order_id=settlement.order_id, route=settlement.route)

    def late(self, settlement: Settlement) -> None:
        log.debug("swept late", venue=settlement.venue, order_id=settlement.order_id, route=settlement.route)


class _Look:
    """Who is told what one look came to."""

    def __init__(self, front: "_Front", number: int) -> None:
        self._front = front
        self._number = number

    def call_answered(self, call: Call, answer: RestAnswer, now_ns: int) -> None:
        sweep = self._front.sweep
        if isinstance(answer, RestOrders):
            sweep.look_answered(self._number, [state.order_id for state in answer.orders], now_ns)
        else:
            throttled = isinstance(answer, RestFailed) and answer.fault in (Fault.ROUTE_BUSY, Fault.THROTTLED)
            sweep.look_failed(self._number, _words(answer), now_ns, throttled=throttled)
        self._front.perform()

    def call_failed(self, call: Call, left: bool, why: str, now_ns: int) -> None:
        self._front.sweep.look_failed(self._number, why, now_ns)
        self._front.perform()


class _Front:
    """One venue under the kill: its sweep, and the hands that carry out what it decides."""

    def __init__(self, switch: "KillSwitch", dispatcher: Dispatcher, clock: Clock, events: Events) -> None:
        self._switch = switch
        self._dispatcher = dispatcher
        self._clock = clock
        self._events = events
        self._alert: str | None = None
        self.sweep = Sweep(
            dispatcher.venue,
            mass=dispatcher.policy.mass,
            rest=dispatcher.policy.rest,
            live=dispatcher.live,
            known=_known(dispatcher.resting),
            now_ns=clock.monotonic_ns(),
        )
        dispatcher.watch(self)

    def fire(self) -> None:
        """The kill was pulled again."""
        self.sweep.fire(_known(self._dispatcher.resting), self._clock.monotonic_ns())
        self.perform()

    def stop(self) -> None:
        """The switch is re-armed."""
        self._dispatcher.watch(None)
        if self._alert is not None:
            self._events.clear(self._alert)

    def on_time(self, now_ns: int) -> None:
        """Do what has become due."""
        self.sweep.on_time(now_ns)
        self.perform()

    # ---------------------------------------------------------------- what the venue's hands tell

    def session_up(self, lane: Lane, now_ns: int) -> None:
        self.sweep.session_up(lane, now_ns)
        self.perform()

    def session_down(self, lane: Lane, now_ns: int) -> None:
        self.sweep.session_down(lane, now_ns)
        self.perform()

    def order_opened(self, order_id: str, now_ns: int) -> None:
        self.sweep.order_opened(order_id, now_ns)
        self.perform()

    def order_ended(self, order_id: str, canceled: bool, now_ns: int) -> None:
        self.sweep.order_ended(order_id, canceled=canceled, now_ns=now_ns)
        self.perform()

    def fired_answered(self, lane: Lane, count: int | None, now_ns: int) -> None:
        self.sweep.fired_answered(lane, count, now_ns)
        self.perform()

    def fired_failed(self, lane: Lane, why: str, now_ns: int, fault: Fault | None = None) -> None:
        self.sweep.fired_failed(lane, why, now_ns, turned_away=fault in TURNED_AWAY)
        self.perform()

    def call_answered(self, call: Call, answer: RestAnswer, now_ns: int) -> None:
        """A cancel-all over REST; looks have hearers of their own."""
        if isinstance(answer, RestCanceled):
            self.sweep.fired_answered(REST, answer.count, now_ns)
        else:
            fault = answer.fault if isinstance(answer, RestFailed) else None
            self.sweep.fired_failed(REST, _words(answer), now_ns, turned_away=fault in TURNED_AWAY)
        self.perform()

    def call_failed(self, call: Call, left: bool, why: str, now_ns: int) -> None:
        """The same, without an answer."""
        self.sweep.fired_failed(REST, why, now_ns)
        self.perform()

    # ---------------------------------------------------------------- acting

    def perform(self) -> None:
        """Carry out what the sweep decided; the bytes leave before this returns."""
        dispatcher = self._dispatcher
        while effects := self.sweep.effects:
            self.sweep.effects = []
            now_ns = self._clock.monotonic_ns()
            for effect in effects:
                match effect:
                    case FireAll(lane=lane) if lane == REST:
                        dispatcher.request("all", self, urgent=True)
                    case FireAll(lane=lane):
                        dispatcher.fire(lane, self)
                    case Walk():
                        # Each by itself: what `cancel_all` does where there is no such request keeps to a pace.
                        for order_id in list(dispatcher.resting.open_ids()):
                            dispatcher.submit(_NOBODY, Target("order_id", order_id), False, now_ns + ONE_NS, now_ns)
                    case CancelOne(order_id=order_id):
                        dispatcher.submit(_NOBODY, Target("order_id", order_id), False, now_ns + ONE_NS, now_ns)
                    case Look(number=number):
                        dispatcher.request("open_orders", _Look(self, number), urgent=True)
                    case Flat():
                        self._told_flat()
                    case Alert(what=what, do=do):
                        self._alert = what
                        self._events.alert("critical", what, do)
                        log.error("not flat", venue=self._dispatcher.venue, what=what, do=do)
            dispatcher.perform()
        self._switch.news()

    def _told_flat(self) -> None:
        if self._alert is not None:
            self._events.clear(self._alert)
            self._alert = None
        log.warning("flat", venue=self._dispatcher.venue, canceled=self.sweep.canceled)
        self._events.kill({"state": "flat", "venue": self._dispatcher.venue, "canceled": self.sweep.canceled})


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
    ) -> None:
        """Reads the latch; when it is set, every venue that it covers is swept from here on."""
        self._desks = desks
        self._directory = directory
        self._clock = clock
        self._entropy = entropy
        self._events = events
        self._fronts: dict[Venue, _Front] = {}
        self._waiting: list[_Waiting] = []
        self._unstored = trio.Event()
        self._durable = True
        self._clearing: Latch | None = None
        self._alarm: trio.CancelScope | None = None
        self._nursery: trio.Nursery | None = None
        self.beats = 0
        self.pulls = 0
        """How often it was pulled."""
        self.drills = Drills(desks, directory, clock, entropy, events)
        try:
            latch = parse_latch(directory.read(LATCH_FILE))
        except DiskFailed as failed:
            latch = Latch(trigger="unreadable", reason=f"the latch file cannot be read: {failed.detail}")
        self._switch = Switch(latch)
        if latch is not None:
            log.error("latched since an earlier run", trigger=latch.trigger, reason=latch.reason, at=latch.at)
            self._sweep_all(latch)

    # ---------------------------------------------------------------- asking

    @property
    def latched(self) -> bool:
        """Whether the switch is pulled."""
        return self._standing is not None

    @property
    def _standing(self) -> Latch | None:
        """The latch; until its file is gone, nobody is told that it was cleared."""
        return self._switch.latch or self._clearing

    @property
    def durable(self) -> bool:
        """Whether a restart would find the switch as it is now."""
        return self._durable

    def covers(self, venue: Venue) -> bool:
        """Whether the switch is pulled for this venue."""
        latch = self._switch.latch
        return latch is not None and latch.covers(venue)

    def status(self) -> dict[str, Any]:
        """The `kill` member of a `status` reply."""
        latch = self._standing
        if latch is None:
            return {"latched": False, "drill": self.drills.status()}
        shown: dict[str, Any] = {
            "latched": True,
            "durable": self._durable,
            "trigger": latch.trigger,
            "reason": latch.reason,
            "who": latch.who,
            "at": latch.at,
            "venues": self._venues(tuple(self._fronts)),
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
        self._switch.trip(latch)
        self._durable = False
        self._unstored.set()
        log.error("kill", trigger=trigger, reason=reason, who=who, venues=venues)
        self._events.kill({"state": "latched", "trigger": trigger, "reason": reason, "who": who})
        self._events.alert(
            "critical", "the kill switch is latched", f"{trigger}: {reason}; see status, then re-arm when it is over"
        )
        self.news()

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
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            self._answer(one)

    def close(self) -> None:
        """The process ends: a latch that is not stored yet is stored now, for as long as the disk takes."""
        latch = self._switch.latch
        if latch is None or self._durable:
            return
        try:
            self._directory.replace_now(LATCH_FILE, format_latch(latch))
        except DiskFailed as failed:
            log.error("latch not stored", latch=format_latch(latch).decode(), why=failed.detail)

    def _sweep_all(self, latch: Latch) -> None:
        for venue in self._desks:
            if latch.covers(venue):
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
            self._fronts[venue] = front = _Front(self, self._desks[venue], self._clock, self._events)
            front.perform()

    # ---------------------------------------------------------------- re-arming

    def rearm(self, asker: Asker, command: Rearm, who: str, deadline_ns: int) -> None:
        """A `rearm` command from the control socket: the code first, then the confirmation."""
        now_ns = self._clock.monotonic_ns()
        if self._clearing is not None:
            asker.answer(refusal_map(asker.id, "invalid", "the switch is just being re-armed; see status"))
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
        self._clearing = latch
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
            }
        )

    async def _clear(
        self, asker: Asker, command: Rearm, who: str, latch: Latch, unproved: Sequence[Venue], deadline_ns: int
    ) -> None:
        """Remove the latch file, then stop sweeping; a file that stays would latch the next start."""
        try:
            with trio.fail_after(max(deadline_ns - self._clock.monotonic_ns(), 0) / 1e9):
                await self._directory.remove(LATCH_FILE)
        except (DiskFailed, trio.TooSlowError) as failed:
            why = failed.detail if isinstance(failed, DiskFailed) else "the disk has not answered in time"
            self._switch.trip(latch)
            self._clearing = None
            # The file may be gone all the same, or go yet: it is written again behind that.
            self._durable = False
            self._unstored.set()
            asker.answer(refusal_map(asker.id, "invalid", f"the latch file cannot be removed: {why}"))
            return
        self._clearing = None
        if self._switch.latch is not None:
            # Pulled again meanwhile: that one stands, and its file is written anew.
            self._unstored.set()
            asker.answer(refusal_map(asker.id, "invalid", "confirm: the switch was pulled again meanwhile"))
            return
        self.give_up()
        fronts, self._fronts = self._fronts, {}
        for front in fronts.values():
            front.stop()
        forced = f", forced while {', '.join(unproved)} is not proved flat" if unproved else ""
        log.error("re-armed", who=who, reason=command.reason, forced=bool(unproved))
        self._events.kill({"state": "rearmed", "reason": command.reason, "who": who, "forced": list(unproved)})
        self._events.clear("the kill switch is latched")
        self._events.clear(UNSTORED)
        why = "no reason was given" if command.reason is None else f"reason given: {command.reason}"
        self._events.alert("warning", f"the kill switch was re-armed{forced}", why)
        asker.answer({"type": "rearm", "id": asker.id, "latched": False})

    # ---------------------------------------------------------------- tasks

    def news(self) -> None:
        """Something happened: answer whoever can be answered, and wake in time for what is due next."""
        now_ns = self._clock.monotonic_ns()
        for one in list(self._waiting):
            fronts = [self._fronts[venue] for venue in one.venues if venue in self._fronts]
            flat = all(front.sweep.state(now_ns) == "flat" for front in fronts)
            if (flat and self._durable) or one.deadline_ns <= now_ns:
                self._waiting.remove(one)
                self._answer(one)
        if self._alarm is not None:
            self._alarm.deadline = min(self._alarm.deadline, self._next_at())

    async def run(self) -> None:
        """Sweep, store and watch for as long as the daemon lives; ends by cancellation."""
        async with trio.open_nursery() as self._nursery:
            self._nursery.start_soon(self._store, name="latch keeper")
            self._nursery.start_soon(self._watch_trigger, name="kill trigger")
            self._nursery.start_soon(self._watch_latch, name="latch watch")
            self._nursery.start_soon(self.drills.run, name="kill drills")
            while True:
                with trio.CancelScope(deadline=self._next_at()) as self._alarm:
                    await trio.sleep_forever()
                self._alarm = None
                self.beats += 1
                now_ns = self._clock.monotonic_ns()
                for front in list(self._fronts.values()):
                    if front.sweep.wake_ns <= now_ns:
                        front.on_time(now_ns)
                self.news()

    def _next_at(self) -> float:
        now_ns = self._clock.monotonic_ns()
        due = [front.sweep.wake_ns for front in self._fronts.values()] + [one.deadline_ns for one in self._waiting]
        # Never in the past: two things that wake each other must not keep everything else from running.
        return trio.current_time() + max(min([*due, now_ns + BEAT_NS]) - now_ns, MS) / 1e9

    async def _store(self) -> None:
        """Make the latch durable, for as long as it takes."""
        while True:
            await self._unstored.wait()
            self._unstored = trio.Event()
            latch = self._switch.latch
            if latch is None:
                continue
            try:
                await self._directory.replace(LATCH_FILE, format_latch(latch))
            except DiskFailed as failed:
                log.error("latch not stored", latch=format_latch(latch).decode(), why=failed.detail)
                self._events.alert("critical", UNSTORED, f"mend the disk: {failed.detail}")
                await trio.sleep(DISK_RETRY_S)
                self._unstored.set()
                continue
            self._events.clear(UNSTORED)
            self._durable = self._switch.latch is latch
            await self._remove_trigger()
            self.news()

    async def _remove_trigger(self) -> None:
        try:
            if self._directory.exists(TRIGGER_FILE):
                await self._directory.remove(TRIGGER_FILE)
        except DiskFailed as failed:
            self._events.alert("warning", "the kill trigger file stays", f"remove it: {failed.detail}")

    async def _watch_trigger(self) -> None:
        """Pull when the trigger file is there, once for a file that cannot be removed."""
        pulled = False
        while True:
            there = self._trigger()
            if there is not None and not pulled:
                # `panic` leaves both files: what is in the latch is the cause then.
                self._adopt()
                self.pull("file", there)
            pulled = there is not None
            await trio.sleep(TRIGGER_LOOK_S)

    def _trigger(self) -> str | None:
        """The reason in the trigger file; None when there is no such file."""
        try:
            if not self._directory.exists(TRIGGER_FILE):
                return None
        except DiskFailed as failed:
            # Whether anybody asks for a kill is not known; a disk in trouble is no reason to cancel everything.
            self._events.alert("critical", "the kill trigger file cannot be looked for", f"mend it: {failed.detail}")
            return None
        try:
            written = self._directory.read(TRIGGER_FILE) or b""
        except DiskFailed as failed:
            return f"the file {TRIGGER_FILE}, which cannot be read: {failed.detail}"
        return written[:REASON_BYTES].decode(errors="replace").strip() or f"the file {TRIGGER_FILE}"

    async def _watch_latch(self) -> None:
        """The latch file is written by `panic` too, and must never be missing while the switch is pulled."""
        while True:
            await trio.sleep(LATCH_LOOK_S)
            if self._clearing is None:
                self._adopt()

    def _adopt(self) -> None:
        """Make the switch and its file agree, on `latched` wherever they differ."""
        try:
            latch = parse_latch(self._directory.read(LATCH_FILE))
        except DiskFailed:
            return
        held = self._switch.latch
        if latch is not None and (held is None or self._wider(latch, held)):
            self._sweep_all(latch)
            self._switch.trip(latch)
            log.error("latched from outside", trigger=latch.trigger, reason=latch.reason, who=latch.who)
            told = {"state": "latched", "trigger": latch.trigger, "reason": latch.reason, "who": latch.who}
            self._events.kill(told)
            self._events.alert("critical", "the kill switch is latched", f"{latch.trigger}: {latch.reason}")
        elif latch is not None and held is not None and self._wider(held, latch):
            self._unstored.set()
        elif latch is None and held is not None and self._durable:
            self._durable = False
            self._unstored.set()
            self._events.alert(
                "critical", "the latch file vanished while the switch was pulled", "it is put back; see who did it"
            )

    def _wider(self, one: Latch, other: Latch) -> bool:
        """Whether one latch covers venues of ours that the other does not."""
        return any(one.covers(venue) and not other.covers(venue) for venue in self._desks)

    # ---------------------------------------------------------------- answers

    def _venues(self, venues: Sequence[Venue]) -> dict[Venue, dict[str, Any]]:
        now_ns = self._clock.monotonic_ns()
        return {
            venue: self._fronts[venue].sweep.status(now_ns) if venue in self._fronts else dict(_NOT_ENABLED)
            for venue in venues
        }

    def _answer(self, one: _Waiting) -> None:
        reply: dict[str, Any] = {
            "type": "killed",
            "id": one.asker.id,
            "latched": self.latched,
            "venues": self._venues(one.venues),
        }
        if not self._durable:
            reply["durable"] = False
        one.asker.answer(reply)


_NOBODY: Final = _Nobody()

_NOT_ENABLED: Final = {
    "state": "unreachable",
    "canceled": 0,
    "residual": [],
    "resting": 0,
    "tried": {"none": "not enabled in this daemon's configuration"},
}
"""What a kill can say of a venue that it was asked to kill and has no keys for."""


def _known(resting: Resting) -> dict[str, int]:
    """The orders believed open, and when each was last heard of."""
    return {row.order_id: row.touched_ns for row in map(resting.get, list(resting.open_ids())) if row is not None}


def _words(answer: RestAnswer) -> str:
    """What an answer that is no success says."""
    return str(getattr(answer, "error", None) or getattr(answer, "why", None) or "an answer to another question")
