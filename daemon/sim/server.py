"""The simulated Kraken as one object: accepts streams, routes what arrives on them, and opens its books to tests.

One accepted connection carries HTTP/1.1 requests, one after the other, and at most one upgrade to a WebSocket. Routes:

| path | what |
|---|---|
| `/0/public/...`, `/0/private/...` | Spot REST |
| `/`, `/v2` (upgrade) | Spot WebSocket v1 and v2 |
| `/v2/private` (upgrade) | Unified WebSocket |
| `/derivatives/api/v3/...` | Futures REST |
| `/ws/v1` (upgrade) | Prime when the request is signed, else the Futures feed |
| `/sim/faults` | POST one fault or a list of them, DELETE lifts them all |
| `/sim/orders` | GET what rests; POST puts an order on the book, past every check |
| `/sim/fill`, `/sim/expire` | POST `{"order_id": ..., "quantity": ...}`: the market acts on a resting order |
| `/sim/log` | GET everything the venue side received, in wire order |

It opens no socket itself and reads no clock: `process.py` does.
"""

from __future__ import annotations

import json
import random
import socket
import struct
from collections.abc import Callable
from dataclasses import asdict, dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Protocol

import trio

from .exchange import VENUES, DuplicateClientID, Exchange, Order, Side, Venue
from .faults import BLOCKING, BadFault, Fault, Faults
from .futures import FuturesEngine
from .futures_feed import FuturesFeed
from .futures_rest import ROOT as FUTURES_ROOT
from .futures_rest import FuturesRest
from .http import READ_SIZE, HttpAnswer, HttpConnection, HttpRequest, json_answer
from .keys import Keyring
from .prime import PrimeEngine
from .prime_ws import PrimeV1, admit, is_prime
from .rates import (
    FUTURES_BUDGET,
    GENEROUS,
    PRO,
    Budget,
    Budgets,
    RestCounters,
    RestLimit,
    Tier,
    TradingCounters,
)
from .spot import SpotEngine
from .spot_rest import SpotRest
from .spot_ws import SpotV1
from .spot_ws_v2 import SpotV2
from .status import MarketStatus
from .unified_ws import UnifiedV2
from .websocket import Dialect, Line, WebSocketSession, accept

DEFAULT_ACCOUNT = "default"
RECORD_LIMIT = 200_000  # frames and requests remembered, oldest forgotten first
DEFAULT_SYMBOL: dict[Venue, str] = {"spot": "XBT/USD", "prime": "BTC-USD", "futures": "PF_XBTUSD"}

_HTML = b"<html><head><title>502 Bad Gateway</title></head><body><center>cloudflare</center></body></html>"


@dataclass(frozen=True, slots=True)
class Received:
    """One WebSocket message or REST request as it came in.

    at_s: unix seconds. connection: number of the accepted stream. session: number of the WebSocket connection, None
    for REST. operation: REST method, v1 event or v2 method, None for what could not be read. body: parsed where it
    could be.
    """

    at_s: float
    route: str
    connection: int
    session: int | None
    operation: str | None
    body: Any


class RestFront(Protocol):
    """A venue's REST dialect."""

    route: str

    def operation(self, request: HttpRequest) -> str: ...

    def parsed(self, request: HttpRequest) -> Any: ...

    def answer(self, request: HttpRequest) -> HttpAnswer: ...

    def error(self, text: str, form: str, status: int | None) -> HttpAnswer: ...


class _Reset(Exception):
    """The connection is to end abruptly."""


class SimulatedKraken:
    """Every venue, one account and its credentials to begin with.

    now: unix seconds; under a virtual clock it must move with trio's, as `lambda: start + trio.current_time()` does.
    rng: one seed gives one run. tier: Spot's trading-rate limits. rest_limit: the counter of each Spot REST key.
    futures_budget: points an account may spend on Futures requests.
    """

    def __init__(
        self,
        *,
        now: Callable[[], float],
        rng: random.Random,
        tier: Tier = PRO,
        rest_limit: RestLimit = GENEROUS,
        futures_budget: Budget = FUTURES_BUDGET,
        idle_timeout_s: float = 60.0,
        subscription_grace_s: float = 5.0,
    ) -> None:
        self.now = now
        self.idle_timeout_s = idle_timeout_s
        self.subscription_grace_s = subscription_grace_s
        self.shuffle: Callable[[list[Any]], None] = rng.shuffle
        self.uniform: Callable[[float, float], float] = rng.uniform
        self._rng = rng
        self.exchange = Exchange(now=now, rng=rng)
        self.keys = Keyring(now=now, rng=rng)
        self.faults = Faults(now=now, rng=rng, strike=self.strike)
        self.spot = SpotEngine(exchange=self.exchange, keys=self.keys, counters=TradingCounters(now, tier), now=now)
        self.futures = FuturesEngine(
            exchange=self.exchange, keys=self.keys, budgets=Budgets(now, futures_budget), now=now
        )
        self.prime = PrimeEngine(exchange=self.exchange, now=now, rng=rng)
        self.credentials = {venue: self._first_key(venue) for venue in VENUES}
        self.received: list[Received] = []
        self.sessions: dict[int, WebSocketSession] = {}
        self._connections: dict[WebSocketSession, int] = {}
        self._rest_connections: dict[int, tuple[str, trio.CancelScope]] = {}
        self._accepted = 0
        self._upgraded = 0
        self._spot_rest = SpotRest(
            self.spot, counters=RestCounters(now, rest_limit), take=self._taker(SpotRest.route), now=now
        )
        self._futures_rest = FuturesRest(
            self.futures, take=self._taker(FuturesRest.route), shuffle=self.shuffle, now=now
        )

    # --- for tests in the same process ----------------------------------------------------------------------------

    def resting(self, venue: Venue = "spot", account: str | None = None) -> list[Order]:
        """What rests at a venue now, in placement order: the judge of every scenario."""
        self.advance()
        return self.exchange.open_orders(account, venue)

    def place(
        self,
        venue: Venue = "spot",
        *,
        pair: str | None = None,
        side: Side = "buy",
        userref: int = 0,
        cl_ord_id: str | None = None,
        account: str = DEFAULT_ACCOUNT,
        order_id: str | None = None,
        quantity: Decimal | None = None,
        price: Decimal | None = None,
    ) -> str:
        """Put an order on the book past every check and counter; returns its id. pair: the venue's own spelling."""
        self.advance()
        if venue == "prime" and cl_ord_id is None:
            cl_ord_id = self.prime.fresh_id()  # there every order has one
        order = self.exchange.place(
            account,
            venue,
            symbol=DEFAULT_SYMBOL[venue] if pair is None else pair,
            side=side,
            cl_ord_id=cl_ord_id,
            userref=userref,
            order_id=order_id,
            quantity=Decimal(1) if quantity is None else quantity,
            price=Decimal(1000) if price is None else price,
        )
        return order.order_id

    def operations(self, operation: str) -> list[Received]:
        """What was received under one name, in wire order."""
        return [received for received in self.received if received.operation == operation]

    # --- time and faults ------------------------------------------------------------------------------------------

    def advance(self) -> None:
        """Let everything that is due take effect: status changes, expiries, countdowns."""
        for market in (self.spot.market, self.futures.market):
            market.advance()
        self.exchange.advance()
        self.prime.advance()

    def due_in_s(self) -> float | None:
        """Seconds until `advance` next has something to do."""
        clocks = (self.spot.market, self.futures.market, self.exchange, self.prime)
        due = [due_s for clock in clocks if (due_s := clock.next_due_s()) is not None]
        return min(due) - self.now() if due else None

    def strike(self, fault: Fault, session: WebSocketSession | None = None) -> None:
        """Let a fault act at once, on one connection or on every live one it is meant for."""
        match fault.kind:
            case "invalid_session":
                return self.keys.revoke_tokens()
            case "maintenance":
                assert fault.for_s is not None
                for market in self._markets(fault.route):
                    market.maintain(fault.for_s, fault["cancel_only_s"])
                return self._stir()
            case "market_status":
                for market in self._markets(fault.route):
                    market.schedule([(self.now(), fault["mode"])])
                return self._stir()
            case _:
                pass
        if fault.kind == "half_open":
            self.faults.last(fault)
        if fault.kind == "reset_sockets":
            # Warm REST connections only when they are named: without a route it is the sockets that are meant.
            for route, scope in self._rest_connections.values():
                if route == fault.route:
                    scope.cancel()
        targets = [session] if session is not None else list(self.sessions.values())
        for target in targets:
            if fault.session in (None, target.index) and fault.route in (None, target.route):
                _strike_session(fault, target)
        return None

    def _markets(self, route: str | None) -> list[MarketStatus]:
        """The markets a fault on a route is about. Prime announces no status."""
        engines = {"spot": self.spot.market, "futures": self.futures.market, "unified": self.futures.market}
        if route is None:
            return [self.spot.market, self.futures.market]
        return [market for name, market in engines.items() if route.startswith(name)]

    def _taker(self, route: str) -> Callable[[str, str], Fault | None]:
        return lambda kind, operation: self.faults.take(kind, route=route, operation=operation)

    def _stir(self) -> None:
        for session in self.sessions.values():
            session.stir()

    def note_frame(self, session: WebSocketSession, operation: str | None, body: Any) -> None:
        """Remember one WebSocket message."""
        self._note(session.route, self._connections[session], session.index, operation, body)

    def _note(self, route: str, connection: int, session: int | None, operation: str | None, body: Any) -> None:
        if len(self.received) >= RECORD_LIMIT:
            # A tenth at a time: dropping one per message would copy the whole list per message.
            del self.received[: RECORD_LIMIT // 10]
        self.received.append(Received(self.now(), route, connection, session, operation, body))

    def _first_key(self, venue: Venue) -> dict[str, str]:
        key = self.keys.issue(venue, DEFAULT_ACCOUNT)
        return {"key": key.key, "secret": key.secret}

    # --- one connection -------------------------------------------------------------------------------------------

    async def before_tls(self, stream: trio.abc.Stream) -> bool:
        """Let the faults that strike before any TLS byte act on an accepted stream; False when it is to be dropped."""
        if self.faults.take("refuse_connections"):
            await reset(stream)
            return False
        if self.faults.take("stall_accept") or self.faults.take("stall_tls"):
            await _stall(stream)
            return False
        return True

    async def serve_stream(self, stream: trio.abc.Stream, *, faults_before_tls: bool = True) -> None:
        """Serve one accepted, already decrypted connection until either side ends it. Closes the stream.

        faults_before_tls: False when the caller has asked `before_tls` already.
        """
        number, self._accepted = self._accepted, self._accepted + 1
        try:
            if not faults_before_tls or await self.before_tls(stream):
                await self._serve_http(stream, number)
        except _Reset:
            await reset(stream)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # the peer is gone
        finally:
            self._rest_connections.pop(number, None)
            await trio.aclose_forcefully(stream)

    async def _serve_http(self, stream: trio.abc.Stream, number: int) -> None:
        http = HttpConnection(stream, self.now)
        with trio.CancelScope() as scope:
            while (request := await http.read()) is not None:
                self.advance()
                if "upgrade" in request.headers:
                    return await self._serve_upgrade(stream, http, request, number)
                if front := self._front(request.path):
                    self._rest_connections[number] = (front.route, scope)
                    go_on = await self._serve_rest(front, http, request, number)
                elif request.path.startswith("/sim/"):
                    go_on = await http.write(self._control(request))
                else:
                    go_on = await http.write(json_answer({"error": "not found"}, 404))
                if not go_on:
                    return None
        if scope.cancelled_caught:
            raise _Reset
        return None

    async def _serve_upgrade(
        self, stream: trio.abc.Stream, http: HttpConnection, request: HttpRequest, number: int
    ) -> None:
        speaker = self._speaker(request)
        if speaker is None:
            await http.write(json_answer({"error": "not found"}, 404))
            return None
        route, speak = speaker
        index, self._upgraded = self._upgraded, self._upgraded + 1
        if self.faults.take("stall_handshake", route=route, session=index):
            return await _stall(stream)
        if fault := self.faults.take("refuse_upgrade", route=route, session=index):
            located = () if fault["location"] is None else (("location", fault["location"]),)
            await http.write(HttpAnswer(fault["status"], b"", "text/plain", located))
            return None
        if speak is None:
            await http.write(json_answer({"error": "unauthorized"}, 401))
            return None
        accepted = accept(request.raw_headers, request.target, self.now())
        if accepted is None:
            await http.write(json_answer({"error": "bad upgrade request"}, 400))
            return None
        answer, connection = accepted
        await stream.send_all(answer)
        session = WebSocketSession(index=index, stream=stream, connection=connection, host=self, speak=speak)
        self.sessions[index] = session
        self._connections[session] = number
        try:
            await session.run(http.trailing)
        finally:
            del self.sessions[index]
            del self._connections[session]
        if session.abrupt:
            raise _Reset
        return None

    def _front(self, path: str) -> RestFront | None:
        if path.startswith("/0/"):
            return self._spot_rest
        return self._futures_rest if path.startswith(FUTURES_ROOT) else None

    def _speaker(self, request: HttpRequest) -> tuple[str, Callable[[Line], Dialect] | None] | None:
        """The dialect an upgrade request is for, as (route, what makes one for a connection).

        None where nothing is spoken; (route, None) where the request is not signed as it should be.
        """
        connection_id, now = self._rng.getrandbits(63), self.now
        match request.path:
            case "/":
                return SpotV1.route, lambda line: SpotV1(line, self.spot, connection_id=connection_id, now=now)
            case "/v2":
                return SpotV2.route, lambda line: SpotV2(line, self.spot, connection_id=connection_id, now=now)
            case "/v2/private":
                return UnifiedV2.route, lambda line: UnifiedV2(
                    line, self.futures, tokens=self.spot, connection_id=connection_id, now=now
                )
            case "/ws/v1" if is_prime(request.headers):
                key = admit(request.headers, request.path, keys=self.keys, now_s=now())
                if key is None:
                    return PrimeV1.route, None
                return PrimeV1.route, lambda line: PrimeV1(line, self.prime, key, connection_id=connection_id, now=now)
            case "/ws/v1":
                return FuturesFeed.route, lambda line: FuturesFeed(line, self.futures, rng=self._rng, now=now)
            case _:
                return None

    async def _serve_rest(self, front: RestFront, http: HttpConnection, request: HttpRequest, number: int) -> bool:
        """Answer one REST request, as far as the faults allow; False when the connection is over."""
        operation = front.operation(request)
        self._note(front.route, number, None, operation, front.parsed(request))

        def take(kind: str) -> Fault | None:
            return self.faults.take(kind, route=front.route, operation=operation)

        delay = take("rest_delay")
        if delay and delay["request"]:
            await trio.sleep(delay["seconds"])
            self.advance()
        answer, cut_short = _rest_answer(front, request, take)
        if delay and not delay["request"]:
            await trio.sleep(delay["seconds"])
        return await http.write(answer, cut_short=cut_short)

    # --- the control door -----------------------------------------------------------------------------------------

    def _control(self, request: HttpRequest) -> HttpAnswer:
        """Answer under /sim/. A request that cannot be carried out gets 400 and says why."""
        try:
            match request.method, request.path:
                case "POST", "/sim/faults":
                    self._inject_over_http(json.loads(request.body))
                    return json_answer({"ok": True})
                case "DELETE", "/sim/faults":
                    self.faults.clear()
                    return json_answer({"ok": True})
                case "GET", "/sim/orders":
                    return json_answer({venue: [_shown(order) for order in self.resting(venue)] for venue in VENUES})
                case "POST", "/sim/orders":
                    return json_answer({"order_id": self._place_over_http(json.loads(request.body))})
                case "POST", "/sim/fill":
                    order, asked = self._resting_order(json.loads(request.body))
                    self.exchange.fill(order, Decimal(str(asked["quantity"])) if "quantity" in asked else None)
                    return json_answer({"ok": True})
                case "POST", "/sim/expire":
                    self.exchange.expire(self._resting_order(json.loads(request.body))[0])
                    return json_answer({"ok": True})
                case "POST", "/sim/keys":
                    return json_answer(self._issue_over_http(json.loads(request.body)))
                case "GET", "/sim/log":
                    return json_answer({"received": [asdict(received) for received in self.received]})
                case _:
                    return json_answer({"error": "no such control"}, 404)
        except (BadFault, LookupError, TypeError, ValueError, InvalidOperation, DuplicateClientID) as wrong:
            return json_answer({"error": f"{type(wrong).__name__}: {wrong}"}, 400)

    def _inject_over_http(self, asked: Any) -> None:
        """Faults by the control door. One that would shut this very door must name its own end."""
        for fault in asked if isinstance(asked, list) else [asked]:
            if not isinstance(fault, dict):
                raise BadFault("a fault is a map")
            if fault.get("kind") in BLOCKING and not fault.keys() & {"times", "for_s"}:
                raise BadFault(f"{fault['kind']}: needs times or for_s here, or nobody could lift it again")
        self.faults.inject(asked)

    def _place_over_http(self, asked: dict[str, Any]) -> str:
        if unknown := asked.keys() - {"venue", "pair", "userref", "cl_ord_id", "order_id", "quantity", "price"}:
            raise ValueError(f"unknown members {sorted(unknown)}")
        if asked.get("venue", "spot") not in VENUES:
            raise ValueError("venue")
        amounts: dict[str, Any] = {name: Decimal(str(asked[name])) for name in ("quantity", "price") if name in asked}
        return self.place(**asked | amounts)

    def _issue_over_http(self, asked: dict[str, Any]) -> dict[str, str]:
        """One more key for the account: a second program has a key of its own."""
        venue = next((venue for venue in VENUES if venue == asked["venue"]), None)
        if venue is None:
            raise ValueError("venue")
        issued = self.keys.issue(venue, DEFAULT_ACCOUNT)
        return {"key": issued.key, "secret": issued.secret}

    def _resting_order(self, asked: dict[str, Any]) -> tuple[Order, dict[str, Any]]:
        for venue in VENUES:
            if order := self.exchange.known_order(venue, asked["order_id"]):
                return order, asked
        raise LookupError(f"no resting order {asked['order_id']}")


def _rest_answer(
    front: RestFront, request: HttpRequest, take: Callable[[str], Fault | None]
) -> tuple[HttpAnswer, bool]:
    """The answer to a REST request, and whether it is to be cut short. Raises _Reset when there is to be none."""
    for kind in ("rest_close_before_answer", "rest_status", "rest_html_200", "rest_redirect", "rest_error"):
        fault = take(kind)
        if fault is None:
            continue
        if fault.after_effect:
            front.answer(request)
        match kind:
            case "rest_close_before_answer":
                raise _Reset
            case "rest_status":
                body = _HTML if fault["body"] is None else fault["body"].encode()
                return HttpAnswer(fault["status"], body, fault["content_type"]), False
            case "rest_html_200":
                return HttpAnswer(200, _HTML, "text/html"), False
            case "rest_redirect":
                return HttpAnswer(fault["status"], b"", "text/html", (("location", fault["location"]),)), False
            case "rest_error":
                return front.error(fault["error"], fault["form"], fault["status"]), False
    return front.answer(request), take("rest_truncate") is not None


def _strike_session(fault: Fault, session: WebSocketSession) -> None:
    match fault.kind:
        case "reset_sockets":
            session.abort()
        case "close_code":
            session.close(fault["code"], fault["reason"])
        case "half_open":
            session.go_mute(fault)
        case "garbage_frame":
            session.send_raw(fault["text"] if fault["raw_hex"] is None else bytes.fromhex(fault["raw_hex"]))
        case "oversize_frame":
            session.send_raw("x" * fault["size"])
        case "rate_notice":
            session.notify(fault["error"])
        case "stray_refusal":
            session.refuse_nobody(fault["error"])
        case _:
            pass


def _shown(order: Order) -> dict[str, Any]:
    return {
        "order_id": order.order_id,
        "cl_ord_id": order.cl_ord_id,
        "userref": order.userref,
        "symbol": order.symbol,
        "side": order.side,
        "quantity": str(order.quantity),
        "filled": str(order.filled),
        "price": str(order.price),
        "opened_s": order.opened_s,
        "account": order.account,
    }


async def reset(stream: trio.abc.Stream) -> None:
    """End a connection without a goodbye: on a real socket the peer sees RST, on any other stream a broken pipe."""
    bottom: Any = stream
    while isinstance(bottom, trio.SSLStream):
        bottom = bottom.transport_stream
    if isinstance(bottom, trio.SocketStream):
        # Linger for zero seconds: close() then sends RST instead of FIN.
        bottom.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    await trio.aclose_forcefully(stream)


async def _stall(stream: trio.abc.Stream) -> None:
    """Swallow whatever comes and say nothing, until the peer gives up."""
    while await stream.receive_some(READ_SIZE):
        pass
