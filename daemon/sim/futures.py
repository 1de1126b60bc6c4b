"""The Futures engine behind REST, the feed and the Unified WebSocket: budget, rights, and what a cancel means.

Words are the venue's own. Where it publishes none (over the budget on the Unified WebSocket, a `processBefore` that has
passed) the choice is written where it is made.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from .contracts import Contract
from .exchange import USER_REQUESTED, Change, DuplicateClientID, Exchange, Fill, Order, Side, State
from .keys import FUTURES_FULL, ApiKey, Keyring
from .rates import Budgets
from .refusal import Refusal
from .status import MarketStatus

REMEMBERED_S = 5.0  # how long an ended order is still found, by `orders/status` and as `filled` by a cancel
TIMEOUT_LIMIT_S = 86_400  # not published; Spot's bound
CLIENT_ID_LIMIT = 100  # characters
_NONCES_KEPT = 100  # a nonce may be this far out of order

AUTHENTICATION = "authenticationError"
PRIVILEGES = "insufficientPrivileges"
API_LIMIT = "apiLimitExceeded"
INVALID_ARGUMENT = "invalidArgument"
ARGUMENT_MISSING = "requiredArgumentMissing"
JSON_PARSE = "Json Parse Error"
MARKET_UNAVAILABLE = "marketUnavailable"
NONCE_BELOW = "nonceBelowThreshold"
NONCE_DUPLICATE = "nonceDuplicate"
NOT_FOUND = "notFound"

TRIGGERS = frozenset({"stp", "take_profit"})  # order types that wait for a price; theirs is the trigger price


class NotPlaced(Exception):
    """A new order was understood and not taken. status: the word of `sendStatus`."""

    def __init__(self, status: str) -> None:
        super().__init__(status)
        self.status = status


@dataclass(frozen=True, slots=True)
class Fate:
    """What a cancel found. word: `cancelled`, `filled` or `notFound`; order: unless it was not found."""

    word: str
    order: Order | None


@dataclass(frozen=True, slots=True)
class Ticket:
    """A new order. price: the trigger price of a stop or take-profit order."""

    contract: Contract
    side: Side
    order_type: str
    quantity: Decimal
    price: Decimal
    cl_ord_id: str | None = None


class FuturesEngine:
    """What the three Futures fronts share."""

    def __init__(self, *, exchange: Exchange, keys: Keyring, budgets: Budgets, now: Callable[[], float]) -> None:
        self.exchange = exchange
        self.keys = keys
        self.market = MarketStatus("futures", exchange=exchange, now=now)
        self._budgets = budgets
        self._now = now
        self._nonces: dict[str, deque[int]] = {}
        self._lately_ended: deque[Order] = deque()
        exchange.listen(None, "futures", self._on_change)

    # --- who may ask, and how often -------------------------------------------------------------------------------

    def accept_nonce(self, key: ApiKey, nonce: int) -> None:
        """Book a nonce. Short disorder is tolerated; raises Refusal for one used before or too far behind."""
        kept = self._nonces.setdefault(key.key, deque())
        if nonce in kept:
            raise Refusal(NONCE_DUPLICATE)
        if len(kept) >= _NONCES_KEPT:
            if nonce < min(kept):
                raise Refusal(NONCE_BELOW)
            kept.remove(min(kept))
        kept.append(nonce)

    def require_full(self, key: ApiKey) -> None:
        """Raises Refusal unless the key has full access."""
        if FUTURES_FULL not in key.rights:
            raise Refusal(PRIVILEGES)

    def charge(self, account: str, points: int) -> None:
        """Spend from the account's budget; raises Refusal when it is spent."""
        if not self._budgets.charge(account, points):
            raise Refusal(API_LIMIT)

    def require_up(self) -> None:
        """Raises Refusal while the market is in maintenance."""
        if self.market.now == "maintenance":
            raise Refusal(MARKET_UNAVAILABLE)

    # --- orders ---------------------------------------------------------------------------------------------------

    def send(self, account: str, ticket: Ticket) -> tuple[Order, Fill | None]:
        """Place an order. A limit order always rests (no market moves here), a market order fills at once.

        Returns the order and what a market order traded. Raises NotPlaced, or Refusal in maintenance.
        """
        self.require_up()
        if self.market.now == "cancel_only":
            raise NotPlaced("marketSuspended")
        if ticket.cl_ord_id is not None and len(ticket.cl_ord_id) > CLIENT_ID_LIMIT:
            raise NotPlaced("clientOrderIdTooLong")
        if ticket.order_type in ("ioc", "fok"):
            raise NotPlaced("iocWouldNotExecute")
        try:
            order = self.exchange.place(
                account,
                "futures",
                symbol=ticket.contract.symbol,
                side=ticket.side,
                quantity=ticket.quantity,
                price=ticket.price,
                order_type=ticket.order_type,
                cl_ord_id=ticket.cl_ord_id,
            )
        except DuplicateClientID:
            raise NotPlaced("clientOrderIdAlreadyExist") from None
        if ticket.order_type == "mkt":
            return order, self.exchange.fill(order, price=ticket.contract.last_price)
        return order, None

    def cancel(self, account: str, *, order_id: str | None = None, cl_ord_id: str | None = None) -> Fate:
        """Cancel the one order of this id, if it still rests. Raises Refusal in maintenance."""
        self.require_up()
        order = self.find(account, order_id=order_id, cl_ord_id=cl_ord_id)
        if order is None or order.state in (State.CANCELED, State.EXPIRED):
            return Fate("notFound", None)
        if order.state is State.FILLED:
            return Fate("filled", order)
        self.exchange.cancel(order, USER_REQUESTED)
        return Fate("cancelled", order)

    def cancel_all(self, account: str, symbol: str | None = None) -> list[Order]:
        """Cancel everything open, or everything in one contract; in placement order. Raises Refusal in maintenance."""
        self.require_up()
        return self.exchange.cancel_all(account, "futures", USER_REQUESTED, symbol)

    def cancel_all_after(self, account: str, timeout_s: int) -> float | None:
        """Arm (or, with 0, disarm) the countdown; returns when it fires, in unix seconds."""
        self.require_up()
        if not 0 <= timeout_s <= TIMEOUT_LIMIT_S:
            raise Refusal(INVALID_ARGUMENT)
        return self.exchange.arm(account, "futures", timeout_s)

    def find(self, account: str, *, order_id: str | None = None, cl_ord_id: str | None = None) -> Order | None:
        """The order of this id that is open, or that ended in the last REMEMBERED_S seconds."""
        if order_id is not None:
            order = self.exchange.open_order(account, "futures", order_id)
        else:
            order = self.exchange.open_by_client_id(account, "futures", cl_ord_id or "")
        if order is not None:
            return order
        self._forget()
        for ended in reversed(self._lately_ended):
            if ended.account == account and (
                ended.order_id == order_id if order_id is not None else ended.cl_ord_id == cl_ord_id
            ):
                return ended
        return None

    def _on_change(self, change: Change) -> None:
        if change.order.state is not State.OPEN:
            self._forget()
            self._lately_ended.append(change.order)

    def _forget(self) -> None:
        horizon_s = self._now() - REMEMBERED_S
        while self._lately_ended and (self._lately_ended[0].ended_s or 0.0) < horizon_s:
            self._lately_ended.popleft()
