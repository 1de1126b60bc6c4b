"""Does an order fit a scope: yes, no, or that cannot be told yet.

A selector is a list of tests, all of which an order must pass. A test that lacks its fact says UNTOLD, and so does the
selector, unless another test says no. What must never happen here: a yes without every fact that the selector asks for,
and a no only because nobody has told a fact.
"""

import enum
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from ..contract.ids import Target, Venue
from ..contract.selectors import Selector, market_of
from .instants import MS
from .resting import Row


class Fit(enum.Enum):
    """Whether an order is meant."""

    YES = "meant"
    NO = "not meant"
    UNTOLD = "not told yet"


class Own(NamedTuple):
    """Which orders are a strategy's own: those whose client order id begins so, and those under these userrefs."""

    cl_ord_id_prefix: str | None = None
    userrefs: frozenset[int] = frozenset()


class Moment(NamedTuple):
    """A time on both clocks: ages count from a birth by the venue's wall clock, or from when we first heard."""

    monotonic_ns: int
    utc_ns: int


class ScopeAt:
    """What a scope means at one venue.

    `markets` are the symbols of which it means every order; `named` the orders that it names by nothing but one id, so
    that they can be gone after although nobody has told of them. `empty` where no order of this venue can fit.
    """

    def __init__(self, venue: Venue, scope: Iterable[Selector], strategies: Mapping[str, Own]) -> None:
        """strategies: as configured. Of one that is not any more, nobody can tell which orders are its own."""
        self.venue = venue
        self._strategies = strategies
        self._general: list[Selector] = []
        self._by_order_id: dict[str, list[Selector]] = {}
        self._by_cl_ord_id: dict[str, list[Selector]] = {}
        self.named: tuple[Target, ...] = ()
        self.markets: tuple[str, ...] = ()
        for selector in scope:
            if selector.venue in (None, venue):
                self._take(selector)

    def _take(self, selector: Selector) -> None:
        given = {name for name in selector.__struct_fields__ if getattr(selector, name) is not None} - {"venue"}
        if selector.order_id is not None:
            self._by_order_id.setdefault(_plain(selector.order_id), []).append(selector)
            if given == {"order_id"}:
                self.named += (Target("order_id", selector.order_id),)
        elif selector.cl_ord_id is not None:
            self._by_cl_ord_id.setdefault(selector.cl_ord_id, []).append(selector)
            if given == {"cl_ord_id"}:
                self.named += (Target("cl_ord_id", selector.cl_ord_id),)
        else:
            self._general.append(selector)
            if given == {"symbol"} and selector.symbol is not None:
                self._take_market(selector.symbol)

    def _take_market(self, symbol: str) -> None:
        """Once, however often and in whatever spelling the scope names it."""
        if market_of(self.venue, symbol) not in [market_of(self.venue, known) for known in self.markets]:
            self.markets += (symbol,)

    @property
    def empty(self) -> bool:
        """Whether no order of this venue can fit."""
        return not (self._general or self._by_order_id or self._by_cl_ord_id)

    def fit(self, row: Row, as_of: Moment) -> Fit:
        """Whether this order is meant. as_of: when its age counts."""
        best = Fit.NO
        for selector in self._candidates(row):
            fit = self._fit(selector, row, as_of)
            if fit is Fit.YES:
                return fit
            if fit is Fit.UNTOLD:
                best = fit
        return best

    def _candidates(self, row: Row) -> Sequence[Selector]:
        """The selectors that this order may fit: those of one order are found by its name."""
        found = self._general
        if self._by_order_id:
            found = found + self._by_order_id.get(_plain(row.order_id), [])
        if self._by_cl_ord_id:
            if row.cl_ord_id is not None:
                found = found + self._by_cl_ord_id.get(row.cl_ord_id, [])
            elif self._named_later(row):
                found = found + [selector for bearers in self._by_cl_ord_id.values() for selector in bearers]
        return found

    def _fit(self, selector: Selector, row: Row, as_of: Moment) -> Fit:
        fit = Fit.YES
        for told in self._tests(selector, row, as_of):
            if told is Fit.NO:
                return told
            if told is Fit.UNTOLD:
                fit = told
        return fit

    def _tests(self, selector: Selector, row: Row, as_of: Moment) -> Iterable[Fit]:
        if selector.order_id is not None:
            yield _is(_plain(row.order_id) == _plain(selector.order_id))
        if selector.cl_ord_id is not None:
            yield self._name(row, selector.cl_ord_id, whole=True)
        if selector.cl_ord_id_prefix is not None:
            yield self._name(row, selector.cl_ord_id_prefix, whole=False)
        if selector.userref is not None:
            yield self._userref(row, frozenset((selector.userref,)))
        if selector.strategy is not None:
            own = self._strategies.get(selector.strategy)
            yield Fit.UNTOLD if own is None else self._belongs(row, own)
        if selector.symbol is not None:
            told = symbol_of(row)
            same = told is not None and market_of(self.venue, told) == market_of(self.venue, selector.symbol)
            yield Fit.UNTOLD if told is None else _is(same)
        if selector.side is not None:
            yield Fit.UNTOLD if row.terms is None else _is(row.terms.side == selector.side)
        if selector.older_than_ms is not None:
            yield _older(row, selector.older_than_ms * MS, as_of)

    def _name(self, row: Row, name: str, *, whole: bool) -> Fit:
        if row.cl_ord_id is None:
            return Fit.UNTOLD if self._named_later(row) else Fit.NO
        return _is(row.cl_ord_id == name if whole else row.cl_ord_id.startswith(name))

    def _named_later(self, row: Row) -> bool:
        """Whether an order of which no client order id was told may have one all the same.

        On Prime every order has one. Source: Prime WebSocket "Order", where ClOrdID is required.
        """
        return row.terms is None or self.venue == "prime"

    def _userref(self, row: Row, userrefs: frozenset[int]) -> Fit:
        if self.venue != "spot":
            return Fit.NO
        if row.userref is None:
            return Fit.UNTOLD if row.terms is None else Fit.NO
        return _is(row.userref in userrefs)

    def _belongs(self, row: Row, own: Own) -> Fit:
        """Whether it is a strategy's own: one of its marks is enough, and a no needs to know that it lacks both."""
        fits = [self._userref(row, own.userrefs)] if own.userrefs else []
        if own.cl_ord_id_prefix is not None:
            fits.append(self._name(row, own.cl_ord_id_prefix, whole=False))
        return next((fit for fit in (Fit.YES, Fit.UNTOLD) if fit in fits), Fit.NO)


def symbol_of(row: Row) -> str | None:
    """An order's symbol as it was told: by the stream, else in whatever spelling described the order."""
    if row.symbol is not None:
        return row.symbol
    return None if row.terms is None else row.terms.symbol


def age_ns(row: Row, as_of: Moment) -> int | None:
    """How old an order is by what the venue tells of its birth; None where nobody has told that."""
    return None if row.opened_s is None else max(0, as_of.utc_ns - round(row.opened_s * _SECOND))


def _older(row: Row, than_ns: int, as_of: Moment) -> Fit:
    told_ns = age_ns(row, as_of)
    if told_ns is not None:
        return _is(told_ns >= than_ns)
    # It is at the least as old as what we have heard of it.
    return Fit.YES if as_of.monotonic_ns - row.seen_ns >= than_ns else Fit.UNTOLD


def _is(true: bool) -> Fit:
    return Fit.YES if true else Fit.NO


def _plain(order_id: str) -> str:
    """Order ids differ in more than the case of their letters at every venue; UUIDs are told in either case."""
    return order_id.lower()


_SECOND: Final = 1_000_000_000
