"""Commands for a scope that are under way, and who hears for them what happens at their venues.

What such a command cancels, when it looks and what it answers is engine/scoped.py's to say. Its cancels go through the
same dispatchers as every other cancel, and never by a request for everything. One alarm serves all of them.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Protocol, assert_never

import structlog
import trio

from ..contract.evidence import RestAnswer, RestCanceled, RestOrders
from ..contract.ids import Target, Venue
from ..contract.outcomes import Settlement
from ..contract.selectors import Selector
from ..engine.calls import Call
from ..engine.instants import FAR_NS, MS
from ..engine.lane import Lane
from ..engine.rests import Cursor, Page, page
from ..engine.scope import Fit, Moment, Own, ScopeAt
from ..engine.scoped import CancelThese, Done, FireMarket, Patience, ScopedCancel
from ..engine.sweep import Look
from ..transport.clock import Clock
from .dispatcher import Dispatcher
from .hand import Owner

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

PIECE: Final = 500
"""Most orders handed over at once, as in a batch of a client: a venue with thousands is cancelled piece by piece."""

BEAT_NS: Final = 500 * MS
"""The alarm goes off this often even when nothing is due."""


class Timed(Protocol):
    """Something that is due at a time."""

    wake_ns: int

    def on_time(self, now_ns: int) -> None:
        """Do what is due."""
        ...


class Running:
    """One command's scope at one venue. `owner` gets the one answer."""

    def __init__(
        self, scoping: "Scoping", owner: Owner, dispatcher: Dispatcher, command: ScopedCancel, proof: bool, by_ns: int
    ) -> None:
        self._scoping = scoping
        self.owner = owner
        self._tickets: list[_Ticket] = []
        self._dispatcher = dispatcher
        self._proof = proof
        self._by_ns = by_ns
        self.command = command
        dispatcher.watch(self)

    # ---------------------------------------------------------------- what the venue's hands tell

    def session_up(self, lane: Lane, now_ns: int) -> None:
        """Its cancels are the dispatcher's to repeat."""

    def session_down(self, lane: Lane, now_ns: int) -> None:
        """The same."""

    def order_opened(self, order_id: str, now_ns: int) -> None:
        """An order appeared."""
        self.command.opened(order_id, now_ns)
        self.perform(now_ns)

    def order_ended(self, order_id: str, canceled: bool, now_ns: int) -> None:
        """Whoever goes after it hears that by itself."""

    def settled(self, target: Target, settlement: Settlement) -> None:
        """One of its cancels was answered."""
        now_ns = self._scoping.clock.monotonic_ns()
        self.command.settled(target, settlement, now_ns)
        self.perform(now_ns)

    def late(self, settlement: Settlement) -> None:
        """What the venue said of one of them after an `unknown`."""
        self.owner.late(settlement)

    def market_told(self, symbol: str, answer: RestAnswer | None, why: str, now_ns: int) -> None:
        """What became of a cancel-all for one symbol; answer None where there was none."""
        if isinstance(answer, RestCanceled):
            self.command.market_answered(symbol, answer.orders, now_ns)
        else:
            self.command.market_failed(symbol, why, now_ns)
        self.perform(now_ns)

    def looked(self, number: int, answer: RestAnswer | None, why: str, now_ns: int) -> None:
        """What became of a look; answer None where there was none."""
        if isinstance(answer, RestOrders):
            listed = {state.order_id for state in answer.orders if state.status in (None, "open")}
            self.command.look_answered(number, listed, now_ns)
        else:
            self.command.look_failed(number, why, now_ns)
        self.perform(now_ns)

    def withdraw(self, now_ns: int) -> None:
        """Send nothing more for it, and answer with what is known by now."""
        self.command.give_up(now_ns)
        tickets, self._tickets = self._tickets, []
        self._dispatcher.withdraw(tickets)
        self.perform(now_ns)

    # ---------------------------------------------------------------- acting

    def perform(self, now_ns: int) -> None:
        """Carry out what the command wants; the bytes leave before this returns."""
        dispatcher = self._dispatcher
        while effects := self.command.effects:
            self.command.effects = []
            for effect in effects:
                match effect:
                    case CancelThese(targets=targets):
                        self._cancel(targets, now_ns)
                    case FireMarket(symbol=symbol):
                        asked = _Asked(self, symbol, None)
                        dispatcher.request("market", asked, urgent=True, target=Target("market", symbol))
                    case Look(number=number):
                        dispatcher.request("open_orders", _Asked(self, None, number), urgent=False)
                    case Done(settlement=settlement):
                        dispatcher.unwatch(self)
                        self._scoping.over(self)
                        self.owner.answered(settlement)
                    case _:
                        assert_never(effect)
            dispatcher.perform()
        self._scoping.arm()

    def _cancel(self, targets: Sequence[Target], now_ns: int) -> None:
        for start in range(0, len(targets), PIECE):
            tickets = [_Ticket(self, target) for target in targets[start : start + PIECE]]
            self._tickets += tickets
            owners = [(ticket, ticket.target, None) for ticket in tickets]
            self._dispatcher.submit_batch(owners, self._proof, self._by_ns, now_ns, narrow=True)


class _Ticket:
    """The dispatcher's ticket for one order of a scope."""

    __slots__ = ("running", "target")

    def __init__(self, running: Running, target: Target) -> None:
        self.running = running
        self.target = target

    def answered(self, settlement: Settlement) -> None:
        self.running.settled(self.target, settlement)

    def late(self, settlement: Settlement) -> None:
        self.running.late(settlement)


class _Asked:
    """Who is told what became of one call: a cancel-all for a symbol, or a look with its number."""

    def __init__(self, running: Running, symbol: str | None, number: int | None) -> None:
        # Two commands may ask the same at once: each hears its own answer.
        self.asker = self
        self._running = running
        self._symbol = symbol
        self._number = number

    def call_answered(self, call: Call, answer: RestAnswer, now_ns: int) -> None:
        self._told(answer, _words(answer), now_ns)

    def call_failed(self, call: Call, left: bool, why: str, now_ns: int) -> None:
        self._told(None, why, now_ns)

    def _told(self, answer: RestAnswer | None, why: str, now_ns: int) -> None:
        if self._symbol is not None:
            self._running.market_told(self._symbol, answer, why, now_ns)
        else:
            assert self._number is not None
            self._running.looked(self._number, answer, why, now_ns)


class Scoping:
    """Every command for a scope. All methods are plain calls; `run` is the alarm's task."""

    def __init__(self, desks: Mapping[Venue, Dispatcher], clock: Clock, strategies: Mapping[str, Own]) -> None:
        """strategies: as configured."""
        self.clock = clock
        self.strategies = strategies
        self._desks = desks
        self._running: list[Running] = []
        self._timed: list[Timed] = []
        self._alarm: trio.CancelScope | None = None
        self.beats = 0

    def at(self, venue: Venue, scope: Sequence[Selector]) -> ScopeAt:
        """What a scope means at a venue."""
        return ScopeAt(venue, scope, self.strategies)

    def venues(self, scope: Sequence[Selector]) -> list[Venue]:
        """The venues at which an order can fit a scope."""
        return [venue for venue in self._desks if not self.at(venue, scope).empty]

    def begin(
        self, owner: Owner, venue: Venue, scope: Sequence[Selector], proof: bool, deadline_ns: int, now_ns: int
    ) -> None:
        """Cancel what a scope means at a venue: `owner` is answered once, at the deadline at the latest.

        now_ns: when it was asked for, which is when ages count.
        """
        dispatcher = self._desks[venue]
        policy = dispatcher.policy
        command = ScopedCancel(
            self.at(venue, scope),
            dispatcher.resting,
            # Where no REST tells a list, a session does, and one that has lost its stream would tell an empty one.
            Patience(policy.hedge_ns, policy.markets, looks=1 if policy.rest else 2),
            proof=proof,
            as_of=self._moment(now_ns),
            deadline_ns=deadline_ns,
        )
        running = Running(self, owner, dispatcher, command, proof, deadline_ns)
        self._running.append(running)
        command.begin(now_ns, witnessed=dispatcher.witnessed)
        running.perform(now_ns)

    def page(self, scope: Sequence[Selector] | None, after: Cursor | None, now_ns: int) -> Page:
        """The next page of what rests in a scope, at every venue."""
        books = {venue: desk.resting for venue, desk in self._desks.items()}
        scopes = None if scope is None else {venue: self.at(venue, scope) for venue in books}
        return page(books, scopes, after, self._moment(now_ns))

    def would_cancel(self, venue: Venue, scope: Sequence[Selector] | None, now_ns: int) -> tuple[list[str], list[str]]:
        """The open orders that a command would cancel now, and those of which that cannot be told without a look."""
        rows = self._desks[venue].resting.rows()
        if scope is None:
            return [row.order_id for row in rows], []
        at, as_of = self.at(venue, scope), self._moment(now_ns)
        fits = [(row.order_id, at.fit(row, as_of)) for row in rows]
        meant = [order_id for order_id, fit in fits if fit is Fit.YES]
        return meant, [order_id for order_id, fit in fits if fit is Fit.UNTOLD]

    def withdraw(self, owners: Iterable[object]) -> None:
        """Send nothing more for these owners: each is answered at once, with what is known by now."""
        withdrawn, now_ns = set(map(id, owners)), self.clock.monotonic_ns()
        for running in [one for one in self._running if id(one.owner) in withdrawn]:
            running.withdraw(now_ns)

    def give_up(self) -> None:
        """Answer everything under way with what can honestly be said now."""
        now_ns = self.clock.monotonic_ns()
        for timed in list(self._timed):
            timed.on_time(now_ns)
        for running in list(self._running):
            running.command.give_up(now_ns)
            running.perform(now_ns)

    def await_until(self, timed: Timed) -> None:
        """Have the alarm call it when its time has come."""
        self._timed.append(timed)
        self.arm()

    def await_no_more(self, timed: Timed) -> None:
        """It is over."""
        if timed in self._timed:
            self._timed.remove(timed)

    def over(self, running: Running) -> None:
        """It was answered."""
        self._running.remove(running)

    def arm(self) -> None:
        """Something changed: wake in time for what is due next."""
        if self._alarm is not None:
            self._alarm.deadline = min(self._alarm.deadline, self._next_at())

    def _moment(self, now_ns: int) -> Moment:
        utc_ns = self.clock.utc_ns() - (self.clock.monotonic_ns() - now_ns)
        return Moment(now_ns, utc_ns)

    def _next_at(self) -> float:
        now_ns = self.clock.monotonic_ns()
        due = [running.command.wake_ns for running in self._running] + [timed.wake_ns for timed in self._timed]
        wake_ns = min(due, default=FAR_NS)
        # Never in the past: two things that wake each other must not keep everything else from running.
        return trio.current_time() + max(min(wake_ns, now_ns + BEAT_NS) - now_ns, MS) / 1e9

    async def run(self) -> None:
        """Keep the alarm; ends by cancellation."""
        while True:
            with trio.CancelScope(deadline=self._next_at()) as self._alarm:
                await trio.sleep_forever()
            self._alarm = None
            self.beats += 1
            now_ns = self.clock.monotonic_ns()
            for timed in [timed for timed in self._timed if timed.wake_ns <= now_ns]:
                timed.on_time(now_ns)
            for running in list(self._running):
                if running.command.wake_ns <= now_ns:
                    running.command.on_time(now_ns)
                    running.perform(now_ns)


def _words(answer: Any) -> str:
    """What an answer that is no success says."""
    return str(getattr(answer, "error", None) or getattr(answer, "why", None) or "an answer to another question")
