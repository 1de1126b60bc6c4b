"""Spot WebSocket v1, the private side: requests by `event`, answers by `...Status`, order news on `openOrders`.

Sources: the pages under https://docs.kraken.com/exchange/api-reference/spot-websocket-v1, and for what they leave open
(exact frames, order of events, texts) frames that clients captured. Where the venue's behaviour is not known the choice
here is the one that is harder on a client: an ack never names its order, updates report userref 0, and a request with a
member the page does not list is refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

from .exchange import Change, Order, What
from .keys import QUERY_OPEN_RIGHT, ApiKey
from .markets import BY_WSNAME
from .refusal import Refusal
from .spot import (
    BATCH_LIMIT,
    INVALID_ARGUMENTS,
    INVALID_SESSION,
    UNAVAILABLE,
    Kind,
    Name,
    SpotEngine,
    Ticket,
    cl_ord_id_of,
    name_of,
    userref_of,
)
from .spot_records import STATUS, description, fee, v1_record
from .times import rfc3339_up
from .websocket import Demand, Frame, Line, Nonsense


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_PUBLIC_CHANNELS = frozenset({"book", "ohlc", "spread", "ticker", "trade"})
_MEMBERS: dict[str, frozenset[str]] = {
    "ping": frozenset(),
    "subscribe": frozenset({"subscription", "pair"}),
    "unsubscribe": frozenset({"subscription", "pair"}),
    "addOrder": _words(
        "token ordertype type pair price price2 volume leverage oflags starttm expiretm deadline userref validate "
        "timeinforce reduce_only cl_ord_id"
    ),
    "cancelOrder": frozenset({"token", "txid", "cl_ord_id"}),
    "cancelAll": frozenset({"token"}),
    "cancelAllOrdersAfter": frozenset({"token", "timeout"}),
}
_SUBSCRIPTION_MEMBERS = _words("name token ratecounter snapshot consolidate_taker reqid")
_IN_WORDS = {"addOrder": "add order", "cancelOrder": "cancel order"}


class SpotV1:
    """One v1 connection: its subscriptions, their sequence numbers, and what it was last told of the market."""

    route = "spot_ws"
    reqid_member = "reqid"
    needs_subscription = True
    closes_idle = True
    answered_on_streams: frozenset[str] = frozenset()
    per_order = frozenset({"cancelOrder"})

    def __init__(self, line: Line, engine: SpotEngine, *, connection_id: int, now: Callable[[], float]) -> None:
        self._line = line
        self._engine = engine
        self._now = now
        self._connection_id = connection_id
        self._told = engine.status
        self._sequence: dict[str, int] = {}
        self._forget: dict[str, Callable[[], None]] = {}
        self._ratecounter = False

    def greeting(self) -> list[Frame]:
        return [self._system_status()]

    def notices(self) -> list[Frame]:
        if self._told == self._engine.status:
            return []
        self._told = self._engine.status
        return [self._system_status()]

    def heartbeat(self) -> Frame:
        return {"event": "heartbeat"}

    def subscribed(self) -> bool:
        return bool(self._sequence)

    def hang_up(self) -> None:
        for channel in list(self._sequence):
            self._drop(channel)

    def read(self, text: str) -> Demand | Nonsense:
        malformed: Frame = {"errorMessage": "Malformed request", "event": "error"}
        try:
            message = json.loads(text)
        except ValueError:
            return Nonsense(None, malformed)
        if not isinstance(message, dict) or not isinstance(message.get("event"), str):
            return Nonsense(None, malformed)
        event, reqid = message["event"], message.get("reqid")
        if reqid is not None and (type(reqid) is not int or not 0 <= reqid < 2**63):
            return Nonsense(event, malformed)
        if event not in _MEMBERS:
            return Nonsense(event, _with_reqid({"errorMessage": "Event(s) not found", "event": "error"}, reqid))
        return Demand(event, reqid, message, private=event != "ping")

    def refuse(self, demand: Demand, error: str) -> Frame:
        if demand.operation in {"subscribe", "unsubscribe"}:
            return self._subscription_error(demand, error)
        return _with_reqid(
            {"errorMessage": error, "event": f"{demand.operation}Status", "status": "error"}, demand.reqid
        )

    def unmatched(self, reqid: int | None, error: str) -> Frame:
        """Of no request it was seen as `Error` alone: https://github.com/bitrich-info/xchange-stream/issues/502."""
        if reqid is None:
            return {"Error": error}
        return {"errorMessage": error, "event": "error", "reqid": reqid}

    def serve(self, demand: Demand) -> list[Frame]:
        try:
            for member in sorted(demand.message.keys() - _MEMBERS[demand.operation] - {"event", "reqid"}):
                kind = _IN_WORDS.get(demand.operation, demand.operation)
                raise Refusal(f"Unsupported field: '{member}' for the given msg type: {kind}")
            match demand.operation:
                case "ping":
                    return [_with_reqid({"event": "pong"}, demand.reqid)]
                case "subscribe":
                    return [self._subscribe(demand)]
                case "unsubscribe":
                    return [self._unsubscribe(demand)]
                case _:
                    pass
            key = self._engine.holder(_token(demand.message))
            match demand.operation:
                case "cancelOrder":
                    return self._cancel_order(demand, key)
                case "addOrder":
                    members = self._add_order(demand, key)
                case "cancelAll":
                    members = {"count": self._engine.cancel_all(key)}
                case _:
                    members = self._cancel_all_orders_after(demand, key)
        except Refusal as refusal:
            return [self.refuse(demand, refusal.text)]
        return [_with_reqid({"event": f"{demand.operation}Status", "status": "ok"} | members, demand.reqid)]

    # --- requests -------------------------------------------------------------------------------------------------

    def _cancel_order(self, demand: Demand, key: ApiKey) -> list[Frame]:
        """One ack per order, all with the request's reqid, none saying which order it means."""
        names = [name_of(text) for text in _texts(demand.message, "txid")]
        names += [Name(Kind.CL_ORD_ID, cl_ord_id_of(text)) for text in _texts(demand.message, "cl_ord_id")]
        if not 1 <= len(names) <= BATCH_LIMIT:
            raise Refusal(f"{INVALID_ARGUMENTS}:txid")

        def told_to_refuse() -> str | None:
            fault = self._line.take("ack_error", demand.operation)
            return fault["error"] if fault else None

        verdicts = self._engine.cancel_each(key, names, refuse=told_to_refuse)
        return [
            self.refuse(demand, verdict.error)
            if verdict.error
            else _with_reqid({"event": "cancelOrderStatus", "status": "ok"}, demand.reqid)
            for verdict in verdicts
        ]

    def _cancel_all_orders_after(self, demand: Demand, key: ApiKey) -> dict[str, Any]:
        timeout_s = demand.message.get("timeout")
        if type(timeout_s) is not int:
            raise Refusal(f"{INVALID_ARGUMENTS}:timeout")
        fires_s = self._engine.cancel_all_after(key, timeout_s)
        return {
            "currentTime": rfc3339_up(self._now()),
            "triggerTime": "0" if fires_s is None else rfc3339_up(fires_s),
        }

    def _add_order(self, demand: Demand, key: ApiKey) -> dict[str, Any]:
        ticket = self._ticket(demand.message)
        order = self._engine.add(key, ticket)
        pair_name = ticket.pair.altname
        if order is None:
            terms = "market" if ticket.order_type == "market" else f"limit {ticket.price}"
            return {"descr": f"{ticket.side} {ticket.quantity:.8f} {pair_name} @ {terms}"}
        return {"descr": description(order, pair_name)["order"], "txid": order.order_id}

    def _ticket(self, message: dict[str, Any]) -> Ticket:
        pair = BY_WSNAME.get(_optional_text(message, "pair"))
        if pair is None:
            raise Refusal(f"Currency pair not supported {message.get('pair')}")
        order_type, side = message.get("ordertype"), message.get("type")
        if order_type not in ("limit", "market"):
            raise Refusal(f"{INVALID_ARGUMENTS}:ordertype")
        if side not in ("buy", "sell"):
            raise Refusal(f"{INVALID_ARGUMENTS}:type")
        userref = _optional_text(message, "userref")
        cl_ord_id = _optional_text(message, "cl_ord_id")
        time_in_force = _optional_text(message, "timeinforce") or "GTC"
        if time_in_force not in {"GTC", "IOC", "GTD"}:
            raise Refusal(f"{INVALID_ARGUMENTS}:timeinforce")
        return Ticket(
            pair=pair,
            side=side,
            order_type=order_type,
            quantity=_decimal(message, "volume"),
            price=_decimal(message, "price") if order_type == "limit" else pair.last_price,
            userref=userref_of(_integer(userref, "userref")) if userref else 0,
            cl_ord_id=cl_ord_id_of(cl_ord_id) if cl_ord_id else None,
            time_in_force=time_in_force,
            expires_s=self._expiry(_optional_text(message, "expiretm")),
            validate_only=message.get("validate") in ("true", True),
        )

    def _expiry(self, text: str) -> float | None:
        """`+n`: so many seconds from now; other digits: unix seconds; empty or 0: never."""
        if text in {"", "0"}:
            return None
        seconds = _integer(text.removeprefix("+"), "expiretm")
        return self._now() + seconds if text.startswith("+") else float(seconds)

    # --- subscriptions --------------------------------------------------------------------------------------------

    def _subscribe(self, demand: Demand) -> Frame:
        channel, subscription = self._channel(demand)
        for member in sorted(subscription.keys() - _SUBSCRIPTION_MEMBERS):
            raise Refusal(f"Unsupported field: '{member}' for the given msg type: subscribe")
        key = self._engine.holder(_token(subscription))
        self._engine.require(key, {QUERY_OPEN_RIGHT})
        if channel in self._sequence:
            raise Refusal("Already subscribed")
        if self._engine.status == "maintenance":
            raise Refusal(UNAVAILABLE)
        self._sequence[channel] = 0
        told: dict[str, Any] = {"name": channel}
        if channel == "openOrders":
            told = {"maxratecount": int(self._engine.counters.tier.threshold), "name": channel}
            self._ratecounter = subscription.get("ratecounter") is True
            resting = self._engine.exchange.open_orders(key.account, "spot")
            self._emit(channel, "snapshot", [{order.order_id: v1_record(order, "open")} for order in resting])
            listener: Callable[[Change], None] = self._on_order
        else:
            self._emit(channel, "snapshot", [])
            listener = self._on_trade
        self._forget[channel] = self._engine.exchange.listen(key.account, "spot", listener)
        return self._subscription_status(demand, "subscribed", channel, told)

    def _unsubscribe(self, demand: Demand) -> Frame:
        channel, _ = self._channel(demand)
        if channel not in self._sequence:
            raise Refusal("Subscription Not Found")
        self._drop(channel)
        return self._subscription_status(demand, "unsubscribed", channel, {"name": channel})

    def _channel(self, demand: Demand) -> tuple[str, dict[str, Any]]:
        subscription = demand.message.get("subscription")
        if not isinstance(subscription, dict):
            raise Refusal("Malformed request")
        name = subscription.get("name")
        if name in _PUBLIC_CHANNELS:
            raise Refusal("Public channels not available in this endpoint")
        if name not in ("openOrders", "ownTrades"):
            raise Refusal("Subscription name invalid")
        return name, subscription

    def _subscription_status(self, demand: Demand, status: str, channel: str, told: dict[str, Any]) -> Frame:
        frame = {"channelName": channel, "event": "subscriptionStatus", "status": status, "subscription": told}
        return _with_reqid(frame, _reqid_anywhere(demand))

    def _subscription_error(self, demand: Demand, error: str) -> Frame:
        """Without channelName, as seen in captures."""
        frame: dict[str, Any] = {"errorMessage": error, "event": "subscriptionStatus", "status": "error"}
        subscription = demand.message.get("subscription")
        if isinstance(subscription, dict) and isinstance(subscription.get("name"), str):
            frame["subscription"] = {"name": subscription["name"]}
        return _with_reqid(frame, _reqid_anywhere(demand))

    def _drop(self, channel: str) -> None:
        del self._sequence[channel]
        self._forget.pop(channel)()

    # --- order news -----------------------------------------------------------------------------------------------

    def _on_order(self, change: Change) -> None:
        order = change.order
        progress = {
            "vol_exec": f"{order.filled:.8f}",
            "cost": f"{order.cost:.5f}",
            "fee": f"{fee(order):.5f}",
            "avg_price": f"{order.average_price:.5f}",
            "userref": 0,
        }
        match change.what:
            case What.PLACED:
                self._tell(change, order, v1_record(order, "pending"))
                self._tell(change, order, {"status": "open", "userref": 0})
            case What.TRADED:
                self._tell(change, order, progress)
            case What.FILLED | What.CANCELED | What.EXPIRED:
                ended = {"lastupdated": f"{change.at_s:.6f}", "status": STATUS[order.state]} | progress
                if order.reason is not None:
                    ended["cancel_reason"] = order.reason
                self._tell(change, order, ended)

    def _tell(self, change: Change, order: Order, record: dict[str, Any]) -> None:
        if self._ratecounter:
            record["ratecount"] = round(self._engine.counters.value(order.account, order.symbol))
        self._emit("openOrders", change.what.value, [{order.order_id: record}])

    def _on_trade(self, change: Change) -> None:
        if change.fill is None:
            return
        order, fill = change.order, change.fill
        trade = {
            "cost": f"{fill.price * fill.quantity:.5f}",
            "fee": f"{fee(order):.5f}",
            "margin": "0.00000",
            "ordertxid": order.order_id,
            "ordertype": order.order_type,
            "pair": order.symbol,
            "postxid": "TKH2SE-M7IF5-CFI7LT",
            "price": f"{fill.price:.5f}",
            "time": f"{change.at_s:.6f}",
            "type": order.side,
            "vol": f"{fill.quantity:.8f}",
        }
        self._emit("ownTrades", change.what.value, [{fill.trade_id: trade}])

    def _emit(self, channel: str, what: str, entries: list[Any]) -> None:
        gap = self._line.take("sequence_gap", what)
        self._sequence[channel] += 1 + (gap["by"] if gap else 0)
        self._line.emit(what, [entries, channel, {"sequence": self._sequence[channel]}])

    # --- small parts ----------------------------------------------------------------------------------------------

    def _system_status(self) -> Frame:
        return {
            "connectionID": self._connection_id,
            "event": "systemStatus",
            "status": self._told,
            "version": "1.9.1",
        }


def _with_reqid(frame: dict[str, Any], reqid: int | None) -> dict[str, Any]:
    return frame if reqid is None else frame | {"reqid": reqid}


def _reqid_anywhere(demand: Demand) -> int | None:
    """The page lists a subscribe's reqid inside `subscription`, captures show it at the top: both are echoed."""
    subscription = demand.message.get("subscription")
    inner = subscription.get("reqid") if isinstance(subscription, dict) else None
    return demand.reqid if demand.reqid is not None else inner if type(inner) is int else None


def _token(message: dict[str, Any]) -> str:
    token = message.get("token")
    if not isinstance(token, str):
        raise Refusal(INVALID_SESSION)
    return token


def _texts(message: dict[str, Any], member: str) -> list[str]:
    texts = message.get(member, [])
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise Refusal(f"{INVALID_ARGUMENTS}:{member}")
    return texts


def _optional_text(message: dict[str, Any], member: str) -> str:
    text = message.get(member, "")
    if not isinstance(text, str):
        raise Refusal(f"{INVALID_ARGUMENTS}:{member}")
    return text


def _integer(text: str, member: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise Refusal(f"{INVALID_ARGUMENTS}:{member}") from None


def _decimal(message: dict[str, Any], member: str) -> Decimal:
    """A positive amount, written as text or as a number."""
    value = message.get(member)
    if isinstance(value, str) or type(value) in (int, float):
        try:
            number = Decimal(str(value))
        except InvalidOperation:
            number = Decimal(0)
        if number.is_finite() and number > 0:
            return number
    raise Refusal(f"{INVALID_ARGUMENTS}:{member}")
