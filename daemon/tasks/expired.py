"""An expired lease's orders: what its scope means at each venue, and what of it is not proved gone.

Nothing here asks a venue or keeps time: leasing.py does.
"""

from collections.abc import Collection, Iterable
from typing import Any, Final, Protocol

import msgspec

from ..contract.commands import target_of
from ..contract.ids import EVERYTHING, Target, Venue
from ..contract.outcomes import SAFE, Canceled, Settlement
from ..contract.selectors import Selector
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


SELECTED: Final = Target("scope", "")
"""What those selectors of a lease mean at a venue that name more than one order, and less than all of them."""


class Entry:
    """One cancel that an expired lease asks for; the dispatcher's ticket for it. scope: of SELECTED."""

    __slots__ = ("again_ns", "asked_ns", "expired", "pause_ns", "scope", "target", "venue", "why")

    def __init__(self, expired: "Expired", venue: Venue, target: Target, scope: tuple[Selector, ...]) -> None:
        self.expired = expired
        self.venue = venue
        self.target = target
        self.scope = scope
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

    def __init__(self, leasing: Hearer, terms: Terms, now_ns: int, venues: Collection[Venue]) -> None:
        """venues: where an order may be that a selector without a venue means."""
        self.leasing = leasing
        self.terms = terms
        self.ends_ns = now_ns + GIVE_UP_NS
        self.canceled: dict[str, None] = {}
        """The orders of its scope that were canceled."""
        self.what = f"orders of {terms.strategy} may still rest after its lease expired"
        self.open = {
            (venue, target): Entry(self, venue, target, scope)
            for venue, target, scope in targets_of(terms.scope, venues)
        }

    def went(self, settlement: Settlement) -> None:
        """One asking is over: keep what it canceled."""
        if settlement.order_ids is not None:
            self.canceled.update(dict.fromkeys(settlement.order_ids))
        elif isinstance(settlement.outcome, Canceled) and settlement.order_id is not None:
            self.canceled[settlement.order_id] = None

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


def targets_of(
    scope: Iterable[Selector], venues: Collection[Venue]
) -> list[tuple[Venue, Target, tuple[Selector, ...]]]:
    """What to cancel for a scope; where it covers a whole venue, what else it names there is covered.

    venues: where a selector without a venue may mean orders.
    """
    found: dict[tuple[Venue, Target], tuple[Selector, ...]] = {}
    whole = {entry.venue for entry in scope if entry == Selector(venue=entry.venue)}
    for venue in sorted(venue for venue in whole if venue is not None):
        found[venue, EVERYTHING] = ()
    for entry in scope:
        target = target_of(entry.order_id, entry.cl_ord_id, entry.userref)
        if entry.venue is not None and target is not None and entry == _naming(entry.venue, target):
            if entry.venue not in whole:
                found[entry.venue, target] = ()
        elif entry.venue is None or entry != Selector(venue=entry.venue):
            for venue in venues if entry.venue is None else (entry.venue,):
                if venue not in whole:
                    found[venue, SELECTED] = (*found.get((venue, SELECTED), ()), entry)
    return [(venue, target, selected) for (venue, target), selected in found.items()]


def _naming(venue: Venue, target: Target) -> Selector:
    """The selector that means what a target names, and asks for nothing more."""
    return msgspec.convert({"venue": venue, target.kind: target.value}, Selector)


def shown_scope(entry: Selector) -> dict[str, Any]:
    """One selector as events and `status` show it."""
    shown: dict[str, Any] = msgspec.to_builtins(entry)
    return shown


def words_for(venue: Venue, target: Target) -> str:
    """The same in words, for alerts."""
    if target in (EVERYTHING, SELECTED):
        return f"{venue} all" if target == EVERYTHING else f"{venue} what its scope selects"
    return f"{venue} {target.kind} {target.value}"
