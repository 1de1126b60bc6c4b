"""What the process before left in flight, and what can be said of each of it: goals, and the reply that they come to.

What a command meant by an order id is that order. What it meant by a client order id, a userref or "everything" is
known once a list of open orders was read. Nothing here sends or waits.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, assert_never

import trio

from ..contract.commands import Cancel, CancelAll, CancelBatch
from ..contract.ids import EVERYTHING, Target, Venue
from ..contract.outcomes import SAFE, Canceled, Closed, Outcome, Rejected, Settlement, Unknown
from ..engine.intents import Intent, Slots
from ..engine.resting import Resting
from ..engine.scope import Fit, Moment, Own, ScopeAt
from .tickets import reply_of

# The same request would be refused again, and repeating it under a bad key leads to a lockout.
_FINAL_REFUSALS: Final = frozenset({"auth", "permission", "invalid"})


class Goal:
    """One order, or one name of orders, that an intent is after at one venue; it comes to one settlement."""

    def __init__(
        self, of: "Unsettled", venue: Venue, target: Target, symbol: str | None, scope: ScopeAt | None = None
    ) -> None:
        """scope: what "everything" is narrowed to."""
        self.scope = scope
        self.of = of
        self.venue = venue
        self.target = target
        self.symbol = symbol
        self.settlement: Settlement | None = None
        self.orders: dict[str, Settlement | None] = {}
        if target.kind == "order_id":
            self.orders[str(target.value)] = None
        self.others: tuple[str, ...] = ()
        """Orders that bear the name and were opened after it was asked for, or of which nobody can tell whether the
        scope means them: they are left alone, and named."""
        self.listed = target.kind == "order_id"
        """Whether a list told of every order that it can have meant."""

    @property
    def left(self) -> list[str]:
        """Its orders that are not known to be settled."""
        return [order_id for order_id, told in self.orders.items() if told is None or not is_final(told)]

    def outcome(self) -> Outcome:
        """What is known of all its orders together, the most careful word first."""
        outcomes = [None if told is None else told.outcome for told in self.orders.values()]
        if not self.listed or self.others or any(not isinstance(outcome, (*SAFE, Rejected)) for outcome in outcomes):
            return Unknown(())
        for kind in (Rejected, Canceled, Closed):
            for outcome in outcomes:
                if isinstance(outcome, kind):
                    return Canceled() if kind is Canceled and len(outcomes) > 1 else outcome
        if self.target == EVERYTHING:
            return Canceled()
        # Nothing rests under it, and whether a request of ours has done that died with the process.
        return Closed(None, None, "unconfirmed")

    def settle(self) -> Settlement:
        """The settlement that its orders come to, also when it is early for one."""
        told = [settlement for settlement in self.orders.values() if settlement is not None]
        if self.target.kind == "order_id" and told and is_final(told[0]):
            return told[0]
        outcome = self.outcome()
        everything = self.target == EVERYTHING
        errors = [one.error for one in told if one.error is not None]
        if not errors and isinstance(outcome, Unknown):
            errors = ["the process that took it ended before it was answered"]
        answered = [one for one in told if type(one.outcome) is type(outcome)]
        return Settlement(
            venue=self.venue,
            target=self.target,
            outcome=outcome,
            route=answered[-1].route if answered else "none",
            attempts=sum(one.attempts for one in told),
            error=errors[-1] if errors else None,
            count=sum(isinstance(one.outcome, Canceled) for one in told) if everything else None,
            residual=(*self.left, *self.others) if everything else (),
        )


class Unsettled:
    """One intent on its way to the reply that it would have had."""

    def __init__(
        self, intent: Intent, received_ns: int | None, venues: Sequence[Venue], strategies: Mapping[str, Own]
    ) -> None:
        """strategies: as configured now."""
        self.client = intent.client
        self.command = intent.command
        self.utc_ns = intent.utc_ns
        self.slots: Slots = intent.slots
        self.received_ns = received_ns
        self.over = trio.Event()
        match intent.command:
            case Cancel(venue=venue, symbol=symbol) as cancel:
                assert cancel.target is not None
                self.goals = [Goal(self, venue, cancel.target, symbol)]
            case CancelBatch(venue=venue, orders=orders):
                self.goals = [Goal(self, venue, ref.target, ref.symbol) for ref in orders if ref.target is not None]
            case CancelAll(venue=venue, scope=scope):
                asked = venues if venue is None else (venue,)
                meant = {one: None if scope is None else ScopeAt(one, scope, strategies) for one in asked}
                self.goals = [
                    Goal(self, one, EVERYTHING, None, at) for one, at in meant.items() if at is None or not at.empty
                ]
            case other:
                assert_never(other)

    def reply(self) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """What can be said to whoever asks again, and its outcomes."""
        settlements = [goal.settlement or goal.settle() for goal in self.goals]
        reply, outcomes = reply_of(self.command, self.received_ns, settlements)
        return {**reply, "replayed": True}, outcomes


def look_up(resting: Resting, goal: Goal) -> None:
    """Take in what is open under a goal's name: what it meant, and what took the name since."""
    kind, value = goal.target
    if kind == "userref":
        open_ids = sorted(resting.open_under(int(value)))
    elif kind == "cl_ord_id":
        bearer = resting.open_as(str(value))
        open_ids = [] if bearer is None else [bearer]
    else:
        open_ids = sorted(resting.open_ids())
    others = []
    # Ages count from when the command was received; what was seen since then says nothing of them.
    as_of = Moment(0, goal.of.utc_ns)
    for order_id in open_ids:
        row = resting.get(order_id)
        assert row is not None
        fit = Fit.YES if goal.scope is None else goal.scope.fit(row, as_of)
        if fit is Fit.NO:
            continue
        if fit is Fit.UNTOLD:
            others.append(order_id)
            continue
        # Without a time it is taken to be meant: it bears the name, and nobody says that it is newer.
        if row.opened_s is None or row.opened_s * 1e9 <= goal.of.utc_ns:
            settlement = goal.orders.get(order_id)
            if settlement is None or isinstance(settlement.outcome, SAFE):
                goal.orders[order_id] = None
        else:
            others.append(order_id)
    goal.others = tuple(others)


def is_final(settlement: Settlement) -> bool:
    """Whether going on after the order would tell no more."""
    outcome = settlement.outcome
    return isinstance(outcome, SAFE) or (isinstance(outcome, Rejected) and outcome.reject_class in _FINAL_REFUSALS)
