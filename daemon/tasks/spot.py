"""Introduces the Spot dialects to the tasks: an engine's REST call to a signed request and the reader of its answer."""

from collections.abc import Callable

from ..contract.evidence import RestAnswer
from ..contract.ids import Target
from ..credentials import Keys
from ..engine.calls import Call
from ..venues import spot_rest
from .rest_dialect import Build, Decode, Plan


class SpotRest:
    """The Spot REST dialect under one key; `keys` may be replaced at any time, requests are built when they leave."""

    def __init__(self, keys: Keys, venue_ns: Callable[[int, bool], int | None] = lambda *_: None) -> None:
        """venue_ns: the least, or (True) the most, that the venue's clock can have shown at a moment of ours.

        None where nobody knows.
        """
        self.keys = keys
        self._venue_ns = venue_ns

    def plan(self, call: Call) -> Plan:
        """How to make one of the engine's calls."""
        keys = self.keys
        match call.form:
            case "cancel":
                (target,) = call.targets
                return (lambda nonce: spot_rest.cancel_request(keys, nonce, target)), spot_rest.decode_cancel
            case "batch":
                targets = call.targets
                return (lambda nonce: spot_rest.cancel_batch_request(keys, nonce, targets)), spot_rest.decode_cancel
            case "all":
                return (lambda nonce: spot_rest.cancel_all_request(keys, nonce)), spot_rest.decode_cancel
            case "market":
                raise AssertionError("Spot has no cancel-all for one symbol")
            case "query":
                ids = call.order_ids
                return (lambda nonce: spot_rest.query_orders_request(keys, nonce, ids)), spot_rest.decode_orders
            case "open_orders":
                return self._open_orders(call.targets[0]), spot_rest.decode_list
            case "ended":
                return self._ended(call.targets[0]), self._ended_since(call.since_ns, call.surely)

    def token(self) -> Plan:
        """A WebSocket token."""
        return (lambda nonce: spot_rest.token_request(self.keys, nonce)), spot_rest.decode_token

    def timer(self, timeout_s: int) -> Plan:
        """The account's cancel-all timer."""
        return (lambda nonce: spot_rest.timer_request(self.keys, nonce, timeout_s)), spot_rest.decode_timer

    def mode(self) -> Plan:
        """The venue's trading mode; public, so the nonce is not used."""
        return (lambda _: spot_rest.system_status_request()), spot_rest.decode_mode

    def _open_orders(self, target: Target) -> Build:
        userref = int(target.value) if target.kind == "userref" else None
        return lambda nonce: spot_rest.open_orders_request(self.keys, nonce, userref=userref)

    def _ended(self, target: Target) -> Build:
        cl_ord_id = str(target.value) if target.kind == "cl_ord_id" else None
        return lambda nonce: spot_rest.closed_orders_request(self.keys, nonce, cl_ord_id=cl_ord_id)

    def _ended_since(self, since_ns: int, surely: bool) -> Decode:
        def decode(status: int, body: bytes) -> RestAnswer:
            # Asked for when the answer is here: it may be the first of the venue's that is dated.
            return spot_rest.decode_closed(status, body, self._venue_ns(since_ns, surely))

        return decode
