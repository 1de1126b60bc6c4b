"""What is known of one pursuit: the order or the family of orders it is after, who waits for it, and what was tried."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from ..contract.ids import Reqid, Target
from ..contract.outcomes import (
    Acked,
    Canceled,
    Closed,
    ClosedState,
    NotOpen,
    Outcome,
    Refused,
    RejectClass,
    Rejected,
    Route,
    Settlement,
    Unknown,
)
from .inflight import Attempt
from .instants import FAR_NS, MS
from .lane import Lane, route_of
from .resting import Resting, Row

SAME_TIME_NS = 10 * MS
"""No order is canceled, told of, replaced under its name and asked for again in less; until then the same is meant."""


class Waiter:
    """One ticket's interest in a pursuit."""

    __slots__ = ("asked_ns", "deadline_ns", "proof", "target", "ticket")

    def __init__(self, ticket: Any, target: Target, proof: bool, deadline_ns: int, asked_ns: int) -> None:
        self.ticket = ticket
        self.target = target
        self.proof = proof
        self.deadline_ns = deadline_ns
        self.asked_ns = asked_ns


class Pursuit:
    """One order, or one family of orders, being cancelled. `key` is what goes on the wire.

    What most cancels never touch stays a class attribute, so that a plain cancel costs few stores.
    """

    symbol: str | None = None
    """The symbol that a client named with it."""
    nameless = False
    """It cannot leave before its order's symbol is known."""

    # What was sent, and what may have come of it.
    sent: tuple[Lane, ...] = ()
    """The lane of every request that may have left, in their sequence."""
    first_sent_ns: int | None = None
    unsent: frozenset[Lane] = frozenset()
    """Lanes that failed before a byte had left: tried as far as the plan goes, not as far as the venue goes."""
    refused: frozenset[Lane] = frozenset()
    """Lanes that are not to be tried for it again."""
    renewed: frozenset[Lane] = frozenset()
    """Sessions on which it had a new token's try already."""
    queued = False
    """It waits for the REST lane."""
    ambiguous = False
    """An attempt may have taken effect without our having heard of it."""

    # What the venue said.
    acked_ns: int | None = None
    acked_route: Route = "none"
    acked_by: "Attempt[Pursuit] | None" = None
    """Whose acceptance it was, while somebody still waits for proof."""
    error: str | None = None
    reject_class: RejectClass | None = None
    denied_ns: int | None = None
    """When the last request left of which the venue said that it knows no such open order."""
    denied_route: Route = "none"
    crowded = False
    """It was to go as a batch, because single requests for it and its like would overdraw the budget."""
    batched = False
    """It was in a batch that was refused: another batch would fare no better."""
    single = False
    """Not to be put into a batch with others again."""
    overdrawn = False
    """Its pair's counter is over the ceiling: REST takes it as a batch only, if need be a batch of one."""

    # What became of the order.
    asked = False
    """A query for this order was made."""
    asking = False
    """A query for this order is queued or on its way."""
    alone = False
    """Not to be queried together with others again."""
    absent = False
    """A query found no such order."""
    end: Row | None = None
    """How its order ended, while it is open whether those who asked by client order id meant that order."""
    bearer: Row | None = None
    """By client order id: the order that bore the name last and has ended."""
    ours = False
    """A request of ours may have been what canceled `end` or `bearer`."""

    # When to do what next.
    silent_ns = FAR_NS
    retry_ns = FAR_NS
    query_ns = FAR_NS
    scheduled_ns = FAR_NS
    """The earliest of them and of the deadline for which there is an alarm."""
    retries = 0
    reasks = 0
    stranded = False
    """No route was free when it wanted one: the next session that comes up takes it."""

    # How it ended.
    done = False
    finished_ns = 0
    answered_unknown: tuple[Waiter, ...] = ()
    answered_acked: tuple[Waiter, ...] = ()
    """Kept only where the venue can take an acceptance back."""
    accepted: Reqid | None = None
    """Which request they were answered by."""

    def __init__(self, target: Target, waiter: Waiter) -> None:
        self.key = target
        self.waiters = [waiter]
        self.deadline_ns = waiter.deadline_ns
        self.pending: dict[Lane, Attempt[Pursuit]] = {}

    @property
    def attempts(self) -> int:
        """How many requests may have left."""
        return len(self.sent)

    @property
    def last_deadline_ns(self) -> int:
        """When the last of those who wait stops waiting."""
        return max((waiter.deadline_ns for waiter in self.waiters), default=self.deadline_ns)

    @property
    def routes(self) -> tuple[Route, ...]:
        """The routes by which they may have left."""
        return tuple(dict.fromkeys(map(route_of, self.sent)))


class Family(Pursuit):
    """Every order under a userref, or every order there is, being cancelled by one request.

    `meant` are the orders it is after, as far as the order stream knew them when it left, `left` those of them not
    known to have ended, `perhaps` those heard of since, which it may have met too, `mute` the lanes that had its
    request and were silent for too long, and when they had been. The venue answers per order and does not say whose
    answer it is. When the request cannot be relied on any more the family is split: `children` holds what became of
    each order by its own id. Where the venue has no such request it is split from the start, and `unwalked` are the
    orders whose cancels have to wait their turn.
    """

    children: "dict[str, Settlement | None] | None" = None
    count: int | None = None
    listed_ns = 0
    """When the last list of open orders was asked for."""
    listed_by: Route = "rest"
    """Who gave it: REST, or a session."""
    listed_whole = False
    """Whether it was of everything, and not of this family alone."""
    oks = 0
    otherwise = 0
    """How many ended without having been canceled: no ack will come for them."""
    sent_for = 0
    """How many requests may have left for its orders one by one."""
    verdict: Outcome | None = None
    """What its orders came to, as long as no list of open orders has borne it out."""
    witnessed = False
    """Whether a stream had listed all that is open when its request left."""
    seen_ns = 0
    """When the last list that was taken in was asked for: of what came later it tells those nothing who asked later."""
    clean_looks: tuple[int, ...] = ()
    """When each of the lists was asked for that have borne it out, in a row."""
    swept: tuple[Pursuit, ...] = ()
    """Those of its orders that are pursued for their own sake and leave with its request."""

    def __init__(self, target: Target, waiter: Waiter) -> None:
        super().__init__(target, waiter)
        self.meant: set[str] = set()
        self.left: set[str] = set()
        self.perhaps: set[str] = set()
        self.named: set[str] = set()
        self.mute: dict[Lane, int] = {}
        self.unwalked: list[str] = []

    def seen_for(self, waiter: Waiter) -> bool:
        """Whether a list asked for since this waiter asked was taken in: an order may rest of which nobody told."""
        return waiter.asked_ns <= self.seen_ns

    def looks_for(self, waiter: Waiter) -> int:
        """How many lists in a row, asked for since this waiter asked, have shown nothing."""
        return sum(waiter.asked_ns <= asked_ns for asked_ns in self.clean_looks)

    def mean(self, order_ids: Iterable[str]) -> None:
        """Take in orders that it is after."""
        self.meant.update(order_ids)
        self.left.update(order_ids)

    @property
    def attempts(self) -> int:
        return len(self.sent) + self.sent_for

    @property
    def routes(self) -> tuple[Route, ...]:
        sent = super().routes
        # Its orders were gone after one by one, from the start.
        return sent if sent or self.first_sent_ns is None else ("ws",)

    @property
    def complete(self) -> bool:
        """Whether as many orders were accepted as are known to be needed; of an unknown family one says it all."""
        return self.oks >= max(1, len(self.meant) - self.otherwise)

    def combined(self) -> Outcome:
        """The most careful of the children's outcomes: what holds for all of them."""
        assert self.children is not None
        outcomes = [None if told is None else told.outcome for told in self.children.values()]
        if any(outcome is None or isinstance(outcome, (Unknown, Refused)) for outcome in outcomes):
            # Also where nothing left for one of them: the family's own request did.
            return Unknown(self.routes)
        for kind in (Rejected, Acked, Canceled, Closed):
            for outcome in outcomes:
                if isinstance(outcome, kind):
                    return Canceled() if kind is Canceled and len(outcomes) > 1 else outcome
        return NotOpen()

    def ending(self, resting: Resting) -> Outcome:
        """How it is reported when nothing of it rests: as canceled unless all of it had ended otherwise."""
        rows = [row for i in sorted(self.meant) if (row := resting.get(i)) is not None and row.ended]
        filled_qty = rows[0].filled_qty if len(rows) == len(self.meant) == 1 else None
        if rows and len(self.meant) - len(self.left) == self.otherwise:
            return Closed(closed_state(rows[0]), filled_qty)
        return Canceled(filled_qty)


class Child(NamedTuple):
    """The ticket of a family for one of its orders."""

    parent: Family
    order_id: str


class Sweep:
    """The ticket of a request for everything that stands in for many cancels: they have tickets of their own."""


def ending(pursuit: Pursuit, row: Row) -> Outcome:
    """How an ended order is reported to whoever pursued it: as canceled if a cancel of ours may have done it."""
    if row.status == "canceled" and (pursuit.first_sent_ns is not None or pursuit.ambiguous):
        return Canceled(row.filled_qty)
    return Closed(closed_state(row), row.filled_qty)


def meant_newer(waiter: Waiter, attempt: Attempt[Pursuit]) -> bool:
    """Whether a waiter may have meant an order that took the name of the one which this attempt canceled."""
    return waiter.target.kind == "cl_ord_id" and waiter.asked_ns > attempt.sent_ns + SAME_TIME_NS


def closed_state(row: Row) -> ClosedState:
    """How an ended order ended."""
    assert row.status != "open" and row.status != "gone"  # noqa: PT018 - one condition, and mypy narrows by it
    return row.status
