"""What is known of a family: every order under a userref, or every order there is."""

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from ...contract.evidence import OrderState
from ...contract.ids import Target
from ...contract.outcomes import (
    Acked,
    Canceled,
    Closed,
    NotOpen,
    Outcome,
    Refused,
    Rejected,
    Route,
    Settlement,
    Unknown,
)
from ..inflight import Attempt
from ..lane import Lane
from ..resting import Resting, filled_together
from .pursuit import Pursuit, Waiter, closed_state


class Family(Pursuit):
    """Every order under a userref, or every order there is, being cancelled by one request.

    BY REQUEST → ACCEPTED → OVER; BY REQUEST → SPLIT → VERIFYING → OVER; without a mass cancel at the venue
    WALKING → CONFIRMING (clean looks) → OVER.

    `meant`    orders that the request is after: those that the order stream knew when it left
    `left`     those of `meant` that are not known to have ended
    `perhaps`  orders heard of since: the request may have met them
    `named`    orders that an ack of the venue named
    `taken`    orders that an answer of the venue named as canceled
    `mute`     lane → when it had been silent for too long after carrying the request
    `children` order id → its settlement (None: not yet), once the family is split and each order goes by its own id
    `unwalked` orders of a split family whose cancels wait for their turn

    The venue answers once an order and most answers do not name theirs.
    """

    lists = True
    children: "dict[str, Settlement | None] | None" = None
    count: int | None = None
    listed_ns = 0
    """When the last list of open orders was asked for."""
    listed_by: Route = "rest"
    """Who gave it: REST, or a session."""
    listed_whole = False
    """Whether it was of everything, and not of this family alone."""
    oks = 0
    among_others = False
    """A request that named other families too was carried out: it met its orders, if there were any."""
    otherwise = 0
    """How many of `meant` ended by a fill or an expiry: no ack will come for them."""
    sent_for = 0
    """How many requests may have left for its orders one by one."""
    verdict: Outcome | None = None
    """What its orders came to. It is told once a list of open orders confirms it."""
    witnessed = False
    """Whether a stream had listed all that is open when its request left."""
    seen_ns = 0
    """When the newest list that was taken in had been asked for. It proves nothing to a waiter who asked later."""
    clean_looks: tuple[int, ...] = ()
    """When the lists were asked for that showed nothing open, in a row without a break."""

    def __init__(self, target: Target, waiter: Waiter) -> None:
        super().__init__(target, waiter)
        self.meant: set[str] = set()
        self.left: set[str] = set()
        self.perhaps: set[str] = set()
        self.named: set[str] = set()
        self.taken: set[str] = set()
        self.mute: dict[Lane, int] = {}
        self.unwalked: list[str] = []

    def seen_for(self, waiter: Waiter) -> bool:
        """Whether a list was taken in that had been asked for after this waiter asked."""
        return waiter.asked_ns <= self.seen_ns

    def looks_for(self, waiter: Waiter) -> int:
        """How many lists in a row, asked for since this waiter asked, have shown nothing."""
        return sum(waiter.asked_ns <= asked_ns for asked_ns in self.clean_looks)

    def mean(self, order_ids: Iterable[str]) -> None:
        """Take in orders that it is after."""
        self.meant.update(order_ids)
        self.left.update(order_ids)

    def leaves(self, attempt: "Attempt[Pursuit]", silent_ns: int, resting: Resting, witnessed: bool) -> None:
        """Its request is about to leave: the first one says what it is after, as far as the streams have told."""
        if not self.sent:
            everything = self.key.kind == "all"
            self.witnessed = witnessed
            self.mean(resting.open_ids() if everything else resting.open_under(int(self.key.value)))
        super().leaves(attempt, silent_ns, resting, witnessed)

    def hushed(self, unheard: Iterable[Lane], now_ns: int) -> None:
        """The lanes that had its request are mute, and so may be any stream that has told nothing since it left."""
        self.mute.update(dict.fromkeys((*self.pending, *unheard), now_ns))

    def askers(self, live: list[Lane], now_ns: int) -> list[Lane]:
        """In turns: a session that has lost its stream would say again and again that nothing is open."""
        self.listed_ns = now_ns
        turn = len(self.clean_looks) % len(live)
        return live[turn:] + live[:turn]

    def listed(self, route: Route, *, whole: bool) -> None:
        """A list is being asked for. whole: of everything, and not of this family alone."""
        self.listed_by, self.listed_whole = route, whole

    @property
    def barred(self) -> bool:  # type: ignore[override]
        """Its own request must not leave again once it is split or over; by userref it could hit newer orders."""
        if self.children is not None or self.verdict is not None:
            return True
        # One that was answered by canceling some orders worked, whatever is still to be found out about the others.
        return self.key.kind == "userref" and (bool(self.pending) or self.ambiguous or self.oks > 0)

    @property
    def unsettled_children(self) -> tuple[str, ...]:  # type: ignore[override]
        """Its orders that are pursued one by one and have no settlement yet."""
        return tuple(i for i, settlement in (self.children or {}).items() if settlement is None)

    @property
    def awaits_ends(self) -> bool:
        """Whether an order it is after is not known to have ended."""
        return bool(self.left)

    def took(self, ended: Iterable[OrderState]) -> None:
        """The answer to its request names the orders that it took."""
        self.taken.update(state.order_id for state in ended if state.status == "canceled")

    def with_residual(self, settlement: Settlement, resting: Resting) -> Settlement:
        """The settlement, with which orders were canceled; of everything also which are left, as the venue counts."""
        outcome = settlement.outcome
        # Of a request that named others too nobody says which orders it met: only their ends do.
        untold = self.among_others and bool(self.left or not self.meant)
        if (isinstance(outcome, Refused) and self.key.kind != "all") or untold:
            return settlement
        # At the acceptance the events are still on their way: what was counted as cancelled does not rest.
        counted = isinstance(outcome, Acked) and self.count is not None and self.count >= len(self.meant)
        order_ids = self._canceled(resting, accepted=isinstance(outcome, Acked) and (counted or self.complete))
        told = msgspec.structs.replace(
            settlement,
            count=len(order_ids) if self.count is None else self.count,
            order_ids=order_ids,
            filled_qty=filled_together(map(resting.get, order_ids)),
        )
        if self.key.kind != "all":
            return told
        gone = counted or isinstance(outcome, Canceled)
        # Of one that never got under way nothing is known to be meant, so all that rests is left.
        all_left = not (self.meant or self.attempts)
        residual = () if gone else tuple(i for i in resting.open_ids() if all_left or i in self.left)
        return msgspec.structs.replace(told, count=self.count, residual=residual)

    def _canceled(self, resting: Resting, *, accepted: bool) -> tuple[str, ...]:
        """Its orders that were canceled, or (accepted) are on their way out."""
        if not self.sent and self.children is None:
            return ()
        children = self.children or {}
        found = []
        for order_id in sorted(self.meant | self.taken):
            row, child = resting.get(order_id), children.get(order_id)
            told = child is not None and isinstance(child.outcome, Acked | Canceled)
            rests = row is None or not row.ended
            if told or (row is not None and row.status == "canceled") or (rests and accepted):
                found.append(order_id)
        return tuple(found)

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
        """Whether the venue accepted as many orders as `meant` needs; one is enough where no order is known."""
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
        """The outcome when no order of it rests: canceled, unless every order had ended in another way."""
        rows = [row for i in sorted(self.meant) if (row := resting.get(i)) is not None and row.ended]
        filled_qty = rows[0].filled_qty if len(rows) == len(self.meant) == 1 else None
        if rows and len(self.meant) - len(self.left) == self.otherwise:
            return Closed(closed_state(rows[0]), filled_qty)
        return Canceled(filled_qty)


class Child(NamedTuple):
    """The ticket of a family for one of its orders."""

    parent: Family
    order_id: str


class StandIn:
    """The ticket of one request that stands in for many cancels, each of which has a ticket of its own."""
