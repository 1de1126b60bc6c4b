"""What passes on one open WebSocket: frames out and evidence in, both recorded, pings, and silence noticed.

How the socket comes to be open, and what follows its end, is in connection.py.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf
from typing import Final

import structlog
import trio
from msgspec import structs

from ..contract.evidence import CancelAck, Evidence, Heartbeat, Orders, Pong, Unlisted, Unreadable
from ..contract.ids import Reqid, Venue
from ..engine.backoff import ConnectBudget
from ..engine.inflight import Reqids
from ..engine.journal import clipped
from ..engine.lane import Lane
from ..engine.venue_clock import VenueClock
from ..settings import Address
from ..transport.websocket import SessionEnded, WebSocket
from ..transport.world import World
from ..venues.pieces import LONG_CHARS
from .dispatcher import Dispatcher
from .events import Events
from .straight import PlainAcks
from .telemetry import Histogram

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

SILENCE_LOOK_S: Final = 0.25

_SIGNS_OF_LIFE: Final = (Heartbeat, Pong)
"""Not recorded when they come alone, one a second on each session; nor is the ping. Their absence ends the session."""

_OF_ORDERS: Final = frozenset({Orders, Unlisted})
"""What has to be taken in behind a list that came before it."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What the connections of one venue share."""

    venue: Venue
    address: Address
    world: World
    dispatcher: Dispatcher
    events: Events
    budget: ConnectBudget
    reqids: Reqids
    round_trips: Histogram
    venue_times: Histogram
    """The venue's own share of each cancel, where its acks tell it."""

    venue_clock: VenueClock


class Conversation:
    """One lane's open socket. Each dialect says how its messages are read."""

    silence_s = 5.0
    """After this long without a byte the connection is given up: Spot sends a heartbeat each second."""

    ping_every_s = 10.0
    """Measures the round trip, and keeps a connection whose subscription is quiet below the venue's idle limit."""

    def __init__(self, parts: Parts, lane: Lane, name: str) -> None:
        self.lane = lane
        self.name = name
        self.unreadable = 0
        self._parts = parts
        self._clock = parts.world.clock
        self._note = parts.events.note
        self._plain_acks = PlainAcks(parts.dispatcher, lane, name, self._clock, self._note, parts.venue_times)
        self._heard_ns = 0
        self._ping: tuple[Reqid, int] | None = None
        self._round_trip_ns: int | None = None
        self._renew_at = inf
        self._lists: deque[tuple[Iterator[Evidence | None], int | None]] = deque()
        self._taking = False
        self._life: trio.Nursery | None = None
        """Where what a live connection has to do beside reading is done."""

    # ---------------------------------------------------------------- what differs from venue to venue

    def _decode(self, messages: Sequence[str | bytes]) -> Sequence[Evidence]:
        raise NotImplementedError

    def _pieces(self, message: str | bytes) -> Iterator[Evidence | None] | None:
        """A long list of what is open, piece by piece, None in between; None for any other message."""
        return None

    def _ping_frame(self, reqid: Reqid) -> bytes:
        raise NotImplementedError

    def _heed(self, socket: WebSocket, one: Evidence) -> bool:
        """Act on what concerns this connection; whether the dispatcher is to hear it too."""
        return True

    def _overdue(self) -> str | None:
        """Why a connection that hears enough is to be given up all the same."""
        return None

    def _may_renew(self) -> bool:
        """Whether this connection, which works, can be given up now for a new one that may not."""
        return True

    # ---------------------------------------------------------------- out and in

    def _send(self, socket: WebSocket, *frames: bytes) -> None:
        """Write frames, all in one write, then record them. Raises SessionEnded; they may have left all the same."""
        try:
            write(socket, frames)
        except SessionEnded:
            self.note_sent(frames, left=False)
            raise
        self.note_sent(frames, left=True)

    def note_sent(self, frames: Sequence[bytes], *, left: bool) -> None:
        """Record what was written. left: False when the session died with it: it may have left all the same."""
        for frame in frames:
            if left:
                self._note("frame_out", session=self.name, frame=clipped(frame))
            else:
                self._note("frame_out", session=self.name, frame=clipped(frame), left="unknown")

    def _record_heard(self, messages: Sequence[str | bytes], evidence: Sequence[Evidence]) -> None:
        if len(evidence) == 1 and type(evidence[0]) in _SIGNS_OF_LIFE:
            return
        for message in messages:
            self._note("frame_in", session=self.name, frame=clipped(message))

    async def _hear(self, socket: WebSocket) -> Sequence[Evidence]:
        """The next message while not yet admitted. Raises SessionEnded."""
        messages = [await socket.receive()]
        pieces = self._pieces(messages[0]) if len(messages[0]) > LONG_CHARS else None
        if pieces is not None:
            self._record_heard(messages, ())
            await self._take_list(socket, pieces, self._clock.monotonic_ns())
            return ()
        evidence = self._decode(messages)
        self._record_heard(messages, evidence)
        self._take(socket, evidence)
        return evidence

    def _take_in(self, socket: WebSocket, messages: Sequence[str | bytes]) -> None:
        """What one read brought."""
        if self._lists or max(map(len, messages)) > LONG_CHARS:
            self._take_in_lists(socket, messages)
            return
        evidence = self._decode(messages)
        heard_ns = self._plain_acks.take(messages, evidence)
        if heard_ns:
            self._heard_ns = heard_ns
            return
        self._record_heard(messages, evidence)
        self._take(socket, evidence)

    def _take_in_lists(self, socket: WebSocket, messages: Sequence[str | bytes]) -> None:
        """Put a long list aside, to be taken in piece by piece, and behind it what the order stream tells meanwhile.

        Acks and all else do not wait for it.
        """
        now_ns = self._clock.monotonic_ns()
        for message in messages:
            pieces = self._pieces(message) if len(message) > LONG_CHARS else None
            if pieces is not None:
                self._heard_ns = now_ns
                self._record_heard((message,), ())
                self._lists.append((pieces, now_ns))
                continue
            evidence = self._decode((message,))
            self._record_heard((message,), evidence)
            behind = [one for one in evidence if type(one) in _OF_ORDERS] if self._lists else []
            if behind:
                self._lists.append((iter(behind), None))
                evidence = [one for one in evidence if type(one) not in _OF_ORDERS]
            self._take(socket, evidence)
        if self._lists and not self._taking:
            assert self._life is not None
            self._taking = True
            self._life.start_soon(self._take_lists, socket, name=f"{self.name} long list")

    async def _take_lists(self, socket: WebSocket) -> None:
        """Take in what was put aside; ends with the last of it, or with the connection."""
        try:
            while self._lists:
                await self._take_list(socket, *self._lists[0])
                self._lists.popleft()
        finally:
            self._taking = False

    async def _take_list(self, socket: WebSocket, pieces: Iterator[Evidence | None], begun_ns: int | None) -> None:
        """Take in a list that was received then, or (None) what came behind one; others run between any two pieces."""
        dispatcher, count = self._parts.dispatcher, 0
        for one in pieces:
            if type(one) is Orders and begun_ns is not None:
                if (taken := one.taken) is not None:
                    one = structs.replace(one, begun_ns=begun_ns)
                    await dispatcher.let_go(taken, begun_ns, self.lane)
                else:
                    count += len(one.orders)
                    dispatcher.long_lists.taking(count, begun_ns)
            if one is not None:
                self._take(socket, (one,))
            await trio.lowlevel.checkpoint()

    def _take(self, socket: WebSocket, evidence: Sequence[Evidence]) -> None:
        """Everything read in one go: what concerns the connection here, the rest to the dispatcher."""
        now_ns = self._heard_ns = self._clock.monotonic_ns()
        kept: set[int] = set()
        for place, one in enumerate(evidence):
            if type(one) is CancelAck:
                # Nearly all there is, and but for its time the dispatcher's alone.
                if one.venue_ns is not None:
                    self._parts.venue_times.record(one.venue_ns)
                continue
            if type(one) is Pong and self._ping is not None and one.reqid in (self._ping[0], None):
                self._round_trip_ns = now_ns - self._ping[1]
                self._parts.round_trips.record(self._round_trip_ns)
                self._ping = None
            elif type(one) is Orders:
                if one.orders and (event_ns := one.orders[-1].event_ns) is not None:
                    self._parts.venue_clock.happened(event_ns, self._clock.boottime_ns())
                if one.snapshot:
                    begun_ns = now_ns if one.begun_ns is None else one.begun_ns
                    self._parts.dispatcher.long_lists.took(len(one.orders), begun_ns)
            elif type(one) is Unreadable:
                self.unreadable += 1
                # The 1st, 2nd, 4th and so on: a line for each frame of a flood would hold up every venue's cancels.
                if self.unreadable.bit_count() == 1:
                    log.warning("unreadable frame", session=self.name, why=one.why, count=self.unreadable)
            if not self._heed(socket, one):
                kept.add(place)
        if kept:
            evidence = [one for place, one in enumerate(evidence) if place not in kept]
        self._parts.dispatcher.heard(self.lane, evidence)

    # ---------------------------------------------------------------- signs of life

    async def _watch(self, socket: WebSocket) -> None:
        """Ping now and then, and call a silent connection dead without waiting for TCP to notice."""
        ping_at = trio.current_time()
        while True:
            if trio.current_time() >= ping_at:
                ping_at += self.ping_every_s
                reqid = self._parts.reqids.draw()
                self._ping = (reqid, self._clock.monotonic_ns())
                try:
                    socket.send_now(self._ping_frame(reqid))
                except SessionEnded:
                    return
            await trio.sleep(SILENCE_LOOK_S)
            if trio.current_time() >= self._renew_at and self._may_renew():
                socket.abandon("dialled anew under a new key")
            if (why := self._overdue()) is not None:
                socket.abandon(why)
            if self._silent():
                # After a pause of this whole process the bytes may be there unread: let the reader have its turn.
                await trio.sleep(SILENCE_LOOK_S)
                if self._silent():
                    socket.abandon(f"silent for {self.silence_s} s")

    def _silent(self) -> bool:
        return self._clock.monotonic_ns() - self._heard_ns > self.silence_s * 1e9


def write(socket: WebSocket, frames: Sequence[bytes]) -> None:
    """Write frames, all in one write. Raises SessionEnded; they may have left all the same."""
    if len(frames) == 1:
        socket.send_now(frames[0])
    else:
        socket.send_many_now(frames)
