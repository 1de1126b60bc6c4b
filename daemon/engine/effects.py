"""What the engine of a venue wants done: frames, REST calls, answers, and news for whoever watches."""

from typing import Any, NamedTuple, TypeAlias

import msgspec

from ..contract.ids import Reqid, Target
from ..contract.outcomes import Settlement
from .resting import Row
from .routing import Lane

MS = 1_000_000

FAR_NS = 2**63 - 1
"""No time: later than any deadline."""


class Policy(NamedTuple):
    """How patient the pursuits of a venue are, in nanoseconds; `rest` says whether the venue has a REST lane."""

    hedge_ns: int
    overtake_ns: int
    late_ns: int
    late_limit: int
    rest: bool = True


class Send(NamedTuple):
    """Write one cancel on a WebSocket lane."""

    lane: Lane
    reqid: Reqid
    target: Target


class RestReady(NamedTuple):
    """There is a call for the REST lane: ask `next_call`."""


class Answer(NamedTuple):
    """The one answer for a ticket."""

    ticket: Any
    settlement: Settlement


class Late(NamedTuple):
    """The venue settled a pursuit after its ticket had been answered `unknown`."""

    ticket: Any
    settlement: Settlement


class Ended(NamedTuple):
    """An order ended, whoever ended it."""

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


Effect: TypeAlias = Send | RestReady | Answer | Late | Ended | RenewToken | Redial | Alert


class Call(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One REST call. `form` says which: cancel one target, a batch of order ids, everything, or ask for states."""

    form: str
    target: Target | None = None
    order_ids: tuple[str, ...] = ()
    attempts: tuple[Any, ...] = ()
    pursuits: tuple[Any, ...] = ()


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
