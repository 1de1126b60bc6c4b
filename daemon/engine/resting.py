"""Orders as the venue's streams and queries tell them: what is open, and how what ended has ended.

A row is opened and ended by what the venue says, never by what we asked for. An ended order never opens again.
"""

from collections.abc import Iterable, KeysView, Set, ValuesView
from decimal import Decimal, InvalidOperation
from typing import Literal, TypeAlias

from ..contract.evidence import OrderState, OrderTerms
from ..contract.outcomes import ClosedState

Status: TypeAlias = Literal["open", "gone"] | ClosedState
"""`gone`: once open, missing from a later list of open orders, and nobody told how it ended."""

FRESH_NS = 2_000_000_000
"""A list of open orders may lack an order placed a moment ago; absence counts against older ones only."""


class Row:
    """One order. `seen_ns` is when we first heard of it and `touched_ns` when last, on the monotonic clock.

    `terms` is what was ordered, from the last message that described the order whole: as long as there was none, a
    name that is None here may be one of which nobody has told yet. `by_list` when it was a list or a query that told
    of the order first, and no stream.
    """

    __slots__ = (
        "by_list",
        "cl_ord_id",
        "filled_qty",
        "opened_s",
        "order_id",
        "reason",
        "seen_ns",
        "status",
        "symbol",
        "terms",
        "touched_ns",
        "userref",
    )

    def __init__(self, order_id: str, now_ns: int) -> None:
        self.order_id = order_id
        self.status: Status = "open"
        self.cl_ord_id: str | None = None
        self.userref: int | None = None
        self.symbol: str | None = None
        self.opened_s: float | None = None
        self.filled_qty: str | None = None
        self.reason: str | None = None
        self.terms: OrderTerms | None = None
        self.by_list = False
        self.seen_ns = now_ns
        self.touched_ns = now_ns

    @property
    def ended(self) -> bool:
        """Whether the venue told that, and how, the order left the book."""
        return self.status != "open" and self.status != "gone"


def _more(told: str, known: str | None) -> bool:
    """Whether a told quantity is news: one that filled never shrinks, but the slower of two streams tells old ones."""
    if known is None or told == known:
        return known is None
    try:
        return Decimal(told) > Decimal(known)
    except InvalidOperation:
        return True


def filled_together(rows: Iterable[Row | None]) -> str | None:
    """What had filled of orders that ended, together; None unless all of it was told and all are of one symbol."""
    total, symbols = Decimal(0), set()
    for row in rows:
        if row is None or not row.ended or row.filled_qty is None or row.symbol is None:
            return None
        symbols.add(row.symbol)
        try:
            total += Decimal(row.filled_qty)
        except InvalidOperation:
            return None
    return f"{total:f}" if len(symbols) == 1 else None


class Resting:
    """The orders of one venue's account. Open ones are always kept, ended ones up to a limit."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._open: dict[str, Row] = {}
        self._closed: dict[str, Row] = {}
        self._by_cl_ord_id: dict[str, str] = {}
        self._by_userref: dict[int, set[str]] = {}
        self._suspects: dict[str, int] = {}
        self._suspected_ns = 0

    def __len__(self) -> int:
        """How many orders are open."""
        return len(self._open)

    def get(self, order_id: str) -> Row | None:
        """What is known of an order."""
        row = self._open.get(order_id)
        return row if row is not None else self._closed.get(order_id)

    def is_open(self, order_id: str) -> bool:
        """Whether an order is believed open."""
        return order_id in self._open

    def rows(self) -> ValuesView[Row]:
        """The orders believed open; a live view."""
        return self._open.values()

    def open_ids(self) -> KeysView[str]:
        """The orders believed open; a live view."""
        return self._open.keys()

    def bearer(self, cl_ord_id: str) -> Row | None:
        """The order that bears a client order id, or, when none is open under it, the one that bore it last."""
        order_id = self._by_cl_ord_id.get(cl_ord_id)
        return None if order_id is None else self.get(order_id)

    def open_as(self, cl_ord_id: str) -> str | None:
        """The order that is open under a client order id."""
        order_id = self._by_cl_ord_id.get(cl_ord_id)
        return order_id if order_id in self._open else None

    def open_under(self, userref: int) -> frozenset[str]:
        """The orders that are open under a userref."""
        return frozenset(self._by_userref.get(userref, ()))

    def apply(self, state: OrderState, now_ns: int, *, by_list: bool = False) -> Row | None:
        """Take in one state; the row when this state ended it or opened it, else None.

        by_list: it was asked for, and no stream told it by itself.
        """
        order_id = state.order_id
        row = self._open.get(order_id)
        if row is None:
            row = self._closed.get(order_id)
            if row is None:
                row = Row(order_id, now_ns)
                row.by_list = by_list
                self._fill(row, state, now_ns)
                if state.status is None or state.status == "open":
                    self._file(row)
                else:
                    row.status = state.status
                    self._remember(row)
                return row
            self._fill(row, state, now_ns)
            # Only a row that vanished without a word may still be told its end, or turn out to rest after all: also by
            # a fill, which says no status.
            if row.status != "gone":
                return None
            del self._closed[order_id]
            if state.status is None or state.status == "open":
                self._file(row)
            else:
                row.status = state.status
                self._remember(row)
            return row
        self._fill(row, state, now_ns)
        if state.status is None or state.status == "open":
            return None
        if state.status == "filled" and state.filled_qty is None:
            # What was known is less than all of it, as soon as nobody says how much that is.
            row.filled_qty = None
        self._close(row, state.status)
        return row

    def unlist(self, order_id: str) -> Row | None:
        """The stream lists it no longer and does not say why: the row, now `gone`, if it was open."""
        row = self._open.get(order_id)
        if row is not None:
            self._close(row, "gone")
        return row

    def replace(self, states: Iterable[OrderState], now_ns: int, *, complete: bool) -> list[Row]:
        """Take in a list of all open orders; the rows that changed.

        complete: nobody else would have told us of an end since the last message, so an order missing here is `gone`.
        """
        listed = set()
        changed = []
        for state in states:
            listed.add(state.order_id)
            row = self.apply(state, now_ns)
            if row is not None:
                changed.append(row)
        return changed + self.vanish(listed, now_ns) if complete else changed

    def vanish(self, listed: Set[str], asked_ns: int) -> list[Row]:
        """Those of the open orders which a list of all that is open does not hold, now `gone`.

        asked_ns: when the list was made or asked for; an order heard of since then is not held to it.
        """
        absent = [row for order_id, row in self._open.items() if order_id not in listed]
        # The young ones are believed in until the list would have held them if they had been there.
        self._suspects = {row.order_id: row.touched_ns for row in absent if asked_ns - row.touched_ns <= FRESH_NS}
        self._suspected_ns = asked_ns
        return self.let_go(absent, asked_ns)

    def absent(self, listed: Set[str], asked_ns: int) -> list[Row]:
        """The open orders that `vanish` would give for the same list: they can be let go in pieces before it."""
        rows = self._open.items()
        return [row for order_id, row in rows if order_id not in listed and asked_ns - row.touched_ns > FRESH_NS]

    def let_go(self, rows: Iterable[Row], asked_ns: int) -> list[Row]:
        """Those of some orders missing from a list that are open and of which nothing was heard since, now `gone`."""
        missing = [row for row in rows if row.order_id in self._open and asked_ns - row.touched_ns > FRESH_NS]
        for row in missing:
            self._close(row, "gone")
        return missing

    def doubt(self, now_ns: int) -> list[Row]:
        """Those young orders which the last list did not hold and of which nothing was heard since, now `gone`."""
        if not self._suspects or now_ns - self._suspected_ns <= FRESH_NS:
            return []
        suspects, self._suspects = self._suspects, {}
        missing = [
            row
            for order_id, touched_ns in suspects.items()
            if (row := self._open.get(order_id)) is not None and row.touched_ns == touched_ns
        ]
        for row in missing:
            self._close(row, "gone")
        return missing

    def _fill(self, row: Row, state: OrderState, now_ns: int) -> None:
        row.touched_ns = now_ns
        # What comes late may be from before the end, of which nobody said how much had filled by then.
        of_before = row.ended and row.filled_qty is None and state.status in (None, "open")
        if state.filled_qty is not None and not of_before and _more(state.filled_qty, row.filled_qty):
            row.filled_qty = state.filled_qty
        if state.reason is not None:
            row.reason = state.reason
        if state.symbol is not None:
            row.symbol = state.symbol
        if state.opened_s is not None:
            row.opened_s = state.opened_s
        if state.terms is not None:
            row.terms = state.terms
        is_open = row.order_id in self._open
        if state.cl_ord_id is not None and row.cl_ord_id is None:
            row.cl_ord_id = state.cl_ord_id
            if is_open:
                self._by_cl_ord_id[state.cl_ord_id] = row.order_id
        if state.userref is not None and row.userref is None:
            row.userref = state.userref
            if is_open:
                self._by_userref.setdefault(state.userref, set()).add(row.order_id)

    def _file(self, row: Row) -> None:
        row.status = "open"
        self._open[row.order_id] = row
        if row.cl_ord_id is not None:
            self._by_cl_ord_id[row.cl_ord_id] = row.order_id
        if row.userref is not None:
            self._by_userref.setdefault(row.userref, set()).add(row.order_id)

    def _close(self, row: Row, status: Status) -> None:
        row.status = status
        del self._open[row.order_id]
        if row.userref is not None:
            family = self._by_userref[row.userref]
            family.remove(row.order_id)
            if not family:
                del self._by_userref[row.userref]
        self._remember(row)

    def _remember(self, row: Row) -> None:
        self._closed[row.order_id] = row
        if row.cl_ord_id is not None:
            self._by_cl_ord_id.setdefault(row.cl_ord_id, row.order_id)
        if len(self._closed) > self._limit:
            oldest = self._closed.pop(next(iter(self._closed)))
            if oldest.cl_ord_id is not None and self._by_cl_ord_id.get(oldest.cl_ord_id) == oldest.order_id:
                del self._by_cl_ord_id[oldest.cl_ord_id]
