"""The Prime engine: what reports an order leaves behind, and how a cancel goes.

A request to cancel has no answer of its own. It changes the order's visible client id to the request's, and the reports
that follow, on every subscribed connection of the account, say what became of it. Sources: the pages under
https://docs.kraken.com/institutional/api-reference/prime-websocket; reasons of refusal from Prime's FIX page (the
WebSocket spelling is not published).
"""

from __future__ import annotations

import random
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from .exchange import (
    HISTORY_LIMIT,
    USER_REQUESTED,
    Change,
    DuplicateClientID,
    Exchange,
    Fill,
    Order,
    Side,
    State,
    What,
)
from .faults import Fault
from .markets import PAIRS
from .refusal import Refusal
from .times import rfc3339_micros

REPORT_LIMIT = 100_000  # reports kept for those who ask for the past, oldest forgotten first
CLIENT_ID_LIMIT = 36  # characters, from the FIX page
NO_ORDER = "NONE"

TOO_LATE = ("TooLateToCancel", "Too late to cancel")
UNKNOWN_ORDER = ("UnknownOrder", "Unknown order")
ALREADY_PENDING = ("AlreadyPending", "Order already in Pending Cancel or Pending Replace status")
DUPLICATE = ("DuplicateClOrdID", "Duplicate ClOrdID received")

SYMBOLS: dict[str, Decimal] = {f"{pair.base.ticker}-{pair.quote.ticker}": pair.last_price for pair in PAIRS}

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class CancelRequest:
    """One OrderCancelRequest. cl_ord_id: the request's own; exactly one of the other two names the order."""

    symbol: str
    cl_ord_id: str
    order_id: str | None
    orig_cl_ord_id: str | None


@dataclass(frozen=True, slots=True)
class Ticket:
    """One NewOrderSingle."""

    symbol: str
    cl_ord_id: str
    side: Side
    order_type: str
    quantity: Decimal
    price: Decimal
    time_in_force: str


@dataclass(slots=True, eq=False)
class Paper:
    """What the venue keeps of one order beyond the book. row: of the last report that told its state."""

    order: Order
    cl_ord_id: str
    orig_cl_ord_id: str
    pending: bool = False
    row: Row = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Report:
    """One row as it was published. Times are unix seconds."""

    row: Row
    submitted_s: float
    published_s: float
    account: str


@dataclass(slots=True, eq=False)
class _Lingering:
    """A cancel that takes effect later, after a trade perhaps. due_s: unix seconds."""

    paper: Paper
    due_s: float


class PrimeEngine:
    """Every Prime order's papers and reports. rng: the source of ids it draws."""

    def __init__(self, *, exchange: Exchange, now: Callable[[], float], rng: random.Random) -> None:
        self.exchange = exchange
        self._now = now
        self._rng = rng
        self._papers: dict[str, Paper] = {}
        self._by_client_id: dict[tuple[str, str], Paper] = {}
        self._used: dict[tuple[str, str], None] = {}
        self._reports: deque[Report] = deque(maxlen=REPORT_LIMIT)
        self._lingering: list[_Lingering] = []
        self._listeners: dict[str, list[Callable[[Report], None]]] = {}
        exchange.listen(None, "prime", self._on_change)

    def fresh_id(self) -> str:
        """A UUID as text."""
        return str(uuid.UUID(int=self._rng.getrandbits(128), version=4))

    # --- what has been reported -----------------------------------------------------------------------------------

    def listen(self, account: str, listener: Callable[[Report], None]) -> Callable[[], None]:
        """Call listener on every report of the account; call what is returned to stop."""
        listeners = self._listeners.setdefault(account, [])
        listeners.append(listener)

        def forget() -> None:
            if listener in listeners:
                listeners.remove(listener)

        return forget

    def states(self, account: str, order_id: str | None = None) -> list[Report]:
        """The last state of each of the account's orders, open and ended, in placement order; or that of one order."""
        now_s = self._now()
        named = [order_id] if order_id in self._papers else []
        return [
            Report(paper.row, paper.order.opened_s, now_s, account)
            for paper in (self._papers[one] for one in (self._papers if order_id is None else named))
            if paper.order.account == account
        ]

    def reports(self, account: str) -> list[Report]:
        """Everything published for the account, oldest first."""
        return [report for report in self._reports if report.account == account]

    # --- requests -------------------------------------------------------------------------------------------------

    def place(self, account: str, ticket: Ticket) -> None:
        """Take a new order; what became of it is reported. A market order fills at once."""
        if not self._use(account, ticket.cl_ord_id):
            return self._refuse_new(account, ticket, DUPLICATE)
        try:
            order = self.exchange.place(
                account,
                "prime",
                symbol=ticket.symbol,
                side=ticket.side,
                quantity=ticket.quantity,
                price=ticket.price,
                order_type=ticket.order_type,
                cl_ord_id=ticket.cl_ord_id,
                time_in_force=ticket.time_in_force,
            )
        except DuplicateClientID:
            return self._refuse_new(account, ticket, DUPLICATE)
        if ticket.order_type == "market":
            self.exchange.fill(order, price=SYMBOLS[ticket.symbol])
        elif ticket.time_in_force != "GoodTillCancel":
            self.exchange.cancel(order, ticket.time_in_force)
        return None

    def cancel(self, account: str, request: CancelRequest, *, linger: Fault | None, rejected: Fault | None) -> None:
        """Act on a cancel; the reports say how it went.

        linger: it stays pending, and is carried out later or never. rejected: it is refused, whatever the order's
        state; both as injected.
        """
        paper = self._named(account, request)
        if not self._use(account, request.cl_ord_id):
            return self._refuse_cancel(account, request, paper, DUPLICATE)
        if paper is None or paper.order.symbol != request.symbol:
            return self._refuse_cancel(account, request, None, UNKNOWN_ORDER)
        if rejected is not None:
            reason = (rejected["reason"], rejected["text"])
            bears = None if rejected["nameless"] else paper
            return self._refuse_cancel(account, request, bears, reason, rejected["bears"] == "cancel")
        if paper.order.state is not State.OPEN:
            return self._refuse_cancel(account, request, paper, TOO_LATE)
        if paper.pending:
            return self._refuse_cancel(account, request, paper, ALREADY_PENDING)
        paper.pending, paper.cl_ord_id = True, request.cl_ord_id
        self._tell(paper, "PendingCancel")
        if linger is None:
            return self.exchange.cancel(paper.order, USER_REQUESTED)
        if linger["fill"] is not None:
            self.exchange.fill(paper.order, None if linger["fill"] == "all" else Decimal(linger["fill"]))
        if linger["seconds"] is not None:
            self._lingering.append(_Lingering(paper, self._now() + linger["seconds"]))
        return None

    # --- time -----------------------------------------------------------------------------------------------------

    def advance(self) -> None:
        """Carry out the lingering cancels that are due."""
        now_s = self._now()
        due = [one for one in self._lingering if one.due_s <= now_s]
        if due:
            self._lingering = [one for one in self._lingering if one.due_s > now_s]
        for one in due:
            if one.paper.order.state is State.OPEN:
                self.exchange.cancel(one.paper.order, USER_REQUESTED)

    def next_due_s(self) -> float | None:
        """When `advance` next has something to do (unix seconds), or None."""
        return min((one.due_s for one in self._lingering), default=None)

    # --- reports --------------------------------------------------------------------------------------------------

    def _on_change(self, change: Change) -> None:
        order = change.order
        match change.what:
            case What.PLACED:
                cl_ord_id = order.cl_ord_id or self.fresh_id()
                paper = self._papers[order.order_id] = Paper(order, cl_ord_id, cl_ord_id)
                self._by_client_id[order.account, cl_ord_id] = paper
                self._use(order.account, cl_ord_id)
                self._forget_oldest()
                self._tell(paper, "PendingNew", status="PendingNew")
                self._tell(paper, "New")
            case What.TRADED:
                self._tell(self._papers[order.order_id], "Trade", fill=change.fill)
            case What.FILLED:
                pass  # the last trade's report has said so
            case What.CANCELED | What.EXPIRED:
                self._tell(self._papers[order.order_id], "Canceled")

    def _tell(self, paper: Paper, exec_type: str, *, status: str | None = None, fill: Fill | None = None) -> None:
        paper.row = self._row(paper, exec_type, _status(paper) if status is None else status)
        if fill is not None:
            paper.row |= {"LastPx": str(fill.price), "LastQty": str(fill.quantity), "LastFee": "0"}
        self._publish(paper.order.account, paper.row, paper.order.opened_s)

    def _refuse_cancel(
        self,
        account: str,
        request: CancelRequest,
        paper: Paper | None,
        reason: tuple[str, str],
        bears_the_cancel: bool = True,
    ) -> None:
        """Tell that a cancel was refused, with the order's real state; without an order as FIX has it, `NONE`."""
        if paper is None:
            row = self._rowless(request.symbol, request.cl_ord_id, "CancelRejected")
            if request.orig_cl_ord_id is not None:
                row["OrigClOrdID"] = request.orig_cl_ord_id
        else:
            row = self._row(paper, "CancelRejected", _status(paper))
            if bears_the_cancel:
                row |= {"ClOrdID": request.cl_ord_id, "OrigClOrdID": paper.orig_cl_ord_id}
        row |= {"CxlRejReason": reason[0], "Text": reason[1]}
        self._publish(account, row, self._now() if paper is None else paper.order.opened_s)

    def _refuse_new(self, account: str, ticket: Ticket, reason: tuple[str, str]) -> None:
        row = self._rowless(ticket.symbol, ticket.cl_ord_id, "Rejected")
        row |= {"OrderID": self.fresh_id(), "OrdRejReason": reason[0], "Text": reason[1]}
        self._publish(account, row, self._now())

    def _publish(self, account: str, row: Row, submitted_s: float) -> None:
        report = Report(row, submitted_s, self._now(), account)
        self._reports.append(report)
        # A copy: a listener may stop listening while it is being told.
        for listener in tuple(self._listeners.get(account, ())):
            listener(report)

    def _row(self, paper: Paper, exec_type: str, status: str) -> Row:
        order = paper.order
        base, quote = order.symbol.split("-", 1) if "-" in order.symbol else (order.symbol, "USD")
        left = order.quantity - order.filled if order.state is State.OPEN else Decimal(0)
        row: Row = {
            "Timestamp": rfc3339_micros(self._now()),
            "Symbol": order.symbol,
            "OrderID": order.order_id,
            "ClOrdID": paper.cl_ord_id,
            "SubmitTime": rfc3339_micros(order.opened_s),
            "TransactTime": rfc3339_micros(self._now()),
            "ExecID": self.fresh_id(),
            "Side": order.side.capitalize(),
            "ExecType": exec_type,
            "OrdStatus": status,
            "OrderQty": f"{order.quantity:.8f}",
            "OrdType": order.order_type.capitalize(),
            "Currency": base,
            "Price": str(order.price),
            "TimeInForce": order.time_in_force if order.time_in_force != "GTC" else "GoodTillCancel",
            "LeavesQty": f"{left:.8f}" if left else "0",
            "CumQty": f"{order.filled:.8f}",
            "AvgPx": str(order.average_price),
            "CumAmt": str(order.cost),
            "AmountCurrency": quote,
            "DecisionStatus": "Active",
            "CustomerUser": f"trader@{order.account}",
        }
        if paper.cl_ord_id != paper.orig_cl_ord_id:
            row["OrigClOrdID"] = paper.orig_cl_ord_id
        return row

    def _rowless(self, symbol: str, cl_ord_id: str, exec_type: str) -> Row:
        """A report about no order: only what the streams require."""
        return {
            "Timestamp": rfc3339_micros(self._now()),
            "Symbol": symbol,
            "OrderID": NO_ORDER,
            "ClOrdID": cl_ord_id,
            "TransactTime": rfc3339_micros(self._now()),
            "ExecID": self.fresh_id(),
            "Side": "Buy",
            "ExecType": exec_type,
            "OrdStatus": "Rejected",
            "OrderQty": "0",
            "OrdType": "Limit",
            "Currency": symbol.split("-", 1)[0],
        }

    # --- small parts ----------------------------------------------------------------------------------------------

    def _named(self, account: str, request: CancelRequest) -> Paper | None:
        if request.order_id is not None:
            paper = self._papers.get(request.order_id)
        else:
            paper = self._by_client_id.get((account, request.orig_cl_ord_id or ""))
        return paper if paper is not None and paper.order.account == account else None

    def _use(self, account: str, cl_ord_id: str) -> bool:
        """Book a ClOrdID of an order or a cancel; False when the account has used it before."""
        if (account, cl_ord_id) in self._used:
            return False
        self._used[account, cl_ord_id] = None
        if len(self._used) > HISTORY_LIMIT:
            del self._used[next(iter(self._used))]
        return True

    def _forget_oldest(self) -> None:
        if len(self._papers) <= HISTORY_LIMIT:
            return
        for order_id, paper in self._papers.items():
            if paper.order.state is not State.OPEN:
                del self._papers[order_id]
                self._by_client_id.pop((paper.order.account, paper.orig_cl_ord_id), None)
                return


def require_client_id(text: Any) -> str:
    """A ClOrdID of a length the venue takes; raises Refusal otherwise."""
    if not isinstance(text, str) or not 1 <= len(text) <= CLIENT_ID_LIMIT:
        raise Refusal("ClOrdID: missing or too long")
    return text


def _status(paper: Paper) -> str:
    """OrdStatus: a cancel under way shows before a partial fill does, as FIX orders them."""
    match paper.order.state:
        case State.CANCELED:
            return "Canceled"
        case State.EXPIRED:
            return "DoneForDay"
        case State.OPEN | State.FILLED:
            pass
    if paper.order.filled == paper.order.quantity:
        return "Filled"
    if paper.pending:
        return "PendingCancel"
    return "PartiallyFilled" if paper.order.filled else "New"
