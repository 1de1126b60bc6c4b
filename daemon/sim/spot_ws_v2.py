"""Spot WebSocket v2, the private side: requests by `method`, order news on the `executions` channel.

Sources: the pages under https://docs.kraken.com/exchange/api-reference/spot-websocket-v2, and frames that clients
captured where the pages show none. Strict on what comes in: a member the page does not list is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

from .exchange import Change, Order, What
from .keys import QUERY_FUNDS_RIGHT, QUERY_OPEN_RIGHT, ApiKey
from .markets import ASSETS, BY_TICKER, BY_WSNAME
from .refusal import Refusal
from .spot import (
    BATCH_LIMIT,
    INVALID_ARGUMENTS,
    INVALID_ORDER,
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
from .spot_records import fee
from .times import rfc3339_micros, rfc3339_up
from .v2 import Subscription, V2Connection
from .websocket import Demand, Frame, Line


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_PUBLIC_CHANNELS = frozenset({"book", "instrument", "level3", "ohlc", "ticker", "trade"})
_MEMBERS: dict[str, frozenset[str]] = {
    "ping": frozenset(),
    "subscribe": _words("channel token snapshot snap_orders snap_trades order_status ratecounter users rebased"),
    "unsubscribe": frozenset({"channel", "token"}),
    "add_order": _words(
        "token order_type side order_qty symbol limit_price limit_price_type time_in_force expire_time post_only "
        "reduce_only margin cl_ord_id order_userref deadline validate fee_preference sender_sub_id stp_type"
    ),
    "cancel_order": frozenset({"token", "order_id", "cl_ord_id", "order_userref"}),
    "batch_cancel": frozenset({"token", "orders", "cl_ord_id"}),
    "cancel_all": frozenset({"token"}),
    "cancel_all_orders_after": frozenset({"token", "timeout"}),
}
_TIME_IN_FORCE = {"gtc": "GTC", "gtd": "GTD", "ioc": "IOC"}
_BALANCE = 1_000_000.0


class SpotV2(V2Connection):
    """One Spot v2 connection."""

    route = "spot_ws_v2"
    members = _MEMBERS

    def __init__(self, line: Line, engine: SpotEngine, *, connection_id: int, now: Callable[[], float]) -> None:
        super().__init__(line, market=engine.market, connection_id=connection_id, now=now)
        self._engine = engine
        self._trades = 0

    def serve(self, demand: Demand) -> list[Frame]:
        try:
            for member in sorted(demand.message.keys() - _MEMBERS[demand.operation]):
                kind = demand.operation.replace("_", " ")
                raise Refusal(f"Unsupported field: '{member}' for the given msg type: {kind}")
            if demand.operation == "ping":
                return [self._stamped(demand, {"method": "pong"})]
            key = self._engine.holder(_token(demand.message))
            match demand.operation:
                case "subscribe":
                    result = self._subscribe(demand.message, key)
                case "unsubscribe":
                    result = self._unsubscribe(demand.message)
                case "cancel_order":
                    return self._cancel_order(demand, key)
                case "batch_cancel":
                    return [self._counted(demand, self._batch_cancel(demand.message, key))]
                case "cancel_all":
                    result = {"count": self._engine.cancel_all(key)}
                case "cancel_all_orders_after":
                    result = self._cancel_all_orders_after(demand.message, key)
                case _:
                    result = self._add_order(demand.message, key)
        except Refusal as refusal:
            return [self.refuse(demand, refusal.text)]
        return [self._accepted(demand, result)]

    # --- requests -------------------------------------------------------------------------------------------------

    def _cancel_order(self, demand: Demand, key: ApiKey) -> list[Frame]:
        """One ack per order, all with the request's req_id; only a success says which order it means."""
        params = demand.message
        kinds = params.keys() & {"order_id", "cl_ord_id", "order_userref"}
        if len(kinds) != 1:
            raise Refusal(f"{INVALID_ARGUMENTS}:order_id")
        names = [Name(Kind.TXID, text) for text in _list_of(str, params, "order_id")]
        names += [Name(Kind.CL_ORD_ID, cl_ord_id_of(text)) for text in _list_of(str, params, "cl_ord_id")]
        names += [Name(Kind.USERREF, userref_of(number)) for number in _list_of(int, params, "order_userref")]
        if not 1 <= len(names) <= BATCH_LIMIT:
            raise Refusal(f"{INVALID_ARGUMENTS}:order_id")

        def told_to_refuse() -> str | None:
            fault = self._line.take("ack_error", demand.operation)
            return fault["error"] if fault else None

        acks: list[Frame] = []
        for verdict in self._engine.cancel_each(key, names, unknown=INVALID_ORDER, refuse=told_to_refuse):
            if verdict.order is None:
                acks.append(self.refuse(demand, verdict.error))
            elif verdict.name.kind is Kind.CL_ORD_ID:
                acks.append(self._accepted(demand, {"cl_ord_id": verdict.order.cl_ord_id}))
            else:
                acks.append(self._accepted(demand, {"order_id": verdict.order.order_id}))
        return acks

    def _batch_cancel(self, params: dict[str, Any], key: ApiKey) -> int:
        names = [name_of(text) for text in _list_of(str, params, "orders")]
        names += [Name(Kind.CL_ORD_ID, cl_ord_id_of(text)) for text in _list_of(str, params, "cl_ord_id")]
        names = list(dict.fromkeys(names))
        if not 2 <= len(names) <= BATCH_LIMIT:
            raise Refusal(f"{INVALID_ARGUMENTS}:orders")
        if fault := self._line.take("batch_partial", "batch_cancel"):
            names = names[: max(0, len(names) - fault["keep"])]
        return self._engine.cancel_batch(key, names)

    def _cancel_all_orders_after(self, params: dict[str, Any], key: ApiKey) -> dict[str, Any]:
        timeout_s = params.get("timeout")
        if type(timeout_s) is not int:
            raise Refusal(f"{INVALID_ARGUMENTS}:timeout")
        fires_s = self._engine.cancel_all_after(key, timeout_s)
        return {
            "currentTime": rfc3339_up(self._now()),
            "triggerTime": "0" if fires_s is None else rfc3339_up(fires_s),
        }

    def _add_order(self, params: dict[str, Any], key: ApiKey) -> dict[str, Any]:
        ticket = self._ticket(params)
        order = self._engine.add(key, ticket)
        result: dict[str, Any] = {} if order is None else {"order_id": order.order_id}
        if ticket.cl_ord_id is not None:
            result["cl_ord_id"] = ticket.cl_ord_id
        if ticket.userref:
            result["order_userref"] = ticket.userref
        return result

    def _ticket(self, params: dict[str, Any]) -> Ticket:
        symbol = params.get("symbol")
        pair = BY_TICKER.get(symbol) if isinstance(symbol, str) else None
        if pair is None:
            raise Refusal(f"Currency pair not supported {symbol}")
        order_type, side = params.get("order_type"), params.get("side")
        if order_type not in ("limit", "market"):
            raise Refusal(f"{INVALID_ARGUMENTS}:order_type")
        if side not in ("buy", "sell"):
            raise Refusal(f"{INVALID_ARGUMENTS}:side")
        time_in_force = params.get("time_in_force", "gtc")
        if time_in_force not in _TIME_IN_FORCE:
            raise Refusal(f"{INVALID_ARGUMENTS}:time_in_force")
        userref, cl_ord_id = params.get("order_userref", 0), params.get("cl_ord_id")
        if type(userref) is not int:
            raise Refusal(f"{INVALID_ARGUMENTS}:order_userref")
        if cl_ord_id is not None and not isinstance(cl_ord_id, str):
            raise Refusal(f"{INVALID_ARGUMENTS}:cl_ord_id")
        return Ticket(
            pair=pair,
            side=side,
            order_type=order_type,
            quantity=_amount(params, "order_qty"),
            price=_amount(params, "limit_price") if order_type == "limit" else pair.last_price,
            userref=userref_of(userref) if userref else 0,
            cl_ord_id=None if cl_ord_id is None else cl_ord_id_of(cl_ord_id),
            time_in_force=_TIME_IN_FORCE[time_in_force],
            expires_s=_instant(params["expire_time"]) if "expire_time" in params else None,
            validate_only=params.get("validate") is True,
        )

    # --- subscriptions --------------------------------------------------------------------------------------------

    def _subscribe(self, params: dict[str, Any], key: ApiKey) -> dict[str, Any]:
        channel = _private_channel(params)
        if channel in self._held:
            raise Refusal("Already subscribed")
        if self._engine.status == "maintenance":
            raise Refusal(UNAVAILABLE)
        if channel == "balances":
            self._engine.require(key, {QUERY_FUNDS_RIGHT})
            self._held[channel] = Subscription(forget=lambda: None)
            if params.get("snapshot") is not False:
                self._emit(channel, "snapshot", [_wallet(asset.ticker) for asset in ASSETS])
            return {"channel": channel, "snapshot": params.get("snapshot") is not False}
        self._engine.require(key, {QUERY_OPEN_RIGHT})
        # Listening starts after the snapshot is taken and nothing runs in between, so no change is told twice.
        subscription = Subscription(
            forget=self._engine.exchange.listen(key.account, "spot", self._on_order),
            all_statuses=params.get("order_status") is not False,
            ratecounter=params.get("ratecounter") is True,
        )
        self._held[channel] = subscription
        # snap_orders is the present name, snapshot the earlier one; either, set to false, suppresses the snapshot.
        wanted = params.get("snap_orders") is not False and params.get("snapshot") is not False
        if wanted and params.get("users") != "all":
            resting = self._engine.exchange.open_orders(key.account, "spot")
            self._emit(channel, "snapshot", [_full_record(order, "new") for order in resting])
        return {
            "channel": channel,
            "maxratecount": int(self._engine.counters.tier.threshold),
            "snapshot": wanted,
            "warnings": ["cancel_reason is deprecated, use reason"],
        }

    def _unsubscribe(self, params: dict[str, Any]) -> dict[str, Any]:
        channel = _private_channel(params)
        if channel not in self._held:
            raise Refusal("Subscription Not Found")
        self._held.pop(channel).forget()
        return {"channel": channel}

    # --- order news -----------------------------------------------------------------------------------------------

    def _on_order(self, change: Change) -> None:
        order, subscription = change.order, self._held["executions"]
        match change.what:
            case What.PLACED:
                if subscription.all_statuses:
                    self._tell(change, _full_record(order, "pending_new"))
                    self._tell(change, _brief(order, change.at_s, "new"))
                else:
                    self._tell(change, _full_record(order, "new"))
            case What.TRADED:
                if subscription.all_statuses:
                    self._trades += 1
                    self._tell(change, _trade(change, self._trades))
            case What.FILLED | What.CANCELED | What.EXPIRED:
                ended = _brief(order, change.at_s, change.what.value) | _progress(order)
                if order.reason is not None:
                    ended |= {"cancel_reason": order.reason, "reason": order.reason}
                self._tell(change, ended)

    def _tell(self, change: Change, record: dict[str, Any]) -> None:
        if self._held["executions"].ratecounter:
            record["ratecount"] = self._engine.counters.value(change.order.account, change.order.symbol)
        self._emit("executions", change.what.value, [record])


def _private_channel(params: dict[str, Any]) -> str:
    channel = params.get("channel")
    if channel in _PUBLIC_CHANNELS:
        raise Refusal("Public channels not available in this endpoint")
    if channel not in ("executions", "balances"):
        raise Refusal("Subscription name invalid")
    return str(channel)


def _brief(order: Order, at_s: float, exec_type: str) -> dict[str, Any]:
    """What every update carries; only the first record of an order says more."""
    record: dict[str, Any] = {
        "timestamp": rfc3339_micros(at_s),
        "order_status": exec_type,
        "exec_type": exec_type,
        "order_userref": order.userref,
        "order_id": order.order_id,
    }
    if order.cl_ord_id is not None:
        record["cl_ord_id"] = order.cl_ord_id
    return record


def _progress(order: Order) -> dict[str, Any]:
    return {
        "cum_qty": float(order.filled),
        "cum_cost": float(order.cost),
        "fee_usd_equiv": float(fee(order)),
        "avg_price": float(order.average_price),
    }


def _full_record(order: Order, exec_type: str) -> dict[str, Any]:
    record = _brief(order, order.opened_s, exec_type) | _progress(order)
    record |= {
        "symbol": BY_WSNAME[order.symbol].ticker,
        "order_qty": float(order.quantity),
        "time_in_force": order.time_in_force,
        "side": order.side,
        "order_type": order.order_type,
        "limit_price_type": "static",
        "limit_price": float(order.price),
        "stop_price": 0.0,
        "fee_ccy_pref": "fciq",
    }
    if order.filled:
        record["order_status"] = "partially_filled"
    return record


def _trade(change: Change, trade_number: int) -> dict[str, Any]:
    order, fill = change.order, change.fill
    assert fill is not None
    done = order.filled == order.quantity
    quote = BY_WSNAME[order.symbol].quote.ticker
    return (
        _brief(order, change.at_s, "trade")
        | _progress(order)
        | {
            "order_status": "filled" if done else "partially_filled",
            "symbol": BY_WSNAME[order.symbol].ticker,
            "side": order.side,
            "order_type": order.order_type,
            "exec_id": fill.trade_id,
            "trade_id": trade_number,
            "last_qty": float(fill.quantity),
            "last_price": float(fill.price),
            "cost": float(fill.price * fill.quantity),
            "liquidity_ind": "m",
            "fees": [{"asset": quote, "qty": float(fee(order))}],
        }
    )


def _wallet(ticker: str) -> dict[str, Any]:
    return {
        "asset": ticker,
        "asset_class": "currency",
        "balance": _BALANCE,
        "wallets": [{"type": "spot", "id": "main", "balance": _BALANCE}],
    }


def _token(params: dict[str, Any]) -> str:
    token = params.get("token")
    if not isinstance(token, str):
        raise Refusal(INVALID_SESSION)
    return token


def _list_of(kind: type, params: dict[str, Any], member: str) -> list[Any]:
    values = params.get(member, [])
    # type(), not isinstance(): true is no userref.
    if not isinstance(values, list) or not all(type(value) is kind for value in values):
        raise Refusal(f"{INVALID_ARGUMENTS}:{member}")
    return values


def _amount(params: dict[str, Any], member: str) -> Decimal:
    """A positive JSON number; v2 takes no amounts as text."""
    value = params.get(member)
    if type(value) in (int, float):
        number = Decimal(str(value))
        if number.is_finite() and number > 0:
            return number
    raise Refusal(f"{INVALID_ARGUMENTS}:{member}")


def _instant(text: Any) -> float:
    try:
        return datetime.fromisoformat(text).timestamp()
    except (TypeError, ValueError):
        raise Refusal(f"{INVALID_ARGUMENTS}:expire_time") from None
