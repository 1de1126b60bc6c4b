"""Futures orders as REST and the feed print them.

Sources: https://docs.kraken.com/api/docs/futures-api/trading/cancel-order, .../send-batch-order, .../get-open-orders,
.../get-order-status and https://docs.kraken.com/exchange/api-reference/futures-websocket/open_orders_verbose.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from .exchange import COUNTDOWN_FIRED, Fill, Order, State
from .futures import TRIGGERS
from .times import rfc3339_millis

Amount = Callable[[Decimal], Any]

_BATCH_DIGITS = Decimal("1E-11")


def number(amount: Decimal) -> int | float:
    """As a JSON number, whole ones without a fraction."""
    return int(amount) if amount == amount.to_integral_value() else float(amount)


def lettered(amount: Decimal) -> str:
    """As text with eleven digits, nothing at all as `0E-11`: how a batch's answer was seen to write amounts."""
    return str(amount.quantize(_BATCH_DIGITS))


def account_uid(account: str) -> str:
    """The account as the feed names it."""
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, account))


def order_json(order: Order, amount: Amount = number, *, filled: Decimal | None = None) -> dict[str, Any]:
    """`OrderJson`. filled: what had been filled at the time told of, where that is not now."""
    placed = rfc3339_millis(order.opened_s)
    return {
        "orderId": order.order_id,
        "cliOrdId": order.cl_ord_id,
        "type": order.order_type,
        "symbol": order.symbol,
        "side": order.side,
        "quantity": amount(order.quantity),
        "filled": amount(order.filled if filled is None else filled),
        "limitPrice": amount(order.price),
        "reduceOnly": False,
        "timestamp": placed,
        "lastUpdateTimestamp": placed,
    }


def trigger_json(order: Order, amount: Amount = number) -> dict[str, Any]:
    """`OrderTriggerJson`: an order that waits for a price."""
    placed = rfc3339_millis(order.opened_s)
    return {
        "uid": order.order_id,
        "clientId": order.cl_ord_id,
        "type": "ioc",
        "symbol": order.symbol,
        "side": order.side,
        "quantity": amount(order.quantity),
        "limitPrice": None,
        "triggerPrice": amount(order.price),
        "triggerSide": "trigger_below" if order.side == "sell" else "trigger_above",
        "triggerSignal": "last_price",
        "reduceOnly": False,
        "timestamp": placed,
        "lastUpdateTimestamp": placed,
        "startTime": None,
    }


def cancel_event(order: Order, amount: Amount = number) -> dict[str, Any]:
    """`CancelEvent`, or for a trigger `CancelTriggerEvent`."""
    if order.order_type in TRIGGERS:
        return {"type": "CANCEL", "uid": order.order_id, "orderTrigger": trigger_json(order, amount)}
    return {"type": "CANCEL", "uid": order.order_id, "order": order_json(order, amount)}


def place_event(order: Order, amount: Amount = number) -> dict[str, Any]:
    """`PlaceEvent`, or for a trigger `PlaceTriggerEvent`."""
    if order.order_type in TRIGGERS:
        return {"type": "PLACE", "orderTrigger": trigger_json(order, amount)}
    return {"type": "PLACE", "order": order_json(order, amount), "reducedQuantity": None}


def execution_event(order: Order, fill: Fill, amount: Amount = number) -> dict[str, Any]:
    """`ExecuteEvent`."""
    return {
        "type": "EXECUTION",
        "executionId": fill.trade_id,
        "price": amount(fill.price),
        "amount": amount(fill.quantity),
        "orderPriorEdit": None,
        "orderPriorExecution": order_json(order, amount, filled=order.filled - fill.quantity),
        "takerReducedQuantity": None,
    }


def open_row(order: Order) -> dict[str, Any]:
    """A row of `openorders`."""
    placed = rfc3339_millis(order.opened_s)
    row: dict[str, Any] = {"order_id": order.order_id}
    if order.cl_ord_id is not None:
        row["cliOrdId"] = order.cl_ord_id
    trigger = order.order_type in TRIGGERS
    return row | {
        "symbol": order.symbol,
        "side": order.side,
        "orderType": {"stp": "stop"}.get(order.order_type, order.order_type),
        "stopPrice" if trigger else "limitPrice": number(order.price),
        "unfilledSize": number(order.quantity - order.filled),
        "filledSize": number(order.filled),
        "receivedTime": placed,
        "lastUpdateTime": placed,
        "status": "partiallyFilled" if order.filled else "untouched",
        "reduceOnly": False,
    }


def status_row(order: Order) -> dict[str, Any]:
    """A row of `orders/status`. An order that expired is told as canceled, its reason apart."""
    trigger = order.order_type in TRIGGERS
    shown = order_json(order) | {"type": "TRIGGER_ORDER" if trigger else "ORDER"}
    if trigger:
        waits = trigger_json(order)
        shown["priceTriggerOptions"] = {name: waits[name] for name in ("triggerPrice", "triggerSide", "triggerSignal")}
        shown["limitPrice"] = None
    return {
        "order": shown,
        "status": _STATUS[order.state, trigger],
        "updateReason": None if order.state is State.OPEN else _UPDATE_REASON[removal_reason(order)],
        "error": None,
    }


def feed_row(order: Order) -> dict[str, Any]:
    """An order as the feed shows it. qty: what is left."""
    placed_ms = int(order.opened_s * 1000)
    trigger = order.order_type in TRIGGERS
    row: dict[str, Any] = {
        "instrument": order.symbol,
        "time": placed_ms,
        "last_update_time": placed_ms,
        "qty": number(order.quantity - order.filled),
        "filled": number(order.filled),
        "limit_price": 0 if trigger else number(order.price),
        "stop_price": number(order.price) if trigger else 0,
        "type": {"stp": "stop", "take_profit": "take_profit"}.get(order.order_type, "limit"),
        "order_id": order.order_id,
        "direction": 0 if order.side == "buy" else 1,
        "reduce_only": False,
    }
    if order.cl_ord_id is not None:
        row["cli_ord_id"] = order.cl_ord_id
    return row


def removal_reason(order: Order) -> str:
    """Why an order left the book, in the feed's words."""
    match order.state:
        case State.FILLED:
            return "full_fill"
        case State.EXPIRED:
            return "contract_expired"
        case State.OPEN | State.CANCELED:
            return "dead_man_switch" if order.reason == COUNTDOWN_FIRED else "cancelled_by_user"


_STATUS: dict[tuple[State, bool], str] = {
    (State.OPEN, False): "ENTERED_BOOK",
    (State.OPEN, True): "TRIGGER_PLACED",
    (State.FILLED, False): "FULLY_EXECUTED",
    (State.FILLED, True): "FULLY_EXECUTED",
    (State.CANCELED, False): "CANCELLED",
    (State.CANCELED, True): "CANCELLED",
    (State.EXPIRED, False): "CANCELLED",
    (State.EXPIRED, True): "CANCELLED",
}
_UPDATE_REASON = {
    "full_fill": "FULL_FILL",
    "contract_expired": "CONTRACT_EXPIRED",
    "dead_man_switch": "DEAD_MAN_SWITCH",
    "cancelled_by_user": "CANCELLED_BY_USER",
}
