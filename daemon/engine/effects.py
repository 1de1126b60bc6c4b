"""What the engine of a venue wants done: frames, REST calls, answers, and news for whoever watches."""

from typing import Any, Literal, NamedTuple, TypeAlias

import msgspec

from ..contract.ids import Reqid, Target
from ..contract.outcomes import Settlement
from .lane import Lane
from .resting import Row


class Decided(NamedTuple):
    """A choice about one pursuit that its client did not make, and why it was made: for the record alone.

    `lane` is where it is tried next; None when that is open yet.
    """

    what: Literal["hedge", "fallback", "retry", "hold"]
    target: Target
    lane: Lane | None
    why: str


class Send(NamedTuple):
    """Write one cancel on a WebSocket lane. symbol: the order's, where the venue wants it named."""

    lane: Lane
    reqid: Reqid
    target: Target
    symbol: str | None = None


class Bundle(NamedTuple):
    """Write one request on a WebSocket lane that cancels several orders; its answer says only how many it canceled."""

    lane: Lane
    reqid: Reqid
    order_ids: tuple[str, ...]


class Look(NamedTuple):
    """Ask on a WebSocket lane for one order's state, or (order_id None) for all that is open: a `Looked` follows."""

    lane: Lane
    reqid: Reqid
    order_id: str | None


class RestReady(NamedTuple):
    """There is a call for the REST lane: ask `next_call`."""


class Answer(NamedTuple):
    """The one answer for a ticket."""

    ticket: Any
    settlement: Settlement


class Foreseen(NamedTuple):
    """What a ticket will be told at its deadline if nothing is heard until then: this very settlement."""

    ticket: Any
    settlement: Settlement


class Late(NamedTuple):
    """The venue settled a pursuit after its ticket had been answered `unknown`."""

    ticket: Any
    settlement: Settlement


class Ended(NamedTuple):
    """An order ended, whoever ended it."""

    row: Row


class Opened(NamedTuple):
    """An order is open that was not known to be, while somebody wants to hear of such."""

    row: Row


class RenewToken(NamedTuple):
    """The lane's token is dead: fetch a new one, then call `token_renewed`."""

    lane: Lane


class Redial(NamedTuple):
    """The lane is of no more use as it is: drop it and dial again."""

    lane: Lane
    why: str


class Alert(NamedTuple):
    """Something an operator should know, with what to do about it."""

    what: str
    do: str


Effect: TypeAlias = Send | Look | RestReady | Answer | Foreseen | Late | Ended | Opened | RenewToken | Redial | Alert


class Counts(msgspec.Struct):
    """What happened, for status and telemetry."""

    hedged: int = 0
    retried: int = 0
    stray_acks: int = 0
    repeated_acks: int = 0
    late: int = 0
    unattributed: int = 0
    queries: int = 0
    batches: int = 0
