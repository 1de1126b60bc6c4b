"""Futures by another way: the Unified WebSocket, with a token of the Spot key."""

import itertools
from collections.abc import Sequence

from ..contract.evidence import (
    CancelAllAck,
    CancelReject,
    Fault,
    Orders,
    OrderState,
    RestToken,
    SubscriptionLost,
    Unattributed,
    Unreadable,
)
from ..contract.ids import Reqid, Target
from ..credentials import Keys, Secret
from ..settings import Address
from ..transport.plain.line import Dialler
from ..venues import spot_rest
from ..venues.spot_ws_v2 import UNIFIED
from .answers import open_among
from .door import HOPELESS, RestDoor
from .report import Failed, Report
from .session import BURST, Session, heard, opened, session_of


class UnifiedRoute:
    """Futures over the Unified WebSocket, with a token of the Spot key. What rests is told by its order snapshot."""

    def __init__(self, dialler: Dialler, address: Address, spot: RestDoor, spot_keys: Keys, report: Report) -> None:
        self._dialler = dialler
        self._address = address
        self._spot = spot
        self._spot_keys = spot_keys
        self._report = report
        self._reqids = itertools.count(1)
        self._token: Secret[str] | None = None
        self._session: Session | None = None

    def cancel(self, resting: Sequence[OrderState], by_s: float) -> None:
        self._report.note("Unified WebSocket cancel_all")
        reqid = self._next()
        with session_of("Unified WebSocket", self._hang_up):
            session, token = self._connected(by_s)
            session.send(UNIFIED.cancel_all_frame(token, reqid), by_s)
            for order in resting[:BURST]:
                session.send(UNIFIED.cancel_frame(token, self._next(), Target("order_id", order.order_id)), by_s)
            while True:
                match UNIFIED.decode(heard(session, by_s)):
                    case CancelAllAck(reqid=answered, count=count) if answered == reqid:
                        self._report.canceled += count or 0
                        return
                    case CancelReject(reqid=answered, fault=fault, error=error) if answered == reqid:
                        raise self._refused(fault, error)
                    case _:
                        pass

    def look(self, by_s: float) -> Sequence[OrderState]:
        self._report.note("Unified WebSocket executions")
        # A snapshot comes once in the life of a subscription, and one subscription is all that a connection takes.
        self._hang_up()
        with session_of("Unified WebSocket", self._hang_up):
            session, token = self._connected(by_s)
            reqid = self._next()
            session.send(UNIFIED.subscribe_frame(token, reqid), by_s)
            while True:
                match UNIFIED.decode(heard(session, by_s)):
                    case Orders(snapshot=True, orders=orders):
                        return open_among(orders)
                    case Unattributed(fault=Fault.ROUTE_BUSY):
                        # The rate of the whole address is meant; what was asked for here may come all the same.
                        pass
                    case SubscriptionLost(reqid=answered, fault=fault, error=error) if answered in (None, reqid):
                        raise self._refused(fault, error)
                    case Unattributed(fault=fault, error=error):
                        raise self._refused(fault, error)
                    case Unreadable(why=why):
                        raise Failed(why)
                    case _:
                        pass

    def _refused(self, fault: Fault, error: str) -> Failed:
        if fault is Fault.STALE_TOKEN:
            self._token = None
        return Failed(error, hopeless=fault in HOPELESS)

    def _connected(self, by_s: float) -> tuple[Session, Secret[str]]:
        if self._token is None:
            answer = self._spot.call(
                lambda nonce: spot_rest.token_request(self._spot_keys, nonce), spot_rest.decode_token, by_s
            )
            if not isinstance(answer, RestToken):
                raise Failed("no WebSocket token")
            self._token = Secret(answer.token)
        if self._session is None:
            self._session = opened(self._dialler, self._address, (), by_s)
        return self._session, self._token

    def _next(self) -> Reqid:
        return Reqid(next(self._reqids))

    def _hang_up(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.close()
