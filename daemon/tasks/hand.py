"""One venue's hand: carries out what the engine decides. Frames first, then answers, then what only tells.

Between a command and its frame on the socket there is no task, scope, queue or await. Deadlines, hedges and retries of
all pursuits hang on one alarm. Nothing here decides what is to be done for an order.
"""

from collections.abc import Callable, Sequence, Set
from typing import Final, Protocol, TypeAlias, assert_never

import structlog
import trio

from ..contract.ids import Reqid, Target, Venue
from ..contract.outcomes import Settlement
from ..engine.budget import CancelBudget
from ..engine.calls import Form
from ..engine.effects import (
    Alert,
    Answer,
    Bundle,
    Ended,
    Foreseen,
    Late,
    Look,
    Opened,
    Redial,
    RenewToken,
    RestReady,
    Send,
)
from ..engine.instants import FAR_NS
from ..engine.lane import REST, Lane
from ..engine.pursuits.front import Pursuits
from ..engine.resting import Row
from ..transport.clock import Clock
from .events import Events
from .long_lists import LongLists
from .outages import Outages
from .tickets import Asked

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

ALARM_SLACK_S: Final = 0.000_05
"""The alarm goes off this much late, so that it never goes off a rounding error early and finds nothing due."""

LET_GO: Final = 250
"""Most orders that are let go in one go because a list lacks them."""

BEAT_NS: Final = 500_000_000
"""The alarm goes off this often even when nothing is due: the watchdog takes its silence for a hang."""


class SessionPort(Protocol):
    """What the dispatcher needs of a WebSocket session."""

    name: str

    def write_cancels(self, cancels: Sequence[Send]) -> bool:
        """Write one frame per cancel, all in one write. False when the session is over: the frames may have left."""
        ...

    def look(self, reqid: Reqid, order_id: str | None) -> None:
        """Ask for the state of one order, or for all that is open; the dispatcher hears a Looked."""
        ...

    def renew_token(self) -> None:
        """Have a new token fetched."""
        ...

    def redial(self, why: str) -> None:
        """Drop the connection and dial again."""
        ...

    def hurry(self) -> None:
        """Dial now instead of waiting out a pause."""
        ...


class Line(Protocol):
    """What the straight line needs of a session (straight.py)."""

    lane: Lane

    @property
    def ready(self) -> bool:
        """Whether a cancel by order id can be written now."""
        ...

    def write_plain(self, cancels: Sequence[tuple[Reqid, Target]]) -> tuple[Sequence[bytes], bool]:
        """Write one frame per cancel by order id, all in one write. Gives the frames, for `note_sent` to follow, and
        False when the session is over: they may have left."""
        ...

    def note_sent(self, frames: Sequence[bytes], *, left: bool) -> None:
        """Record what was written. left: False when the session died with it."""
        ...


WriteBundles: TypeAlias = Callable[[Sequence[Bundle]], bool]
"""Writes one frame per bundle, all in one write. False when the session is over: the frames may have left."""


class Owner(Protocol):
    """Who asked: what a ticket must be able to take."""

    def answered(self, settlement: Settlement) -> None:
        """The one answer."""
        ...

    def late(self, settlement: Settlement) -> None:
        """What the venue said after an `unknown`."""
        ...


class Watcher(Protocol):
    """Who wants to hear what happens to a venue's sessions and orders, whoever asked for it: a sweep."""

    def session_up(self, lane: Lane, now_ns: int) -> None: ...

    def session_down(self, lane: Lane, now_ns: int) -> None: ...

    def order_opened(self, order_id: str, now_ns: int) -> None: ...

    def order_ended(self, order_id: str, canceled: bool, now_ns: int) -> None: ...


class Presser(Watcher, Protocol):
    """A kill of the whole venue, whose calls wait for no pause but their own."""

    def rest_eased(self, now_ns: int) -> None:
        """The venue takes the key again: that pause is over, or shorter than it was."""
        ...


Telling: TypeAlias = Look | RestReady | Foreseen | Late | Ended | Opened | RenewToken | Redial | Alert
"""Effects that are neither a frame of a cancel nor the one answer to a command."""


class Hand:
    """What a dispatcher acts with. All methods are plain calls; `run` is the alarm's task."""

    def __init__(self, venue: Venue, pursuits: Pursuits, clock: Clock, events: Events, budget: CancelBudget) -> None:
        self.venue = venue
        self.outages = Outages(venue, events)
        self.straight = pursuits.straight
        self.long_lists = LongLists(venue, events, clock)
        self._pursuits = pursuits
        self._budget = budget
        self._clock = clock
        self._events = events
        self._sessions: dict[Lane, SessionPort] = {}
        self._bundlers: dict[Lane, WriteBundles] = {}
        self._lines: dict[Lane, Line] = {}
        self._wake_rest: Callable[[], None] = _nobody
        self._tell_ceiling: Callable[[float | None], None] = _nobody
        self._alarm: trio.CancelScope | None = None
        self._armed_ns = FAR_NS
        self._rest_opens_ns: Callable[[Form], int] = lambda form: 0
        self._watchers: tuple[Watcher, ...] = ()
        self._presser: Presser | None = None
        self._tell_end: Callable[[Row], None] = _nobody
        self.beats = 0
        self.pulls = 0
        """How often a kill was pulled here."""

    def attach(self, lane: Lane, session: SessionPort) -> None:
        """Make a session known under its lane."""
        self._sessions[lane] = session

    def attach_bundler(self, lane: Lane, write: WriteBundles) -> None:
        """Make known that a session can cancel several orders by one request."""
        self._bundlers[lane] = write

    def attach_line(self, line: Line) -> None:
        """Make known that plain cancels may take the straight line to a session."""
        self._lines[line.lane] = line

    def attach_rest(
        self,
        wake: Callable[[], None],
        told: Callable[[float | None], None],
        up: Callable[[], bool],
        opens_ns: Callable[[Form], int],
    ) -> None:
        """Make the REST lane known: `wake` tells it that there may be a call for it, `told` the rate threshold.

        opens_ns: when it makes a kill's calls of a form that it stays away with.
        """
        self.outages.rest_up = up
        self._rest_opens_ns = opens_ns
        self._wake_rest = wake
        self._tell_ceiling = told

    @property
    def sessions(self) -> dict[Lane, str]:
        """The names of the sessions that take cancels, up or down."""
        return {lane: session.name for lane, session in self._sessions.items()}

    def watch(self, watcher: Watcher) -> None:
        """Let somebody hear of every session and order from here on."""
        self._watchers += (watcher,)
        self._pursuits.tells_opened = True

    def watch_pressing(self, presser: Presser) -> None:
        """The same, for a kill of the whole venue."""
        self._presser = presser
        self.watch(presser)

    def unwatch(self, watcher: Watcher) -> None:
        """It has heard enough."""
        self._watchers = tuple(one for one in self._watchers if one is not watcher)
        if self._presser is watcher:
            self._presser = None
            self._wake_rest()
        self._pursuits.tells_opened = bool(self._watchers)

    @property
    def pressing(self) -> bool:
        """Whether the venue is under a kill: no pause but a kill's own then stands before it."""
        return self._presser is not None

    def press(self) -> None:
        """A kill was pulled, perhaps once more: whoever waits out a pause goes now, with the next `perform`.

        What was announced of maintenance holds nothing back any more: the venue itself is asked.
        """
        self.pulls += 1
        if self._pursuits.mode == "maintenance":
            self._pursuits.sessions.mode_changed("unknown", self._clock.monotonic_ns())
        for session in self._sessions.values():
            session.hurry()

    def rest_opens_ns(self, form: Form) -> int:
        """When the REST lane makes a kill's calls of this form: in the past where it makes them now."""
        return self._rest_opens_ns(form)

    def rest_eased(self) -> None:
        """By an answer to another call, a kill's calls need not stay away for as long as they were to."""
        if self._presser is not None:
            self._presser.rest_eased(self._clock.monotonic_ns())

    def hear_ends(self, told: Callable[[Row], None]) -> None:
        """Let somebody hear of every order that ended, whoever ended it."""
        self._tell_end = told

    # ---------------------------------------------------------------- acting

    def perform(self) -> None:
        """Do what the engine asked for: frames first, then answers, then what only tells."""
        while effects := self._pursuits.effects:
            self._pursuits.effects = []
            first = effects[0]
            if len(effects) == 1 and type(first) is Send:
                self._write(first.lane, (first,))
                continue
            writes: dict[Lane, list[Send]] = {}
            for effect in effects:
                if type(effect) is Send:
                    writes.setdefault(effect.lane, []).append(effect)
            for lane, cancels in writes.items():
                self._write(lane, cancels)
            for effect in effects:
                kind = type(effect)
                if kind is Answer:
                    effect.ticket.answered(effect.settlement)  # type: ignore[union-attr]
                elif kind is not Send:
                    self._tell(effect)  # type: ignore[arg-type]
        if self._pursuits.decisions:
            self._record_decisions()
        self.arm()

    def _write(self, lane: Lane, cancels: Sequence[Send]) -> None:
        now_ns = self._clock.monotonic_ns()
        bundles: Sequence[Bundle] = ()
        if len(cancels) > 1 and lane in self._bundlers:
            form = self._budget.form([self._price(cancel.target) for cancel in cancels], now_ns)
            cancels, bundles = self._pursuits.batches.bundle(cancels, crowded=form == "single")
        written = not bundles or self._bundlers[lane](bundles)
        if not written or (cancels and not self._sessions[lane].write_cancels(cancels)):
            # The frames may have left before the socket broke: the engine moves them on as it does with any loss.
            self._pursuits.sessions.down(lane, now_ns)
            return
        for bundle in bundles:
            self._budget.bundled(len(bundle.order_ids), now_ns)
        for cancel in cancels:
            self.charge(cancel.target, now_ns)

    def charge(self, target: Target, now_ns: int) -> None:
        """A single cancel of this order was written to a session."""
        symbol, age_s = self._price(target)
        self._budget.sent(symbol, age_s, now_ns)

    def lost(self, lane: Lane) -> None:
        """What was written to a session died with it, as far as is known; the session itself tells of its end later."""
        self._pursuits.sessions.down(lane, self._clock.monotonic_ns())
        self.perform()

    async def let_go(self, listed: Set[str], asked_ns: int, lane: Lane | None = None) -> None:
        """Before a list of all that is open is taken in as a whole: let go what it lacks, and others run meanwhile.

        listed: the ids in it. asked_ns: when it was asked for, or received unasked on this lane.
        """
        if len(self._pursuits.resting) <= LET_GO:
            return
        lists = self._pursuits.lists
        absent = lists.absent(listed, asked_ns, lane)
        await trio.lowlevel.checkpoint()
        while absent:
            lists.gone(absent[-LET_GO:], asked_ns, self._clock.monotonic_ns())
            del absent[-LET_GO:]
            self.perform()
            await trio.lowlevel.checkpoint()

    def _record_decisions(self) -> None:
        decisions, self._pursuits.decisions = self._pursuits.decisions, []
        for what, target, lane, why in decisions:
            name = None if lane is None else f"{self.venue}-rest" if lane == REST else self._sessions[lane].name
            named = {} if target.kind == "all" else {target.kind: target.value}
            self._events.note("decision", what=what, venue=self.venue, session=name, why=why, **named)

    def _price(self, target: Target) -> tuple[str | None, float | None]:
        """Pair and age of an order: what the venue's counter charges a cancel by."""
        row = self._pursuits.resting.get(str(target.value)) if target.kind == "order_id" else None
        if row is None:
            return None, None
        return row.symbol, None if row.opened_s is None else self._clock.utc_ns() / 1e9 - row.opened_s

    def _tell(self, effect: Telling) -> None:
        match effect:
            case RestReady():
                self._wake_rest()
            case Look(lane=lane, reqid=reqid, order_id=order_id):
                self._sessions[lane].look(reqid, order_id)
            case Ended(row=row):
                self._events.order(self.venue, row)
                self._tell_end(row)
                for watcher in self._watchers:
                    watcher.order_ended(row.order_id, row.status == "canceled", self._clock.monotonic_ns())
            case Opened(row=row):
                for watcher in self._watchers:
                    watcher.order_opened(row.order_id, self._clock.monotonic_ns())
            case Foreseen(ticket=owner, settlement=settlement):
                if isinstance(owner, Asked):
                    owner.foresee(settlement)
            case Late(ticket=owner, settlement=settlement):
                owner.late(settlement)
            case RenewToken(lane=lane):
                session = self._sessions[lane]
                self._events.note("decision", what="renew_token", session=session.name, why="the venue refused it")
                session.renew_token()
            case Redial(lane=lane, why=why):
                session = self._sessions[lane]
                self._events.note("decision", what="redial", session=session.name, why=why)
                session.redial(why)
            case Alert(what=what, do=do):
                self._events.alert("warning", what, do)
            case _:
                assert_never(effect)

    def arm(self) -> None:
        """Make the alarm go off earlier if something is due before it."""
        if self._alarm is not None:
            wake_ns = self._pursuits.next_wake_ns
            if wake_ns < self._armed_ns:
                self._armed_ns = wake_ns
                self._alarm.deadline = self._trio_time(wake_ns)

    def _trio_time(self, monotonic_ns: int) -> float:
        return trio.current_time() + (monotonic_ns - self._clock.monotonic_ns()) / 1e9 + ALARM_SLACK_S

    async def run(self) -> None:
        """Keep the alarm: whenever something is due, do it, and show now and then that it is kept."""
        while True:
            self._armed_ns = min(self._pursuits.next_wake_ns, self._clock.monotonic_ns() + BEAT_NS)
            with trio.CancelScope(deadline=self._trio_time(self._armed_ns)) as self._alarm:
                await trio.sleep_forever()
            self._alarm = None
            self.beats += 1
            self._pursuits.on_time(self._clock.monotonic_ns())
            self.perform()


def _nobody(*_: object) -> None:
    """Before a REST lane is attached there is nobody to wake."""
