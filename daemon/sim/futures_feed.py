"""The Futures feed: challenge, `open_orders` and `heartbeat`. It reads; no order is sent or canceled here.

Sources: https://docs.kraken.com/api/docs/guides/futures-websockets and
https://docs.kraken.com/exchange/api-reference/futures-websocket/open_orders_verbose; alerts as clients recorded them.
Served feeds: open_orders, open_orders_verbose, notifications_auth, heartbeat. Any other is an invalid feed here.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import random
import uuid
from collections.abc import Callable
from typing import Any

from .exchange import Change, Order, What
from .futures import FuturesEngine
from .futures_records import account_uid, feed_row, removal_reason
from .keys import FUTURES_READ, ApiKey
from .refusal import Refusal
from .websocket import Demand, Frame, Line, Nonsense

NOT_AUTHENTICATED = "Failed to subscribe to authenticated feed"
ALREADY_SUBSCRIBED = "Already subscribed to feed, re-requesting"
INVALID_FEED = "Invalid feed"

ORDER_FEEDS = frozenset({"open_orders", "open_orders_verbose"})
PRIVATE_FEEDS = ORDER_FEEDS | {"notifications_auth"}
_ECHOED = ("api_key", "original_challenge", "signed_challenge")


class FuturesFeed:
    """One connection of the feed: its challenge and the feeds it holds."""

    route = "futures_feed"
    reqid_member = "reqid"
    needs_subscription = False
    closes_idle = True
    answered_on_streams: frozenset[str] = frozenset()
    per_order: frozenset[str] = frozenset()

    def __init__(self, line: Line, engine: FuturesEngine, *, rng: random.Random, now: Callable[[], float]) -> None:
        self._line = line
        self._engine = engine
        self._rng = rng
        self._now = now
        self._challenge = ""
        self._told = engine.market.now
        self._held: dict[str, Callable[[], None]] = {}

    def greeting(self) -> list[Frame]:
        return [{"event": "info", "version": 1}]

    def notices(self) -> list[Frame]:
        if self._told == self._engine.market.now:
            return []
        self._told = self._engine.market.now
        if "notifications_auth" not in self._held:
            return []
        return [{"feed": "notifications_auth", "notifications": self._notifications()}]

    def heartbeat(self) -> Frame | None:
        return {"feed": "heartbeat", "time": self._now_ms()} if "heartbeat" in self._held else None

    def subscribed(self) -> bool:
        return bool(self._held)

    def hang_up(self) -> None:
        for forget in self._held.values():
            forget()
        self._held.clear()

    def read(self, text: str) -> Demand | Nonsense:
        try:
            message = json.loads(text)
        except ValueError:
            return Nonsense(None, {"event": "error", "message": "Json Error"})
        event = message.get("event") if isinstance(message, dict) else None
        if event not in ("ping", "challenge", "subscribe", "unsubscribe"):
            return Nonsense(event if isinstance(event, str) else None, _alert("Bad websocket message"))
        private = event in ("subscribe", "unsubscribe") and message.get("feed") != "heartbeat"
        return Demand(event, None, message, private=private)

    def refuse(self, demand: Demand, error: str) -> Frame:
        return _alert(error)

    def unmatched(self, reqid: int | None, error: str) -> Frame:
        return _alert(error)

    def serve(self, demand: Demand) -> list[Frame]:
        try:
            match demand.operation:
                case "ping":
                    return [{"event": "pong"}]
                case "challenge":
                    return [self._new_challenge(demand.message)]
                case "subscribe":
                    return self._subscribe(demand.message)
                case _:
                    return self._unsubscribe(demand.message)
        except Refusal as refusal:
            return [_alert(refusal.text)]

    # --- requests -------------------------------------------------------------------------------------------------

    def _new_challenge(self, message: dict[str, Any]) -> Frame:
        """Handed out to any key text: a wrong one shows only when it subscribes."""
        if not isinstance(message.get("api_key"), str):
            raise Refusal("Bad websocket message")
        self._challenge = str(uuid.UUID(int=self._rng.getrandbits(128), version=4))
        return {"event": "challenge", "message": self._challenge}

    def _subscribe(self, message: dict[str, Any]) -> list[Frame]:
        feed = message.get("feed")
        if feed == "heartbeat":
            self._held.setdefault(feed, lambda: None)
            return [{"event": "subscribed", "feed": feed}]
        if not isinstance(feed, str) or feed not in PRIVATE_FEEDS:
            return [{"event": "error", "message": INVALID_FEED}]
        key = self._authenticate(message)
        answers: list[Frame] = []
        if feed in self._held:
            answers.append(_alert(ALREADY_SUBSCRIBED))
            self._held.pop(feed)()
        if feed in ORDER_FEEDS:
            orders = [feed_row(order) for order in self._engine.exchange.open_orders(key.account, "futures")]
            snapshot = {"feed": f"{feed}_snapshot", "account": account_uid(key.account), "orders": orders}
            self._held[feed] = self._engine.exchange.listen(
                key.account, "futures", lambda change: self._on_order(feed, change)
            )
        else:
            snapshot = {"feed": f"{feed}_snapshot", "notifications": self._notifications()}
            self._held[feed] = lambda: None
        self._line.emit("snapshot", snapshot)
        return [*answers, _echo("subscribed", feed, message)]

    def _unsubscribe(self, message: dict[str, Any]) -> list[Frame]:
        feed = message.get("feed")
        if not isinstance(feed, str) or feed not in self._held:
            return [{"event": "error", "message": INVALID_FEED}]
        if feed != "heartbeat":
            self._authenticate(message)
        self._held.pop(feed)()
        return [_echo("unsubscribed", feed, message)]

    def _authenticate(self, message: dict[str, Any]) -> ApiKey:
        """The key that signed this connection's challenge. One alert covers every reason to refuse."""
        challenge, signed = message.get("original_challenge"), message.get("signed_challenge")
        api_key = message.get("api_key")
        key = self._engine.keys.find("futures", api_key) if isinstance(api_key, str) else None
        if key is None or FUTURES_READ not in key.rights or not self._challenge or challenge != self._challenge:
            raise Refusal(NOT_AUTHENTICATED)
        digest = hashlib.sha256(self._challenge.encode()).digest()
        try:
            given = base64.b64decode(str(signed), validate=True)
        except (binascii.Error, ValueError):
            given = b""
        if not hmac.compare_digest(given, hmac.digest(base64.b64decode(key.secret), digest, "sha512")):
            raise Refusal(NOT_AUTHENTICATED)
        key.last_used_s = self._now()
        return key

    # --- order news -----------------------------------------------------------------------------------------------

    def _on_order(self, feed: str, change: Change) -> None:
        order = change.order
        match change.what:
            case What.PLACED:
                self._tell(feed, change, {"order": feed_row(order), "is_cancel": False}, "new_placed_order_by_user")
            case What.TRADED:
                # The trade that completes an order shows as its removal.
                if order.filled < order.quantity:
                    self._tell(feed, change, {"order": feed_row(order), "is_cancel": False}, "partial_fill")
            case What.FILLED | What.CANCELED | What.EXPIRED:
                self._tell(feed, change, self._removal(change.what, order), removal_reason(order))

    def _removal(self, what: What, order: Order) -> dict[str, Any]:
        """In either of two shapes: fills came with the order in the page's samples, cancels with its ids."""
        shaped = self._line.take("removal_shape", what.value)
        shape = shaped["shape"] if shaped else "order" if what is What.FILLED else "ids"
        if shape == "order":
            return {"order": feed_row(order), "is_cancel": True}
        ids = {"order_id": order.order_id}
        if order.cl_ord_id is not None:
            ids["cli_ord_id"] = order.cl_ord_id
        return ids | {"is_cancel": True}

    def _tell(self, feed: str, change: Change, told: dict[str, Any], reason: str) -> None:
        odd = self._line.take("status_word", change.what.value)
        frame = {"feed": feed} | told | {"reason": odd["word"] if odd else reason}
        self._line.emit(change.what.value, frame)

    # --- small parts ----------------------------------------------------------------------------------------------

    def _notifications(self) -> list[dict[str, Any]]:
        if self._engine.market.now == "online":
            return []
        note = f"The market is in {self._engine.market.now} mode."
        return [
            {"id": 1, "type": "maintenance", "priority": "high", "note": note, "effective_time": self._now_ms()},
        ]

    def _now_ms(self) -> int:
        return int(self._now() * 1000)


def _alert(message: str) -> dict[str, Any]:
    return {"event": "alert", "message": message}


def _echo(event: str, feed: str, message: dict[str, Any]) -> dict[str, Any]:
    """The venue repeats key, challenge and signature."""
    return {"event": event, "feed": feed} | {member: message[member] for member in _ECHOED if member in message}
