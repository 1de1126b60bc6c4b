"""The book: who has which order resting at which venue, and what became of those that no longer rest.

Pure and synchronous. It knows no wire format, no key and no venue rule beyond what a book itself enforces: a client
order id is unique among an account's open orders, and an order that has ended never moves again. Each front turns the
`Change`s it hears into its own messages.

Nothing here runs by itself: timers and expiries that are due take effect when `advance` is called, which the server
does before it serves anything and while connections are open.
"""

from __future__ import annotations

import random
import string
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum
from typing import Literal, get_args

Venue = Literal["spot", "prime", "futures"]
VENUES: tuple[Venue, ...] = get_args(Venue)
Side = Literal["buy", "sell"]

HISTORY_LIMIT = 100_000  # ended orders kept, oldest forgotten first

# Why an order was canceled, in Spot's own words; the other venues' fronts have theirs for the same two.
USER_REQUESTED = "User requested"
COUNTDOWN_FIRED = "Cancel all orders after timeout"

_TXID_ALPHABET = string.ascii_uppercase + string.digits
_ONE = Decimal(1)
_FAR_FROM_MARKET = Decimal(1000)


class State(Enum):
    """Where an order stands. Only OPEN ever changes."""

    OPEN = "open"
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"


class What(Enum):
    """What just happened to an order."""

    PLACED = "placed"
    TRADED = "traded"
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"


class DuplicateClientID(Exception):
    """Another open order of this account already has the client order id."""


@dataclass(slots=True, eq=False)
class Order:
    """One order. Times are unix seconds; symbol is in the venue's own spelling; userref 0 means none."""

    account: str
    venue: Venue
    order_id: str
    symbol: str
    side: Side
    order_type: str
    quantity: Decimal
    price: Decimal
    cl_ord_id: str | None
    userref: int
    time_in_force: str
    opened_s: float
    expires_s: float | None
    state: State = State.OPEN
    filled: Decimal = Decimal(0)
    cost: Decimal = Decimal(0)
    ended_s: float | None = None
    reason: str | None = None
    trades: list[str] = field(default_factory=list)

    @property
    def average_price(self) -> Decimal:
        return self.cost / self.filled if self.filled else Decimal(0)


@dataclass(frozen=True, slots=True)
class Fill:
    """One trade of an order."""

    trade_id: str
    price: Decimal
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class Change:
    """What listeners are told. The order is the live record: read it at once, it may move later."""

    what: What
    order: Order
    at_s: float
    fill: Fill | None = None


Listener = Callable[[Change], None]


class Exchange:
    """Orders of every account at every venue.

    now: unix seconds. rng: the source of every identifier, so that one seed gives one run.
    """

    def __init__(self, *, now: Callable[[], float], rng: random.Random) -> None:
        self._now = now
        self._rng = rng
        # Insertion order is placement order; the fronts' snapshots rely on it.
        self._open: dict[tuple[Venue, str], Order] = {}
        self._ended: dict[tuple[Venue, str], Order] = {}
        self._expiring: dict[tuple[Venue, str], Order] = {}
        self._client_ids: dict[tuple[str, Venue, str], Order] = {}
        self._listeners: dict[tuple[str | None, Venue], list[Listener]] = {}
        self._timers: dict[tuple[str, Venue], float] = {}
        self._frozen: set[Venue] = set()
        self._leaving: dict[tuple[Venue, str], tuple[float, str]] = {}

    # --- orders ---------------------------------------------------------------------------------------------------

    def place(
        self,
        account: str,
        venue: Venue,
        *,
        symbol: str,
        side: Side = "buy",
        quantity: Decimal = _ONE,
        price: Decimal = _FAR_FROM_MARKET,
        order_type: str = "limit",
        cl_ord_id: str | None = None,
        userref: int = 0,
        time_in_force: str = "GTC",
        expires_s: float | None = None,
        order_id: str | None = None,
    ) -> Order:
        """Put one order on the book and tell listeners.

        order_id: chosen by a test that must know it beforehand; otherwise drawn.
        Raises DuplicateClientID when cl_ord_id is in use by an open order of this account and venue.
        """
        if cl_ord_id is not None and (account, venue, cl_ord_id) in self._client_ids:
            raise DuplicateClientID(cl_ord_id)
        order = Order(
            account=account,
            venue=venue,
            order_id=order_id if order_id is not None else self._fresh_id(venue),
            symbol=symbol,
            side=side,
            order_type=order_type,
            quantity=quantity,
            price=price,
            cl_ord_id=cl_ord_id,
            userref=userref,
            time_in_force=time_in_force,
            opened_s=self._now(),
            expires_s=expires_s,
        )
        key = (venue, order.order_id)
        assert key not in self._open, f"order id {order.order_id} is on the book already"
        assert key not in self._ended, f"order id {order.order_id} was used before"
        self._open[key] = order
        if expires_s is not None:
            self._expiring[key] = order
        if cl_ord_id is not None:
            self._client_ids[account, venue, cl_ord_id] = order
        self._tell(What.PLACED, order)
        return order

    def cancel(self, order: Order, reason: str) -> None:
        """Take an open order off the book."""
        self._end(order, State.CANCELED, What.CANCELED, reason)

    def cancel_later(self, order: Order, reason: str, after_s: float) -> None:
        """Take an open order off the book so many seconds from now, unless it ends before."""
        self._leaving[order.venue, order.order_id] = (self._now() + after_s, reason)

    def expire(self, order: Order) -> None:
        """End an open order as if its time had come."""
        self._end(order, State.EXPIRED, What.EXPIRED, None)

    def fill(self, order: Order, quantity: Decimal | None = None, price: Decimal | None = None) -> Fill:
        """Trade an open order, wholly unless quantity says less, at its own price unless told otherwise."""
        assert order.state is State.OPEN
        rest = order.quantity - order.filled
        traded = rest if quantity is None else min(quantity, rest)
        fill = Fill(self._fresh_id(order.venue, first="T"), order.price if price is None else price, traded)
        order.filled += traded
        order.cost += traded * fill.price
        order.trades.append(fill.trade_id)
        self._tell(What.TRADED, order, fill)
        if order.filled == order.quantity:
            self._end(order, State.FILLED, What.FILLED, None)
        return fill

    def cancel_all(self, account: str, venue: Venue, reason: str, symbol: str | None = None) -> list[Order]:
        """Cancel every open order of the account at the venue, or those in one symbol; returns them as placed."""
        doomed = [order for order in self.open_orders(account, venue) if symbol in (None, order.symbol)]
        for order in doomed:
            self.cancel(order, reason)
        return doomed

    # --- questions ------------------------------------------------------------------------------------------------

    def open_orders(self, account: str | None = None, venue: Venue | None = None) -> list[Order]:
        """Open orders in placement order, of one account and venue or of all."""
        return [
            order
            for order in self._open.values()
            if (account is None or order.account == account) and (venue is None or order.venue == venue)
        ]

    def ended_orders(self, account: str, venue: Venue) -> list[Order]:
        """Orders that no longer rest, in the order they ended."""
        return [order for order in self._ended.values() if order.account == account and order.venue == venue]

    def order(self, account: str, venue: Venue, order_id: str) -> Order | None:
        """The account's order of this id, open or ended; another account's order is nobody's."""
        order = self._open.get((venue, order_id)) or self._ended.get((venue, order_id))
        return order if order is not None and order.account == account else None

    def open_order(self, account: str, venue: Venue, order_id: str) -> Order | None:
        """The account's open order of this id."""
        order = self._open.get((venue, order_id))
        return order if order is not None and order.account == account else None

    def open_by_client_id(self, account: str, venue: Venue, cl_ord_id: str) -> Order | None:
        """The account's one open order of this client order id."""
        return self._client_ids.get((account, venue, cl_ord_id))

    def open_by_userref(self, account: str, venue: Venue, userref: int) -> list[Order]:
        """Every open order of the account that bears this reference: it is not unique."""
        return [order for order in self.open_orders(account, venue) if order.userref == userref]

    def known_order(self, venue: Venue, order_id: str) -> Order | None:
        """The open order of this id, whosever it is: for the control door, which stands for the market."""
        return self._open.get((venue, order_id))

    # --- the venue-side timer, expiry, downtime -------------------------------------------------------------------

    def arm(self, account: str, venue: Venue, timeout_s: float) -> float | None:
        """Start or extend the account's cancel-all countdown, 0 disarms; returns when it fires (unix seconds)."""
        if timeout_s == 0:
            self._timers.pop((account, venue), None)
            return None
        self._timers[account, venue] = self._now() + timeout_s
        return self._timers[account, venue]

    def advance(self) -> None:
        """Let everything that is due by now take effect: pending cancels first, then expiries, then countdowns."""
        now_s = self._now()
        for (venue, order_id), (due_s, reason) in list(self._leaving.items()):
            if due_s <= now_s and venue not in self._frozen:
                self.cancel(self._open[venue, order_id], reason)
        for order in list(self._expiring.values()):
            if order.expires_s is not None and order.expires_s <= now_s and order.venue not in self._frozen:
                self.expire(order)
        for (account, venue), due_s in list(self._timers.items()):
            if due_s <= now_s and venue not in self._frozen:
                self._fire(account, venue)

    def next_due_s(self) -> float | None:
        """When `advance` next has something to do (unix seconds), or None."""
        due = [due_s for (_, venue), due_s in self._timers.items() if venue not in self._frozen]
        due += [due_s for (venue, _), (due_s, _) in self._leaving.items() if venue not in self._frozen]
        due += [o.expires_s for o in self._expiring.values() if o.expires_s is not None and o.venue not in self._frozen]
        return min(due, default=None)

    def freeze(self, venue: Venue) -> None:
        """The venue's engine goes down: nothing expires and no countdown fires until `thaw`."""
        self._frozen.add(venue)

    def thaw(self, venue: Venue) -> None:
        """The engine comes back: a countdown that was armed fires at once, however long it still had to run.

        Source: https://docs.kraken.com/api/docs/websocket-v1/cancelallordersafter (maintenance note).
        """
        self._frozen.discard(venue)
        for account, armed_venue in list(self._timers):
            if armed_venue == venue:
                self._fire(account, venue)

    # --- listeners ------------------------------------------------------------------------------------------------

    def listen(self, account: str | None, venue: Venue, listener: Listener) -> Callable[[], None]:
        """Call listener on every change of the account's orders at the venue; call what is returned to stop.

        account: None for every account's. Those who listen to all are told before those who listen to one.
        """
        listeners = self._listeners.setdefault((account, venue), [])
        listeners.append(listener)

        def forget() -> None:
            if listener in listeners:
                listeners.remove(listener)

        return forget

    def _tell(self, what: What, order: Order, fill: Fill | None = None) -> None:
        change = Change(what, order, self._now(), fill)
        # A copy: a listener may stop listening while it is being told.
        for account in (None, order.account):
            for listener in tuple(self._listeners.get((account, order.venue), ())):
                listener(change)

    def _end(self, order: Order, state: State, what: What, reason: str | None) -> None:
        assert order.state is State.OPEN, f"{order.order_id} has ended already"
        key = (order.venue, order.order_id)
        del self._open[key]
        self._expiring.pop(key, None)
        self._leaving.pop(key, None)
        if order.cl_ord_id is not None:
            del self._client_ids[order.account, order.venue, order.cl_ord_id]
        order.state, order.ended_s, order.reason = state, self._now(), reason
        self._ended[key] = order
        if len(self._ended) > HISTORY_LIMIT:
            del self._ended[next(iter(self._ended))]
        self._tell(what, order)

    def _fire(self, account: str, venue: Venue) -> None:
        del self._timers[account, venue]
        self.cancel_all(account, venue, COUNTDOWN_FIRED)

    def _fresh_id(self, venue: Venue, first: str = "O") -> str:
        if venue != "spot":
            return str(uuid.UUID(int=self._rng.getrandbits(128), version=4))
        letters = self._rng.choices(_TXID_ALPHABET, k=17)
        letters[0] = first
        text = "".join(letters)
        return f"{text[:6]}-{text[6:11]}-{text[11:]}"
