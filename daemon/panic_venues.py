"""What `panic` does at each venue: cancel, look, and again, until two looks in a row show that nothing rests.

Blocking steps on plain connections, one thread per venue. Configuration, files and what is printed are not known here.
"""

import itertools
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, Literal, Protocol, TypeAlias, TypeVar

from .contract.evidence import (
    CancelAllAck,
    CancelReject,
    Fault,
    Hello,
    Orders,
    OrderState,
    Pong,
    RestAnswer,
    RestBatch,
    RestCanceled,
    RestFailed,
    RestOrders,
    RestToken,
    RestUnreadable,
    SubscriptionLost,
    Unattributed,
    Unreadable,
)
from .contract.ids import Reqid, Target
from .credentials import Keys, Secret
from .settings import Address
from .transport.plain.line import Dialler, Http, LineLost
from .venues import futures_rest, spot_rest
from .venues.prime_ws import Prime
from .venues.signing import prime_headers, prime_timestamp
from .venues.spot_rest import Request
from .venues.spot_ws_v2 import UNIFIED

LOOKS: Final = 2
"""Looks in a row that must show nothing. One could have been answered before an order on its way had arrived."""

LOOK_GAP_S: Final = 0.25
"""Between two looks, so that an order sent before the first one is in the second."""

PAUSE_FIRST_S: Final = 0.1
PAUSE_LIMIT_S: Final = 1.0
"""Between two rounds while something rests or a step failed: doubled from the first to the limit."""

STEP_TIMEOUT_S: Final = 5.0
"""The longest that one step waits for the venue: a busy one takes seconds, a lost answer must be asked for again."""

REFUSALS: Final = 3
"""Rounds in which the venue may refuse the key. More could lock it out, and the daemon's own cancels with it."""

HOPELESS: Final = frozenset({Fault.CREDENTIALS, Fault.LOCKOUT, Fault.PERMISSION, Fault.STALE_NONCE})
"""What another try hardly mends. A nonce is in it that was refused again and again: all but the first had jumped
ahead."""

NONCE_JUMPS: Final = 2
"""How often one call jumps above a nonce that was refused. A daemon that was overtaken jumps as well, and may come in
between our jump and our call."""

BY_ID_LIMIT: Final = 200
"""Orders named one by one in a round, when a cancel of everything has left them; the next look names the next ones."""

PRIME_HISTORY_NS: Final = 90 * 86_400 * 10**9
"""How old an order may be: the stream's filter goes by its birth, and the reach of one without is not published."""

PRIME_QUIET_S: Final = 0.5
"""Silence that proves an empty list of orders, once the answer to a later ping has come: its end is not marked."""

BURST: Final = 50
PRIME_WATCH_S: Final = 1.0
"""Cancels sent at once, and the longest wait for what becomes of them: 50 a second, as no limit is published."""

T = TypeVar("T")

State: TypeAlias = Literal["flat", "residual", "unreachable"]


class Failed(Exception):
    """A step did not do what it is for. hopeless: it will not do it the next time either."""

    def __init__(self, why: str, *, hopeless: bool = False) -> None:
        super().__init__(why)
        self.hopeless = hopeless


class Report:
    """What is known of one venue. Its thread writes, others may read at any time.

    state: `flat` when it is proved that nothing rests, `residual` when the last look showed something, `unreachable`
    when nothing is known. canceled: as the venue counted them. tried: how often which step was taken. why: the last
    thing that went wrong. took_s: until the end of the sweep, None before it.
    """

    def __init__(self) -> None:
        self.state: State = "unreachable"
        self.canceled = 0
        self.residual: tuple[str, ...] = ()
        self.tried: dict[str, int] = {}
        self.why: str | None = None
        self.took_s: float | None = None

    def note(self, step: str) -> None:
        """One more try of a step."""
        self.tried[step] = self.tried.get(step, 0) + 1


class Route(Protocol):
    """A way to cancel everything at one venue, and to see what rests. Both raise Failed."""

    def cancel(self, resting: Sequence[OrderState], by_s: float) -> None:
        """Cancel everything. resting: what the last look showed; empty before the first."""

    def look(self, by_s: float) -> Sequence[OrderState]:
        """Every order that rests, asked of the venue anew."""


def sweep(
    route: Route,
    report: Report,
    by_s: float,
    *,
    now_s: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Cancel and look until the venue is proved flat, until `by_s` (monotonic seconds), or until it refuses the key."""
    began_s = now_s()
    resting: Sequence[OrderState] = ()
    empty_looks = refusals = 0
    pause_s = PAUSE_FIRST_S
    while True:
        hopeless = False
        if not empty_looks:
            try:
                route.cancel(resting, min(by_s, now_s() + STEP_TIMEOUT_S))
            except Failed as failed:
                report.why, hopeless = str(failed), failed.hopeless
        try:
            resting = route.look(min(by_s, now_s() + STEP_TIMEOUT_S))
        except Failed as failed:
            report.why, hopeless = str(failed), hopeless or failed.hopeless
            empty_looks = 0
        else:
            report.residual = tuple(order.order_id for order in resting)
            report.state = "residual" if resting else "unreachable"
            empty_looks = 0 if resting else empty_looks + 1
        if empty_looks == LOOKS:
            report.state, report.why = "flat", None
            break
        refusals += hopeless
        wait_s = LOOK_GAP_S if empty_looks else pause_s
        if not empty_looks:
            pause_s = min(2 * pause_s, PAUSE_LIMIT_S)
        if refusals == REFUSALS or now_s() + wait_s >= by_s:
            break
        pause(wait_s)
    report.took_s = now_s() - began_s


class FirstThatWorks:
    """Several routes to one venue: the one in front is used; when it fails the next one takes its place."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self._routes = list(routes)

    def cancel(self, resting: Sequence[OrderState], by_s: float) -> None:
        self._try(lambda route, by_s: route.cancel(resting, by_s), by_s)

    def look(self, by_s: float) -> Sequence[OrderState]:
        return self._try(lambda route, by_s: route.look(by_s), by_s)

    def _try(self, step: Callable[[Route, float], T], by_s: float) -> T:
        failures: list[Failed] = []
        for left in range(len(self._routes), 0, -1):
            # An equal share of the time for each: one that is silent must not use up that of the others.
            now_s = time.monotonic()
            try:
                return step(self._routes[0], now_s + (by_s - now_s) / left)
            except Failed as failed:
                failures.append(failed)
                self._routes.append(self._routes.pop(0))
        raise Failed("; ".join(map(str, failures)), hopeless=all(failed.hopeless for failed in failures))


# ---------------------------------------------------------------- REST: Spot and Futures


class NonceSource(Protocol):
    """Nonces of one key."""

    def draw(self) -> int:
        """The next one."""

    def overtaken(self) -> None:
        """The venue has seen a higher one."""


class RestDoor:
    """One venue's REST endpoint under one key. Calls take turns, since nonces must arrive in sequence."""

    def __init__(self, dialler: Dialler, address: Address, nonces: NonceSource | None) -> None:
        self._http = Http(dialler, address.host, address.port, address.authority)
        self._nonces = nonces
        self._turn = threading.Lock()

    def call(
        self, build: Callable[[int], Request], decode: Callable[[int, bytes], RestAnswer], by_s: float
    ) -> RestAnswer:
        """Make one call; a refused nonce is told to the source and tried anew. Raises Failed."""
        if not self._turn.acquire(timeout=max(0.0, by_s - time.monotonic())):
            raise Failed("another call did not end in time")
        try:
            answer = self._ask(build, decode, by_s)
            for _ in range(NONCE_JUMPS):
                if self._nonces is None or not isinstance(answer, RestFailed) or answer.fault is not Fault.STALE_NONCE:
                    break
                self._nonces.overtaken()
                answer = self._ask(build, decode, by_s)
        except LineLost as lost:
            raise Failed(f"REST: {lost}") from None
        finally:
            self._turn.release()
        if isinstance(answer, RestFailed):
            raise Failed(f"REST: {answer.error}", hopeless=answer.fault in HOPELESS)
        if isinstance(answer, RestUnreadable):
            raise Failed(f"REST: {answer.why}")
        return answer

    def _ask(
        self, build: Callable[[int], Request], decode: Callable[[int, bytes], RestAnswer], by_s: float
    ) -> RestAnswer:
        # Connected first: a nonce drawn before a slow dial would be overtaken by the daemon's meanwhile.
        self._http.make_ready(by_s)
        request = build(0 if self._nonces is None else self._nonces.draw())
        return decode(*self._http.exchange(request.method, request.path, request.headers, request.body, by_s))


class SpotRoute:
    """Spot over REST."""

    def __init__(self, door: RestDoor, keys: Keys, report: Report) -> None:
        self._door = door
        self._keys = keys
        self._report = report

    def cancel(self, resting: Sequence[OrderState], by_s: float) -> None:
        keys = self._keys
        self._report.note("REST CancelAll")
        try:
            answer = self._door.call(
                lambda nonce: spot_rest.cancel_all_request(keys, nonce), spot_rest.decode_cancel, by_s
            )
            _count(answer, self._report)
        finally:
            # A cancel of everything that leaves an order, or is refused, must not be the only one tried.
            for ids in _portions(resting, spot_rest.BATCH_LIMIT):
                self._cancel_by_id(ids, by_s)

    def _cancel_by_id(self, ids: Sequence[str], by_s: float) -> None:
        # Whether a batch may be one order is told differently on different pages.
        alone = Target("order_id", ids[0]) if len(ids) == 1 else None
        self._report.note("REST CancelOrderBatch" if alone is None else "REST CancelOrder")
        answer = self._door.call(
            lambda nonce: (
                spot_rest.cancel_batch_request(self._keys, nonce, ids)
                if alone is None
                else spot_rest.cancel_request(self._keys, nonce, alone)
            ),
            spot_rest.decode_cancel,
            by_s,
        )
        _count(answer, self._report)

    def look(self, by_s: float) -> Sequence[OrderState]:
        self._report.note("REST OpenOrders")
        answer = self._door.call(
            lambda nonce: spot_rest.open_orders_request(self._keys, nonce), spot_rest.decode_orders, by_s
        )
        return _listed(answer)


class FuturesRoute:
    """Futures over its own REST API."""

    def __init__(self, door: RestDoor, keys: Keys, report: Report) -> None:
        self._door = door
        self._keys = keys
        self._report = report

    def cancel(self, resting: Sequence[OrderState], by_s: float) -> None:
        keys = self._keys
        self._report.note("REST cancelallorders")
        try:
            answer = self._door.call(
                lambda _: futures_rest.cancel_all_request(keys), futures_rest.decode_cancel_all, by_s
            )
            _count(answer, self._report)
        finally:
            for ids in _portions(resting, futures_rest.BATCH_LIMIT):
                self._cancel_by_id([Target("order_id", order_id) for order_id in ids], by_s)

    def _cancel_by_id(self, targets: Sequence[Target], by_s: float) -> None:
        self._report.note("REST batchorder")
        answer = self._door.call(
            lambda _: futures_rest.batch_request(self._keys, targets),
            lambda status, body: futures_rest.decode_batch(status, body, targets),
            by_s,
        )
        _count(answer, self._report)

    def look(self, by_s: float) -> Sequence[OrderState]:
        self._report.note("REST openorders")
        answer = self._door.call(
            lambda _: futures_rest.open_orders_request(self._keys), futures_rest.decode_open_orders, by_s
        )
        return _listed(answer)


def _count(answer: RestAnswer, report: Report) -> None:
    verdicts = answer.verdicts.values() if isinstance(answer, RestBatch) else (answer,)
    for verdict in verdicts:
        if isinstance(verdict, RestCanceled):
            report.canceled += verdict.count
        elif isinstance(verdict, RestOrders):
            report.canceled += sum(order.status == "canceled" for order in verdict.orders)


def _listed(answer: RestAnswer) -> Sequence[OrderState]:
    if not isinstance(answer, RestOrders):
        raise Failed("REST: not a list of orders")
    return _open(answer.orders)


def _open(orders: Sequence[OrderState]) -> Sequence[OrderState]:
    """Those that rest; one of which the venue does not say whether it does is one of them."""
    return [order for order in orders if order.status in ("open", None)]


def _portions(resting: Sequence[OrderState], size: int) -> Iterator[list[str]]:
    ids = [order.order_id for order in resting[:BY_ID_LIMIT]]
    for start in range(0, len(ids), size):
        yield ids[start : start + size]


# ---------------------------------------------------------------- Unified WebSocket: Futures by another way


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
        with _session_of("Unified WebSocket", self._hang_up):
            session, token = self._connected(by_s)
            session.send(UNIFIED.cancel_all_frame(token, reqid), by_s)
            for order in resting[:BURST]:
                session.send(UNIFIED.cancel_frame(token, self._next(), Target("order_id", order.order_id)), by_s)
            while True:
                match UNIFIED.decode(_heard(session, by_s)):
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
        with _session_of("Unified WebSocket", self._hang_up):
            session, token = self._connected(by_s)
            session.send(UNIFIED.subscribe_frame(token, self._next()), by_s)
            while True:
                match UNIFIED.decode(_heard(session, by_s)):
                    case Orders(snapshot=True, orders=orders):
                        return _open(orders)
                    case SubscriptionLost(fault=fault, error=error) | Unattributed(fault=fault, error=error):
                        raise self._refused(fault, error)
                    case Unreadable(why=why):
                        raise Failed(why)
                    case _:
                        pass

    def _refused(self, fault: Fault, error: str) -> Failed:
        if fault is Fault.STALE_TOKEN:
            self._token = None
        return Failed(error, hopeless=fault in HOPELESS)

    def _connected(self, by_s: float) -> tuple["Session", Secret[str]]:
        if self._token is None:
            answer = self._spot.call(
                lambda nonce: spot_rest.token_request(self._spot_keys, nonce), spot_rest.decode_token, by_s
            )
            if not isinstance(answer, RestToken):
                raise Failed("no WebSocket token")
            self._token = Secret(answer.token)
        if self._session is None:
            self._session = _opened(self._dialler, self._address, (), by_s)
        return self._session, self._token

    def _next(self) -> Reqid:
        return Reqid(next(self._reqids))

    def _hang_up(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.close()


# ---------------------------------------------------------------- Prime


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
        with _session_of("Prime WebSocket", self._hang_up):
            for start in range(0, len(resting), BURST):
                if time.monotonic() >= by_s:
                    break  # the next look tells what is left
                burst = [order for order in resting[start : start + BURST] if order.symbol is not None]
                session = self._connected(by_s)
                for order in burst:
                    assert order.symbol is not None
                    self._report.note("Prime OrderCancelRequest")
                    target = Target("order_id", order.order_id)
                    session.send(self._prime.cancel_frame(self._next(), target, order.symbol, time.time_ns()), by_s)
                waited_by_s = min(by_s, time.monotonic() + PRIME_WATCH_S)
                refused = self._watch(session, {order.order_id for order in burst}, waited_by_s) or refused
        if refused is not None:
            raise Failed(f"Prime WebSocket: {refused}")

    def _watch(self, session: "Session", waiting: set[str], by_s: float) -> str | None:
        """Hear what becomes of cancels; why one was refused, if one was. The next look has the last word."""
        refused: str | None = None
        while waiting and (text := session.receive(by_s)) is not None:
            for evidence in self._prime.decode(text):
                match evidence:
                    case Orders(orders=orders):
                        for order in orders:
                            if order.order_id in waiting and order.status not in ("open", None):
                                waiting.discard(order.order_id)
                                self._report.canceled += order.status == "canceled"
                    case CancelReject(error=error) | Unattributed(error=error):
                        refused = error
                    case _:
                        pass
        return refused

    def look(self, by_s: float) -> Sequence[OrderState]:
        self._report.note("Prime Order stream")
        with _session_of("Prime WebSocket", self._hang_up):
            session = self._connected(by_s)
            reqid, ping = self._next(), self._next()
            # What was open is told when a stream begins, so each look begins one.
            if self._subscription is not None:
                session.send(self._prime.unsubscribe_frame(self._subscription), by_s)
            self._subscription = reqid
            since_ns = time.time_ns() - PRIME_HISTORY_NS if self._reaches_back else None
            session.send(self._prime.orders_frame(reqid, since_ns), by_s)
            session.send(self._prime.ping_frame(ping, time.time_ns()), by_s)
            states, complete = self._collect(session, reqid, ping, by_s)
        resting = _open(states)
        if not resting and not (complete and self._reaches_back):
            raise Failed("Prime WebSocket: the list of orders is not complete, what it leaves out may rest")
        return resting

    def _collect(self, session: "Session", reqid: Reqid, ping: Reqid, by_s: float) -> tuple[list[OrderState], bool]:
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
                            quiet_by_s = time.monotonic() + PRIME_QUIET_S
                    case Pong(reqid=answered) if answered == ping:
                        if _open(list(states.values())):
                            # There is something to cancel: what else comes, the next look has too.
                            return list(states.values()), whole and count >= total
                        quiet_by_s = time.monotonic() + PRIME_QUIET_S
                    case CancelReject(reqid=refused, fault=fault, error=error) if refused == reqid:
                        # The filter may be what it does not take. Without it nothing can be proved, but cancelled.
                        self._reaches_back = False
                        raise Failed(error, hopeless=fault in HOPELESS)
                    case Unreadable(why=why):
                        raise Failed(why)
                    case _:
                        pass

    def _connected(self, by_s: float) -> "Session":
        if self._session is None:
            where, keys = self._address, self._keys
            timestamp = prime_timestamp(time.time_ns())
            headers = prime_headers(keys.key, keys.secret, timestamp, where.host, where.path or "/")
            session = _opened(self._dialler, where, headers, by_s)
            self._session, self._subscription = session, None
            while not any(isinstance(evidence, Hello) for evidence in self._prime.decode(_heard(session, by_s))):
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


# ---------------------------------------------------------------- what both WebSocket routes need


class Session(Protocol):
    """A WebSocket session, see transport.plain.websocket."""

    def send(self, text: bytes, by_s: float) -> None: ...

    def receive(self, by_s: float) -> str | None: ...

    def close(self) -> None: ...


@contextmanager
def _session_of(name: str, hang_up: Callable[[], None]) -> Iterator[None]:
    """Turns what ends a session into Failed, and makes sure that a session in doubt is not used again."""
    try:
        yield
    except (LineLost, Failed) as error:
        hang_up()
        hopeless = error.hopeless if isinstance(error, Failed) else getattr(error, "status", None) in (401, 403)
        raise Failed(f"{name}: {error}", hopeless=hopeless) from None


def _opened(dialler: Dialler, where: Address, headers: Sequence[tuple[str, str]], by_s: float) -> Session:
    # Late: the framing takes longer to import than Spot and Futures take to send their first bytes.
    from .transport.plain.websocket import open_websocket

    return open_websocket(dialler, where.host, where.port, where.authority, where.path or "/", headers, by_s)


def _heard(session: Session, by_s: float) -> str:
    """The next message. Raises LineLost when there is none."""
    text = session.receive(by_s)
    if text is None:
        raise LineLost("no answer in time")
    return text
