"""The Spot engine behind its three wire fronts: rights, market status, rate counters, and what a cancel means.

The fronts turn their own messages into these calls and a `Refusal` into their own error frame. Error texts are the
venue's and the same on every front, so they are written here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import Literal

from .exchange import USER_REQUESTED, DuplicateClientID, Exchange, Order, Side
from .keys import CANCEL_RIGHTS, CREATE_RIGHT, ApiKey, Keyring
from .markets import Pair
from .rates import TradingCounters
from .refusal import Refusal
from .status import MarketStatus

BATCH_LIMIT = 50  # ids in one batch cancel, all kinds together
TIMEOUT_LIMIT_S = 86_400  # the dead man's countdown must stay below this

UNKNOWN_ORDER = "EOrder:Unknown order"
INVALID_ORDER = "EOrder:Invalid order"
RATE_LIMIT = "EOrder:Rate limit exceeded"
ORDERS_LIMIT = "EOrder:Orders limit exceeded"
PERMISSION_DENIED = "EGeneral:Permission denied"
UNAVAILABLE = "EService:Unavailable"
INVALID_SESSION = "ESession:Invalid session"
INVALID_ARGUMENTS = "EGeneral:Invalid arguments"

_TXID = re.compile(r"[A-Z0-9]{6}-[A-Z0-9]{5}-[A-Z0-9]{6}")
_USERREF = re.compile(r"-?[0-9]{1,10}")
# A UUID with dashes, 32 hex digits, or free text of at most 18 characters.
_CL_ORD_ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[0-9a-fA-F]{32}|[\x21-\x7e]{1,18}")


class Kind(Enum):
    """The three ways a client names orders."""

    TXID = "txid"
    USERREF = "userref"
    CL_ORD_ID = "cl_ord_id"


@dataclass(frozen=True, slots=True)
class Name:
    """One identifier in a cancel request."""

    kind: Kind
    value: str | int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one order a cancel named: the order when it was canceled, otherwise the error text."""

    name: Name
    order: Order | None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Ticket:
    """A new order as every front understands it. expires_s: unix seconds."""

    pair: Pair
    side: Side
    order_type: Literal["limit", "market"]
    quantity: Decimal
    price: Decimal
    userref: int = 0
    cl_ord_id: str | None = None
    time_in_force: str = "GTC"
    expires_s: float | None = None
    validate_only: bool = False


def name_of(text: str) -> Name:
    """A txid or, written in digits, a userref: how the array `txid` of v1 and REST's form field are read.

    Raises Refusal for text that is neither.
    """
    if _USERREF.fullmatch(text):
        return Name(Kind.USERREF, userref_of(int(text)))
    if _TXID.fullmatch(text):
        return Name(Kind.TXID, text)
    raise Refusal(INVALID_ORDER)


def userref_of(number: int) -> int:
    """A signed 32-bit client reference; raises Refusal for any other number, 0 included (no order answers to it)."""
    if number == 0 or not -(2**31) <= number < 2**31:
        raise Refusal(f"{INVALID_ARGUMENTS}:userref")
    return number


def cl_ord_id_of(text: str) -> str:
    """A client order id in one of its three formats; raises Refusal for anything else.

    Source: https://docs.kraken.com/api/docs/rest-api/add-order
    """
    if not _CL_ORD_ID.fullmatch(text):
        raise Refusal(f"{INVALID_ARGUMENTS}:cl_ord_id")
    return text


class SpotEngine:
    """What Spot's REST, WebSocket v1 and WebSocket v2 fronts share."""

    def __init__(
        self, *, exchange: Exchange, keys: Keyring, counters: TradingCounters, now: Callable[[], float]
    ) -> None:
        self.exchange = exchange
        self.keys = keys
        self.counters = counters
        self.market = MarketStatus("spot", exchange=exchange, now=now)
        self._now = now

    @property
    def status(self) -> str:
        """What systemStatus says now."""
        return self.market.now

    # --- rights ---------------------------------------------------------------------------------------------------

    def holder(self, token: str) -> ApiKey:
        """The key behind a WebSocket token; raises Refusal when the token is not alive."""
        key = self.keys.use_token(token)
        if key is None or key.venue != "spot":
            raise Refusal(INVALID_SESSION)
        return key

    def require(self, key: ApiKey, rights: Iterable[str]) -> None:
        """Raises Refusal unless the key has at least one of the rights."""
        if key.rights.isdisjoint(rights):
            raise Refusal(PERMISSION_DENIED)

    # --- orders ---------------------------------------------------------------------------------------------------

    def add(self, key: ApiKey, ticket: Ticket) -> Order | None:
        """Place an order; None when the ticket only asked for validation.

        A limit order always rests: no market moves here that could reach it. A market order fills at once.
        """
        self.require(key, {CREATE_RIGHT})
        self._require_up()
        if self.status == "cancel_only" or (self.status != "online" and ticket.order_type == "market"):
            raise Refusal(f"EService:Market in {self.status} mode")
        if ticket.quantity < ticket.pair.minimum_quantity:
            raise Refusal("EOrder:Order minimum not met")
        if ticket.userref and ticket.cl_ord_id is not None:
            raise Refusal(f"{INVALID_ARGUMENTS}:cl_ord_id")
        symbol = ticket.pair.wsname
        resting = sum(order.symbol == symbol for order in self.exchange.open_orders(key.account, "spot"))
        if resting >= self.counters.tier.open_orders_per_pair:
            raise Refusal(ORDERS_LIMIT)
        if ticket.validate_only:
            return None
        if not self.counters.charge_add(key.account, symbol):
            raise Refusal(RATE_LIMIT)
        try:
            order = self.exchange.place(
                key.account,
                "spot",
                symbol=symbol,
                side=ticket.side,
                quantity=ticket.quantity,
                price=ticket.price,
                order_type=ticket.order_type,
                cl_ord_id=ticket.cl_ord_id,
                userref=ticket.userref,
                time_in_force=ticket.time_in_force,
                expires_s=ticket.expires_s,
            )
        except DuplicateClientID:
            raise Refusal(f"{INVALID_ARGUMENTS}:cl_ord_id must be unique") from None
        if ticket.order_type == "market":
            self.exchange.fill(order, price=ticket.pair.last_price)
        elif ticket.time_in_force == "IOC":
            self.exchange.cancel(order, "IOC")
        return order

    def cancel_each(
        self,
        key: ApiKey,
        names: Sequence[Name],
        *,
        unknown: str = UNKNOWN_ORDER,
        refuse: Callable[[], str | None] = lambda: None,
        pending_s: float | None = None,
    ) -> list[Verdict]:
        """Cancel one after the other, each booked as a single cancel; one verdict per order, not per name.

        A userref that several orders bear gives as many verdicts; a name nothing answers to gives one, with the text
        unknown. refuse: asked before each order; a text it returns is that order's verdict and leaves it alone.
        pending_s: the cancels are carried out so much later; None: at once.
        Raises Refusal when nothing at all could be tried (rights, maintenance).
        """
        self._require_cancel(key)
        verdicts: list[Verdict] = []
        for name in names:
            matching: list[Order | None] = [*self._matching(key, name)]
            for order in matching or [None]:
                error = refuse() or (unknown if order is None else self._cancel_one(order, pending_s))
                verdicts.append(Verdict(name, None if error else order, error))
        return verdicts

    def cancel_batch(self, key: ApiKey, names: Sequence[Name], pending_s: float | None = None) -> int:
        """Cancel whatever of the names is open; returns how many orders that was. Never over the rate limit.

        pending_s: carried out so much later; None: at once.
        """
        self._require_cancel(key)
        doomed = list(dict.fromkeys(order for name in names for order in self._matching(key, name)))
        by_symbol: dict[str, list[Order]] = {}
        for order in doomed:
            by_symbol.setdefault(order.symbol, []).append(order)
        for symbol, orders in by_symbol.items():
            self.counters.charge_batch(key.account, symbol, [self._now() - order.opened_s for order in orders])
        for order in doomed:
            if pending_s is None:
                self.exchange.cancel(order, USER_REQUESTED)
            else:
                self.exchange.cancel_later(order, USER_REQUESTED, pending_s)
        return len(doomed)

    def cancel_all(self, key: ApiKey) -> int:
        """Cancel every open order of the account; returns how many."""
        self._require_cancel(key)
        return len(self.exchange.cancel_all(key.account, "spot", USER_REQUESTED))

    def cancel_all_after(self, key: ApiKey, timeout_s: int) -> float | None:
        """Arm (or, with 0, disarm) the account's dead man's countdown; returns when it fires, in unix seconds."""
        self._require_cancel(key)
        if not 0 <= timeout_s < TIMEOUT_LIMIT_S:
            raise Refusal(f"{INVALID_ARGUMENTS}:Invalid timeout argument")
        return self.exchange.arm(key.account, "spot", timeout_s)

    def _cancel_one(self, order: Order, pending_s: float | None = None) -> str:
        if not self.counters.charge_cancel(order.account, order.symbol, self._now() - order.opened_s):
            return RATE_LIMIT
        if pending_s is None:
            self.exchange.cancel(order, USER_REQUESTED)
        else:
            self.exchange.cancel_later(order, USER_REQUESTED, pending_s)
        return ""

    def _matching(self, key: ApiKey, name: Name) -> list[Order]:
        match name.value:
            case int() as userref:
                return self.exchange.open_by_userref(key.account, "spot", userref)
            case str() as text if name.kind is Kind.CL_ORD_ID:
                order = self.exchange.open_by_client_id(key.account, "spot", text)
            case text:
                order = self.exchange.open_order(key.account, "spot", text)
        return [] if order is None else [order]

    def _require_cancel(self, key: ApiKey) -> None:
        self.require(key, CANCEL_RIGHTS)
        self._require_up()

    def _require_up(self) -> None:
        if self.status == "maintenance":
            raise Refusal(UNAVAILABLE)
