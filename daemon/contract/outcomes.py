"""What a cancel can come to. Exactly one of these answers each command; what a caller may believe is said at each."""

from typing import Literal, TypeAlias

import msgspec

from .ids import Target, Venue

Route: TypeAlias = Literal["ws", "rest", "stream", "none"]
"""The way an answer came: WebSocket ack, REST answer, the venue's order stream, or no answer at all."""

ClosedState: TypeAlias = Literal["filled", "expired", "canceled"]
RejectClass: TypeAlias = Literal["auth", "permission", "throttled", "invalid", "unavailable"]
RefusalReason: TypeAlias = Literal[
    "invalid", "too_large", "unsupported", "id_reused", "overloaded", "draining", "no_route", "expired"
]


class Acked(msgspec.Struct, frozen=True):
    """The venue accepted the cancel. The order is on its way out; proof follows on the event socket."""


class Canceled(msgspec.Struct, frozen=True):
    """Proved: the order is off the book. `filled_qty` is what filled before, in the venue's decimal text."""

    filled_qty: str | None = None


class Closed(msgspec.Struct, frozen=True):
    """The order had ended otherwise: nothing rests.

    state: None only with cause "unconfirmed": the venue no longer knows the order after a cancel of ours may have
    reached it, and no query could tell how it ended.
    """

    state: ClosedState | None
    filled_qty: str | None = None
    cause: Literal["unconfirmed"] | None = None


class NotOpen(msgspec.Struct, frozen=True):
    """The venue knows no such open order, and nothing contradicts it."""


class Rejected(msgspec.Struct, frozen=True):
    """The venue refused this cancel. The order may still rest. The venue's words are in the settlement's `error`."""

    reject_class: RejectClass


class Unknown(msgspec.Struct, frozen=True):
    """A frame may have left us and no answer settled it in time. The caller must treat the order as live."""

    tried: tuple[Route, ...]


class Refused(msgspec.Struct, frozen=True):
    """No byte left this machine: safe to send again."""

    reason: RefusalReason
    detail: str


Outcome: TypeAlias = Acked | Canceled | Closed | NotOpen | Rejected | Unknown | Refused

NAMES: dict[type[Outcome], str] = {
    Acked: "acked",
    Canceled: "canceled",
    Closed: "closed",
    NotOpen: "not_open",
    Rejected: "rejected",
    Unknown: "unknown",
    Refused: "refused",
}

SAFE: tuple[type[Outcome], ...] = (Canceled, Closed, NotOpen)
"""The outcomes after which nothing rests under the identifier."""


class Settlement(msgspec.Struct, frozen=True, kw_only=True):
    """One outcome with its circumstances, before it is addressed to a client.

    Times are CLOCK_MONOTONIC nanoseconds, None when it did not happen: `sent_ns` the first byte towards the venue,
    `answered_ns` the venue's conclusive answer. `attempts` counts requests that may have left. `order_id` is the
    venue's id where it is known, also when the client named the order otherwise. `count` is told of what may mean
    several orders: how many the venue says it cancelled; `residual` of a cancel_all: the ids that are still open.
    `pending` where the venue said of the cancel that it accepted that it is not final yet, `received_time` where it
    said when it took the cancel in (RFC 3339, its own words). Where the orders are known, `order_ids` are those that
    were cancelled, `unsure` those of which nobody could tell whether they were meant (they were left alone), and
    `filled_qty` is of those cancelled together, where they are of one symbol.
    """

    venue: Venue
    target: Target
    outcome: Outcome
    route: Route = "none"
    attempts: int = 0
    sent_ns: int | None = None
    answered_ns: int | None = None
    error: str | None = None
    order_id: str | None = None
    count: int | None = None
    residual: tuple[str, ...] = ()
    order_ids: tuple[str, ...] | None = None
    unsure: tuple[str, ...] = ()
    filled_qty: str | None = None
    pending: bool = False
    received_time: str | None = None
    symbol: str | None = None
    """The order's own, where the client named another and it went by this one."""
