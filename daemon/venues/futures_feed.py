"""Futures feed: the private subscription to frames, frames to evidence. It takes no cancels, it is their witness.

What leaves its list is not always over: a removal is told apart by its reason. The feed echoes key and signature, and
nothing of that leaves this file.
Source of all shapes: Futures WebSocket pages "Challenge", "Open orders (verbose)", "Heartbeat"; krakenfx/kraken-cli and
nautechsystems/nautilus_trader for those that the pages lack.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from ..contract.evidence import (
    Challenge,
    Evidence,
    Fault,
    Heartbeat,
    Hello,
    Irrelevant,
    Orders,
    OrderState,
    OrderTerms,
    Pong,
    Subscribed,
    SubscriptionLost,
    Unattributed,
    Unlisted,
    Unreadable,
)
from ..contract.outcomes import ClosedState
from ..credentials import Keys
from .faults import futures_fault_of
from .pieces import evidence_in_pieces, under
from .signing import futures_challenge
from .spot_values import UNREADABLE, is_legible, number_of, terms_of, why
from .values import NOTHING, decimal_text, error_text, order_id_of, text_of, total

FEED: Final = "open_orders_verbose"
"""The order feed that is asked for: beside every resting order it tells those that failed as they were placed."""

_DELTAS: Final = ("open_orders", FEED)
_SNAPSHOTS: Final = ("open_orders_snapshot", f"{FEED}_snapshot")
_CHALLENGE: Final = re.compile(r"[\x21-\x7e]{1,128}\Z")
_to_json: Final = msgspec.json.Encoder().encode

_ENDS: Final[dict[str, ClosedState]] = {
    "cancelled_by_user": "canceled",
    "full_fill": "filled",
    "dead_man_switch": "canceled",
    "cancelled_by_admin": "canceled",
    "liquidation": "canceled",
    "not_enough_margin": "canceled",
    "market_inactive": "canceled",
    "contract_expired": "expired",
    # These never rested; of our three ends "expired" is the one that no cancel brings about.
    "ioc_order_failed_because_it_would_not_be_executed": "expired",
    "post_order_failed_because_it_would_filled": "expired",
    "post_order_failed_because_it_would_be_filled": "expired",
    "would_execute_self": "expired",
    "would_not_reduce_position": "expired",
}
"""The reasons after which nothing rests. Of all others, stop_order_triggered among them, that is not known: a triggered
stop leaves the list and a limit order follows, under an id of which nobody says whether it is the same."""

_NO_CHANGE: Final = "order_for_edit_not_found"
_HARMLESS: Final = "already subscribed to feed"
_LIST: Final = under("orders")


class _Order(msgspec.Struct, gc=False):
    order_id: Any = None
    cli_ord_id: Any = None
    instrument: Any = None
    direction: Any = None
    qty: msgspec.Raw = NOTHING
    filled: msgspec.Raw = NOTHING
    limit_price: msgspec.Raw = NOTHING
    time: Any = None


class _Message(msgspec.Struct, gc=False):
    """An event or feed data. A removal has the order's ids alone, or the order: both are one row. No member decides
    before it was judged on its own."""

    event: Any = None
    feed: Any = None
    message: Any = None
    error: Any = None
    errorMessage: Any = None
    Error: Any = None
    success: Any = None
    orders: msgspec.Raw = NOTHING
    order: msgspec.Raw = NOTHING
    order_id: Any = None
    cli_ord_id: Any = None
    is_cancel: Any = None
    reason: Any = None


_decode: Final = msgspec.json.Decoder(_Message).decode
_decode_order: Final = msgspec.json.Decoder(_Order | None).decode
_decode_orders: Final = msgspec.json.Decoder(list[_Order]).decode


def challenge_frame(keys: Keys) -> bytes:
    """Ask for a challenge. The venue gives one to any key text: a wrong key shows at the subscription."""
    return _to_json({"event": "challenge", "api_key": keys.key.reveal()})


def subscribe_frame(keys: Keys, challenge: str) -> bytes:
    """The request for the order feed. challenge: the one of this connection, which no other can use."""
    return _to_json(
        {
            "event": "subscribe",
            "feed": FEED,
            "api_key": keys.key.reveal(),
            "original_challenge": challenge,
            "signed_challenge": futures_challenge(keys.secret, challenge),
        }
    )


def heartbeat_frame() -> bytes:
    """The request for heartbeats, which need no key."""
    return b'{"event":"subscribe","feed":"heartbeat"}'


def ping_frame() -> bytes:
    """The application ping, due at least every 60 s. Its pong names nothing."""
    return b'{"event":"ping"}'


def decode(frame: str | bytes) -> Evidence:
    """One text frame to one piece of evidence. Never raises on venue data."""
    try:
        message = _decode(frame)
    except UNREADABLE as error:
        return Unreadable(why(error))
    words = message.error or message.errorMessage or message.Error
    if (words or message.success is False) and not _has_data(message):
        return _alert(error_text(words) or error_text(message.message))
    if message.event is not None:
        return _event(message)
    match message.feed:
        case "heartbeat":
            return Heartbeat()
        case str(feed) if feed in _SNAPSHOTS:
            return _snapshot(message.orders)
        case str(feed) if feed in _DELTAS:
            return _delta(message)
        case str():
            return Irrelevant()
        case _:
            return Unreadable("neither an event nor feed data")


def _has_data(message: _Message) -> bool:
    """Whether it tells of orders: they have ended or rest, whatever else is wrong."""
    return bool(bytes(message.orders) or bytes(message.order)) or message.order_id is not None


def _event(message: _Message) -> Evidence:
    text = error_text(message.message)
    match message.event:
        case "info":
            return Hello()
        case "pong":
            return Pong(None)
        case "challenge":
            return Challenge(text) if _CHALLENGE.match(text) else Unreadable("a challenge that cannot be signed")
        case "subscribed" if message.feed in _DELTAS:
            return Subscribed(None)
        case "subscribed_failed" | "unsubscribed" as event if message.feed in _DELTAS:
            return SubscriptionLost(None, futures_fault_of(text), text or event, named=True)
        case "alert" | "error":
            return _alert(text)
        case str():
            return Irrelevant()
        case _:
            return Unreadable("an event that is no text")


def _alert(text: str) -> Evidence:
    """An alert or error, which names no feed: only the private one can be refused for its credentials.

    A challenge that was used before is refused in the same words: one new challenge, before the key is called wrong.
    """
    if text.lower().startswith(_HARMLESS):
        return Irrelevant()
    fault = futures_fault_of(text)
    return SubscriptionLost(None, fault, text) if fault is Fault.CREDENTIALS else Unattributed(fault, text)


def pieces(frame: str | bytes) -> Iterator[Evidence | None] | None:
    """A long list piece by piece, as pieces.py tells; None for any other message, which `decode` reads."""
    return evidence_in_pieces(frame, _LIST, decode)


def _snapshot(raw: msgspec.Raw) -> Evidence:
    try:
        rows = _decode_orders(raw)
    except UNREADABLE as error:
        return Unreadable(why(error))
    states = _states(rows)
    return states if isinstance(states, Unreadable) else Orders(tuple(states), snapshot=True)


def _states(rows: Iterable[_Order | None]) -> list[OrderState] | Unreadable:
    states: list[OrderState] = []
    for row in rows:
        order_id = None if row is None else order_id_of(row.order_id)
        # Skipping what is odd here would make a snapshot out of which an order is missing, that is, has ended.
        if row is None or order_id is None:
            return Unreadable("an order whose id is no order id")
        states.append(_open(order_id, row, text_of(row.cli_ord_id)))
    return states


def _delta(message: _Message) -> Evidence:
    """`is_cancel` means removed from the list, not cancelled: how the order ended is in `reason`."""
    try:
        row = (_decode_order(message.order) if bytes(message.order) else None) or _Order()
    except UNREADABLE as error:
        return Unreadable(why(error))
    ids = [value for value in (row.order_id, message.order_id) if value is not None]
    order_id = order_id_of(ids[0]) if ids else None
    if order_id is None or any(value != order_id for value in ids):
        return Unreadable("a change of no single order")
    cl_ord_id = text_of(row.cli_ord_id) or text_of(message.cli_ord_id)
    reason = text_of(message.reason)
    if reason == _NO_CHANGE:
        return Irrelevant()
    if message.is_cancel is False:
        return Orders((_open(order_id, row, cl_ord_id),), snapshot=False)
    if message.is_cancel is not True:
        return Unreadable("a change that does not say whether the order was removed")
    end = None if reason is None else _ENDS.get(reason)
    if end is None:
        return Unlisted((order_id,), reason)
    state = OrderState(
        order_id,
        end,
        cl_ord_id,
        symbol=text_of(row.instrument),
        opened_s=_seconds(row.time),
        filled_qty=decimal_text(row.filled),
        reason=reason,
        terms=_terms(row),
    )
    return Orders((state,), snapshot=False)


def _open(order_id: str, row: _Order, cl_ord_id: str | None) -> OrderState:
    return OrderState(
        order_id,
        "open",
        cl_ord_id,
        symbol=text_of(row.instrument),
        opened_s=_seconds(row.time),
        filled_qty=decimal_text(row.filled),
        terms=_terms(row),
    )


def _terms(row: _Order) -> OrderTerms | None:
    """What was ordered. `qty` is what is left of it, as the page's sample of a full fill shows."""
    filled = decimal_text(row.filled)
    side = _SIDES.get(row.direction) if type(row.direction) is int else None
    price = decimal_text(row.limit_price)
    if price is not None and price.strip("0.") == "":
        # A stop without a limit is told with one of 0.
        price = None
    if not is_legible(row.cli_ord_id):
        return None
    return terms_of(row.instrument, side, total(filled, decimal_text(row.qty)), price)


_SIDES: Final = {0: "buy", 1: "sell"}
"""Source: "Open orders (verbose)"."""


def _seconds(milliseconds: object) -> float | None:
    number = number_of(milliseconds)
    return None if number is None else number / 1000
