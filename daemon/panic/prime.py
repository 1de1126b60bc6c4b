"""Prime over its WebSocket: no cancel of everything is offered there, so every order is cancelled by itself."""

import itertools
import time
from collections.abc import Sequence
from typing import Final

from ..contract.evidence import CancelReject, Hello, Orders, OrderState, Pong, Unattributed, Unreadable
from ..contract.ids import Reqid, Target
from ..credentials import Keys
from ..settings import Address
from ..transport.plain.line import Dialler
from ..venues.prime_ws import Prime
from ..venues.signing import prime_headers, prime_timestamp
from .answers import open_among
from .door import HOPELESS
from .report import Failed, Report
from .session import BURST, Session, heard, opened, session_of

HISTORY_NS: Final = 90 * 86_400 * 10**9
"""How old an order may be: the stream's filter goes by its birth, and the reach of one without is not published."""

QUIET_S: Final = 0.25
BARE_QUIET_S: Final = 0.5
"""Silence that proves a list of orders complete, once the answer to a later ping has come: its end is not marked. The
longer one where not a single order came, since an account without orders is told of by silence, and so is a slow list.
"""

WATCH_S: Final = 1.0
"""The longest wait for the next news of cancels that are under way."""


class PrimeRoute:
    """Prime over its WebSocket: no cancel of everything is offered there, so every order is cancelled by itself."""

    def __init__(self, dialler: Dialler, address: Address, keys: Keys, tag: str, report: Report) -> None:
        """tag: random, see venues.prime_ws.Prime."""
        self._dialler = dialler
        self._address = address
        self._keys = keys
        self._prime = Prime(tag)
        self._report = report
        self._reqids = itertools.count(1)
        self._session: Session | None = None
        self._subscription: Reqid | None = None
        self._reaches_back = True

    def cancel(self, resting: Sequence[OrderState], by_s: float) -> None:
        refused: str | None = None
        waiting: dict[str, Reqid] = {}
        with session_of("Prime WebSocket", self._hang_up):
            for order in resting:
                if order.symbol is None:
                    continue
                while len(waiting) >= BURST:
                    refused = self._hear_of(waiting, by_s) or refused
                if time.monotonic() >= by_s:
                    break  # the next look tells what is left
                reqid, session = self._next(), self._connected(by_s)
                self._report.note("Prime OrderCancelRequest")
                target = Target("order_id", order.order_id)
                session.send(self._prime.cancel_frame(reqid, target, order.symbol, time.time_ns()), by_s)
                waiting[order.order_id] = reqid
            while waiting:
                refused = self._hear_of(waiting, by_s) or refused
        if refused is not None:
            raise Failed(f"Prime WebSocket: {refused}")

    def _hear_of(self, waiting: dict[str, Reqid], by_s: float) -> str | None:
        """Hear until something has become of one of these cancels; why it was refused, if it was.

        What is silent for WATCH_S is waited for no longer: the next look has the last word.
        """
        quiet_by_s = min(by_s, time.monotonic() + WATCH_S)
        left, refused = len(waiting), None
        session = self._connected(by_s)
        while len(waiting) == left and refused is None:
            text = session.receive(quiet_by_s) if time.monotonic() < quiet_by_s else None
            if text is None:
                waiting.clear()
                break
            for evidence in self._prime.decode(text):
                match evidence:
                    case Orders(orders=orders):
                        for order in orders:
                            if order.status not in ("open", None) and waiting.pop(order.order_id, None) is not None:
                                self._report.canceled += order.status == "canceled"
                    case CancelReject(reqid=answered, error=error):
                        refused = error
                        for order_id in [one for one, reqid in waiting.items() if reqid == answered]:
                            del waiting[order_id]
                    case Unattributed(error=error):
                        refused = error
                    case _:
                        pass
        return refused

    def look(self, by_s: float) -> Sequence[OrderState]:
        self._report.note("Prime Order stream")
        with session_of("Prime WebSocket", self._hang_up):
            session = self._connected(by_s)
            reqid, ping = self._next(), self._next()
            # What was open is told when a stream begins, so each look begins one.
            if self._subscription is not None:
                session.send(self._prime.unsubscribe_frame(self._subscription), by_s)
            self._subscription = reqid
            since_ns = time.time_ns() - HISTORY_NS if self._reaches_back else None
            session.send(self._prime.orders_frame(reqid, since_ns), by_s)
            session.send(self._prime.ping_frame(ping, time.time_ns()), by_s)
            states, complete = self._collect(session, reqid, ping, by_s)
        resting = open_among(states)
        if not resting and not (complete and self._reaches_back):
            raise Failed("Prime WebSocket: the list of orders is not complete, what it leaves out may rest")
        return resting

    def _collect(self, session: Session, reqid: Reqid, ping: Reqid, by_s: float) -> tuple[list[OrderState], bool]:
        """The newest state of every order that the stream `reqid` tells of, and whether the venue told all."""
        states: dict[str, OrderState] = {}
        whole, count, total = True, 0, 0
        quiet_by_s: float | None = None
        while True:
            text = session.receive(by_s if quiet_by_s is None else min(by_s, quiet_by_s))
            if text is None:
                if quiet_by_s is None or quiet_by_s > by_s:
                    raise Failed("no complete list of orders in time")
                return list(states.values()), whole and count >= total
            for evidence in self._prime.decode(text):
                match evidence:
                    case Orders(reqid=told) if told == reqid:
                        whole = whole and not evidence.truncated
                        total = max(total, evidence.total or 0)
                        count += len(evidence.orders)
                        for order in evidence.orders:
                            states[order.order_id] = _newer(states.get(order.order_id), order)
                        if quiet_by_s is not None:
                            quiet_by_s = time.monotonic() + QUIET_S
                    case Pong(reqid=answered) if answered == ping:
                        if open_among(list(states.values())):
                            # There is something to cancel: what else comes, the next look has too.
                            return list(states.values()), whole and count >= total
                        quiet_by_s = time.monotonic() + (QUIET_S if states else BARE_QUIET_S)
                    case CancelReject(reqid=refused, fault=fault, error=error) if refused == reqid:
                        # The filter may be what it does not take. Without it nothing can be proved, but cancelled.
                        self._reaches_back = False
                        raise Failed(error, hopeless=fault in HOPELESS)
                    case Unreadable(why=why):
                        raise Failed(why)
                    case _:
                        pass

    def _connected(self, by_s: float) -> Session:
        if self._session is None:
            where, keys = self._address, self._keys
            timestamp = prime_timestamp(time.time_ns())
            headers = prime_headers(keys.key, keys.secret, timestamp, where.host, where.path or "/")
            session = opened(self._dialler, where, headers, by_s)
            self._session, self._subscription = session, None
            while not any(isinstance(evidence, Hello) for evidence in self._prime.decode(heard(session, by_s))):
                pass
        return self._session

    def _next(self) -> Reqid:
        return Reqid(next(self._reqids))

    def _hang_up(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.close()


def _newer(known: OrderState | None, told: OrderState) -> OrderState:
    """The later state of an order. Streams repeat themselves: an older row does not reopen what has ended."""
    if known is None or known.event_ns is None or told.event_ns is None:
        return told
    return told if told.event_ns >= known.event_ns else known
