"""What a command for a scope came to at one venue, made of what each of its orders came to.

The most careful outcome holds for all of them. What must never happen here: an outcome that lets a caller believe that
nothing rests, while an order of the scope may rest, or nobody could tell whether one is of it.
"""

from collections.abc import Collection, Mapping
from decimal import Decimal, InvalidOperation
from typing import NamedTuple

from ..contract.ids import EVERYTHING, Target, Venue
from ..contract.outcomes import (
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
from ..contract.selectors import market_of
from .resting import Resting
from .scope import symbol_of

UNSETTLED = "not every cancel was settled before the deadline"
UNTOLD = "see unsure: of these nobody can tell whether they are meant"
NOT_BORNE_OUT = "no list of what is open bore it out before the deadline"


class Ledger(NamedTuple):
    """What is known at the end.

    `orders` are those gone after, None for one that is not settled. `fired`: requests for all orders of a symbol.
    `pending`: something that was sent is not settled. `unsure`: open orders of which nobody can tell whether they are
    meant. `residual`: open orders that are. `borne_out`: no order can have been missed. `looked`: a list was had.
    """

    orders: Mapping[Target, Settlement | None]
    fired: int
    pending: bool
    unsure: tuple[str, ...]
    residual: tuple[str, ...]
    borne_out: bool
    looked: bool
    error: str | None


def settlement_of(venue: Venue, book: Resting, ledger: Ledger) -> Settlement:
    """The one settlement of the command."""
    told = [settlement for settlement in ledger.orders.values() if settlement is not None]
    gone = [settlement for settlement in told if isinstance(settlement.outcome, Acked | Canceled)]
    order_ids = tuple(order_id for one in gone if (order_id := _order_id(one, book)) is not None)
    leaving = set(order_ids)
    outcome, error = _verdict(told, ledger)
    return Settlement(
        venue=venue,
        target=EVERYTHING,
        outcome=outcome,
        route=_route(told, ledger),
        attempts=ledger.fired + sum(one.attempts for one in told),
        sent_ns=min((one.sent_ns for one in told if one.sent_ns is not None), default=None),
        answered_ns=max((one.answered_ns for one in told if one.answered_ns is not None), default=None),
        error=error,
        count=len(gone),
        order_ids=order_ids,
        # What is on its way out does not rest.
        residual=tuple(order_id for order_id in ledger.residual if order_id not in leaving),
        unsure=ledger.unsure,
        filled_qty=_filled(gone, book, venue),
    )


def _verdict(told: Collection[Settlement], ledger: Ledger) -> tuple[Outcome, str | None]:
    outcomes = [one.outcome for one in told]
    tried = tuple(dict.fromkeys(route for one in told for route in _tried(one)))
    if ledger.orders and not ledger.pending and not ledger.fired and all(isinstance(o, Refused) for o in outcomes):
        # No byte left this machine.
        return outcomes[0], ledger.error
    if ledger.pending:
        return Unknown(tried), ledger.error or UNSETTLED
    if any(isinstance(outcome, Unknown | Refused) for outcome in outcomes):
        return Unknown(tried), ledger.error
    if rejected := next((outcome for outcome in outcomes if isinstance(outcome, Rejected)), None):
        return rejected, ledger.error
    if ledger.unsure:
        heard = "" if ledger.error is None else f"; last heard: {ledger.error}"
        return Unknown(tried), f"{UNTOLD}, {len(ledger.unsure)} orders{heard}"
    if not ledger.borne_out:
        return Unknown(tried), ledger.error or NOT_BORNE_OUT
    for kind in (Acked, Canceled, Closed):
        if found := next((outcome for outcome in outcomes if isinstance(outcome, kind)), None):
            if kind is Canceled and not ledger.looked:
                # Each of them is off the book; that no other order of the scope rests, no list has told.
                return Acked(), None
            return (Canceled() if kind is Canceled and len(outcomes) > 1 else found), None
    return NotOpen(), None


def _order_id(settlement: Settlement, book: Resting) -> str | None:
    """The venue's id of an order that was cancelled; None where only its client order id is known."""
    kind, value = settlement.target
    if settlement.order_id is not None or kind == "order_id":
        return settlement.order_id or str(value)
    bearer = book.bearer(str(value))
    return None if bearer is None else bearer.order_id


def _tried(settlement: Settlement) -> tuple[Route, ...]:
    if isinstance(settlement.outcome, Unknown):
        return settlement.outcome.tried
    return () if settlement.route in ("none", "stream") else (settlement.route,)


def _route(told: Collection[Settlement], ledger: Ledger) -> Route:
    routes = [one.route for one in told if one.route != "none"]
    return routes[-1] if routes else "rest" if ledger.looked else "stream" if ledger.borne_out else "none"


def _filled(gone: Collection[Settlement], book: Resting, venue: Venue) -> str | None:
    """What had filled of the orders that went, where all of it was told and all are of one symbol."""
    total, symbols = Decimal(0), set()
    for one in gone:
        row = book.get(_order_id(one, book) or "")
        filled = one.outcome.filled_qty if isinstance(one.outcome, Canceled) else None
        if filled is None and row is not None and row.ended:
            filled = row.filled_qty
        if row is None or filled is None or (symbol := symbol_of(row)) is None:
            return None
        symbols.add(market_of(venue, symbol))
        try:
            total += Decimal(filled)
        except InvalidOperation:
            return None
    return f"{total:f}" if len(symbols) == 1 else None
