"""Spot over REST."""

from collections.abc import Sequence

from ..contract.evidence import OrderState
from ..contract.ids import Target
from ..credentials import Keys
from ..venues import spot_rest
from .answers import count, listed, portions
from .door import RestDoor
from .report import Report


class SpotRoute:
    """Spot over REST."""

    def __init__(self, door: RestDoor, keys: Keys, report: Report) -> None:
        self._door = door
        self._keys = keys
        self._report = report

    def cancel(self, resting: Sequence[OrderState], by_s: float) -> None:
        keys = self._keys
        self._report.note("REST CancelAll")
        try:
            answer = self._door.call(
                lambda nonce: spot_rest.cancel_all_request(keys, nonce), spot_rest.decode_cancel, by_s
            )
            count(answer, self._report)
        finally:
            # A cancel of everything that leaves an order, or is refused, must not be the only one tried.
            for ids in portions(resting, spot_rest.BATCH_LIMIT):
                self._cancel_by_id(ids, by_s)

    def _cancel_by_id(self, ids: Sequence[str], by_s: float) -> None:
        # Whether a batch may be one order is told differently on different pages.
        alone = Target("order_id", ids[0]) if len(ids) == 1 else None
        self._report.note("REST CancelOrderBatch" if alone is None else "REST CancelOrder")
        answer = self._door.call(
            lambda nonce: (
                spot_rest.cancel_batch_request(self._keys, nonce, [Target("order_id", one) for one in ids])
                if alone is None
                else spot_rest.cancel_request(self._keys, nonce, alone)
            ),
            spot_rest.decode_cancel,
            by_s,
        )
        count(answer, self._report)

    def look(self, by_s: float) -> Sequence[OrderState]:
        self._report.note("REST OpenOrders")
        answer = self._door.call(
            lambda nonce: spot_rest.open_orders_request(self._keys, nonce), spot_rest.decode_orders, by_s
        )
        return listed(answer)
