"""One latched scope at one venue: its sweep, and the hands that carry out what it decides.

The sweep is the kill's own, engine/sweep.py, for a venue without a cancel-all: here it hears of nothing but the orders
that fit the scope. What must never happen here: an order told to it, or cancelled for it, that is not known to fit.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final, assert_never

import structlog

from ..contract.evidence import Fault, RestAnswer, RestCanceled, RestFailed, RestOrders
from ..contract.frames import SHOWN_LIMIT
from ..contract.ids import Target
from ..contract.outcomes import Settlement
from ..engine.calls import Call
from ..engine.effects import Alert
from ..engine.instants import MS
from ..engine.lane import Lane
from ..engine.scope import Fit, Moment, ScopeAt
from ..engine.sweep import CancelOne, FireAll, Flat, Look, Sweep, Walk
from ..transport.clock import Clock
from .dispatcher import Dispatcher
from .events import Events

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

ONE_NS: Final = 1_000 * MS
"""How long one round's cancels of single orders are pursued, as in a kill."""

UNSURE_LIMIT: Final = 100
"""Most ids in a report."""


class _Nobody:
    """The ticket of a sweep's own cancels: what they come to shows in the next look."""

    def answered(self, settlement: Settlement) -> None:
        log.debug("swept", venue=settlement.venue, order_id=settlement.order_id, route=settlement.route)

    def late(self, settlement: Settlement) -> None:
        log.debug("swept late", venue=settlement.venue, order_id=settlement.order_id, route=settlement.route)

    def call_answered(self, call: Call, answer: RestAnswer, now_ns: int) -> None:
        canceled = answer.count if isinstance(answer, RestCanceled) else None
        log.debug("swept a symbol", symbol=call.targets[0].value, canceled=canceled)

    def call_failed(self, call: Call, left: bool, why: str, now_ns: int) -> None:
        log.debug("a symbol was not swept", symbol=call.targets[0].value, why=why)


class _Look:
    """Who is told what one look came to."""

    def __init__(self, front: "ScopeFront", number: int) -> None:
        self.asker = self._front = front
        self._number = number

    def call_answered(self, call: Call, answer: RestAnswer, now_ns: int) -> None:
        if isinstance(answer, RestOrders):
            self._front.looked(self._number, [state.order_id for state in answer.orders], now_ns)
        else:
            throttled = isinstance(answer, RestFailed) and answer.fault in (Fault.ROUTE_BUSY, Fault.THROTTLED)
            why = str(getattr(answer, "error", None) or getattr(answer, "why", "no list"))
            self._front.look_failed(self._number, why, now_ns, throttled=throttled)

    def call_failed(self, call: Call, left: bool, why: str, now_ns: int) -> None:
        self._front.look_failed(self._number, why, now_ns, throttled=False)


class _Resolve:
    """Who is told what is open because an order appeared of which it cannot be told whether the scope means it."""

    def __init__(self, front: "ScopeFront") -> None:
        self._front = front

    def call_answered(self, call: Call, answer: RestAnswer, now_ns: int) -> None:
        self._front.resolved(answer, now_ns)

    def call_failed(self, call: Call, left: bool, why: str, now_ns: int) -> None:
        self._front.resolved(None, now_ns)


class ScopeFront:
    """From the kill of a scope until its re-arm. `news` is called whenever the sweep has moved."""

    def __init__(
        self, dispatcher: Dispatcher, scope: ScopeAt, clock: Clock, events: Events, news: Callable[[], None]
    ) -> None:
        self._dispatcher = dispatcher
        self._scope = scope
        self._clock = clock
        self._events = events
        self._news = news
        self._alert: str | None = None
        self._unsure: tuple[str, ...] = ()
        self._canceled: dict[str, None] = {}
        self._more = 0
        self._resolving = False
        self.sweep = Sweep(
            dispatcher.venue,
            mass=False,
            rest=dispatcher.policy.rest,
            live=dispatcher.live,
            known=self._known(),
            now_ns=clock.monotonic_ns(),
        )
        dispatcher.watch(self)

    def fire(self) -> None:
        """The scope was killed again."""
        self.sweep.fire(self._known(), self._clock.monotonic_ns())
        self.perform()

    def stop(self) -> None:
        """It is re-armed."""
        self._dispatcher.unwatch(self)
        if self._alert is not None:
            self._events.clear(self._alert)

    def on_time(self, now_ns: int) -> None:
        """Do what has become due."""
        self.sweep.on_time(now_ns)
        self.perform()

    def status(self, now_ns: int) -> dict[str, Any]:
        """This venue in `killed` and in `status`. Flat is no venue with orders of which nobody can tell."""
        shown = {**self.sweep.status(now_ns), **self._gone()}
        if self._unsure:
            shown["unsure"] = self._unsure[:UNSURE_LIMIT]
            if shown["state"] == "flat":
                shown["state"] = "residual"
        return shown

    def _gone(self) -> dict[str, Any]:
        more = {"more": self._more} if self._more else {}
        return {"order_ids": list(self._canceled), **more}

    def is_flat(self, now_ns: int) -> bool:
        """Whether nothing of the scope rests, and nothing of which that cannot be told."""
        return self.sweep.state(now_ns) == "flat" and not self._unsure

    # ---------------------------------------------------------------- what the venue's hands tell

    def session_up(self, lane: Lane, now_ns: int) -> None:
        self.sweep.session_up(lane, now_ns)
        self.perform()

    def session_down(self, lane: Lane, now_ns: int) -> None:
        self.sweep.session_down(lane, now_ns)
        self.perform()

    def order_opened(self, order_id: str, now_ns: int) -> None:
        match self._fit(order_id):
            case Fit.YES:
                self.sweep.order_opened(order_id, now_ns)
            case Fit.UNTOLD:
                self._resolve()
            case Fit.NO:
                return
        self.perform()

    def order_ended(self, order_id: str, canceled: bool, now_ns: int) -> None:
        row = self._dispatcher.resting.get(order_id)
        if canceled and row is not None and self._scope.fit(row, self._moment()) is Fit.YES:
            if len(self._canceled) < SHOWN_LIMIT:
                self._canceled[order_id] = None
            else:
                self._more += order_id not in self._canceled
        self.sweep.order_ended(order_id, canceled=canceled, now_ns=now_ns)
        self.perform()

    def looked(self, number: int, listed: Iterable[str], now_ns: int) -> None:
        """What is open, which the book has taken in: what fits of it rests, and what cannot be told is left alone."""
        fits = {order_id: self._fit(order_id) for order_id in listed}
        self._unsure = tuple(order_id for order_id, fit in fits.items() if fit is Fit.UNTOLD)
        self.sweep.look_answered(number, [order_id for order_id, fit in fits.items() if fit is Fit.YES], now_ns)
        self.perform()

    def _resolve(self) -> None:
        """Look at once, beside the sweep's own looks: one at a time."""
        if not self._resolving:
            self._resolving = True
            self._dispatcher.request("open_orders", _Resolve(self), urgent=False)

    def resolved(self, answer: RestAnswer | None, now_ns: int) -> None:
        """What it came to: what fits is met like every order that appears; a look of the sweep's tells the rest."""
        self._resolving = False
        for state in answer.orders if isinstance(answer, RestOrders) else ():
            if self._fit(state.order_id) is Fit.YES:
                self.sweep.order_opened(state.order_id, now_ns)
        self.perform()

    def look_failed(self, number: int, why: str, now_ns: int, *, throttled: bool) -> None:
        """Nobody told what is open."""
        self.sweep.look_failed(number, why, now_ns, throttled=throttled)
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
                    case Walk():
                        if dispatcher.policy.markets:
                            for symbol in self._scope.markets:
                                dispatcher.request("market", _NOBODY, urgent=True, target=Target("market", symbol))
                        for order_id in self._known():
                            self._cancel(order_id, now_ns)
                    case CancelOne(order_id=order_id):
                        self._cancel(order_id, now_ns)
                    case Look(number=number):
                        dispatcher.request("open_orders", _Look(self, number), urgent=True)
                    case Flat():
                        self._told_flat()
                    case Alert(what=what, do=do):
                        self._alert = f"{what} of a scope"
                        self._events.alert("critical", self._alert, do)
                    case FireAll():
                        raise AssertionError("a scope is never swept by a cancel-all")
                    case _:
                        assert_never(effect)
            dispatcher.perform()
        self._news()

    def _cancel(self, order_id: str, now_ns: int) -> None:
        self._dispatcher.submit(_NOBODY, Target("order_id", order_id), False, now_ns + ONE_NS, now_ns)

    def _told_flat(self) -> None:
        if self._alert is not None:
            self._events.clear(self._alert)
            self._alert = None
        log.warning("scope flat", venue=self._dispatcher.venue, canceled=self.sweep.canceled)
        if not self._unsure:
            told = {"state": "scope_flat", "venue": self._dispatcher.venue, "canceled": self.sweep.canceled}
            self._events.kill(told | self._gone())

    def _fit(self, order_id: str) -> Fit:
        row = self._dispatcher.resting.get(order_id)
        return Fit.NO if row is None or row.status != "open" else self._scope.fit(row, self._moment())

    def _known(self) -> dict[str, int]:
        """The orders of the scope that are believed open, and when each was last heard of."""
        as_of = self._moment()
        rows = list(self._dispatcher.resting.rows())
        return {row.order_id: row.touched_ns for row in rows if self._scope.fit(row, as_of) is Fit.YES}

    def _moment(self) -> Moment:
        return Moment(self._clock.monotonic_ns(), self._clock.utc_ns())


_NOBODY: Final = _Nobody()
