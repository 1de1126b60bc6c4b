"""An expired lease's orders: what its scope means at each venue, and what of it is not proved gone.

Nothing here asks a venue or keeps time: leasing.py does.
"""

from collections.abc import Iterable
from typing import Any, Final, Protocol

from ..contract.commands import LeaseScope, target_of
from ..contract.ids import EVERYTHING, Target, Venue
from ..contract.outcomes import SAFE, Settlement
from ..engine.instants import MS
from ..engine.leases import Terms

PAUSE_NS: Final = 500 * MS
PAUSE_LIMIT_NS: Final = 10_000 * MS
"""Between two askings: at first, and at most after doubling each time."""

GIVE_UP_NS: Final = 3_600_000 * MS
"""After an hour the orders of a dead strategy are people's: they have had an alert each minute until then."""


class Hearer(Protocol):
    """Who hears what an asking came to: the leasing."""

    def answered(self, entry: "Entry", settlement: Settlement) -> None:
        """One asking is over, one way or the other."""
        ...


class Entry:
    """One cancel that an expired lease asks for; the dispatcher's ticket for it."""

    __slots__ = ("again_ns", "asked_ns", "expired", "pause_ns", "target", "venue", "why")

    def __init__(self, expired: "Expired", venue: Venue, target: Target) -> None:
        self.expired = expired
        self.venue = venue
        self.target = target
        self.pause_ns = PAUSE_NS
        self.asked_ns = 0
        # FAR_NS while an answer is awaited.
        self.again_ns = 0
        self.why = ""

    def answered(self, settlement: Settlement) -> None:
        """The one outcome of an asking."""
        self.expired.leasing.answered(self, settlement)

    def late(self, settlement: Settlement) -> None:
        """What the venue said after it: good news saves the next asking."""
        if is_gone(settlement):
            self.expired.leasing.answered(self, settlement)


class Expired:
    """An expired lease and what of its scope is not proved gone."""

    def __init__(self, leasing: Hearer, terms: Terms, now_ns: int) -> None:
        self.leasing = leasing
        self.terms = terms
        self.ends_ns = now_ns + GIVE_UP_NS
        self.what = f"orders of {terms.strategy} may still rest after its lease expired"
        self.open = {
            (venue, target): Entry(self, venue, target) for venue, target in dict.fromkeys(targets_of(terms.scope))
        }

    @property
    def next_ns(self) -> int:
        """When something of it is due; FAR_NS while every answer is awaited."""
        return min([self.ends_ns, *(entry.again_ns for entry in self.open.values())])

    @property
    def left(self) -> list[str]:
        """What is not proved gone, in words."""
        return [words_for(venue, target) for venue, target in self.open]


def is_gone(settlement: Settlement) -> bool:
    """Whether it is proved that nothing rests of what was asked for."""
    return isinstance(settlement.outcome, SAFE) and not settlement.residual


def targets_of(scope: Iterable[LeaseScope]) -> list[tuple[Venue, Target]]:
    """What to cancel for a scope; where it covers a whole venue, what else it names there is covered."""
    whole = {entry.venue for entry in scope if _target(entry) == EVERYTHING}
    named = [(entry.venue, _target(entry)) for entry in scope if entry.venue not in whole]
    return [*((venue, EVERYTHING) for venue in sorted(whole)), *named]


def _target(entry: LeaseScope) -> Target:
    return target_of(entry.order_id, entry.cl_ord_id, entry.userref) or EVERYTHING


def shown_scope(entry: LeaseScope) -> dict[str, Any]:
    """One part of a scope as events and `status` show it."""
    target = _target(entry)
    return {"venue": entry.venue} if target == EVERYTHING else {"venue": entry.venue, target.kind: target.value}


def words_for(venue: Venue, target: Target) -> str:
    """The same in words, for alerts."""
    return f"{venue} all" if target == EVERYTHING else f"{venue} {target.kind} {target.value}"
