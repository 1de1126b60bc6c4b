"""Readers for what the dialects of several venues spell alike: decimals, request ids, texts and times.

Like the rest of the room they take anything the venue may send and raise nothing.
"""

import re
from datetime import datetime, timedelta
from decimal import Context, Decimal
from typing import Any, Final

import msgspec

from ..contract.evidence import Fault
from ..contract.ids import REQID_LIMIT, Reqid, Target, fault_of
from .faults import TEXT_CHARS as ERROR_CHARS
from .spot_values import TEXT_CHARS

NOTHING: Final = msgspec.Raw()
"""A member that the message does not have."""

_DECIMAL: Final = re.compile(rb'("?)([0-9]{1,30}(?:\.[0-9]{1,30})?(?:[eE][+-]?[0-9]{1,3})?)\1\Z')
_EPOCH: Final = datetime.fromisoformat("1970-01-01T00:00:00Z")
_MICROSECOND: Final = timedelta(microseconds=1)


def decimal_text(raw: msgspec.Raw) -> str | None:
    """A quantity as it stands on the wire, number or quoted; None for anything else.

    Never by way of a float: 0.1 must not become what is nearest to it. Exponents are kept, one venue sends `0E-11`.
    """
    match = _DECIMAL.match(bytes(raw))
    return None if match is None else match[2].decode()


def reqid_of(value: object) -> Reqid | None:
    """A request id, of its own type only: True is an int to isinstance, a text or a float is somebody else's echo."""
    return Reqid(value) if type(value) is int and 0 < value <= REQID_LIMIT else None


def order_id_of(value: object) -> str | None:
    """An order id that could be sent back in a cancel; None for anything else."""
    if not isinstance(value, str) or fault_of("spot", Target("order_id", value)) is not None:
        return None
    return value


def text_of(value: object) -> str | None:
    """A short text; a longer one is left out, never cut to another name."""
    return value if isinstance(value, str) and 0 < len(value) <= TEXT_CHARS else None


def error_text(value: object) -> str:
    """The venue's words for an error, cut to what an error has; empty when they are no text."""
    return value[:ERROR_CHARS] if isinstance(value, str) else ""


def total(filled: str | None, left: str | None) -> str | None:
    """The whole quantity of an order of which a venue tells two parts; None where it does not tell both."""
    if filled is None or left is None:
        return None
    whole = f"{_EXACT.add(Decimal(filled), Decimal(left)):f}"
    return whole if len(whole) <= QUANTITY_CHARS else None


_EXACT: Final = Context(prec=200)
"""Exact for all that fits QUANTITY_CHARS, whatever context the reader works in."""

QUANTITY_CHARS: Final = 64
"""Longest quantity that is written out: decimal_text lets exponents of three digits through."""


def refusal_in(message: dict[str, Any]) -> str | None:
    """What a message of no known form refuses in; empty where it has no words for it, None where it refuses nothing.

    Everything that is called an error is a refusal until a dialect knows it for something else: a request of ours may
    be waiting for it.
    """
    for member in ("errorMessage", "error", "Error"):
        if message.get(member):
            return error_text(message[member])
    return "" if message.get("success") is False else None


def unplain(fault: Fault) -> Fault:
    """What is believed of a refusal in a form that is not the documented one: never that an order is not open."""
    return Fault.UNLISTED if fault is Fault.NOT_OPEN else fault


def instant_ns(value: object) -> int | None:
    """RFC 3339 text with an offset to Unix nanoseconds, exact to the microsecond; None for anything else."""
    try:
        return (datetime.fromisoformat(value) - _EPOCH) // _MICROSECOND * 1000  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return None


def elapsed_ns(start: object, end: object) -> int | None:
    """The time between two RFC 3339 texts; None when either is none, or the end lies before the start."""
    try:
        took = datetime.fromisoformat(end) - datetime.fromisoformat(start)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return None
    ns = took // _MICROSECOND * 1000
    return ns if ns >= 0 else None


def is_timer_reason(reason: str) -> bool:
    """Whether an order's `reason` says that the account's cancel-all timer ended it.

    Futures tells `dead_man_switch` on its feed. Spot publishes no word: the name that its pages give the timer is
    looked for. It is for telling people alone, nothing is decided by a free text.
    Source: Futures WebSocket "Open orders (verbose)"; Spot WebSocket v1 "Cancel All Orders After".
    """
    words = reason.lower().replace("_", " ")
    return "dead man" in words or "cancel all orders after" in words
