"""The identifiers a command can name, and what each may look like."""

import re
from typing import Annotated, Literal, NamedTuple, NewType, TypeAlias

import msgspec

Venue: TypeAlias = Literal["spot", "prime", "futures"]
VENUES: tuple[Venue, ...] = ("spot", "prime", "futures")

#: How an order is named. `order_id` is the venue's own id (Spot calls it txid), `cl_ord_id` the client's id of the
#: order, `userref` a Spot number that may name many orders at once and may be used again.
#: `all` stands for everything open at a venue, `market` for all of one symbol and `scope` for what a scope means; no
#: client spells them: `cancel_all` does.
Kind: TypeAlias = Literal["order_id", "cl_ord_id", "userref", "all", "market", "scope"]

#: Correlates one frame with its answers on a WebSocket: 1..2^53-1, never used twice in the life of the process.
Reqid = NewType("Reqid", int)

#: What a client calls its command; echoed in the reply.
CommandID: TypeAlias = (
    Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=r"^[\x20-\x7e]+$(?!\n)")]
    | Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
)

REQID_LIMIT = 2**53 - 1
"""Largest integer that every JSON reader keeps exact; Kraken publishes no larger bound."""


class Target(NamedTuple):
    """One order (or, by userref, one family of orders) as a client named it."""

    kind: Kind
    value: str | int


EVERYTHING = Target("all", "")
"""What a cancel_all is after."""


# Deliberately wider than the 6-5-6 form of Kraken's pages: an id we refuse is an order that nobody cancels. The dash
# is required, because Spot reads a bare number in its txid field as a userref.
_ORDER_ID = re.compile(r"[A-Za-z0-9]+(?:-[A-Za-z0-9]+)+\Z")
_CL_ORD_ID = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?\Z")

ORDER_ID_CHARS = 64
"""Longest order id taken: a UUID has 36 characters, a txid 19."""

CL_ORD_ID_CHARS: dict[Venue, int] = {"spot": 36, "prime": 36, "futures": 100}
"""Longest client order id of each venue. Source: Spot add-order page, Prime FIX pages, Futures cancelorder page."""

USERREF_LIMIT = 2**31
"""Spot's userref is a signed 32-bit integer."""


def fault_of(venue: Venue, target: Target) -> str | None:
    """Why `target` cannot be an identifier of `venue`, naming the field; None when it can be one."""
    kind, value = target
    if kind == "order_id":
        if not isinstance(value, str) or len(value) > ORDER_ID_CHARS or not _ORDER_ID.match(value):
            return "order_id: expected letters and digits in groups joined by '-', at most 64 characters"
    elif kind == "cl_ord_id":
        limit = CL_ORD_ID_CHARS[venue]
        if not isinstance(value, str) or len(value) > limit or not _CL_ORD_ID.match(value):
            return f"cl_ord_id: expected 1..{limit} printable ASCII characters on {venue}"
    elif not isinstance(value, int) or value == 0 or not -USERREF_LIMIT <= value < USERREF_LIMIT:
        return "userref: expected a signed 32-bit integer other than 0 (0 is what orders without one report)"
    return None
