"""The private feed of Futures: it takes no cancels, it is their witness."""

from collections.abc import Iterator, Sequence

import structlog
import trio

from ..contract.evidence import (
    CancelAck,
    CancelAllAck,
    CancelReject,
    Challenge,
    Evidence,
    Fault,
    Heartbeat,
    Hello,
    Irrelevant,
    Looked,
    ModeChanged,
    Orders,
    Permissions,
    Pong,
    Subscribed,
    SubscriptionLost,
    TimerAck,
    Unattributed,
    Unlisted,
    Unreadable,
)
from ..contract.ids import Reqid
from ..engine.backoff import Need
from ..engine.lane import FEED
from ..transport.websocket import SessionEnded, WebSocket
from ..venues import futures_feed
from .connection import ADMIT_TIMEOUT_S, Connection, NotAdmitted
from .conversation import Parts
from .futures import FuturesRest

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


class Feed(Connection):
    """The one connection on which Futures tells what became of orders."""

    silence_s = 20.0
    ping_every_s = 15.0

    def __init__(self, parts: Parts, holder: FuturesRest) -> None:
        super().__init__(parts, FEED, f"{parts.venue}-feed")
        self._holder = holder
        self._challenge: Challenge | None = None
        self._refusal: SubscriptionLost | None = None
        self._subscribing = False
        self._subscribed = False
        self._snapshot = False

    async def _admit(self, socket: WebSocket) -> None:
        """Challenge, signed subscription, and the list of what is open."""
        self._subscribing = self._subscribed = self._snapshot = False
        with trio.move_on_after(ADMIT_TIMEOUT_S):
            if not await self._sign_in(socket) and not await self._sign_in(socket):
                # The same words stand for a stale challenge and for a wrong key: the second time it is the key.
                assert self._refusal is not None
                raise NotAdmitted(f"the feed refuses the key: {self._refusal.error}")
            self._send(socket, futures_feed.heartbeat_frame())
            while not self._snapshot:
                await self._hear(socket)
            return
        raise SessionEnded(f"the feed was not confirmed in {ADMIT_TIMEOUT_S} s")

    async def _sign_in(self, socket: WebSocket) -> bool:
        keys = self._holder.keys
        self._challenge = self._refusal = None
        self._send(socket, futures_feed.challenge_frame(keys))
        while self._challenge is None:
            await self._hear(socket)
        self._subscribing = True
        self._send(socket, futures_feed.subscribe_frame(keys, self._challenge.text))
        while not self._subscribed:
            await self._hear(socket)
            if self._refusal is not None:
                return False
        return True

    def _need(self) -> Need:
        return "witness"

    def _is_missed(self) -> bool:
        return True

    def _went_live(self) -> None:
        self._parts.dispatcher.outages.feed_up()

    def _went_down(self) -> None:
        self._parts.dispatcher.outages.feed_down()

    def _decode(self, messages: Sequence[str | bytes]) -> Sequence[Evidence]:
        return [futures_feed.decode(message) for message in messages]

    def _pieces(self, message: str | bytes) -> Iterator[Evidence | None] | None:
        return futures_feed.pieces(message)

    def _ping_frame(self, reqid: Reqid) -> bytes:
        return futures_feed.ping_frame()

    def _heed(self, socket: WebSocket, one: Evidence) -> bool:
        match one:
            case Challenge():
                self._challenge = one
            case Subscribed():
                self._subscribing, self._subscribed = False, True
            case Orders(snapshot=True):
                self._snapshot = True
            case SubscriptionLost(error=error, named=False) if not self._subscribing:
                log.warning("refusal of a subscription of nobody's", session=self.name, error=error)
            case SubscriptionLost(error=error, fault=fault):
                if self.live or fault is not Fault.CREDENTIALS:
                    self._refuse_stream(socket, f"the feed was refused: {error}")
                self._refusal = one
            case Heartbeat():
                return False
            case (
                CancelAck()
                | CancelReject()
                | CancelAllAck()
                | TimerAck()
                | Orders()
                | Unlisted()
                | Looked()
                | ModeChanged()
                | Pong()
                | Hello()
                | Permissions()
                | Unattributed()
                | Irrelevant()
                | Unreadable()
            ):
                pass
        return True
