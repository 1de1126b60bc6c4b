"""The Unified WebSocket, private side: derivatives orders in the v2 format, with a Spot token.

Sources: the pages under https://docs.kraken.com/exchange/api-reference/unified-ws. No frame of it was ever published or
captured: shapes come from Spot v2, order ids are UUIDs, errors are Spot's texts where it has one and Futures' words
where it has not. `add_order` is not served.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from .exchange import Change, Order, What
from .futures import FuturesEngine
from .futures_records import number, removal_reason
from .keys import CANCEL_RIGHTS, QUERY_OPEN_RIGHT, ApiKey
from .refusal import Refusal
from .spot import INVALID_ARGUMENTS, INVALID_SESSION, UNKNOWN_ORDER, SpotEngine
from .times import rfc3339_micros, rfc3339_up
from .v2 import Subscription, V2Connection
from .websocket import Demand, Frame, Line

BATCH_LIMIT = 50
CANCEL_COST, ALL_COST = 10, 25  # of the Futures budget, as over REST; the venue publishes no other


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_MEMBERS: dict[str, frozenset[str]] = {
    "ping": frozenset(),
    "subscribe": _words("asset_class channel token snapshot snap_orders snap_trades order_status ratecounter"),
    "unsubscribe": _words("asset_class channel token"),
    "cancel_order": _words("asset_class token order_id cl_ord_id"),
    "batch_cancel": _words("asset_class token orders cl_ord_id"),
    "cancel_all": _words("asset_class token"),
    "cancel_all_orders_after": _words("asset_class token timeout"),
}


class UnifiedV2(V2Connection):
    """One connection. tokens: the Spot side, which hands out the tokens used here."""

    route = "unified_ws"
    members = _MEMBERS

    def __init__(
        self,
        line: Line,
        engine: FuturesEngine,
        *,
        tokens: SpotEngine,
        connection_id: int,
        now: Callable[[], float],
    ) -> None:
        super().__init__(line, market=engine.market, connection_id=connection_id, now=now)
        self._engine = engine
        self._tokens = tokens

    def serve(self, demand: Demand) -> list[Frame]:
        try:
            for member in sorted(demand.message.keys() - self.members[demand.operation]):
                kind = demand.operation.replace("_", " ")
                raise Refusal(f"Unsupported field: '{member}' for the given msg type: {kind}")
            if demand.operation == "ping":
                return [self._stamped(demand, {"method": "pong", "success": True})]
            key = self._tokens.holder(_token(demand.message))
            if demand.message.get("asset_class") != "derivatives":
                raise Refusal(f"{INVALID_ARGUMENTS}:asset_class")
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
                    result = self._cancel_all(key)
                case _:
                    result = self._cancel_all_orders_after(demand.message, key)
        except Refusal as refusal:
            return [self.refuse(demand, refusal.text)]
        return [self._accepted(demand, result)]

    # --- requests -------------------------------------------------------------------------------------------------

    def _cancel_order(self, demand: Demand, key: ApiKey) -> list[Frame]:
        """One ack per order, all with the request's req_id; only a success says which order it means."""
        self._tokens.require(key, CANCEL_RIGHTS)
        params = demand.message
        if len(params.keys() & {"order_id", "cl_ord_id"}) != 1:
            raise Refusal(f"{INVALID_ARGUMENTS}:order_id")
        named = [("order_id", text) for text in _order_ids(params, "order_id")]
        named += [("cl_ord_id", text) for text in _texts(params, "cl_ord_id")]
        if not 1 <= len(named) <= BATCH_LIMIT:
            raise Refusal(f"{INVALID_ARGUMENTS}:order_id")
        acks: list[Frame] = []
        for member, text in named:
            try:
                if fault := self._line.take("ack_error", demand.operation):
                    raise Refusal(fault["error"])
                self._engine.charge(key.account, CANCEL_COST)
                if self._cancel(key, member, text) is None:
                    raise Refusal(UNKNOWN_ORDER)
                acks.append(self._accepted(demand, {member: text}))
            except Refusal as refusal:
                acks.append(self.refuse(demand, refusal.text))
        return acks

    def _batch_cancel(self, params: dict[str, Any], key: ApiKey) -> int:
        self._tokens.require(key, CANCEL_RIGHTS)
        named = [("order_id", text) for text in _order_ids(params, "orders")]
        named += [("cl_ord_id", text) for text in _texts(params, "cl_ord_id")]
        named = list(dict.fromkeys(named))
        if not 2 <= len(named) <= BATCH_LIMIT:
            raise Refusal(f"{INVALID_ARGUMENTS}:orders")
        self._engine.charge(key.account, 9 + len(named))
        if fault := self._line.take("batch_partial", "batch_cancel"):
            named = named[: max(0, len(named) - fault["keep"])]
        return sum(self._cancel(key, member, text) is not None for member, text in named)

    def _cancel(self, key: ApiKey, member: str, text: str) -> Order | None:
        """Cancel one order; None when no open one answers to the id."""
        if member == "order_id":
            fate = self._engine.cancel(key.account, order_id=text)
        else:
            fate = self._engine.cancel(key.account, cl_ord_id=text)
        return fate.order if fate.word == "cancelled" else None

    def _cancel_all(self, key: ApiKey) -> dict[str, Any]:
        self._tokens.require(key, CANCEL_RIGHTS)
        self._engine.charge(key.account, ALL_COST)
        return {"count": len(self._engine.cancel_all(key.account))}

    def _cancel_all_orders_after(self, params: dict[str, Any], key: ApiKey) -> dict[str, Any]:
        self._tokens.require(key, CANCEL_RIGHTS)
        timeout_s = params.get("timeout")
        if type(timeout_s) is not int:
            raise Refusal(f"{INVALID_ARGUMENTS}:timeout")
        self._engine.charge(key.account, ALL_COST)
        fires_s = self._engine.cancel_all_after(key.account, timeout_s)
        return {
            "currentTime": rfc3339_up(self._now()),
            "triggerTime": "0" if fires_s is None else rfc3339_up(fires_s),
        }

    # --- executions -----------------------------------------------------------------------------------------------

    def _subscribe(self, params: dict[str, Any], key: ApiKey) -> dict[str, Any]:
        if params.get("channel") != "executions":
            raise Refusal("Subscription name invalid")
        if "executions" in self._held:
            raise Refusal("Already subscribed")
        self._tokens.require(key, {QUERY_OPEN_RIGHT})
        # Listening starts after the snapshot is taken and nothing runs in between, so no change is told twice.
        self._held["executions"] = Subscription(
            forget=self._engine.exchange.listen(key.account, "futures", self._on_order),
            all_statuses=params.get("order_status") is not False,
        )
        wanted = params.get("snap_orders") is not False and params.get("snapshot") is not False
        if wanted:
            resting = self._engine.exchange.open_orders(key.account, "futures")
            self._emit("executions", "snapshot", [_full_row(order, "new") for order in resting])
        return {"channel": "executions", "asset_class": "derivatives", "snapshot": wanted}

    def _unsubscribe(self, params: dict[str, Any]) -> dict[str, Any]:
        if params.get("channel") not in self._held:
            raise Refusal("Subscription Not Found")
        self._held.pop("executions").forget()
        return {"channel": "executions"}

    def _on_order(self, change: Change) -> None:
        """Derivatives begin with `new`, and the trade that completes an order is its last row."""
        order, everything = change.order, self._held["executions"].all_statuses
        match change.what:
            case What.PLACED:
                self._tell(change, _full_row(order, "new"))
            case What.TRADED:
                if everything:
                    self._tell(change, _trade_row(change))
            case What.FILLED:
                if not everything:
                    self._tell(change, _row(order, change.at_s, "filled"))
            case What.CANCELED | What.EXPIRED:
                self._tell(change, _row(order, change.at_s, change.what.value) | {"reason": removal_reason(order)})

    def _tell(self, change: Change, row: dict[str, Any]) -> None:
        if odd := self._line.take("status_word", change.what.value):
            row = row | {"order_status": odd["word"]}
        self._emit("executions", change.what.value, [row])


def _row(order: Order, at_s: float, exec_type: str) -> dict[str, Any]:
    row: dict[str, Any] = {
        "timestamp": rfc3339_micros(at_s),
        "order_id": order.order_id,
        "exec_type": exec_type,
        "order_status": exec_type,
        "cum_qty": number(order.filled),
    }
    if order.cl_ord_id is not None:
        row["cl_ord_id"] = order.cl_ord_id
    return row


def _full_row(order: Order, exec_type: str) -> dict[str, Any]:
    row = _row(order, order.opened_s, exec_type) | {
        "symbol": order.symbol,
        "side": order.side,
        "order_type": "limit",
        "order_qty": number(order.quantity),
        "limit_price": number(order.price),
        "time_in_force": "gtc",
    }
    return row | {"order_status": "partially_filled"} if order.filled else row


def _trade_row(change: Change) -> dict[str, Any]:
    order, fill = change.order, change.fill
    assert fill is not None
    done = order.filled == order.quantity
    return _row(order, change.at_s, "trade") | {
        "order_status": "filled" if done else "partially_filled",
        "symbol": order.symbol,
        "side": order.side,
        "exec_id": fill.trade_id,
        "last_qty": number(fill.quantity),
        "last_price": number(fill.price),
    }


def _token(params: dict[str, Any]) -> str:
    token = params.get("token")
    if not isinstance(token, str):
        raise Refusal(INVALID_SESSION)
    return token


def _texts(params: dict[str, Any], member: str) -> list[str]:
    texts = params.get(member, [])
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise Refusal(f"{INVALID_ARGUMENTS}:{member}")
    return texts


def _order_ids(params: dict[str, Any], member: str) -> list[str]:
    """Derivatives order ids are UUIDs; a txid is refused."""
    texts = _texts(params, member)
    for text in texts:
        try:
            uuid.UUID(text)
        except ValueError:
            raise Refusal(f"{INVALID_ARGUMENTS}:{member}") from None
    return texts
