"""What is known of one pursuit: the order or the family of orders it is after, who waits for it, and what was tried."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from ...contract.ids import Reqid, Target
from ...contract.outcomes import Canceled, Closed, ClosedState, Outcome, RejectClass, Route, Settlement
from ..inflight import Attempt
from ..instants import FAR_NS, MS
from ..lane import Lane, route_of
from ..resting import Resting, Row
from .said import ACCEPTED, DENIED, ENDED, NOTHING

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


class Foresight(NamedTuple):
    """What a waiter would be told at the deadline, made ahead of it; `Answers.expire` sees whether that still holds."""

    settlement: Settlement
    waiter: Waiter
    key: Target
    sent: tuple[Lane, ...]


class Pursuit:
    """One order, or one family of orders, being cancelled. `key` is what goes on the wire.

    `said` is the state, and `said.py` has its table. Three more things may be true at once and have verbs of their own:
    which way the cancel takes (pending, queued, stranded), which question is asked about it (asking, absent), and
    whether an attempt of ours is in doubt (ambiguous). A verb sets all the fields that change together.

    What most cancels never touch stays a class attribute, so that a plain cancel costs few stores.
    """

    symbol: str | None = None
    """The symbol that a client named with it."""
    nameless = False
    """It cannot leave before its order's symbol is known."""

    # What a family says differently.
    lists = False
    """It is asked about by a list of what is open, and not by its order's name."""
    swept: "tuple[Pursuit, ...]" = ()
    """The pursuits of single orders that leave within its request."""
    barred = False
    """Its own request must not leave again."""
    unsettled_children: tuple[str, ...] = ()
    """Its orders that are pursued one by one and have no settlement yet."""

    # What the venue said.
    said = NOTHING
    acked_ns: int | None = None
    """When the cancel was accepted. Only in ACCEPTED."""
    acked_route: Route = "none"
    acked_by: "Attempt[Pursuit] | None" = None
    """The attempt that was accepted, while a waiter still waits for proof. Only in ACCEPTED."""
    pending_told = False
    """The venue said of the accepted cancel that it is not final yet."""
    received_told: str | None = None
    """When the venue took the cancel in, in its own words."""
    denied_ns: int | None = None
    """When the last request left to which the venue answered that it knows no such open order. Always in DENIED; kept
    in ACCEPTED and ENDED, which may be taken back."""
    denied_route: Route = "none"
    end: Row | None = None
    """How the order ended that bore the name. Always in ENDED."""
    error: str | None = None
    """The venue's last words."""
    reject_class: RejectClass | None = None

    # By client order id.
    bearer: Row | None = None
    """The order that bore the name last and has ended."""
    ours = False
    """A request of ours may have been what canceled `end` or `bearer`."""

    # The way: what was sent, and how it goes on.
    sent: tuple[Lane, ...] = ()
    """The lane of every request that may have left, in their sequence."""
    first_sent_ns: int | None = None
    tries: tuple[int, ...] = ()
    """Lane and time of every request that was about to leave, one pair after the other, whether or not it did."""
    unsent: frozenset[Lane] = frozenset()
    """Lanes that failed before a byte had left: tried as far as the plan goes, not as far as the venue goes."""
    refused: frozenset[Lane] = frozenset()
    """Lanes that are not to be tried for it again."""
    renewed: frozenset[Lane] = frozenset()
    """Sessions on which it had a new token's try already."""
    queued = False
    """It waits for the REST lane."""
    stranded = False
    """No route was free when it wanted one: the next session that comes up takes it."""
    crowded = False
    """It is to go as a batch: single requests for so many orders would overdraw the budget."""
    batched = False
    """It was in a batch that was refused: another batch would fare no better."""
    single = False
    """Not to be put into a batch with others again."""
    overdrawn = False
    """Its pair's counter is over the ceiling: REST takes it as a batch only, if need be a batch of one."""

    # The doubt.
    ambiguous = False
    """An attempt may have worked without our having heard of it. Cleared in one place: no byte of it had left."""

    # The question.
    asked = False
    """A query for this order was made."""
    asking = False
    """A query for this order is queued or on its way."""
    alone = False
    """Not to be queried together with others again."""
    absent = False
    """A query found no such order."""

    # Alarms: when to do what next. `Docket.schedule` takes them over.
    silent_ns = FAR_NS
    """When the last request counts as silent: then the next route is tried beside it."""
    retry_ns = FAR_NS
    """When to send again after a pause."""
    query_ns = FAR_NS
    """When to ask for the order's state."""
    scheduled_ns = FAR_NS
    """The earliest of them and of the deadline for which there is an alarm."""
    retries = 0
    reasks = 0
    reask_ns = FAR_NS
    """When it would be sent again if its state were not being asked for."""

    # How it ended.
    done = False
    finished_ns = 0
    looked_ahead = False
    foreseen: Foresight | None = None
    answered_unknown: tuple[Waiter, ...] = ()
    answered_acked: tuple[Waiter, ...] = ()
    """Kept only where the venue can take an acceptance back."""
    accepted_by: Reqid | None = None
    """The request whose acceptance they were answered by."""

    def __init__(self, target: Target, waiter: Waiter) -> None:
        self.key = target
        self.waiters = [waiter]
        self.deadline_ns = waiter.deadline_ns
        self.pending: dict[Lane, Attempt[Pursuit]] = {}

    # ---------------------------------------------------------------- what the venue says

    def accepted(self, route: Route, now_ns: int) -> None:
        """The venue will cancel: nothing is to be sent, and no silence counts, as long as that holds."""
        self.said = ACCEPTED
        self.acked_ns = now_ns
        self.acked_route = route
        self.retry_ns = self.silent_ns = FAR_NS

    def taken_back(self) -> None:
        """The acceptance does not hold: what was said before it does, and the request may have worked all the same."""
        self.acked_ns = self.acked_by = None
        self.query_ns = FAR_NS
        self.ambiguous = True
        self._falls_back()

    def accepted_for_others(self) -> None:
        """The acceptance was of an earlier order; whoever is left asked by the name after its request had left."""
        self.acked_ns = self.acked_by = None
        self._falls_back()

    def denied(self, route: Route, sent_ns: int) -> None:
        """The venue knows no such open order. sent_ns: when the request left that it answered so."""
        self.said = DENIED
        self.denied_ns = sent_ns
        self.denied_route = route

    def weighed(self) -> None:
        """The venue charged for the order, so it is there: an earlier denial does not hold any more."""
        self.denied_ns = None
        self._falls_back()

    def bearer_ended(self, row: Row, *, ours: bool) -> None:
        """The order that bore the name has ended. ours: a request of ours may have been what canceled it."""
        self.end = row
        self.ours = ours
        if self.said is not ACCEPTED:
            self.said = ENDED

    def follows_name(self) -> Row:
        """The order that ended was not what the waiters meant, as far as is known: the name is followed."""
        row, self.end = self.end, None
        assert row is not None
        self._falls_back()
        return row

    def identified(self, order: Target) -> None:
        """The order that the name stands for is known: from here on it goes by that order's own id."""
        self.key = order
        self.bearer = None
        self.ours = False

    def _falls_back(self) -> None:
        """Into the state that what still holds makes it."""
        if self.acked_ns is not None:
            self.said = ACCEPTED
        elif self.end is not None:
            self.said = ENDED
        else:
            self.said = NOTHING if self.denied_ns is None else DENIED

    # ---------------------------------------------------------------- the way

    def leaves(self, attempt: "Attempt[Pursuit]", silent_ns: int, resting: Resting, witnessed: bool) -> None:
        """A request is about to leave. silent_ns: from when on it counts as silent.

        resting, witnessed: the book, and whether a stream has listed all of it; a family notes what its request means.
        """
        lane = attempt.lane
        self.pending[lane] = attempt
        self.sent += (lane,)
        self.tries += (lane, attempt.sent_ns)
        self.silent_ns = silent_ns
        if self.first_sent_ns is None:
            self.first_sent_ns = attempt.sent_ns

    def leaves_within(self, lane: Lane, now_ns: int, silent_ns: int) -> None:
        """It left within a request for everything: whether that request met it, only the answer or a stream tells."""
        self.sent += (lane,)
        self.tries += (lane, now_ns)
        self.first_sent_ns = self.first_sent_ns or now_ns
        self.ambiguous = True
        self.silent_ns = silent_ns

    def take_back(self, lane: Lane) -> None:
        """The last request on this lane failed before a byte had left: it counts as never sent."""
        at = len(self.sent) - 1 - self.sent[::-1].index(lane)
        self.sent = self.sent[:at] + self.sent[at + 1 :]
        self.unsent |= {lane}
        if not self.sent:
            self.first_sent_ns = None

    def doubted(self) -> None:
        """An attempt may have taken effect without our having heard of it."""
        self.ambiguous = True

    @property
    def awaits_ends(self) -> bool:
        """Whether an accepted cancel leaves an end to come that a stream will tell."""
        return True

    def hushed(self, unheard: Iterable[Lane], now_ns: int) -> None:
        """Silence. unheard: lanes whose streams have told nothing since the first request left."""

    # ---------------------------------------------------------------- alarms

    def listens(self, silent_ns: int) -> None:
        """From then on a missing answer counts as silence."""
        self.silent_ns = silent_ns

    def paused(self, until_ns: int) -> None:
        """Nothing more is sent before then, FAR_NS for not by itself at all, and no silence counts meanwhile."""
        self.retry_ns = until_ns
        self.silent_ns = FAR_NS

    def retries_at(self, at_ns: int) -> None:
        """One more try then; a request that is still out goes on being listened for."""
        self.retry_ns = at_ns

    def unpaused(self) -> None:
        """The pause is over, or its reason is gone."""
        self.retry_ns = FAR_NS

    def strands(self, until_ns: int) -> None:
        """No route is free: the next session takes it, or whatever is free then."""
        self.retries += 1
        self.retry_ns = until_ns
        self.stranded = True

    # ---------------------------------------------------------------- the question

    def asks(self) -> None:
        """Its state is being asked for."""
        self.asking = self.asked = True

    def askers(self, live: list[Lane], now_ns: int) -> list[Lane]:
        """The live sessions in the sequence in which they are to be asked."""
        return live

    def asks_at(self, at_ns: int) -> None:
        """Its state is to be asked for then."""
        self.query_ns = at_ns

    def wants_symbol(self) -> None:
        """It cannot leave before its order's symbol is known, and no silence counts until then."""
        self.nameless = True
        self.silent_ns = FAR_NS

    def has_symbol(self) -> None:
        """Its order's symbol is known: it can leave at once."""
        self.nameless = False
        self.retry_ns = FAR_NS

    def with_residual(self, settlement: Settlement, resting: Resting) -> Settlement:
        """The settlement with how many orders were canceled, and what is left, where that can be told."""
        return settlement

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
