"""One WebSocket connection of the exchange: frames in and out, heartbeats, idle closing, and every fault on a socket.

What the frames say is a `Dialect`'s business. A dialect is plain synchronous code; this file gives it a line to speak
through and decides when, how often and whether what it says reaches the wire.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any, Protocol, TypeVar

import trio
from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import AcceptConnection, BytesMessage, CloseConnection, Event, Ping, TextMessage
from wsproto.handshake import H11Handshake
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from .faults import AT_ONCE, Fault, Faults
from .http import READ_SIZE

Frame = dict[str, Any] | list[Any]
_Answer = TypeVar("_Answer")

HEARTBEAT_S = 1.0
CLOSE_GRACE_S = 5.0  # how long the peer has to answer our close before the stream goes
OUTBOX_LIMIT = 200_000  # frames waiting for a peer that does not read; past it the connection is dropped
MESSAGE_LIMIT = 1024 * 1024  # characters in one message from the peer
_SHORTEST_WAIT_S = 0.001  # a clock that disagrees with trio's must not make the pulse spin


@dataclass(frozen=True, slots=True)
class Demand:
    """One request a dialect could read. private: it carries a token, or should."""

    operation: str
    reqid: int | None
    message: dict[str, Any]
    private: bool


@dataclass(frozen=True, slots=True)
class Nonsense:
    """A message a dialect could not read, and the error frame it gets."""

    operation: str | None
    reply: Frame


@dataclass(frozen=True, slots=True)
class Line:
    """What a dialect may do with its connection.

    emit: send a frame of a subscription, saying what it tells of (`snapshot`, `placed`, `canceled`, ...: what the
    `match` of a fault on events is compared with). take: a fault of this kind that applies to this operation now.
    """

    emit: Callable[[str, Frame], None]
    take: Callable[[str, str | None], Fault | None]


class Dialect(Protocol):
    """One wire format, one connection's worth of its state."""

    route: str
    reqid_member: str
    needs_subscription: bool  # the venue hangs up on a connection that holds none
    closes_idle: bool  # the venue hangs up on a peer that says nothing
    answered_on_streams: frozenset[str]  # operations without acks: faults on acks strike the events they cause here
    per_order: frozenset[str]  # operations that ask the fault `ack_error` once per order, themselves

    def greeting(self) -> list[Frame]:
        """Frames sent as soon as the connection stands."""

    def read(self, text: str) -> Demand | Nonsense:
        """Understand one text message. Never raises."""

    def serve(self, demand: Demand) -> list[Frame]:
        """Carry a request out; returns its acks. Frames of subscriptions go through `Line.emit`."""

    def refuse(self, demand: Demand, error: str) -> Frame:
        """The ack that refuses a request with this error text."""

    def unmatched(self, reqid: int | None, error: str) -> Frame:
        """What is said to a request that could not be matched, or (reqid None) to none in particular."""

    def notices(self) -> list[Frame]:
        """Frames about what has changed at the venue since this was last asked."""

    def heartbeat(self) -> Frame | None:
        """What says that the connection lives; asked for while a subscription is held. None: this says nothing."""

    def subscribed(self) -> bool:
        """Whether a subscription is held."""

    def hang_up(self) -> None:
        """The connection is gone: stop listening to the book."""


class Host(Protocol):
    """What a connection needs from the exchange around it."""

    faults: Faults
    shuffle: Callable[[list[Any]], None]
    uniform: Callable[[float, float], float]
    idle_timeout_s: float
    subscription_grace_s: float

    def advance(self) -> None: ...

    def due_in_s(self) -> float | None: ...

    def strike(self, fault: Fault, session: WebSocketSession | None = None) -> None: ...

    def note_frame(self, session: WebSocketSession, operation: str | None, body: Any) -> None: ...


class WebSocketSession:
    """One upgraded connection. index: its number, counted over all routes from 0."""

    def __init__(
        self,
        *,
        index: int,
        stream: trio.abc.Stream,
        connection: Connection,
        host: Host,
        speak: Callable[[Line], Dialect],
    ) -> None:
        self.index = index
        self.abrupt = False
        self._stream = stream
        self._host = host
        self._dialect = speak(Line(self._emit, self._take))
        self._ws = connection
        self._scope = trio.CancelScope()
        self._nursery: trio.Nursery | None = None
        self._outbox: list[tuple[float, int, Event | bytes]] = []
        self._queued = 0
        self._stirred = trio.Event()
        self._closed_out = trio.Event()
        self._beat = trio.Event()
        self._held: list[tuple[str, Frame]] | None = None
        self._last_event_due_s = 0.0
        self._partial = ""
        self._mute: Fault | None = None
        self._close_by_s: float | None = None
        self._heard_s = self._spoke_s = self._bare_since_s = trio.current_time()

    @property
    def route(self) -> str:
        return self._dialect.route

    async def run(self, first_bytes: bytes) -> None:
        """Serve the connection until either side ends it. first_bytes: what came along with the upgrade request."""
        for frame in self._dialect.greeting():
            self._push(_text(frame))
        try:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    self._nursery = nursery
                    nursery.start_soon(self._write, name=f"{self.route} {self.index} writer")
                    nursery.start_soon(self._pulse, name=f"{self.route} {self.index} pulse")
                    await self._read(first_bytes)
                    nursery.cancel_scope.cancel()
        except* (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # the peer went away; that is how most connections end
        finally:
            self._dialect.hang_up()

    # --- what a fault, or the exchange, does to the connection ----------------------------------------------------

    def abort(self) -> None:
        """End the connection with a reset: nothing more is read or written, no close frame."""
        self.abrupt = True
        self._scope.cancel()

    def close(self, code: int, reason: str) -> None:
        """Send a close frame, and go when the peer has answered it or CLOSE_GRACE_S is over."""
        if self._close_by_s is None:
            self._close_by_s = trio.current_time() + CLOSE_GRACE_S
            self._push(CloseConnection(code=code, reason=reason))

    def go_mute(self, fault: Fault) -> None:
        """Write nothing any more (with `both`, heed nothing either) for as long as the fault is felt."""
        self._mute = fault

    def send_raw(self, payload: str | bytes) -> None:
        """Send text as one frame, or bytes as they are, outside every rule."""
        self._push(payload if isinstance(payload, bytes) else TextMessage(data=payload))

    def notify(self, error: str) -> None:
        """Say an error that is about no request."""
        self._push(_text(self._dialect.unmatched(None, error)))

    def refuse_nobody(self, error: str) -> None:
        """Refuse a subscribe without a word on whose it was."""
        self._push(_text(self._dialect.refuse(Demand("subscribe", None, {}, private=True), error)))

    def stir(self) -> None:
        """Look at the clock and the venue now, not at the next beat."""
        self._beat.set()

    # --- reading --------------------------------------------------------------------------------------------------

    async def _read(self, first_bytes: bytes) -> None:
        received = first_bytes
        while True:
            if received:
                try:
                    self._ws.receive_data(received)
                    for event in self._ws.events():
                        if not self._heed(event):
                            with trio.move_on_after(CLOSE_GRACE_S):
                                await self._closed_out.wait()
                            return
                except LocalProtocolError:
                    return  # bytes after the peer's own close
            received = bytes(await self._stream.receive_some(READ_SIZE))
            if not received:
                return

    def _heed(self, event: Event) -> bool:
        """Handle one event; False when the connection is over."""
        self._heard_s = trio.current_time()
        match event:
            case TextMessage(data=data, message_finished=finished):
                self._partial += data
                if len(self._partial) > MESSAGE_LIMIT:
                    self.close(1009, "")
                elif finished:
                    text, self._partial = self._partial, ""
                    self._receive(text)
            case BytesMessage():
                self.close(1003, "")
            case Ping():
                self._push(event.response())
            case CloseConnection():
                if self._close_by_s is None:
                    self._push(event.response())
                return False
            case _:
                pass
        return True

    def _receive(self, text: str) -> None:
        """Take one message off the wire: note it, and serve it now or when a fault lets it through."""
        if self._ended():
            return  # it came in the same read as what ended the connection: the venue never saw it
        demand = self._dialect.read(text)
        self._host.note_frame(self, demand.operation, _parsed(text))
        if self._mute is not None and self._mute["both"] and self._host.faults.lasts(self._mute):
            return
        if fault := self._take("delay_request", demand.operation):
            assert self._nursery is not None
            self._nursery.start_soon(self._serve_later, demand, fault["seconds"])
        else:
            self._serve(demand)

    async def _serve_later(self, demand: Demand | Nonsense, after_s: float) -> None:
        await trio.sleep(after_s)
        self._serve(demand)

    def _serve(self, demand: Demand | Nonsense) -> None:
        self._host.advance()
        struck = [fault for kind in AT_ONCE if (fault := self._take(kind, demand.operation)) is not None]
        for fault in struck:
            if not fault.after_effect:
                self._host.strike(fault, self)
        if self._ended():
            return
        acks, events = self._outcome(demand)
        for fault in struck:
            if fault.after_effect:
                self._host.strike(fault, self)
        if self.abrupt:
            return
        if self._take("event_before_ack", demand.operation):
            self._send_events(events)
            self._send_acks(demand, acks)
        else:
            self._send_acks(demand, acks)
            self._send_events(events)

    def _ended(self) -> bool:
        """Whether a reset or a close of ours leaves nobody to serve."""
        return self.abrupt or self._close_by_s is not None

    def _outcome(self, demand: Demand | Nonsense) -> tuple[list[Frame], list[tuple[str, Frame]]]:
        """Carry the request out as far as the faults allow: its acks, and the events it caused on this connection."""
        if isinstance(demand, Nonsense):
            return [demand.reply], []
        operation = demand.operation
        if self._take("swallow_ack_before_effect", operation):
            return [], []
        if operation == "subscribe" and self._take("stall_subscribe", operation):
            return [], []
        if demand.private and (fault := self._take("token_error", operation)):
            return [self._dialect.refuse(demand, fault["error"])], []
        if fault := self._take("unmatched", operation):
            return [self._dialect.unmatched(demand.reqid if fault["named"] else None, fault["error"])], []
        if operation not in self._dialect.per_order and (fault := self._take("ack_error", operation)):
            return [self._dialect.refuse(demand, fault["error"])], []
        self._held = []
        try:
            acks = self._dialect.serve(demand)
            events = self._held
        finally:
            self._held = None
        if operation in self._dialect.answered_on_streams:
            return acks, self._bent(operation, events)
        acks = self._bent(operation, acks)
        if fault := self._take("stale_reqid", operation):
            foreign: list[Frame] = [
                {**ack, self._dialect.reqid_member: fault["reqid"]} for ack in acks if isinstance(ack, dict)
            ]
            acks = foreign if fault["instead"] else foreign + acks
        return acks, events

    def _bent(self, operation: str, answers: list[_Answer]) -> list[_Answer]:
        """What answers an operation, after the faults that lose, repeat or reorder answers."""
        if self._take("swallow_ack_after_effect", operation):
            return []
        if self._take("duplicate_ack", operation):
            answers = [answer for answer in answers for _ in range(2)]
        if self._take("shuffle_acks", operation):
            self._host.shuffle(answers)
        return answers

    # --- writing --------------------------------------------------------------------------------------------------

    def _send_acks(self, demand: Demand | Nonsense, acks: Sequence[Frame]) -> None:
        for ack in acks:
            delay_s = 0.0
            if fault := self._take("delay", demand.operation):
                delay_s = fault["seconds"] + self._host.uniform(0.0, fault["jitter_s"])
            self._push(_text(ack), trio.current_time() + delay_s)

    def _send_events(self, events: Sequence[tuple[str, Frame]]) -> None:
        for what, frame in events:
            self._push_event(what, frame)

    def _emit(self, what: str, frame: Frame) -> None:
        if self._held is None:
            self._push_event(what, frame)
        else:
            self._held.append((what, frame))

    def _push_event(self, what: str, frame: Frame) -> None:
        if self._take("drop_event", what):
            return
        fault = self._take("delay_events", what)
        due_s = trio.current_time() + (fault["seconds"] if fault else 0.0)
        # A subscription never reorders its own frames, whatever the delays.
        self._last_event_due_s = max(due_s, self._last_event_due_s)
        self._push(_text(frame), self._last_event_due_s)

    def _push(self, item: Event | bytes, due_s: float = 0.0) -> None:
        """Queue something for the wire, not before due_s (trio's clock)."""
        if len(self._outbox) >= OUTBOX_LIMIT:
            return self.abort()
        self._queued += 1
        heapq.heappush(self._outbox, (max(due_s, trio.current_time()), self._queued, item))
        self._stirred.set()
        return None

    async def _write(self) -> None:
        while True:
            while self._outbox and self._outbox[0][0] <= trio.current_time():
                item = heapq.heappop(self._outbox)[2]
                if self._mute is not None and self._host.faults.lasts(self._mute):
                    continue
                if self._ws.state is not ConnectionState.OPEN and not isinstance(item, bytes | CloseConnection):
                    continue  # the peer has closed: nothing but the answer to that may follow
                self._spoke_s = trio.current_time()
                await self._stream.send_all(item if isinstance(item, bytes) else self._ws.send(item))
                if isinstance(item, CloseConnection):
                    return self._closed_out.set()
            self._stirred = trio.Event()
            wait_s = self._outbox[0][0] - trio.current_time() if self._outbox else float("inf")
            # What is overdue on a busy machine is due now.
            with trio.move_on_after(max(wait_s, 0.0)):
                await self._stirred.wait()

    # --- time -----------------------------------------------------------------------------------------------------

    async def _pulse(self) -> None:
        while True:
            self._beat = trio.Event()
            self._host.advance()
            for notice in self._dialect.notices():
                self._push(_text(notice))
            wait_s = self._on_beat(trio.current_time())
            due_in_s = self._host.due_in_s()
            if due_in_s is not None:
                wait_s = min(wait_s, due_in_s)
            with trio.move_on_after(max(wait_s, _SHORTEST_WAIT_S)):
                await self._beat.wait()

    def _on_beat(self, now_s: float) -> float:
        """Heartbeat and the venue's reasons to hang up; returns in how many seconds to look again."""
        if self._close_by_s is not None:
            if now_s >= self._close_by_s:
                self._scope.cancel()
            return self._close_by_s - now_s
        if not self._dialect.needs_subscription or self._dialect.subscribed():
            self._bare_since_s = now_s
        if self._dialect.closes_idle and now_s - self._heard_s >= self._host.idle_timeout_s:
            self.close(1000, "idle")
        elif now_s - self._bare_since_s >= self._host.subscription_grace_s:
            self.close(1000, "no subscription")
        if not self._dialect.subscribed():
            return HEARTBEAT_S
        if now_s - self._spoke_s >= HEARTBEAT_S:
            # Silence as seen by us: with the beat swallowed the next one is still due a second later.
            self._spoke_s = now_s
            beat = self._dialect.heartbeat()
            if beat is not None and not self._take("no_heartbeat", None):
                self._push(_text(beat))
        return self._spoke_s + HEARTBEAT_S - now_s

    def _take(self, kind: str, operation: str | None) -> Fault | None:
        return self._host.faults.take(kind, route=self.route, session=self.index, operation=operation)


def accept(headers: Sequence[tuple[bytes, bytes]], target: str, now_s: float) -> tuple[bytes, Connection] | None:
    """The answer to an upgrade request, dated `now_s` (unix seconds), and the connection it opens.

    None when it is no proper upgrade request.
    """
    handshake = H11Handshake(ConnectionType.SERVER)
    try:
        handshake.initiate_upgrade_connection(list(headers), target)
        answer = handshake.send(AcceptConnection(extra_headers=[(b"date", formatdate(now_s, usegmt=True).encode())]))
    except (RemoteProtocolError, LocalProtocolError):
        return None
    assert handshake.connection is not None
    return answer, handshake.connection


def _text(frame: Frame) -> TextMessage:
    return TextMessage(data=json.dumps(frame, separators=(",", ":")))


def _parsed(text: str) -> Any:
    """The message for the record: as JSON where it is JSON."""
    try:
        return json.loads(text)
    except ValueError:
        return text
