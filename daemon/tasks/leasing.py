"""Leases kept: taken and renewed at the gateway's call, stored, shown, and carried out when they expire.

Who has stopped renewing is engine/leases.py's to say. What such a strategy left resting is cancelled through the same
dispatchers as every other cancel, and asked for again until it is proved that nothing of it rests.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import structlog
import trio

from ..contract.commands import Lease
from ..contract.frames import outcome_map, shown_ids
from ..contract.ids import EVERYTHING, Venue
from ..contract.outcomes import NAMES, Settlement
from ..contract.selectors import Selector
from ..engine.instants import FAR_NS, MS
from ..engine.leases import Leases, Stored, Terms, format_leases, parse_leases
from ..transport.clock import Clock
from ..transport.disk import Directory
from ..transport.files import DiskFailed
from .dispatcher import Dispatcher
from .events import Events
from .expired import GIVE_UP_NS, PAUSE_LIMIT_NS, SELECTED, Entry, Expired, is_gone, shown_scope, words_for
from .killswitch import KillSwitch
from .scoping import Scoping

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

LEASES_FILE: Final = "leases"
"""The leases that are live, and the expired ones whose orders are not proved gone: what a restart has to know."""

TRY_NS: Final = 4_000 * MS
"""How long one asking for a cancel is pursued. What it leaves open is told to people then, and asked for again."""

STORE_PAUSE_S: Final = 0.05
"""Between two writes: a strategy that changes its scope with each order must not keep the disk busy."""

DISK_RETRY_S: Final = 1.0
STORE_ON_STOP_S: Final = 1.0
"""How long a clean stop waits for the last write: a lease given back would expire after the restart without it."""


class Leasing:
    """Every lease of this daemon. `run` keeps its promises; all else are plain calls, but for the end."""

    def __init__(
        self,
        desks: Mapping[Venue, Dispatcher],
        directory: Directory,
        clock: Clock,
        events: Events,
        kill: KillSwitch,
        scoping: Scoping,
    ) -> None:
        """Reads what was stored; it counts from when `run` begins."""
        self._desks = desks
        self._directory = directory
        self._clock = clock
        self._events = events
        self._kill = kill
        self._scoping = scoping
        self._leases = Leases(tuple(desks), scoping.strategies)
        self._expired: list[Expired] = []
        self._killing: list[Terms] = []
        self._stopping = False
        self._unstored = trio.Event()
        self._settled = trio.Event()
        self._alarm: trio.CancelScope | None = None
        self._armed_ns = FAR_NS
        try:
            self._stored = parse_leases(directory.read(LEASES_FILE))
        except DiskFailed as failed:
            self._stored = Stored((), (), f"the file of leases cannot be read: {failed.detail}")

    # ---------------------------------------------------------------- asking

    def renew(self, command: Lease, who: str, now_ns: int) -> str | None:
        """Take, renew or give back a lease; why it is refused, or None.

        A renewal on the same terms costs no more than a comparison: it is neither recorded, told nor stored.
        """
        leases = self._leases
        strategy, before, held = command.strategy, leases.revision, command.strategy in leases
        why = leases.renew(strategy, command.ttl_ms, command.on_expiry, command.scope, now_ns)
        if why is not None:
            return why
        if leases.revision != before:
            state = "returned" if command.ttl_ms == 0 else "changed" if held else "taken"
            self._changed(state, strategy, command.ttl_ms, command.on_expiry, command.scope, who)
        if leases.wake_ns < self._armed_ns:
            self._arm()
        return None

    @property
    def revision(self) -> int:
        """Counts the changes of what is leased, to whom and on which terms."""
        return self._leases.revision

    def status(self) -> list[dict[str, Any]]:
        """The `leases` member of a `status` reply: the live ones, then those whose orders are not proved gone."""
        live = [{**shown, "state": "live"} for shown in self._leases.status(self._clock.monotonic_ns())]
        over = [
            {"strategy": one.terms.strategy, "on_expiry": "cancel", "state": "expired", "left": one.left}
            for one in self._expired
        ]
        return live + over

    def _changed(
        self, state: str, strategy: str, ttl_ms: int, on_expiry: str, scope: Iterable[Selector], who: str
    ) -> None:
        self._unstored.set()
        shown = [shown_scope(entry) for entry in scope]
        told = {"state": state, "strategy": strategy, "ttl_ms": ttl_ms, "on_expiry": on_expiry, "scope": shown}
        self._events.lease({**told, "who": who} if who else told)
        if state != "returned":
            self._leave_names(strategy)

    def _leave_names(self, strategy: str) -> None:
        """The strategy is back: what its names mean from here on is its own matter, what its ids mean is not."""
        for expired in [one for one in self._expired if one.terms.strategy == strategy]:
            names = [(venue, target) for venue, target in expired.open if target.kind != "order_id"]
            # A cancel under way would be asked for again if it came too early: it would find the strategy's next order.
            asked: dict[Venue, list[Entry]] = {}
            for name in names:
                entry = expired.open.pop(name)
                if entry.again_ns == FAR_NS:
                    asked.setdefault(entry.venue, []).append(entry)
            for venue, entries in asked.items():
                self._scoping.withdraw(entries)
                self._desks[venue].withdraw(entries)
            if names:
                left = [words_for(venue, target) for venue, target in names]
                self._events.lease({"state": "handed over", "strategy": strategy, "left": left})
                log.warning("lease taken again", strategy=strategy, orders=left)
            self._close(expired)

    # ---------------------------------------------------------------- expiring

    def _on_time(self, now_ns: int) -> None:
        if not self._stopping:
            for terms in self._leases.on_time(now_ns):
                self._expire(terms, now_ns)
        for expired in list(self._expired):
            if expired.ends_ns <= now_ns:
                self._give_up(expired)
            elif not self._stopping:
                self._pursue(expired, now_ns)
        for desk in self._desks.values():
            desk.perform()

    def _expire(self, terms: Terms, now_ns: int) -> None:
        self._unstored.set()
        scope = [shown_scope(entry) for entry in terms.scope]
        told = {"state": "expired", "strategy": terms.strategy, "on_expiry": terms.on_expiry, "scope": scope}
        self._events.lease(told)
        log.warning("lease expired", strategy=terms.strategy, do=terms.on_expiry)
        if terms.on_expiry == "kill":
            self._killing.append(terms)
            self._kill.pull("lease", f"{terms.strategy} did not renew its lease", terms.strategy)
            return
        self._events.alert(
            "warning",
            f"{terms.strategy} did not renew its lease",
            "the orders of its scope are cancelled; find out why it is silent",
        )
        self._expired.append(Expired(self, terms, now_ns, tuple(self._desks)))

    def _pursue(self, expired: Expired, now_ns: int) -> None:
        """Ask for what is due; nothing leaves before the dispatchers perform."""
        due: dict[Venue, list[Entry]] = {}
        for entry in list(expired.open.values()):
            if entry.again_ns > now_ns:
                continue
            if entry.venue in self._desks:
                entry.again_ns, entry.asked_ns = FAR_NS, now_ns
                due.setdefault(entry.venue, []).append(entry)
            else:
                # Stored when the configuration still had it.
                entry.again_ns = expired.ends_ns
                self._tell_left(expired, f"{entry.venue} is not enabled any more")
        for venue, entries in due.items():
            desk = self._desks[venue]
            for entry in entries:
                if entry.target == EVERYTHING:
                    desk.submit(entry, EVERYTHING, True, now_ns + TRY_NS, now_ns)
                elif entry.target == SELECTED:
                    self._scoping.begin(entry, venue, entry.scope, True, now_ns + TRY_NS, now_ns)
            orders = [(entry, entry.target, None) for entry in entries if entry.target not in (EVERYTHING, SELECTED)]
            if orders:
                desk.submit_batch(orders, True, now_ns + TRY_NS, now_ns)
        self._close(expired)

    def answered(self, entry: Entry, settlement: Settlement) -> None:
        """What one asking came to: done with it, or asked again after a pause."""
        expired = entry.expired
        outcome = outcome_map(None, entry.asked_ns, settlement)
        self._events.note("outcome", strategy=expired.terms.strategy, **outcome)
        expired.went(settlement)
        if expired.open.get((entry.venue, entry.target)) is not entry:
            return
        if is_gone(settlement):
            del expired.open[entry.venue, entry.target]
            self._close(expired)
        else:
            entry.again_ns = self._clock.monotonic_ns() + entry.pause_ns
            entry.pause_ns = min(2 * entry.pause_ns, PAUSE_LIMIT_NS)
            entry.why = settlement.error or NAMES[type(settlement.outcome)]
            self._tell_left(expired, entry.why)
        if not any(one.again_ns == FAR_NS for each in self._expired for one in each.open.values()):
            self._settled.set()
        self._arm()

    def _tell_left(self, expired: Expired, why: str) -> None:
        left = expired.left
        self._events.alert("critical", expired.what, f"{why}; asked for again until gone; left: {', '.join(left[:5])}")
        log.warning("lease not carried out", strategy=expired.terms.strategy, why=why, count=len(left))

    def _close(self, expired: Expired) -> None:
        """The end of an expired lease of which nothing rests."""
        if expired.open or expired not in self._expired:
            return
        self._expired.remove(expired)
        self._unstored.set()
        self._events.clear(expired.what)
        gone = tuple(expired.canceled)
        told = {"count": len(gone), **shown_ids("order_ids", "more", gone)}
        self._events.lease({"state": "settled", "strategy": expired.terms.strategy, **told})
        log.warning("lease settled", strategy=expired.terms.strategy)

    def _give_up(self, expired: Expired) -> None:
        left = expired.left
        self._expired.remove(expired)
        self._unstored.set()
        self._events.lease({"state": "given up", "strategy": expired.terms.strategy, "left": left})
        hours = GIVE_UP_NS // (3_600_000 * MS)
        self._events.clear(expired.what)
        self._events.alert(
            "critical",
            f"{expired.what}, and are asked for no more",
            f"{hours} h have passed, cancel by hand: {', '.join(left[:5])}",
        )
        log.error("lease given up", strategy=expired.terms.strategy, orders=left)

    # ---------------------------------------------------------------- tasks

    async def run(self) -> None:
        """Expire, pursue and store for as long as the daemon serves; ends by cancellation."""
        self._restore()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._keep, name="lease keeper")
            while True:
                self._armed_ns = self._next_ns()
                with trio.CancelScope(deadline=self._trio_time()) as self._alarm:
                    await trio.sleep_forever()
                self._alarm = None
                self._on_time(self._clock.monotonic_ns())

    def _restore(self) -> None:
        """Go on where the last run ended: live leases have one ttl to be renewed, expired ones are pursued."""
        stored, now_ns = self._stored, self._clock.monotonic_ns()
        if stored.why is not None:
            self._events.alert(
                "critical",
                f"leases are forgotten: {stored.why}",
                "strategies that died with the daemon are not missed: look at what rests",
            )
            log.error("leases forgotten", why=stored.why)
        self._leases.restore(stored.terms, now_ns)
        for terms in stored.terms:
            self._events.lease({"state": "restored", "strategy": terms.strategy, "ttl_ms": terms.ttl_ms})
        for terms in stored.expired:
            if terms.on_expiry == "cancel" or not self._kill.latched:
                self._expire(terms, now_ns)

    def _next_ns(self) -> int:
        if self._stopping:
            return FAR_NS
        return min([self._leases.wake_ns, *(expired.next_ns for expired in self._expired)])

    def _arm(self) -> None:
        """Make the alarm go off earlier if something is due before it."""
        if self._alarm is not None and (next_ns := self._next_ns()) < self._armed_ns:
            self._armed_ns = next_ns
            self._alarm.deadline = self._trio_time()

    def _trio_time(self) -> float:
        # Never in the past: an entry that is due at once must not keep everything else from running.
        return trio.current_time() + max(self._armed_ns - self._clock.monotonic_ns(), MS) / 1e9

    async def _keep(self) -> None:
        """Make every change durable."""
        while True:
            await self._unstored.wait()
            await trio.sleep(STORE_PAUSE_S if await self._store() else DISK_RETRY_S)

    async def _store(self) -> bool:
        self._unstored = trio.Event()
        what = "the leases cannot be stored"
        if self._kill.durable:
            # Until then a restart has to pull it again.
            self._killing.clear()
        expired = [*(one.terms for one in self._expired), *self._killing]
        try:
            await self._directory.replace(LEASES_FILE, format_leases(self._leases.terms, expired))
        except DiskFailed as failed:
            self._events.alert("critical", what, f"mend the disk, a restart would not know them: {failed.detail}")
            log.error("leases not stored", why=failed.detail)
            self._unstored.set()
            return False
        self._events.clear(what)
        if self._killing:
            self._unstored.set()
        return True

    def halt(self) -> None:
        """The process is about to end: from here on nothing expires, and nothing is asked for again."""
        self._stopping = True

    async def settled(self) -> None:
        """Return when every cancel under way is answered. The caller bounds it."""
        while any(entry.again_ns == FAR_NS for expired in self._expired for entry in expired.open.values()):
            self._settled = trio.Event()
            await self._settled.wait()

    async def close(self) -> None:
        """Store what is not stored yet, for a bounded time."""
        with trio.move_on_after(STORE_ON_STOP_S):
            if self._unstored.is_set():
                await self._store()
