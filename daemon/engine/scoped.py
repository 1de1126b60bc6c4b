"""One command to cancel what a scope means at one venue, from its receipt to its one answer.

What the book shows to fit is cancelled, order by order, in batches. Where a selector means every order of one symbol
and the venue has a cancel-all for one symbol, that goes first, since it meets orders too of which nobody has told yet.
An order of which the scope's facts are not told is looked up by a list of what is open; what is not told then either is
`unsure`. Orders that appear meanwhile are met for as long as the command runs, which is until its answer.

For proof a list is wanted that was asked for after the last cancel was settled, and that shows nothing of the scope.

All methods are plain calls that take the time as an argument and leave what is to be done in `effects`. What must never
happen here: a cancel for an order that is not known to fit; an order that may fit and is neither cancelled nor named.
"""

from collections.abc import Collection, Iterable
from typing import NamedTuple, TypeAlias

from ..contract.evidence import OrderState
from ..contract.ids import Target
from ..contract.outcomes import SAFE, Canceled, Closed, NotOpen, Outcome, Settlement
from ..contract.selectors import market_of
from .instants import FAR_NS, MS
from .resting import Resting, Row
from .scope import Fit, Moment, ScopeAt, symbol_of
from .scope_verdict import Ledger, settlement_of
from .sweep import Look

GAP_NS = 250 * MS
"""Between two looks of one command: lists cost the budget that settles orders."""

GRACE_NS = 5 * MS
"""After the deadline, so that the answers to its own cancels, which come at the deadline, are in."""


class CancelThese(NamedTuple):
    """Cancel these orders and no other; each comes to a settlement."""

    targets: tuple[Target, ...]


class FireMarket(NamedTuple):
    """Cancel every order of one symbol by the venue's own request."""

    symbol: str


class Done(NamedTuple):
    """The one answer; nothing follows it."""

    settlement: Settlement


ScopedEffect: TypeAlias = CancelThese | FireMarket | Look | Done


class Patience(NamedTuple):
    """How a venue is to be dealt with.

    hedge_ns: for how long a cancel-all for a symbol may be silent before its orders are cancelled one by one. markets:
    the venue has such a request. looks: how many lists in a row must bear out that nothing is left, for proof.
    """

    hedge_ns: int
    markets: bool = False
    looks: int = 1


class ScopedCancel:
    """What became of one command's scope at one venue. `begin` starts it, `Done` ends it."""

    def __init__(
        self, scope: ScopeAt, book: Resting, patience: Patience, *, proof: bool, as_of: Moment, deadline_ns: int
    ) -> None:
        """as_of: when the command was received, which is when ages count. deadline_ns: monotonic, as all times."""
        self.effects: list[ScopedEffect] = []
        self.done = False
        self._scope = scope
        self._book = book
        self._patience = patience
        self._proof = proof
        self._as_of = as_of
        self._deadline_ns = deadline_ns
        self._orders: dict[Target, Settlement | None] = {}
        """Every order that was gone after, and what it came to."""
        self._fires: dict[str, int] = {}
        """The symbols whose cancel-all is not answered, and when it counts as silent."""
        self._held: dict[str, None] = {}
        """Orders that one of those may be taking."""
        self._untold: dict[str, None] = {}
        self._unsure: dict[str, None] = {}
        self._witnessed = True
        self._begun_looks = 0
        self._look_begun_ns: int | None = None
        self._look_ns = FAR_NS
        self._last_look_ns = -GAP_NS
        self._looked = False
        self._clean = 0
        self._settled_ns = 0
        self._fired = 0
        self._error: str | None = None

    # ---------------------------------------------------------------- what happens

    def begin(self, now_ns: int, *, witnessed: bool) -> None:
        """Go after what fits. witnessed: a stream tells of every order, so that only a list of before is not needed."""
        self._witnessed = witnessed
        if self._patience.markets:
            for symbol in self._scope.markets:
                self._fires[symbol] = now_ns + self._patience.hedge_ns
                self._fired += 1
                self.effects.append(FireMarket(symbol))
        self._meet(self._book.rows(), now_ns)
        # Named by one id alone, it can be gone after although nobody has told of it.
        self._cancel([target for target in self._scope.named if not self._knows(target)])
        if self._untold or not witnessed:
            self._look_at(now_ns)
        self._go_on(now_ns)

    def opened(self, order_id: str, now_ns: int) -> None:
        """An order appeared."""
        row = self._book.get(order_id)
        if self.done or row is None or row.status != "open":
            return
        self._meet([row], now_ns)
        if self._untold:
            self._look_at(now_ns)
        self._go_on(now_ns)

    def settled(self, target: Target, settlement: Settlement, now_ns: int) -> None:
        """One of its cancels was answered."""
        if self.done:
            return
        self._orders[target] = settlement
        self._settled_ns = now_ns
        self._error = settlement.error or self._error
        self._go_on(now_ns)

    def market_answered(self, symbol: str, ended: Iterable[OrderState], now_ns: int) -> None:
        """The venue cancelled every order of a symbol. ended: those that it named."""
        for state in ended:
            row = self._book.get(state.order_id)
            if state.status == "canceled" and row is not None:
                self._went(row)
        self._market_over(symbol, now_ns)

    def market_failed(self, symbol: str, why: str, now_ns: int) -> None:
        """It did not, or nobody knows: its orders are cancelled one by one."""
        self._error = why
        self._market_over(symbol, now_ns)

    def look_answered(self, number: int, listed: Collection[str], now_ns: int) -> None:
        """A list of what is open, which the book has taken in. listed: the orders in it."""
        if self.done or self._look_begun_ns is None or number != self._begun_looks:
            return
        begun_ns, self._look_begun_ns = self._look_begun_ns, None
        self._looked = True
        again = [target for target, told in self._orders.items() if told is not None and self._rests(target, listed)]
        for target in again:
            # Called gone, and open all the same.
            del self._orders[target]
        asked = len(self._orders)
        self._untold = {}
        self._unsure = {}
        self._meet(self._book.rows(), now_ns)
        # What no list can tell stays so; what the list does not hold is too young for it, and asked for again.
        self._unsure = {order_id: None for order_id in self._untold if order_id in listed}
        self._untold = {order_id: None for order_id in self._untold if order_id not in listed}
        news = len(self._orders) > asked or bool(self._held)
        self._clean = 0 if news or begun_ns < self._settled_ns else self._clean + 1
        self._go_on(now_ns)

    def look_failed(self, number: int, why: str, now_ns: int) -> None:
        """No list could be had."""
        if self.done or self._look_begun_ns is None or number != self._begun_looks:
            return
        self._look_begun_ns = None
        self._error = why
        self._look_at(now_ns)
        self._go_on(now_ns)

    def on_time(self, now_ns: int) -> None:
        """Do what has become due; to be called at `wake_ns`, and harmless at any other time."""
        if self.done:
            return
        if now_ns >= self._deadline_ns + GRACE_NS:
            self._finish(now_ns)
            return
        for symbol in [symbol for symbol, silent_ns in self._fires.items() if silent_ns <= now_ns]:
            self.market_failed(symbol, f"no answer to the cancel-all of {symbol}", now_ns)
        if not self.done and self._look_ns <= now_ns and self._look_begun_ns is None:
            self._look_ns = FAR_NS
            self._begun_looks += 1
            self._look_begun_ns = self._last_look_ns = now_ns
            self.effects.append(Look(self._begun_looks))

    def give_up(self, now_ns: int) -> None:
        """Answer now with what can honestly be said."""
        if not self.done:
            self._finish(now_ns)

    @property
    def wake_ns(self) -> int:
        """When `on_time` has something to do; FAR_NS once it is done."""
        if self.done:
            return FAR_NS
        look_ns = self._look_ns if self._look_begun_ns is None else FAR_NS
        return min(self._deadline_ns + GRACE_NS, look_ns, *self._fires.values())

    # ---------------------------------------------------------------- going after orders

    def _meet(self, rows: Iterable[Row], now_ns: int) -> None:
        """Cancel what fits of these, and note what cannot be told."""
        fitting = []
        for row in list(rows):
            fit = self._scope.fit(row, self._as_of)
            if fit is Fit.UNTOLD:
                self._untold[row.order_id] = None
            elif fit is Fit.YES and not self._gone_after(row):
                fitting.append(row)
        held = [row for row in fitting if self._is_fired_at(row)]
        self._held.update(dict.fromkeys(row.order_id for row in held))
        self._cancel([Target("order_id", row.order_id) for row in fitting if row not in held])

    def _cancel(self, targets: Collection[Target]) -> None:
        if targets:
            self._clean = 0
            self._orders.update(dict.fromkeys(targets))
            self.effects.append(CancelThese(tuple(targets)))

    def _gone_after(self, row: Row) -> bool:
        """Whether its cancel was asked for: also under the client order id that the scope names."""
        by_id = Target("order_id", row.order_id) in self._orders
        return by_id or row.order_id in self._held or Target("cl_ord_id", row.cl_ord_id or "") in self._orders

    def _knows(self, target: Target) -> bool:
        if target.kind == "cl_ord_id":
            bearer = self._book.open_as(str(target.value))
            return bearer is not None
        row = self._book.get(str(target.value))
        return row is not None

    def _is_fired_at(self, row: Row) -> bool:
        symbol = symbol_of(row)
        return symbol is not None and any(
            market_of(self._scope.venue, symbol) == market_of(self._scope.venue, fired) for fired in self._fires
        )

    def _went(self, row: Row) -> None:
        """The venue's own request for a symbol took this order."""
        if self.done:
            return
        self._held.pop(row.order_id, None)
        target = Target("order_id", row.order_id)
        self._orders[target] = Settlement(
            venue=self._scope.venue, target=target, outcome=_ended(row), route="rest", order_id=row.order_id
        )

    def _market_over(self, symbol: str, now_ns: int) -> None:
        if self.done or self._fires.pop(symbol, None) is None:
            return
        self._settled_ns = now_ns
        left = []
        for order_id in list(self._held):
            row = self._book.get(order_id)
            if row is not None and row.ended:
                self._went(row)
            elif row is None or not self._is_fired_at(row):
                del self._held[order_id]
                left.append(Target("order_id", order_id))
        self._cancel(left)
        self._go_on(now_ns)

    def _rests(self, target: Target, listed: Collection[str]) -> bool:
        """Whether a list shows an order that was called gone."""
        told = self._orders[target]
        if told is None or not isinstance(told.outcome, SAFE):
            return False
        order_id = str(target.value) if target.kind == "order_id" else told.order_id
        row = None if order_id is None else self._book.get(order_id)
        return order_id in listed and row is not None and row.status == "open"

    # ---------------------------------------------------------------- looking, and the end

    def _look_at(self, look_ns: int) -> None:
        self._look_ns = min(self._look_ns, max(look_ns, self._last_look_ns + GAP_NS))

    def _go_on(self, now_ns: int) -> None:
        """Answer as soon as everything is settled that the answer has to stand on; else look for what is missing."""
        if self.done:
            return
        if now_ns >= self._deadline_ns and not self._waits:
            self._finish(now_ns)
        elif self._waits or self._look_begun_ns is not None:
            self.on_time(now_ns)
        elif self._wants_list:
            self._look_at(now_ns)
            self.on_time(now_ns)
        else:
            self._finish(now_ns)

    @property
    def _waits(self) -> bool:
        """Whether a cancel is not settled."""
        return bool(self._held) or bool(self._fires) or any(told is None for told in self._orders.values())

    @property
    def _wants_list(self) -> bool:
        """Whether a list of what is open could still make the answer a better one."""
        if self._untold or not (self._looked or self._witnessed):
            return True
        if not self._looked and not self._took_some:
            # Nothing fits as far as a stream has told: that alone is no word of the venue's.
            return True
        # Nothing is left to prove where a cancel failed, or where an order cannot be told even by looking.
        return self._proof and not self._unsure and self._clean < self._patience.looks and self._all_safe

    @property
    def _took_some(self) -> bool:
        """Whether some cancel came to more than that there was nothing to cancel."""
        told = [settlement.outcome for settlement in self._orders.values() if settlement is not None]
        return any(not isinstance(outcome, Closed | NotOpen) for outcome in told)

    @property
    def _all_safe(self) -> bool:
        return all(told is not None and isinstance(told.outcome, SAFE) for told in self._orders.values())

    def _finish(self, now_ns: int) -> None:
        self.done = True
        looked, proved = self._looked, self._clean >= self._patience.looks
        # That nothing fits, or only what had ended, is a stream's word alone: an order placed a moment ago may rest.
        told = looked or (self._witnessed and self._took_some)
        ledger = Ledger(
            orders=self._orders,
            fired=self._fired,
            pending=self._waits,
            unsure=self._open_of({**self._unsure, **self._untold}),
            residual=self._open_of(dict.fromkeys(row.order_id for row in self._book.rows() if self._fits(row))),
            borne_out=told and (proved or not self._proof),
            looked=looked,
            error=self._error,
        )
        self.effects.append(Done(settlement_of(self._scope.venue, self._book, ledger)))

    def _fits(self, row: Row) -> bool:
        return self._scope.fit(row, self._as_of) is Fit.YES

    def _open_of(self, order_ids: dict[str, None]) -> tuple[str, ...]:
        return tuple(order_id for order_id in order_ids if self._book.is_open(order_id))


def _ended(row: Row) -> Outcome:
    """What an order came to that the venue's own request for a symbol took."""
    if row.status == "filled" or row.status == "expired":
        return Closed(row.status, row.filled_qty)
    return Canceled(row.filled_qty)
