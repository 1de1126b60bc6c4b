"""Order records as REST and WebSocket v1 print them: amounts as text, times in unix seconds."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from .exchange import Order, State
from .markets import BY_WSNAME

_FEE_RATE = Decimal("0.0016")
STATUS: dict[State, str] = {
    State.OPEN: "open",
    State.FILLED: "closed",
    State.CANCELED: "canceled",
    State.EXPIRED: "expired",
}


def fee(order: Order) -> Decimal:
    """What the order has cost in fees so far; a plausible maker rate, no fee schedule."""
    return order.cost * _FEE_RATE


def description(order: Order, pair_name: str) -> dict[str, Any]:
    """The `descr` member: the order in words, the pair spelled as the front spells it."""
    terms = "market" if order.order_type == "market" else f"limit {order.price}"
    return {
        "close": None,
        "leverage": None,
        "order": f"{order.side} {order.quantity:.8f} {pair_name} @ {terms}",
        "ordertype": order.order_type,
        "pair": pair_name,
        "price": f"{order.price:.6f}",
        "price2": "0.000000",
        "type": order.side,
    }


def v1_record(order: Order, status: str) -> dict[str, Any]:
    """The full record of an openOrders snapshot or `pending` frame."""
    record = {
        "avg_price": f"{order.average_price:.6f}",
        "cost": f"{order.cost:.6f}",
        "descr": description(order, order.symbol),
        "expiretm": None if order.expires_s is None else f"{order.expires_s:.6f}",
        "fee": f"{fee(order):.6f}",
        "limitprice": "0.000000",
        "misc": "",
        "oflags": "fciq",
        "opentm": f"{order.opened_s:.6f}",
        "refid": None,
        "starttm": None,
        "status": status,
        "stopprice": "0.000000",
        "timeinforce": order.time_in_force,
        "userref": order.userref,
        "vol": f"{order.quantity:.8f}",
        "vol_exec": f"{order.filled:.8f}",
    }
    if order.cl_ord_id is not None:
        record["cl_ord_id"] = order.cl_ord_id
    return record


def rest_record(order: Order, *, trades: bool = False) -> dict[str, Any]:
    """The record OpenOrders, ClosedOrders and QueryOrders print; times are numbers here, not text."""
    record: dict[str, Any] = {
        "refid": None,
        "userref": order.userref,
        "status": STATUS[order.state],
        "opentm": order.opened_s,
        "starttm": 0,
        "expiretm": order.expires_s or 0,
        "descr": description(order, BY_WSNAME[order.symbol].altname)
        | {"leverage": "none", "price": str(order.price), "price2": "0", "close": ""},
        "vol": f"{order.quantity:.8f}",
        "vol_exec": f"{order.filled:.8f}",
        "cost": f"{order.cost:.5f}",
        "fee": f"{fee(order):.5f}",
        "price": f"{order.average_price:.5f}",
        "stopprice": "0.00000",
        "limitprice": "0.00000",
        "misc": "",
        "oflags": "fciq",
    }
    if order.cl_ord_id is not None:
        record["cl_ord_id"] = order.cl_ord_id
    if trades:
        record["trades"] = list(order.trades)
    if order.state is not State.OPEN:
        record["closetm"] = order.ended_s
        record["reason"] = order.reason
    return record
