"""One venue under the kill: its sweep, and the hands that carry out what it decides.

Nothing here decides when a venue is flat, or when it is asked again: engine/sweep.py does. The bytes leave before
`perform` returns.
"""

from collections.abc import Callable
from typing import Any, Final, assert_never

import structlog

from ..contract.evidence import Fault, RestAnswer, RestCanceled, RestFailed, RestOrders
from ..contract.frames import SHOWN_LIMIT
from ..contract.outcomes import Settlement
from ..engine.calls import Call, Form
from ..engine.effects import Alert
from ..engine.instants import MS
from ..engine.lane import REST, Lane
from ..engine.resting import Resting
from ..engine.sweep import CancelOne, FireAll, Flat, Look, Sweep, Walk
from ..transport.clock import Clock
from .dispatcher import Dispatcher
from .events import Events

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

ONE_NS: Final = 1_000 * MS
"""How long one round's cancels of single orders are pursued: until the next round does it again, so that the two do not
spend twice what the venue allows."""

TURNED_AWAY: Final = frozenset({Fault.THROTTLED, Fault.ROUTE_BUSY, Fault.UNAVAILABLE})
"""The venue takes no cancels now, or wants fewer calls."""


PAUSED: Final[tuple[Form, ...]] = ("all", "open_orders")
"""The forms of a sweep's own calls; each has a pause of its own after a refusal of the key."""


class _Nobody:
    """The ticket of a sweep's own cancels: what they come to shows in the next look."""

    def answered(self, settlement: Settlement) -> None:
        log.debug("swept", venue=settlement.venue, order_id=settlement.order_id, route=settlement.route)

    def late(self, settlement: Settlement) -> None:
        log.debug("swept late", venue=settlement.venue, order_id=settlement.order_id, route=settlement.route)

    def fired_answered(self, lane: Lane, count: int | None, now_ns: int) -> None:
        log.debug("struck", lane=lane)

    def fired_failed(self, lane: Lane, why: str, now_ns: int, fault: Fault | None = None) -> None:
        log.debug("struck in vain", lane=lane, why=why)


class _Look:
    """Who is told what one look came to."""

    def __init__(self, front: "Front", number: int) -> None:
        self.asker = self._front = front
        self._number = number

    def call_answered(self, call: Call, answer: RestAnswer, now_ns: int) -> None:
        sweep = self._front.sweep
        if isinstance(answer, RestOrders):
            sweep.look_answered(self._number, [state.order_id for state in answer.orders], now_ns)
            self._front.perform()
        else:
            throttled = isinstance(answer, RestFailed) and answer.fault in (Fault.ROUTE_BUSY, Fault.THROTTLED)
            sweep.look_failed(self._number, _words(answer), now_ns, throttled=throttled)
            self._front.stay_away(call.form, now_ns)

    def call_failed(self, call: Call, left: bool, why: str, now_ns: int) -> None:
        self._front.sweep.look_failed(self._number, why, now_ns)
        self._front.stay_away(call.form, now_ns)


class Front:
    """From the kill until the re-arm. `news` is called whenever the sweep has moved."""

    def __init__(self, dispatcher: Dispatcher, clock: Clock, events: Events, news: Callable[[], None]) -> None:
        self._news = news
        self._dispatcher = dispatcher
        self._clock = clock
        self._events = events
        self._alert: str | None = None
        self._canceled: dict[str, None] = {}
        self._more = 0
        self.sweep = Sweep(
            dispatcher.venue,
            mass=dispatcher.policy.mass,
            rest=dispatcher.policy.rest,
            live=dispatcher.live,
            known=_known(dispatcher.resting),
            now_ns=clock.monotonic_ns(),
        )
        dispatcher.watch_pressing(self)
        dispatcher.press()

    def fire(self) -> None:
        """The kill was pulled again."""
        self._dispatcher.press()
        self.sweep.fire(_known(self._dispatcher.resting), self._clock.monotonic_ns())
        self.perform()

    def stop(self) -> None:
        """The switch is re-armed."""
        self._dispatcher.unwatch(self)
        if self._alert is not None:
            self._events.clear(self._alert)

    def status(self, now_ns: int) -> dict[str, Any]:
        """This venue in `killed` and in `status`; `order_ids` are those of which a cancel's end was told."""
        return {**self.sweep.status(now_ns), **self._gone()}

    def _gone(self) -> dict[str, Any]:
        more = {"more": self._more} if self._more else {}
        return {"order_ids": list(self._canceled), **more}

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
        if canceled and order_id not in self._canceled:
            if len(self._canceled) < SHOWN_LIMIT:
                self._canceled[order_id] = None
            else:
                self._more += 1
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
            self.perform()
        else:
            fault = answer.fault if isinstance(answer, RestFailed) else None
            self.sweep.fired_failed(REST, _words(answer), now_ns, turned_away=fault in TURNED_AWAY)
            self.stay_away(call.form, now_ns)

    def call_failed(self, call: Call, left: bool, why: str, now_ns: int) -> None:
        """The same, without an answer."""
        self.sweep.fired_failed(REST, why, now_ns)
        self.stay_away(call.form, now_ns)

    def rest_eased(self, now_ns: int) -> None:
        """The venue takes the key again: nothing waits for the end of a pause that grew while it did not."""
        for form in PAUSED:
            self.sweep.opens(max(self._dispatcher.rest_opens_ns(form), now_ns), now_ns, looks=form == "open_orders")
        self.perform()

    def stay_away(self, form: Form, now_ns: int) -> None:
        """A call came to nothing: where REST is closed to the next one, go on the moment that it opens."""
        opens_ns = self._dispatcher.rest_opens_ns(form)
        if opens_ns > now_ns:
            self.sweep.opens(opens_ns, now_ns, looks=form == "open_orders")
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
                    case FireAll(lane=lane):
                        if lane == REST:
                            dispatcher.request("all", self, urgent=True)
                        else:
                            dispatcher.fire(lane, self)
                    case Walk():
                        # Each by itself: what `cancel_all` does where there is no such request keeps to a pace.
                        for order_id in list(dispatcher.resting.open_ids()):
                            self._cancel(order_id, now_ns)
                    case CancelOne(order_id=order_id):
                        self._cancel(order_id, now_ns)
                    case Look(number=number):
                        dispatcher.request("open_orders", _Look(self, number), urgent=True)
                    case Flat():
                        self._told_flat()
                    case Alert(what=what, do=do):
                        self._alert = what
                        self._events.alert("critical", what, do)
                        log.error("not flat", venue=self._dispatcher.venue, what=what, do=do)
                    case _:
                        assert_never(effect)
            # The cancels of single orders, in one write.
            dispatcher.perform()
        self._news()

    def _cancel(self, order_id: str, now_ns: int) -> None:
        self._dispatcher.strike(_NOBODY, order_id, _NOBODY, now_ns + ONE_NS, now_ns)

    def _told_flat(self) -> None:
        if self._alert is not None:
            self._events.clear(self._alert)
            self._alert = None
        log.warning("flat", venue=self._dispatcher.venue, canceled=self.sweep.canceled)
        told = {"state": "flat", "venue": self._dispatcher.venue, "canceled": self.sweep.canceled}
        self._events.kill(told | self._gone())


_NOBODY: Final = _Nobody()


def _known(resting: Resting) -> dict[str, int]:
    """The orders believed open, and when each was last heard of."""
    return {row.order_id: row.touched_ns for row in map(resting.get, list(resting.open_ids())) if row is not None}


def _words(answer: RestAnswer) -> str:
    """What an answer that is no success says."""
    return str(getattr(answer, "error", None) or getattr(answer, "why", None) or "an answer to another question")
