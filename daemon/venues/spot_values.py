"""Readers for what Spot spells alike on WebSocket and REST: order records, counts, times and modes."""

import math
import re
from datetime import datetime
from typing import Annotated, Any, Final, Literal

import msgspec

from ..contract.evidence import Mode, OrderState, OrderTerms
from ..contract.ids import Target, fault_of
from ..contract.outcomes import ClosedState

UNREADABLE: Final = (msgspec.DecodeError, UnicodeError, RecursionError)
"""Everything msgspec raises on hostile input: no document, bytes that are no text, and one nested too deeply."""

WHY_CHARS: Final = 200
"""Longest explanation of what could not be read; the decoder quotes the venue in it."""

TEXT_CHARS: Final = 128
"""Longest symbol, reason or client order id taken from a record; a longer one is left out, never cut to another id."""


class Order(msgspec.Struct, gc=False):
    """One order record as the venue spells it.

    Any type is taken for each field and judged on its own below: one odd field must not hide the fate of the forty
    other orders in its frame. `cancel_reason` is the stream's name of the REST queries' `reason`.
    Source: WebSocket v1 "Open Orders"; REST "Get Open Orders", "Query Orders Info".
    """

    status: Any = None
    vol: Any = None
    vol_exec: Any = None
    cancel_reason: Any = None
    reason: Any = None
    descr: Any = None
    userref: Any = None
    cl_ord_id: Any = None
    opentm: Any = None
    closetm: Any = None


_STATUS: Final[dict[str, Literal["open"] | ClosedState]] = {
    "pending": "open",
    "open": "open",
    "canceled": "canceled",
    "closed": "filled",
    "expired": "expired",
}

_QUANTITY: Final = re.compile(r"[0-9]{1,30}(?:\.[0-9]{1,30})?\Z")
_DIGITS: Final = re.compile(r"[0-9]{1,10}\Z")
_Instant: Final = Annotated[datetime, msgspec.Meta(tz=True)]

_MODES: Final[dict[str, Mode]] = {
    "online": "online",
    "post_only": "post_only",
    "limit_only": "limit_only",
    "cancel_only": "cancel_only",
    "maintenance": "maintenance",
}


def order_state(order_id: str, order: Order, *, with_symbol: bool) -> OrderState | None:
    """What one record says of one order; None when `order_id` is not an order id.

    A status we do not know is None, never an end. A record without `descr` is an update: its userref of 0 was seen on
    orders that have one, so only a full record's userref is believed.
    with_symbol: the stream spells pairs XBT/USD and the queries XBTUSD; only one spelling may reach the rate counters,
    or each pair would have two.
    """
    if fault_of("spot", Target("order_id", order_id)) is not None:
        return None
    status, descr, userref = order.status, order.descr, order.userref
    full = isinstance(descr, dict)
    return OrderState(
        order_id,
        _STATUS.get(status) if isinstance(status, str) else None,
        _text(order.cl_ord_id),
        userref if full and type(userref) is int and userref != 0 else None,
        _text(descr.get("pair")) if full and with_symbol else None,
        number_of(order.opentm),
        _quantity(order.vol_exec),
        _text(order.cancel_reason) or _text(order.reason),
        terms=_terms(order, descr) if full and is_legible(order.cl_ord_id) and type(userref) in _USERREFS else None,
    )


_USERREFS: Final = (int, type(None))


def _terms(order: Order, descr: dict[str, Any]) -> OrderTerms | None:
    return terms_of(descr.get("pair"), descr.get("type"), _quantity(order.vol), _quantity(descr.get("price")))


def is_legible(name: object) -> bool:
    """Whether a message says by which client order id an order goes, or that it has none."""
    return not name or _text(name) is not None


_SIDES: Final[dict[str, Literal["buy", "sell"]]] = {"buy": "buy", "sell": "sell"}


def terms_of(
    symbol: object, side: object, quantity: str | None, price: str | None, *, whole: bool = False
) -> OrderTerms | None:
    """The terms of an order; None from a message that lacks one of symbol, side and quantity, and so is not whole.

    side: in lower case, as all venues but Prime write it. whole: the message is, also without the quantity.
    """
    traded, told = _text(symbol), _SIDES.get(side) if isinstance(side, str) else None
    if traded is None or told is None or (quantity is None and not whole):
        return None
    return OrderTerms(traded, told, quantity, price)


def count_of(value: object) -> int | None:
    """A number of orders: an integer, or its digits as text (the pages' schema says one, their example the other)."""
    if isinstance(value, str) and _DIGITS.match(value):
        return int(value)
    return value if type(value) is int and value >= 0 else None


def number_of(value: object) -> float | None:
    """A finite number above 0, also as text (the stream quotes numbers, the queries do not); None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and number > 0 else None


def instant_s(value: object) -> float | None:
    """RFC 3339 text with an offset to Unix seconds; None for anything else."""
    try:
        return msgspec.convert(value, _Instant).timestamp() if isinstance(value, str) else None
    except UNREADABLE:
        return None


def mode_of(value: object) -> Mode:
    """A trading mode; a word we do not know is `unknown`, since older pages list modes the newest one lacks."""
    return _MODES.get(value, "unknown") if isinstance(value, str) else "unknown"


def why(error: Exception) -> str:
    """The decoder's complaint, short enough for a log line."""
    return str(error)[:WHY_CHARS]


def _quantity(value: object) -> str | None:
    return value if isinstance(value, str) and _QUANTITY.match(value) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= TEXT_CHARS else None
