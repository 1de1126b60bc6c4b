"""The v2 message format Spot and the Unified WebSocket share: envelope, times, status, heartbeat, sequence numbers.

Source: the pages under https://docs.kraken.com/exchange/api-reference/spot-websocket-v2; the Unified WebSocket declares
this format as its own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .status import MarketStatus
from .times import rfc3339_micros
from .websocket import Demand, Frame, Line, Nonsense


@dataclass(slots=True)
class Subscription:
    """One channel held. all_statuses and ratecounter: options of `executions`."""

    forget: Callable[[], None]
    sequence: int = 0
    all_statuses: bool = True
    ratecounter: bool = False


class V2Connection:
    """One connection: its subscriptions, their sequence numbers, and what it was last told of the market.

    What the methods do is the subclass's; `members` names the parameters each one knows.
    """

    reqid_member = "req_id"
    needs_subscription = True
    closes_idle = True
    answered_on_streams: frozenset[str] = frozenset()
    per_order = frozenset({"cancel_order"})
    members: Mapping[str, frozenset[str]]

    def __init__(self, line: Line, *, market: MarketStatus, connection_id: int, now: Callable[[], float]) -> None:
        self._line = line
        self._market = market
        self._now = now
        self._connection_id = connection_id
        self._told = market.now
        self._held: dict[str, Subscription] = {}

    def greeting(self) -> list[Frame]:
        return [self._status()]

    def notices(self) -> list[Frame]:
        if self._told == self._market.now:
            return []
        self._told = self._market.now
        return [self._status()]

    def heartbeat(self) -> Frame:
        return {"channel": "heartbeat"}

    def subscribed(self) -> bool:
        return bool(self._held)

    def hang_up(self) -> None:
        for subscription in self._held.values():
            subscription.forget()
        self._held.clear()

    def read(self, text: str) -> Demand | Nonsense:
        try:
            message = json.loads(text)
        except ValueError:
            return Nonsense(None, self._nonsense("Malformed request"))
        if not isinstance(message, dict) or not isinstance(message.get("method"), str):
            return Nonsense(None, self._nonsense("Malformed request"))
        method, req_id, params = message["method"], message.get("req_id"), message.get("params", {})
        if req_id is not None and (type(req_id) is not int or not 0 <= req_id < 2**63):
            return Nonsense(method, self._nonsense("Malformed request", method))
        if not isinstance(params, dict) or message.keys() - {"method", "params", "req_id"}:
            return Nonsense(method, self._nonsense("Malformed request", method))
        if method not in self.members:
            return Nonsense(method, self._nonsense("Event(s) not found", method))
        return Demand(method, req_id, params, private=method != "ping")

    def refuse(self, demand: Demand, error: str) -> Frame:
        answer: dict[str, Any] = {"error": error, "method": demand.operation, "success": False}
        if demand.operation in {"subscribe", "unsubscribe"}:
            answer["status"] = "error"
        return self._stamped(demand, answer)

    def unmatched(self, reqid: int | None, error: str) -> Frame:
        """Captured with and without `req_id` by a public gateway (roq-kraken, January 2026)."""
        named = {} if reqid is None else {"req_id": reqid}
        return {"method": "error", "error": error, "success": False} | named | self._times()

    # --- for the subclass -----------------------------------------------------------------------------------------

    def _emit(self, channel: str, what: str, records: list[Any]) -> None:
        gap = self._line.take("sequence_gap", what)
        subscription = self._held[channel]
        subscription.sequence += 1 + (gap["by"] if gap else 0)
        kind = "snapshot" if what == "snapshot" else "update"
        self._line.emit(what, {"channel": channel, "type": kind, "data": records, "sequence": subscription.sequence})

    def _status(self) -> Frame:
        state = {
            "version": "2.0.10",
            "system": self._told,
            "api_version": "v2",
            "connection_id": self._connection_id,
        }
        return {"channel": "status", "type": "update", "data": [state]}

    def _accepted(self, demand: Demand, result: dict[str, Any]) -> Frame:
        return self._stamped(demand, {"method": demand.operation, "result": result, "success": True})

    def _counted(self, demand: Demand, count: int) -> Frame:
        """A batch cancel's answer. Beside the result as captured by kraken-async-rs in May 2024."""
        if self._line.take("count_beside", demand.operation):
            told = {"method": demand.operation, "orders_cancelled": count, "success": True}
            return self._stamped(demand, told)
        return self._accepted(demand, {"count": count})

    def _stamped(self, demand: Demand, answer: dict[str, Any]) -> Frame:
        if demand.reqid is not None:
            answer["req_id"] = demand.reqid
        return answer | self._times()

    def _nonsense(self, error: str, method: str | None = None) -> Frame:
        named = {} if method is None else {"method": method}
        return {"error": error} | named | {"success": False} | self._times()

    def _times(self) -> dict[str, str]:
        now = rfc3339_micros(self._now())
        return {"time_in": now, "time_out": now}
