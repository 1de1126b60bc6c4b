"""Introduces the Spot dialects to the tasks: an engine's REST call to a signed request and the reader of its answer."""

from ..contract.ids import Target
from ..credentials import Keys
from ..engine.calls import Call
from ..venues import spot_rest
from .rest_dialect import Build, Plan


class SpotRest:
    """The Spot REST dialect under one key; `keys` may be replaced at any time, requests are built when they leave."""

    def __init__(self, keys: Keys) -> None:
        self.keys = keys

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
                return self._open_orders(call.targets[0]), spot_rest.decode_orders

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
