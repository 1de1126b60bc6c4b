"""The Prime WebSocket: signed upgrade, streams by `subscribe`, and order commands without acks.

Sources: the pages under https://docs.kraken.com/institutional/api-reference/prime-websocket. Where they say nothing the
choice here is the one that is harder on a client: a stream without rows begins with no message at all, `Order` without
`StartDate` goes back one day and `ExecutionReport` not at all, a `data` list has one element, and both order ids at
once are refused.
"""

from __future__ import annotations

import base64
import hmac
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from .keys import PRIME_READ, PRIME_WRITE, ApiKey, Keyring
from .prime import SYMBOLS, CancelRequest, PrimeEngine, Report, Ticket, require_client_id
from .refusal import Refusal
from .times import rfc3339_micros
from .websocket import Demand, Frame, Line, Nonsense

CLOCK_SKEW_S = 60.0  # not published
DEFAULT_HISTORY_S = 86_400.0  # how far `Order` goes back without StartDate; not published
STREAM_LIMIT = 1000  # subscriptions on one connection

HEADERS = frozenset({"apikey", "apisign", "apitimestamp"})
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
_TYPES = frozenset({"subscribe", "cancel", "Ping", "OrderCancelRequest", "NewOrderSingle"})
_FILTERS: dict[str, frozenset[str]] = {
    "Order": frozenset({"StartDate", "EndDate", "Symbol", "OrderID", "Statuses"}),
    "ExecutionReport": frozenset({"StartDate", "EndDate", "Symbol", "OrderID", "Statuses"}),
    "User": frozenset(),
}
_CANCEL_MEMBERS = frozenset({"Symbol", "ClOrdID", "OrderID", "OrigClOrdID", "TransactTime", "Timestamp"})
_ORDER_MEMBERS = frozenset(
    {
        "Symbol", "ClOrdID", "Side", "TransactTime", "OrderQty", "OrdType", "Price", "Currency", "TimeInForce",
        "Strategy", "Parameters", "Timestamp",
    }
)  # fmt: skip


def is_prime(headers: Mapping[str, str]) -> bool:
    """Whether an upgrade request is meant for Prime: it alone signs them. headers: names in lower case."""
    return not HEADERS.isdisjoint(headers)


def admit(headers: Mapping[str, str], path: str, *, keys: Keyring, now_s: float) -> ApiKey | None:
    """The key that signed an upgrade request; None when it is missing, unknown, wrongly signed or out of date.

    The secret is used as text, never base64-decoded. Source:
    https://docs.kraken.com/institutional/api-reference/prime-websocket/authentication
    """
    key = keys.find("prime", headers.get("apikey", ""))
    timestamp = headers.get("apitimestamp", "")
    if key is None or not _TIMESTAMP.fullmatch(timestamp):
        return None
    host = headers.get("host", "").rsplit(":", 1)[0]
    signed = "\n".join(("GET", timestamp, host, path)).encode()
    expected = base64.urlsafe_b64encode(hmac.digest(key.secret.encode("ascii"), signed, "sha256"))
    if not hmac.compare_digest(headers.get("apisign", "").encode("utf-8"), expected):
        return None
    try:
        sent_s = _instant(timestamp)
    except Refusal:
        return None
    if abs(sent_s - now_s) > CLOCK_SKEW_S:
        return None
    key.last_used_s = now_s
    return key


@dataclass(slots=True, eq=False)
class _Stream:
    """One stream of a subscription. Dates are unix seconds; None filters nothing."""

    name: str
    start_s: float | None = None
    end_s: float | None = None
    symbol: str | None = None
    order_id: str | None = None
    statuses: frozenset[str] | None = None

    def wants(self, report: Report) -> bool:
        """`Order` dates by submission, `ExecutionReport` by publication."""
        at_s = report.submitted_s if self.name == "Order" else report.published_s
        return (
            (self.start_s is None or at_s >= self.start_s)
            and (self.end_s is None or at_s < self.end_s)
            and self.symbol in (None, report.row["Symbol"])
            and self.order_id in (None, report.row["OrderID"])
            and (self.statuses is None or report.row["OrdStatus"] in self.statuses)
        )


@dataclass(slots=True, eq=False)
class _Subscription:
    """What one `subscribe` asked for. sequence: of the last message under its reqid."""

    reqid: int
    tag: str | None
    streams: list[_Stream]
    sequence: int = 0


class PrimeV1:
    """One Prime connection: its subscriptions by reqid."""

    route = "prime_ws"
    reqid_member = "reqid"
    needs_subscription = False
    closes_idle = False
    answered_on_streams = frozenset({"OrderCancelRequest", "NewOrderSingle"})
    per_order: frozenset[str] = frozenset()

    def __init__(
        self, line: Line, engine: PrimeEngine, key: ApiKey, *, connection_id: int, now: Callable[[], float]
    ) -> None:
        self._line = line
        self._engine = engine
        self._key = key
        self._now = now
        self._session_id = f"{connection_id:016X}"[-13:]
        self._held: dict[int, _Subscription] = {}
        self._forget = engine.listen(key.account, self._on_report)

    def greeting(self) -> list[Frame]:
        return [{"type": "hello", "ts": self._ts(), "session_id": self._session_id}]

    def notices(self) -> list[Frame]:
        return []

    def heartbeat(self) -> None:
        return None

    def subscribed(self) -> bool:
        return bool(self._held)

    def hang_up(self) -> None:
        self._held.clear()
        self._forget()

    def read(self, text: str) -> Demand | Nonsense:
        try:
            message = json.loads(text)
        except ValueError:
            return Nonsense(None, self._error(None, "malformed JSON"))
        if not isinstance(message, dict):
            return Nonsense(None, self._error(None, "not an object"))
        kind, reqid = message.get("type"), message.get("reqid")
        operation = kind if isinstance(kind, str) else None
        if type(reqid) is not int:
            return Nonsense(operation, self._error(None, "reqid: missing or no number"))
        if reqid == 0:
            return Nonsense(operation, self._error(0, "reqid: must not be 0"))
        if operation is None or operation not in _TYPES:
            return Nonsense(operation, self._error(reqid, f"unknown type {kind}"))
        return Demand(operation, reqid, message, private=operation != "Ping")

    def refuse(self, demand: Demand, error: str) -> Frame:
        return self._error(demand.reqid, error)

    def unmatched(self, reqid: int | None, error: str) -> Frame:
        return self._error(reqid, error)

    def serve(self, demand: Demand) -> list[Frame]:
        assert demand.reqid is not None
        try:
            match demand.operation:
                case "Ping":
                    return [self._ping(demand.reqid, demand.message)]
                case "subscribe":
                    self._subscribe(demand.reqid, demand.message)
                case "cancel":
                    if self._held.pop(demand.reqid, None) is None:
                        raise Refusal("reqid: no such stream")
                case "OrderCancelRequest":
                    self._cancel_order(demand.message)
                case _:
                    self._new_order(demand.message)
        except Refusal as refusal:
            return [self.refuse(demand, refusal.text)]
        return []

    # --- commands -------------------------------------------------------------------------------------------------

    def _ping(self, reqid: int, message: dict[str, Any]) -> Frame:
        if not isinstance(message.get("ts"), str):
            raise Refusal("missing Ping ts")
        data = message.get("data")
        if not isinstance(data, list) or not data:
            raise Refusal("missing Ping data")
        return {"reqid": reqid, "type": "Pong", "seqNum": 0, "ts": self._ts(), "data": data}

    def _cancel_order(self, message: dict[str, Any]) -> None:
        asked = self._command(message, _CANCEL_MEMBERS)
        if ("OrderID" in asked) == ("OrigClOrdID" in asked):
            raise Refusal("one of OrderID, OrigClOrdID is required")
        request = CancelRequest(
            symbol=_text(asked, "Symbol"),
            cl_ord_id=require_client_id(asked.get("ClOrdID")),
            order_id=_text(asked, "OrderID") if "OrderID" in asked else None,
            orig_cl_ord_id=_text(asked, "OrigClOrdID") if "OrigClOrdID" in asked else None,
        )
        operation = "OrderCancelRequest"
        self._engine.cancel(
            self._key.account,
            request,
            linger=self._line.take("linger", operation),
            rejected=self._line.take("cancel_rejected", operation),
        )

    def _new_order(self, message: dict[str, Any]) -> None:
        asked = self._command(message, _ORDER_MEMBERS)
        symbol, side, order_type = _text(asked, "Symbol"), _text(asked, "Side"), _text(asked, "OrdType")
        if symbol not in SYMBOLS:
            raise Refusal("Symbol: unknown")
        if side not in ("Buy", "Sell"):
            raise Refusal("Side: neither Buy nor Sell")
        if order_type not in ("Limit", "Market"):
            raise Refusal("OrdType: not supported")
        time_in_force = asked.get("TimeInForce", "GoodTillCancel")
        if time_in_force not in ("GoodTillCancel", "FillAndKill", "FillOrKill"):
            raise Refusal("TimeInForce: not supported")
        ticket = Ticket(
            symbol=symbol,
            cl_ord_id=require_client_id(asked.get("ClOrdID")),
            side="buy" if side == "Buy" else "sell",
            order_type=order_type.lower(),
            quantity=_amount(asked, "OrderQty"),
            price=_amount(asked, "Price") if order_type == "Limit" else SYMBOLS[symbol],
            time_in_force=time_in_force,
        )
        self._engine.place(self._key.account, ticket)

    def _command(self, message: dict[str, Any], members: frozenset[str]) -> dict[str, Any]:
        """The one element of an order command, its members known and its time readable."""
        if PRIME_WRITE not in self._key.rights:
            raise Refusal("permission denied")
        data = message.get("data")
        if not isinstance(data, list) or len(data) != 1 or not isinstance(data[0], dict):
            raise Refusal("data: one object expected")
        asked: dict[str, Any] = data[0]
        for member in sorted(asked.keys() - members):
            raise Refusal(f"{member}: unknown field")
        if not _TIMESTAMP.fullmatch(_text(asked, "TransactTime")):
            raise Refusal("TransactTime: not of the form 2019-02-13T05:17:32.000000Z")
        return asked

    # --- streams --------------------------------------------------------------------------------------------------

    def _subscribe(self, reqid: int, message: dict[str, Any]) -> None:
        if reqid in self._held:
            raise Refusal("reqid: in use")
        if len(self._held) >= STREAM_LIMIT:
            raise Refusal("too many streams")
        if PRIME_READ not in self._key.rights:
            raise Refusal("permission denied")
        asked, tag = message.get("streams"), message.get("tag")
        if not isinstance(asked, list) or not asked:
            raise Refusal("streams: missing")
        if tag is not None and not isinstance(tag, str):
            raise Refusal("tag: no text")
        streams = [self._stream(one) for one in asked]
        subscription = self._held[reqid] = _Subscription(reqid, tag, streams)
        for stream in streams:
            self._begin(subscription, stream)

    def _stream(self, asked: Any) -> _Stream:
        name = asked.get("name") if isinstance(asked, dict) else None
        if not isinstance(name, str) or name not in _FILTERS:
            raise Refusal(f"streams: unknown stream {name}")
        for member in sorted(asked.keys() - _FILTERS[name] - {"name"}):
            raise Refusal(f"{member}: unknown filter of {name}")
        stream = _Stream(name)
        if "StartDate" in asked:
            stream.start_s = _instant(_text(asked, "StartDate"))
        elif name == "Order":
            stream.start_s = self._now() - DEFAULT_HISTORY_S
        if "EndDate" in asked:
            stream.end_s = _instant(_text(asked, "EndDate"))
        stream.symbol = _text(asked, "Symbol") if "Symbol" in asked else None
        stream.order_id = _text(asked, "OrderID") if "OrderID" in asked else None
        if "Statuses" in asked:
            statuses = asked["Statuses"]
            # The schema says list, the text says comma-separated.
            words = statuses.split(",") if isinstance(statuses, str) else statuses
            if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
                raise Refusal("Statuses: neither a list nor text")
            stream.statuses = frozenset(words)
        return stream

    def _begin(self, subscription: _Subscription, stream: _Stream) -> None:
        """Send what the stream has to tell of the past, in one `initial` message or, by a fault, in several."""
        match stream.name:
            case "User":
                rows = [self._user()]
            case "Order":
                states = self._engine.states(self._key.account, stream.order_id)
                rows = [report.row for report in states if stream.wants(report)]
            case _ if stream.start_s is None:
                rows = []
            case _:
                rows = [report.row for report in self._engine.reports(self._key.account) if stream.wants(report)]
        split = self._line.take("split_snapshot", "snapshot")
        size = split["rows"] if split else max(1, len(rows))
        parts = [rows[start : start + size] for start in range(0, len(rows), size)]
        if not parts and self._line.take("empty_initial", "snapshot"):
            parts = [[]]
        for number, part in enumerate(parts, 1):
            more: dict[str, Any] = {"total_count": len(rows)}
            if split and split["next"] is not None and number == len(parts):
                more["next"] = split["next"]
            self._send(subscription, stream.name, "snapshot", part, initial=True, more=more)

    def _on_report(self, report: Report) -> None:
        what = report.row["ExecType"]
        for subscription in self._held.values():
            for stream in subscription.streams:
                if stream.name != "User" and stream.wants(report):
                    self._send(subscription, stream.name, what, [report.row], initial=False, more={})

    def _send(
        self,
        subscription: _Subscription,
        kind: str,
        what: str,
        rows: list[dict[str, Any]],
        *,
        initial: bool,
        more: dict[str, Any],
    ) -> None:
        if kind != "User" and (odd := self._line.take("status_word", what)):
            rows = [row | {"OrdStatus": odd["word"]} for row in rows]
        gap = self._line.take("sequence_gap", what)
        subscription.sequence += 1 + (gap["by"] if gap else 0)
        frame: dict[str, Any] = {"reqid": subscription.reqid, "type": kind, "ts": self._ts()}
        if subscription.tag is not None:
            frame["tag"] = subscription.tag
        frame |= {"initial": initial, "seqNum": subscription.sequence, "action": "Update"} | more
        self._line.emit(what, frame | {"data": rows})

    def _user(self) -> dict[str, Any]:
        return {
            "Timestamp": self._ts(),
            "UserID": f"trader@{self._key.account}",
            "DisplayName": self._key.account,
            "Permissions": sorted(self._key.rights),
        }

    # --- small parts ----------------------------------------------------------------------------------------------

    def _error(self, reqid: int | None, text: str) -> dict[str, Any]:
        named = {} if reqid is None else {"reqid": reqid}
        return named | {"seq": 1, "type": "error", "ts": self._ts(), "error": {"code": 1, "msg": text}}

    def _ts(self) -> str:
        return rfc3339_micros(self._now())


def _text(asked: dict[str, Any], member: str) -> str:
    text = asked.get(member)
    if not isinstance(text, str) or not text:
        raise Refusal(f"{member}: missing or no text")
    return text


def _amount(asked: dict[str, Any], member: str) -> Decimal:
    """A positive amount, which Prime writes as text."""
    try:
        amount = Decimal(_text(asked, member))
    except InvalidOperation:
        raise Refusal(f"{member}: no amount") from None
    if not amount.is_finite() or amount <= 0:
        raise Refusal(f"{member}: no amount")
    return amount


def _instant(text: str) -> float:
    """Unix seconds. A time that names no zone is refused."""
    try:
        instant: datetime | None = datetime.fromisoformat(text)
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None:
        raise Refusal("not a time of the form 2019-02-13T05:17:32.000000Z")
    return instant.timestamp()
