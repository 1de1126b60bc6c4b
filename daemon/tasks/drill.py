"""The drill of the kill: its whole path, walked with orders that cannot exist, so that nothing is cancelled.

Every session and the REST lane of every venue is sent the cancel of an order that nobody has, past every queue, and has
to answer that it is not open; the venue is asked what rests; a latch is stored and removed under another name. The time
of the last drill in which all of that worked is kept, and people are told when it is long ago.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

import msgspec
import structlog
import trio

from ..contract.evidence import (
    Fault,
    RestAnswer,
    RestBatch,
    RestCanceled,
    RestEnded,
    RestFailed,
    RestKey,
    RestMode,
    RestOrders,
    RestTime,
    RestTimer,
    RestToken,
    RestUnreadable,
)
from ..contract.frames import refusal_map
from ..contract.ids import Target, Venue
from ..engine.calls import Call
from ..engine.lane import Lane
from ..engine.latch import Latch, format_latch
from ..engine.nobody import txid_of_nobody, uuid_of_nobody
from ..engine.sealed import Broken, seal, unseal
from ..engine.sweep import SHOWN_LIMIT
from ..transport.clock import Clock, rfc3339
from ..transport.disk import Directory
from ..transport.entropy import Entropy
from ..transport.files import DiskFailed
from .dispatcher import Dispatcher
from .events import Events

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

DRILL_FILE: Final = "drill"
"""The time of the last good drill."""

LATCH_FILE: Final = "latch.drill"
"""What is stored and removed in place of the latch itself."""

VERSION: Final = 1

STALE_NS: Final = 7 * 86_400 * 1_000_000_000
"""How long a good drill lets people sleep. Source: reliability R3.10."""

STALE: Final = "the kill was not drilled for 7 days"
"""An alert."""

STALE_LOOK_S: Final = 600.0

GOOD: Final = "good"
PENDING: Final = "no answer"

PRIME_SYMBOL: Final = "BTC-USD"
"""What an order that does not exist is said to trade, where no order is known to take a symbol from."""


class Asker(Protocol):
    """The command that waits for an answer."""

    @property
    def id(self) -> Any: ...

    def answer(self, reply: Mapping[str, Any]) -> None:
        """Give it its one reply."""
        ...


class _LastGood(msgspec.Struct, frozen=True):
    utc_ns: int


class _Way:
    """One way to a venue under the drill: told what came of the cancel that it carried."""

    def __init__(self, walk: "_Walk", venue: Venue, name: str) -> None:
        self._walk = walk
        self._venue = venue
        self._name = name

    def fired_answered(self, lane: Lane, count: int | None, now_ns: int) -> None:
        self._walk.told(self._venue, self._name, "an order that cannot exist was cancelled")

    def fired_failed(self, lane: Lane, why: str, now_ns: int, fault: Fault | None = None) -> None:
        self._walk.told(self._venue, self._name, GOOD if fault is Fault.NOT_OPEN else why)

    def call_answered(self, call: Call, answer: RestAnswer, now_ns: int) -> None:
        match answer:
            case RestOrders(orders=orders) if call.form == "open_orders":
                self._walk.shown(self._venue, [state.order_id for state in orders])
                told = GOOD
            case RestFailed(fault=Fault.NOT_OPEN) if call.form == "cancel":
                told = GOOD
            case RestCanceled(count=0) if call.form == "cancel":
                told = GOOD
            case RestFailed(error=error):
                told = error
            case (
                RestOrders()
                | RestCanceled()
                | RestEnded()
                | RestBatch()
                | RestToken()
                | RestMode()
                | RestTimer()
                | RestTime()
                | RestKey()
                | RestUnreadable()
            ):
                told = "an answer that says nothing"
        self._walk.told(self._venue, self._name, told)

    def call_failed(self, call: Call, left: bool, why: str, now_ns: int) -> None:
        self._walk.told(self._venue, self._name, why)


class _Walk:
    """One drill under way. `ways` is by venue and name of the way; `done` once each has answered."""

    def __init__(self, asker: Asker, venues: Sequence[Venue]) -> None:
        self.asker = asker
        self.ways: dict[Venue, dict[str, str]] = {venue: {} for venue in venues}
        self.open: dict[Venue, list[str]] = {}
        self.done = trio.Event()

    def begin(self, desks: Mapping[Venue, Dispatcher], entropy: Entropy) -> None:
        """Send everything; the bytes leave before this returns."""
        for venue, ways in self.ways.items():
            dispatcher = desks[venue]
            policy = dispatcher.policy
            nobody = _nobody(venue, entropy)
            symbol = self._symbol(dispatcher) if policy.symbols else None
            names = [*dispatcher.sessions.values(), *(["rest"] if policy.rest else []), "look"]
            ways.update(dict.fromkeys(names, PENDING))
            for lane, name in dispatcher.sessions.items():
                if lane in dispatcher.live:
                    dispatcher.probe(lane, nobody, _Way(self, venue, name), symbol)
                else:
                    self.told(venue, name, "is down")
            if policy.rest:
                dispatcher.request("cancel", _Way(self, venue, "rest"), urgent=True, target=nobody)
            dispatcher.request("open_orders", _Way(self, venue, "look"), urgent=True)

    def _symbol(self, dispatcher: Dispatcher) -> str:
        resting = dispatcher.resting
        rows = map(resting.get, resting.open_ids())
        return next((row.symbol for row in rows if row is not None and row.symbol is not None), PRIME_SYMBOL)

    def told(self, venue: Venue, name: str, what: str) -> None:
        """What came of one way."""
        self.ways[venue][name] = what
        if all(told != PENDING for ways in self.ways.values() for told in ways.values()):
            self.done.set()

    def shown(self, venue: Venue, open_ids: list[str]) -> None:
        """What a venue said is open."""
        self.open[venue] = open_ids

    @property
    def good(self) -> bool:
        """Whether every way did what a kill needs of it."""
        return all(told == GOOD for ways in self.ways.values() for told in ways.values())

    def venue_part(self, venue: Venue) -> dict[str, Any]:
        """One venue in the reply: how it would have begun a kill."""
        resting = self.open.get(venue)
        state = "unreachable" if resting is None else "residual" if resting else "flat"
        shown = (resting or [])[:SHOWN_LIMIT]
        return {"state": state, "canceled": 0, "residual": shown, "ways": dict(self.ways[venue])}


class Drills:
    """Makes drills, one at a time, and remembers the last good one."""

    def __init__(
        self, desks: Mapping[Venue, Dispatcher], directory: Directory, clock: Clock, entropy: Entropy, events: Events
    ) -> None:
        self._desks = desks
        self._directory = directory
        self._clock = clock
        self._entropy = entropy
        self._events = events
        self._walk: _Walk | None = None
        self._begun, self._take = trio.open_memory_channel[tuple[_Walk, str, int, bool]](1)
        self._started_ns = clock.monotonic_ns()
        self._last_good_ns = self._read()

    def status(self) -> dict[str, Any]:
        """The `drill` member of the `kill` status: when the last good one was, and how old it is; None for never."""
        if self._last_good_ns is None:
            return {"at": None, "age_s": None}
        age_ns = max(self._clock.utc_ns() - self._last_good_ns, 0)
        return {"at": rfc3339(self._last_good_ns), "age_s": age_ns // 1_000_000_000}

    def begin(self, asker: Asker, who: str, venues: Sequence[Venue], deadline_ns: int, *, latched: bool) -> None:
        """Drill these venues, and answer when every way has, or at the deadline."""
        if self._walk is not None:
            asker.answer(refusal_map(asker.id, "overloaded", "drill: another one is under way"))
            return
        self._walk = walk = _Walk(asker, venues)
        walk.begin(self._desks, self._entropy)
        self._begun.send_nowait((walk, who, deadline_ns, latched))

    def give_up(self) -> None:
        """The process is about to end: a drill under way is over as it stands."""
        if self._walk is not None:
            self._walk.done.set()

    async def run(self) -> None:
        """Finish drills, and tell when the last good one is long ago; ends by cancellation."""
        while True:
            with trio.move_on_after(STALE_LOOK_S):
                await self._finish(*await self._take.receive())
            self._look_at_age()

    async def _finish(self, walk: _Walk, who: str, deadline_ns: int, latched: bool) -> None:
        left_s = max(deadline_ns - self._clock.monotonic_ns(), 0) / 1e9
        disk = PENDING
        with trio.move_on_after(left_s):
            disk = await self._try_disk(who)
            await walk.done.wait()
        good = walk.good and disk == GOOD
        if good:
            await self._keep(self._clock.utc_ns())
        reply = {
            "type": "killed",
            "id": walk.asker.id,
            "drill": True,
            "good": good,
            "latched": latched,
            "disk": disk,
            "venues": {venue: walk.venue_part(venue) for venue in walk.ways},
        }
        self._walk = None
        self._events.note("drill", who=who, good=good, disk=disk, venues=walk.ways)
        log.warning("kill drill", who=who, good=good, disk=disk, ways=walk.ways)
        if not good:
            bad = [f"{venue} {way}: {told}" for venue, ways in walk.ways.items() for way, told in ways.items()]
            faults = "; ".join(one for one in [*bad, f"disk: {disk}"] if not one.endswith(f": {GOOD}"))
            self._events.alert("warning", "a kill drill failed", f"a kill would meet the same: {faults}")
        walk.asker.answer(reply)

    async def _try_disk(self, who: str) -> str:
        """Store a latch and remove it; GOOD, or what went wrong."""
        latch = Latch(trigger="command", reason="drill", who=who, utc_ns=self._clock.utc_ns())
        try:
            await self._directory.replace(LATCH_FILE, format_latch(latch))
            await self._directory.remove(LATCH_FILE)
        except DiskFailed as failed:
            return failed.detail
        return GOOD

    async def _keep(self, utc_ns: int) -> None:
        self._last_good_ns = utc_ns
        self._events.clear(STALE)
        try:
            await self._directory.replace(DRILL_FILE, seal(VERSION, {"utc_ns": utc_ns}))
        except DiskFailed as failed:
            log.warning("the time of the drill is not stored", why=failed.detail)

    def _read(self) -> int | None:
        try:
            content = self._directory.read(DRILL_FILE)
        except DiskFailed:
            return None
        read = None if content is None else unseal(content, VERSION, _LastGood)
        return None if read is None or isinstance(read, Broken) else read.utc_ns

    def _look_at_age(self) -> None:
        if self._last_good_ns is None:
            age_ns = self._clock.monotonic_ns() - self._started_ns
        else:
            age_ns = self._clock.utc_ns() - self._last_good_ns
        if age_ns > STALE_NS:
            self._events.alert("warning", STALE, "run `canceld kill --drill`: it cancels nothing")


def _nobody(venue: Venue, entropy: Entropy) -> Target:
    """The well-formed id of an order that nobody has."""
    if venue == "spot":
        return Target("order_id", txid_of_nobody("DRILLS", entropy.bytes(11)))
    return Target("order_id", uuid_of_nobody(entropy.bytes(16)))
