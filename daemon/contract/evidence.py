"""What a venue can tell us, in one vocabulary: the dialects in venues/ speak it and the engine decides on it.

Dialects translate every venue spelling into these values once, at the border; nothing here is sent to a client.
"""

import enum
from collections.abc import Iterator, Set
from typing import Literal, TypeAlias

import msgspec

from .ids import Reqid, Target
from .outcomes import ClosedState

Mode: TypeAlias = Literal["online", "post_only", "limit_only", "cancel_only", "maintenance", "unknown"]
"""A venue's trading mode. Cancels are possible in all but `maintenance`."""


class Fault(enum.Enum):
    """What an error text of a venue means for a cancel; the dialects hold the table of texts."""

    NOT_OPEN = "the venue knows no such open order: gone, wrong, or not there yet"
    THROTTLED = "the pair's order-rate counter is over its ceiling; the same request may pass a second later"
    ROUTE_BUSY = "this way in is rate-limited; another way may be free"
    STALE_TOKEN = "the WebSocket token is dead"
    STALE_NONCE = "the nonce was not above the last one"
    CREDENTIALS = "key or signature is refused; repeating it leads to a lockout"
    LOCKOUT = "the key is locked out for minutes; every further call prolongs it"
    PERMISSION = "the key may not do this"
    INVALID = "the request is wrong for this route"
    UNAVAILABLE = "engine or API is down, often for maintenance"
    TRANSIENT = "the venue stumbled; whether the cancel took effect is not known"
    UNLISTED = "a text that is in no table"


class OrderTerms(msgspec.Struct, frozen=True, gc=False):
    """What was ordered, as a message tells it that describes an order whole: a name that is not in it there is none.

    `symbol` is in this message's spelling. `quantity` is all that was ordered, None where that alone is not told,
    `price` the limit, None where there is none; both in the venue's decimal text.
    """

    symbol: str
    side: Literal["buy", "sell"]
    quantity: str | None
    price: str | None = None


class OrderState(msgspec.Struct, frozen=True, gc=False):
    """What one message says of one order; None means that the message did not say.

    `status` is "open" for anything that may still trade. `filled_qty` is the venue's decimal text. `opened_s` is Unix
    seconds: it sets the price of a cancel in the venue's rate counter. `event_id` is the venue's name for the event
    that is told, the same on every stream that tells it, and `event_ns` its time in Unix nanoseconds by the venue's
    clock: where an order's life is told on several streams, both are needed to put it in sequence.
    """

    order_id: str
    status: Literal["open"] | ClosedState | None = None
    cl_ord_id: str | None = None
    userref: int | None = None
    symbol: str | None = None
    opened_s: float | None = None
    filled_qty: str | None = None
    reason: str | None = None
    event_id: str | None = None
    event_ns: int | None = None
    terms: OrderTerms | None = None


class CancelAck(msgspec.Struct, frozen=True, gc=False):
    """The venue accepted one cancel of the request `reqid`. Most dialects do not say of which order.

    `venue_ns` is the venue's own share of the round trip, where it tells it. `event_id` as in OrderState: the same
    answer may come on several streams, and on the slower one after it was revoked.
    """

    reqid: Reqid
    order_id: str | None = None
    cl_ord_id: str | None = None
    venue_ns: int | None = None
    event_id: str | None = None


class CancelReject(msgspec.Struct, frozen=True, gc=False):
    """The venue refused one cancel of the request `reqid`, in the words of `error`. The rest is as in CancelAck."""

    reqid: Reqid
    fault: Fault
    error: str
    venue_ns: int | None = None
    event_id: str | None = None
    order_id: str | None = None


class CancelAllAck(msgspec.Struct, frozen=True, gc=False):
    """The venue cancelled `count` orders for the request `reqid`; None where it gave no number."""

    reqid: Reqid
    count: int | None


class TimerAck(msgspec.Struct, frozen=True, gc=False):
    """The venue armed, renewed or (trigger_s None) disarmed its cancel-all timer. Unix seconds."""

    reqid: Reqid
    trigger_s: float | None


class Orders(msgspec.Struct, frozen=True, gc=False):
    """States from the order stream. A snapshot lists every open order. `sequence` is None where there is none.

    A venue may tell what was open in several messages without marking the last: each is `initial` and none of them is a
    `snapshot`. `truncated` when it says that it left some out, `total` how many all of them have together, where it
    says so. `reqid` is the subscription's, where the venue tells it. `begun_ns`: of a snapshot whose states were all
    taken in before, piece by piece, when it was received, on the monotonic clock, with `taken`, the ids of them all.
    """

    orders: tuple[OrderState, ...]
    snapshot: bool
    sequence: int | None = None
    reqid: Reqid | None = None
    initial: bool = False
    truncated: bool = False
    total: int | None = None
    begun_ns: int | None = None
    taken: Set[str] | None = None


class Unlisted(msgspec.Struct, frozen=True, gc=False):
    """The order stream lists these orders no longer and does not say how they ended: absence, never proof of an end.

    One of them may rest on under the same id, as a triggered stop does; its state must be asked for.
    """

    order_ids: tuple[str, ...]
    reason: str | None = None


class Looked(msgspec.Struct, frozen=True, gc=False):
    """What a session found out about one order, or about all that is open, when it was asked to look.

    Of all that is open it may hold orders that have ended too. complete: it is all there is to be seen; else the look
    failed, and what it found are states and nothing more. asked_ns: when it was asked for, CLOCK_MONOTONIC. taken: the
    ids of the states, where they were all taken in before.
    """

    reqid: Reqid
    orders: tuple[OrderState, ...]
    complete: bool
    asked_ns: int
    taken: Set[str] | None = None


class Subscribed(msgspec.Struct, frozen=True, gc=False):
    """The order stream is on. `rate_ceiling` is the account's order-rate threshold where the venue told it."""

    reqid: Reqid | None
    rate_ceiling: float | None = None


class SubscriptionLost(msgspec.Struct, frozen=True, gc=False):
    """The order stream was refused or ended. named: the message names that stream; else it may be about another's."""

    reqid: Reqid | None
    fault: Fault
    error: str
    named: bool = False


class ModeChanged(msgspec.Struct, frozen=True, gc=False):
    """The venue's trading mode, as announced on a session."""

    mode: Mode


class Heartbeat(msgspec.Struct, frozen=True, gc=False):
    """The session is alive; nothing else is said."""


class Pong(msgspec.Struct, frozen=True, gc=False):
    """The answer to a ping."""

    reqid: Reqid | None


class Hello(msgspec.Struct, frozen=True, gc=False):
    """The venue's greeting on a new connection. `session_id` is its name for the connection, for its support desk."""

    session_id: str | None = None


class Challenge(msgspec.Struct, frozen=True, gc=False):
    """A text to be signed once, on the connection it came on, before the order stream is given."""

    text: str


class Permissions(msgspec.Struct, frozen=True, gc=False):
    """What the key may do, in the venue's own words, as told on a session."""

    names: tuple[str, ...]


class Unattributed(msgspec.Struct, frozen=True, gc=False):
    """An error that names no request: it settles nothing, only deadlines do."""

    fault: Fault
    error: str


class Irrelevant(msgspec.Struct, frozen=True, gc=False):
    """A well-formed message that says nothing about cancels."""


class Unreadable(msgspec.Struct, frozen=True, gc=False):
    """Bytes that are not this dialect: counted and logged as received, never acted on."""

    why: str


Evidence: TypeAlias = (
    CancelAck
    | CancelReject
    | CancelAllAck
    | TimerAck
    | Orders
    | Unlisted
    | Looked
    | Subscribed
    | SubscriptionLost
    | ModeChanged
    | Heartbeat
    | Pong
    | Hello
    | Challenge
    | Permissions
    | Unattributed
    | Irrelevant
    | Unreadable
)
"""Everything a WebSocket session can be told."""


class RestFailed(msgspec.Struct, frozen=True):
    """The venue answered a REST call with an error. `retry_at_s` (Unix seconds) only where it named a time."""

    fault: Fault
    error: str
    retry_at_s: float | None = None


class RestUnreadable(msgspec.Struct, frozen=True):
    """An answer that is no verdict (5xx, HTML, truncated JSON): the request may have been carried out."""

    why: str


class RestCanceled(msgspec.Struct, frozen=True):
    """The venue accepted `count` cancels; `pending` when it said that they are not final yet.

    `orders` are the ends of those that it named, which are not always all of them. `received_time`: when the venue took
    the request in, in its own words, where it tells that.
    """

    count: int
    pending: bool
    orders: tuple[OrderState, ...] = ()
    received_time: str | None = None


class RestEnded(msgspec.Struct, frozen=True):
    """The answer names the state of the one order that was asked about, and gives no id of the venue's for it.

    `received_time`: when the venue took the cancel in, where it tells that.
    """

    state: ClosedState
    filled_qty: str | None = None
    received_time: str | None = None


class RestToken(msgspec.Struct, frozen=True):
    """A WebSocket token and its validity. The token is a secret: it is wrapped by whoever keeps it."""

    token: str
    expires_s: float

    def __repr__(self) -> str:
        return f"RestToken(expires_s={self.expires_s})"


class RestOrders(msgspec.Struct, frozen=True):
    """The states a query returned; for a list of open orders it is all of them.

    `received_time`: when the venue took a cancel in, where this is the answer to one and it tells that. `taken`: the
    ids of the states, where they were all taken in before, as parts.
    """

    orders: tuple[OrderState, ...]
    received_time: str | None = None
    taken: Set[str] | None = None


class RestPart(msgspec.Struct, frozen=True):
    """Some of the orders that a long list shows open. It says nothing of any other: the list's answer is to come."""

    orders: tuple[OrderState, ...]


class Window(msgspec.Struct, frozen=True):
    """Announced maintenance, Unix seconds. ends_s: None where the venue tells none."""

    begins_s: float
    ends_s: float | None = None


class RestMode(msgspec.Struct, frozen=True):
    """The venue's trading mode, as asked for, and the maintenance that it announces."""

    mode: Mode
    maintenance: tuple[Window, ...] = ()


class RestTimer(msgspec.Struct, frozen=True):
    """The venue's cancel-all timer was set; trigger_s (Unix seconds) None when it is off."""

    trigger_s: float | None


class RestTime(msgspec.Struct, frozen=True):
    """The venue's clock, Unix seconds in whole seconds."""

    unix_s: float


class RestKey(msgspec.Struct, frozen=True):
    """What the venue says of the key itself, in its own words for permissions.

    Its account identifiers are left out on purpose. `nonce` is the last one it took from this key, and shows its scale.
    valid_until_s: Unix seconds, None where there is none. An empty `ip_allowlist` admits every address.
    """

    permissions: tuple[str, ...]
    nonce: int | None = None
    valid_until_s: float | None = None
    ip_allowlist: tuple[str, ...] = ()


class RestBatch(msgspec.Struct, frozen=True):
    """What became of each order of one batch. An order that the answer does not mention has no verdict here."""

    verdicts: dict[Target, RestOrders | RestEnded | RestFailed | RestUnreadable]


RestAnswer: TypeAlias = (
    RestCanceled
    | RestEnded
    | RestBatch
    | RestToken
    | RestOrders
    | RestMode
    | RestTimer
    | RestTime
    | RestKey
    | RestFailed
    | RestUnreadable
)
"""Everything a REST call can come to once an HTTP answer is here."""

Listing: TypeAlias = Iterator[RestPart | RestAnswer | None]
"""The answer to a call, piece by piece: parts first, at last what it comes to; None in between is nothing yet."""
