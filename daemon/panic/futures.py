"""Futures over its own REST API."""

from collections.abc import Sequence

from ..contract.evidence import OrderState
from ..contract.ids import Target
from ..credentials import Keys
from ..venues import futures_requests, futures_rest
from .answers import count, listed, portions
from .door import RestDoor
from .report import Report


class FuturesRoute:
    """Futures over its own REST API."""

    def __init__(self, door: RestDoor, keys: Keys, report: Report) -> None:
        self._door = door
        self._keys = keys
        self._report = report

    def cancel(self, resting: Sequence[OrderState], by_s: float) -> None:
        keys = self._keys
        self._report.note("REST cancelallorders")
        try:
            answer = self._door.call(
                lambda _: futures_requests.cancel_all_request(keys), futures_rest.decode_cancel_all, by_s
            )
            count(answer, self._report)
        finally:
            for ids in portions(resting, futures_requests.BATCH_LIMIT):
                self._cancel_by_id([Target("order_id", order_id) for order_id in ids], by_s)

    def _cancel_by_id(self, targets: Sequence[Target], by_s: float) -> None:
        self._report.note("REST batchorder")
        answer = self._door.call(
            lambda _: futures_requests.batch_request(self._keys, targets),
            lambda status, body: futures_rest.decode_batch(status, body, targets),
            by_s,
        )
        count(answer, self._report)

    def look(self, by_s: float) -> Sequence[OrderState]:
        self._report.note("REST openorders")
        answer = self._door.call(
            lambda _: futures_requests.open_orders_request(self._keys), futures_rest.decode_open_orders, by_s
        )
        return listed(answer)
