"""Introduces the Futures dialect to the tasks: an engine's call to a signed request and its answer's reader."""

from collections import deque
from typing import Final

from ..contract.evidence import Listing, RestAnswer
from ..credentials import Keys
from ..engine.calls import Call
from ..transport.clock import Clock, rfc3339
from ..venues import futures_requests, futures_rest
from .connection import TokenFailed
from .rest_dialect import Build, Decode, Plan

SLACK_NS: Final = 250_000_000
"""How long after its deadline the venue may still process a cancel: what its clock, as we know it, can be wrong by."""

CLOCK_SAMPLES: Final = 16
"""Answers from which the venue's clock is known: slow ones tell of a time that is past when they arrive, so the latest
counts; few enough that a venue whose clock is set is followed within minutes."""


class FuturesRest:
    """The Futures dialect under one key; `keys` may be replaced at any time, requests are built when they leave."""

    def __init__(self, keys: Keys, clock: Clock) -> None:
        self.keys = keys
        self._clock = clock
        self._ahead_ns: deque[int] = deque(maxlen=CLOCK_SAMPLES)

    def plan(self, call: Call) -> Plan:
        """How to make one of the engine's calls."""
        build, decode = self._plan(call)
        return build, self._timed(decode)

    def _plan(self, call: Call) -> tuple[Build, Decode]:
        targets = call.targets
        match call.form:
            case "cancel":
                before = self._process_before(call)
                return (
                    lambda _: futures_requests.cancel_request(self.keys, targets[0], process_before=before),
                    lambda status, body: futures_rest.decode_cancel(status, body, targets[0]),
                )
            case "batch":
                return (
                    lambda _: futures_requests.batch_request(self.keys, targets),
                    lambda status, body: futures_rest.decode_batch(status, body, targets),
                )
            case "all":
                return (lambda _: futures_requests.cancel_all_request(self.keys)), futures_rest.decode_cancel_all
            case "market":
                symbol = str(targets[0].value)
                return (
                    lambda _: futures_requests.cancel_all_request(self.keys, symbol)
                ), futures_rest.decode_cancel_all
            case "query":
                return (lambda _: futures_requests.status_request(self.keys, targets[0])), futures_rest.decode_status
            case "ended":
                raise AssertionError("Futures tells by client order id how an order stands")
            case "open_orders":
                return (lambda _: futures_requests.open_orders_request(self.keys)), futures_rest.decode_list

    def token(self) -> Plan:
        """Never asked for: the Unified WebSocket takes Spot's tokens."""
        raise TokenFailed("Futures gives no tokens")

    def timer(self, timeout_s: int) -> Plan:
        """The account's cancel-all timer."""
        return (lambda _: futures_requests.timer_request(self.keys, timeout_s)), self._timed(futures_rest.decode_timer)

    def mode(self) -> Plan:
        """The cheapest call there is; Futures tells no mode over REST."""
        return (lambda _: futures_requests.instruments_request()), self._timed(futures_rest.decode_instruments)

    def _process_before(self, call: Call) -> str | None:
        """The command's deadline by the venue's clock, as soon as that is known.

        By ours it could lie in the venue's past, and every cancel would be refused unread.
        """
        if call.deadline_ns is None or not self._ahead_ns:
            return None
        return rfc3339(call.deadline_ns + max(self._ahead_ns) + SLACK_NS)

    def _timed(self, decode: Decode) -> Decode:
        """Learn the venue's clock from each answer, as what it is ahead of our monotonic one, which is never set.

        It was read before the answer's way to us, so each sample errs towards the past.
        """

        def read(status: int, body: bytes) -> RestAnswer | Listing:
            served_ns = futures_rest.server_time_ns(body)
            if served_ns is not None:
                self._ahead_ns.append(served_ns - self._clock.monotonic_ns())
            return decode(status, body)

        return read
