"""What REST answers and lists of orders come to, for every venue alike."""

from collections.abc import Iterator, Sequence
from typing import Final

from ..contract.evidence import OrderState, RestAnswer, RestBatch, RestCanceled, RestOrders
from .report import Failed, Report

BY_ID_LIMIT: Final = 200
"""Orders named one by one in a round, when a cancel of everything has left them; the next look names the next ones."""


def count(answer: RestAnswer, report: Report) -> None:
    """Add the orders that an answer names as cancelled to the report."""
    verdicts = answer.verdicts.values() if isinstance(answer, RestBatch) else (answer,)
    for verdict in verdicts:
        if isinstance(verdict, RestCanceled):
            report.canceled += verdict.count
        elif isinstance(verdict, RestOrders):
            report.canceled += sum(order.status == "canceled" for order in verdict.orders)


def listed(answer: RestAnswer) -> Sequence[OrderState]:
    """The orders that rest, of an answer that lists the open ones. Raises Failed when it is no list."""
    if not isinstance(answer, RestOrders):
        raise Failed("REST: not a list of orders")
    return open_among(answer.orders)


def open_among(orders: Sequence[OrderState]) -> Sequence[OrderState]:
    """The orders that rest; an order whose state the venue leaves out counts as resting."""
    return [order for order in orders if order.status in ("open", None)]


def portions(resting: Sequence[OrderState], size: int) -> Iterator[list[str]]:
    """The ids of what rests in portions of at most `size`, BY_ID_LIMIT in all."""
    ids = [order.order_id for order in resting[:BY_ID_LIMIT]]
    for start in range(0, len(ids), size):
        yield ids[start : start + size]
