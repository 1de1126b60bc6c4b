"""What rests, as the book has it: the open orders of a scope, in pages that can be asked for one after another.

It is the dry run of every scope too: what a command would cancel now, what it would leave, and what cannot be told.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ..contract.ids import VENUES, Venue
from .instants import MS
from .resting import Resting, Row
from .scope import Fit, Moment, ScopeAt, age_ns, symbol_of

PAGE_LIMIT = 1_000
"""Most orders in one reply, over all venues: some 250 kB, which a client reads at once."""


class Cursor(NamedTuple):
    """Where a page ended: the last order in it. Pages go venue by venue, and by order id within a venue."""

    venue: Venue
    order_id: str


def format_cursor(cursor: Cursor) -> str:
    """The cursor as a client gives it back."""
    return f"{cursor.venue}/{cursor.order_id}"


def parse_cursor(text: str) -> Cursor | None:
    """What `format_cursor` made; None for anything else."""
    name, slash, order_id = text.partition("/")
    venue = next((venue for venue in VENUES if venue == name), None)
    return None if venue is None or not slash or not order_id else Cursor(venue, order_id)


class Page(NamedTuple):
    """Some of what rests. `counts`: how many open orders fit in all; `after`: where to go on, None at the end."""

    orders: dict[Venue, list[dict[str, Any]]]
    counts: dict[Venue, int]
    unsure: dict[Venue, int]
    after: Cursor | None


def page(
    books: Mapping[Venue, Resting],
    scopes: Mapping[Venue, ScopeAt] | None,
    after: Cursor | None,
    as_of: Moment,
    limit: int = PAGE_LIMIT,
) -> Page:
    """The next page of the open orders that fit, or may fit, a scope; of all open orders without one.

    An order that appears between two pages is on the later one if it sorts there, and on none else: a page tells of
    its own moment.
    """
    shown: dict[Venue, list[dict[str, Any]]] = {venue: [] for venue in books}
    counts: dict[Venue, int] = dict.fromkeys(books, 0)
    unsure: dict[Venue, int] = dict.fromkeys(books, 0)
    last: Cursor | None = None
    more = False
    left = limit
    for venue in sorted(books, key=VENUES.index):
        for row, fit in _fitting(books[venue], None if scopes is None else scopes.get(venue), scopes is None, as_of):
            counts[venue] += fit is Fit.YES
            unsure[venue] += fit is Fit.UNTOLD
            cursor = Cursor(venue, row.order_id)
            if after is not None and _place(cursor) <= _place(after):
                continue
            if not left:
                more = True
                continue
            left -= 1
            last = cursor
            shown[venue].append(describe(row, as_of, fit))
    return Page(shown, counts, unsure, last if more else None)


def describe(row: Row, as_of: Moment, fit: Fit = Fit.YES) -> dict[str, Any]:
    """One open order for a client; members that nobody has told are left out.

    `age_ms` is from the order's birth as the venue tells it, `seen_ms` from when we first heard of it. `source`:
    whether a stream told of it first, or a list. `unsure` where it cannot be told whether the scope means it.
    """
    terms, born_ns = row.terms, age_ns(row, as_of)
    told: dict[str, Any] = {
        "order_id": row.order_id,
        "cl_ord_id": row.cl_ord_id,
        "userref": row.userref,
        "symbol": symbol_of(row),
        "side": None if terms is None else terms.side,
        "quantity": None if terms is None else terms.quantity,
        "filled_qty": row.filled_qty,
        "price": None if terms is None else terms.price,
        "age_ms": None if born_ns is None else born_ns // MS,
        "seen_ms": max(0, as_of.monotonic_ns - row.seen_ns) // MS,
        "source": "list" if row.by_list else "stream",
    }
    if fit is Fit.UNTOLD:
        told["unsure"] = True
    return {name: value for name, value in told.items() if value is not None}


def _fitting(book: Resting, scope: ScopeAt | None, everything: bool, as_of: Moment) -> Iterable[tuple[Row, Fit]]:
    rows: Sequence[Row] = sorted(book.rows(), key=lambda row: row.order_id)
    for row in rows:
        fit = Fit.YES if everything else Fit.NO if scope is None else scope.fit(row, as_of)
        if fit is not Fit.NO:
            yield row, fit


def _place(cursor: Cursor) -> tuple[int, str]:
    return VENUES.index(cursor.venue), cursor.order_id
