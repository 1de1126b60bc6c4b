"""What the engine of a venue wants done: frames, REST calls, answers, and news for whoever watches."""

from typing import Any, Literal, NamedTuple, Protocol, TypeAlias

import msgspec

from ..contract.evidence import Fault, RestAnswer
from ..contract.ids import Reqid, Target
from ..contract.outcomes import Settlement
from .resting import Row
from .routing import Lane

MS = 1_000_000

FAR_NS = 2**63 - 1
"""No time: later than any deadline."""


class Policy(NamedTuple):
    """How patient the pursuits of a venue are, in nanoseconds, and what the venue offers.

    rest: it has a REST lane that cancels; where it has none, states are asked for on its sessions. batch_limit,
    query_limit: most orders in one REST batch and in one query. named_queries: an order's state can be asked for by its
    client order id. mass: it has a request that cancels everything. sweeps: that request stands in for batches which
    name all that is open, where the rate budget cannot bear them. symbols: a cancel has to name its order's symbol.
    shared: what became of a request is told on every session, not only on the one that it left by. uuids: sessions take
    an order id only where it is a UUID; another one goes by REST. relists: a session can be made to list anew what is
    open, where REST does not tell. bundle_limit: most orders that one request on a session can name, 0 where it names
    one.
    """

    hedge_ns: int
    overtake_ns: int
    late_ns: int
    late_limit: int
    rest: bool = True
    batch_limit: int = 50
    query_limit: int = 50
    named_queries: bool = False
    mass: bool = True
    sweeps: bool = False
    symbols: bool = False
    shared: bool = False
    relists: bool = False
    uuids: bool = False
    bundle_limit: int = 0


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


Effect: TypeAlias = Send | Look | RestReady | Answer | Late | Ended | Opened | RenewToken | Redial | Alert


Form: TypeAlias = Literal["cancel", "batch", "all", "query", "open_orders"]
"""Cancel one target, a batch of orders, or everything; ask for the states of orders, or for all that is open."""


class CallOwner(Protocol):
    """Who asked for a call beside the pursuits, and is told what it came to."""

    def call_answered(self, call: "Call", answer: RestAnswer, now_ns: int) -> None:
        """An HTTP answer, readable or not."""
        ...

    def call_failed(self, call: "Call", left: bool, why: str, now_ns: int) -> None:
        """No answer. left: whether any byte of it may have reached the venue."""
        ...


class FireOwner(Protocol):
    """Who had a cancel-all sent past every queue, and is told what came of it on its lane."""

    def fired_answered(self, lane: Lane, count: int | None, now_ns: int) -> None:
        """The venue took it. count: how many orders it says it cancelled, where it says so."""
        ...

    def fired_failed(self, lane: Lane, why: str, now_ns: int, fault: Fault | None = None) -> None:
        """It was refused, as the fault tells, or (None) its answer is lost."""
        ...


class Call(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One REST call for `targets`. deadline_ns: when the last of those who asked stops waiting; None for nobody's."""

    form: Form
    targets: tuple[Target, ...]
    attempts: tuple[Any, ...] = ()
    pursuits: tuple[Any, ...] = ()
    owner: CallOwner | None = None
    asked_ns: int = 0
    deadline_ns: int | None = None

    @property
    def order_ids(self) -> tuple[str, ...]:
        """The ids of its orders, all of which are named by the venue's own."""
        return tuple(str(target.value) for target in self.targets)


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
