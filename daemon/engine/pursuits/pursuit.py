"""What is known of one pursuit: the order or the family of orders it is after, who waits for it, and what was tried."""

from typing import Any

from ...contract.ids import Reqid, Target
from ...contract.outcomes import (
    Canceled,
    Closed,
    ClosedState,
    Outcome,
    RejectClass,
    Route,
)
from ..inflight import Attempt
from ..instants import FAR_NS, MS
from ..lane import Lane, route_of
from ..resting import Row

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

    def take_back(self, lane: Lane) -> None:
        """The last request on this lane failed before a byte had left: it counts as never sent."""
        at = len(self.sent) - 1 - self.sent[::-1].index(lane)
        self.sent = self.sent[:at] + self.sent[at + 1 :]
        self.unsent |= {lane}
        if not self.sent:
            self.first_sent_ns = None


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
