"""Reads the exchange's record of what it received: which venue it was for, what it asked, whom it named."""

import json
from collections.abc import Mapping
from typing import Any, Final

from canceld.contract.ids import VENUES, Venue
from canceld.sim.server import Received

ROUTES: Final[dict[Venue, frozenset[str]]] = {
    "spot": frozenset({"spot_ws", "spot_ws_v2", "spot_rest"}),
    "prime": frozenset({"prime_ws"}),
    "futures": frozenset({"futures_rest", "futures_feed", "unified_ws"}),
}
"""The ways into each venue, as the exchange calls them."""

CANCELS: Final = frozenset(
    {
        *("cancelOrder", "cancel_order", "batch_cancel", "CancelOrder", "CancelOrderBatch"),
        "OrderCancelRequest",
        *("cancelorder", "batchorder"),
    }
)
"""Operations that name the orders they cancel."""

IN_V2: Final = {
    "spot_ws": "spot_ws_v2",
    "cancelOrder": "cancel_order",
    "cancelAll": "cancel_all",
    "cancelAllOrdersAfter": "cancel_all_orders_after",
}
"""What stories call by its name in Spot's WebSocket v1, in the words of v2."""

_NAMES: Final = ("txid", "order_id", "orders", "cl_ord_id", "order_userref", "OrderID", "OrigClOrdID", "cliOrdId")
_REQIDS: Final = ("reqid", "req_id")


def venue_of(received: Received) -> Venue:
    """Whose request it was."""
    return next(venue for venue in VENUES if received.route in ROUTES[venue])


def asked(received: Received) -> Mapping[str, Any]:
    """What a request asked for, from wherever its dialect keeps that; empty for what could not be read."""
    match received.body:
        case {"method": str(), "params": dict(params)}:
            return params
        case {"type": "OrderCancelRequest", "data": [dict(command)]}:
            return command
        case dict(members):
            return members
    return {}


def names(received: Received) -> list[str]:
    """Every identifier in a cancel, as text."""
    members = asked(received)
    parts = json.loads(members["json"])["batchOrder"] if "json" in members else [members]
    found: list[str] = []
    for part in parts:
        for member in _NAMES:
            value = part.get(member, [])
            found += [str(name) for name in (value if isinstance(value, list) else [value])]
    return found


def reqid(received: Received) -> int | None:
    """The number that a WebSocket request goes by; None for the end of a Prime stream, which names the stream's."""
    if received.operation == "cancel":
        return None
    body = received.body if isinstance(received.body, dict) else {}
    return next((body[member] for member in _REQIDS if member in body), None)
