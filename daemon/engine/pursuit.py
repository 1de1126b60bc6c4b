"""What is known of one pursuit: the order or the family of orders it is after, who waits for it, and what was tried."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from ..contract.ids import Target
from ..contract.outcomes import Canceled, Closed, ClosedState, Outcome, RejectClass, Route, Settlement
from .effects import FAR_NS, MS
from .inflight import Attempt
from .resting import Row
from .routing import Lane, route_of

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
    """One order, or one family of orders, being cancelled.

    What most cancels never touch stays a class attribute, so that a plain cancel costs few stores.
    """

    acked_by: "Attempt[Pursuit] | None" = None
    """Whose acceptance it was, while somebody still waits for proof."""
    acked_ns: int | None = None
    acked_route: Route = "none"
    ambiguous = False
    """An attempt may have taken effect without our having heard of it."""
    answered_unknown: tuple[Waiter, ...] = ()
    asked = False
    """A query for this order was made."""
    asking = False
    """A query for this order is queued or on its way."""
    alone = False
    """Not to be queried together with others again."""
    absent = False
    """A query found no such order."""
    batched = False
    """It was in a batch that was refused: another batch would fare no better."""
    bearer: Row | None = None
    """By client order id: the order that bore the name last and has ended."""
    denied_ns: int | None = None
    """When the last request left of which the venue said that it knows no such open order."""
    denied_route: Route = "none"
    done = False
    end: Row | None = None
    """How its order ended, while it is open whether those who asked by client order id meant that order."""
    error: str | None = None
    finished_ns = 0
    first_sent_ns: int | None = None
    query_ns = FAR_NS
    ours = False
    """A request of ours may have been what canceled `end` or `bearer`."""
    queued = False
    reasks = 0
    refused: frozenset[Lane] = frozenset()
    reject_class: RejectClass | None = None
    retries = 0
    retry_ns = FAR_NS
    scheduled_ns = FAR_NS
    sent: tuple[Lane, ...] = ()
    """The lane of every request that may have left, in their sequence."""
    silent_ns = FAR_NS
    single = False
    """Not to be put into a batch again."""
    overdrawn = False
    """Its pair's counter is over the ceiling: REST takes it as a batch only, if need be a batch of one."""
    stranded = False
    """No route was free when it wanted one: the next session that comes up takes it."""
    renewed: frozenset[Lane] = frozenset()
    """Sessions on which it had a new token's try already."""
    unsent: frozenset[Lane] = frozenset()
    """Lanes that failed before a byte had left: tried as far as the plan goes, not as far as the venue goes."""

    def __init__(self, target: Target, waiter: Waiter) -> None:
        self.key = target
        self.waiters = [waiter]
        self.deadline_ns = waiter.deadline_ns
        self.pending: dict[Lane, Attempt[Pursuit]] = {}

    @property
    def attempts(self) -> int:
        return len(self.sent)

    @property
    def routes(self) -> tuple[Route, ...]:
        return tuple(dict.fromkeys(map(route_of, self.sent)))


class Family(Pursuit):
    """Every order under a userref, or every order there is, being cancelled by one request.

    `meant` are the orders it is after, as far as the order stream knew them when it left, `left` those of them not
    known to have ended. The venue answers per order and does not say whose answer it is. When the request cannot be
    relied on any more the family is split: `children` holds what became of each order by its own id.
    """

    children: "dict[str, Settlement | None] | None" = None
    count: int | None = None
    listed_ns = 0
    """When the last list of open orders was asked for."""
    oks = 0
    otherwise = 0
    """How many ended without having been canceled: no ack will come for them."""
    sent_for = 0
    """How many requests may have left for its orders one by one."""
    verdict: Outcome | None = None
    """What its orders came to, as long as no list of open orders has borne it out."""

    def __init__(self, target: Target, waiter: Waiter) -> None:
        super().__init__(target, waiter)
        self.meant: set[str] = set()
        self.left: set[str] = set()
        self.named: set[str] = set()

    def mean(self, order_ids: Iterable[str]) -> None:
        """Take in orders that it is after."""
        self.meant.update(order_ids)
        self.left.update(order_ids)

    @property
    def attempts(self) -> int:
        return len(self.sent) + self.sent_for

    @property
    def complete(self) -> bool:
        """Whether as many orders were accepted as are known to be needed; of an unknown family one says it all."""
        return self.oks >= max(1, len(self.meant) - self.otherwise)


class Child(NamedTuple):
    """The ticket of a family for one of its orders."""

    parent: Family
    order_id: str


def ending(pursuit: Pursuit, row: Row) -> Outcome:
    """How an ended order is reported to whoever pursued it: as canceled if a cancel of ours may have done it."""
    if row.status == "canceled" and (pursuit.first_sent_ns is not None or pursuit.ambiguous):
        return Canceled(row.filled_qty)
    return Closed(closed_state(row), row.filled_qty)


def meant_newer(waiter: Waiter, attempt: Attempt[Pursuit]) -> bool:
    """Whether a waiter may have meant an order that took the name of the one which this attempt canceled."""
    return waiter.target.kind == "cl_ord_id" and waiter.asked_ns > attempt.sent_ns + SAME_TIME_NS


def closed_state(row: Row) -> ClosedState:
    assert row.status != "open" and row.status != "gone"  # noqa: PT018 - one condition, and mypy narrows by it
    return row.status
