"""One WebSocket client session over a Wire: trio-websocket keeps the protocol, plain text messages pass beside it.

trio-websocket does the handshake, answers pings, joins fragments, judges faults and closes. Between the opening and the
close nearly all traffic is whole text messages in single frames, and for those it is the long way round: its sender
queues for a lock and waits for the scheduler before the first byte leaves, its reader goes through the scheduler for
each message. So text frames are built beside it (text_frames.py) and handed to the wire in the caller's step, and whole
text frames are taken out of the incoming bytes before the library sees the rest (websocket_tap.py).

Left to itself that library can hang in a handshake, in closing and in a ping, and can lose its reader to a slow
consumer. Here every one of those waits ends: see `websocket_tap.Tap` and `connect_websocket`.

This file does not dial, authenticate, reconnect or read what a message says.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import count
from typing import Final, NoReturn

import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_client_stream
from wsproto.utilities import LocalProtocolError

from .https import USER_AGENT
from .text_frames import TextFramer
from .websocket_tap import MAX_MESSAGE_SIZE, Taker, Tap
from .websocket_tap import HandshakeRefused as HandshakeRefused  # what every caller of connect_websocket must catch
from .websocket_tap import SessionEnded as SessionEnded
from .wire import Wire

# What one read asks of the wire. All messages of a read may be worked through in one step (`WebSocket.deliver`), so
# this bounds the time for which nothing else runs, and a kill among a flood of answers waits: some 30 short ones, each
# of which is settled, told and replied to, in a millisecond or two. All that the library asks for by itself.
_READ_SIZE: Final = 4 * 1024

# The library's own queue. It is emptied at once into ours, so its size only saves scheduler rounds.
_LIBRARY_QUEUE_SIZE: Final = 1024

# How long leaving a session may wait for the peer's close frame. A polite peer answers in one round trip.
CLOSE_TIMEOUT_S: Final = 0.5

# Pings without an answer at one time. A peer that owes more than this many is not coming back.
PING_LIMIT: Final = 8


class WebSocket:
    """An open session. Made by `connect_websocket`, and of no use after its block.

    One task receives; any task may send.
    """

    def __init__(
        self, connection: WebSocketConnection, tap: Tap, wire: Wire, framer: TextFramer, nursery: trio.Nursery
    ) -> None:
        self._connection = connection
        self._tap = tap
        self._wire = wire
        self._framer = framer
        self._nursery = nursery
        self._ended: SessionEnded | None = None
        self._pings_out: set[trio.Event] = set()
        self._ping_number = count()
        nursery.start_soon(self._follow, name="websocket follower")

    @property
    def handshake_headers(self) -> list[tuple[bytes, bytes]]:
        """Headers of the peer's 101 answer, names in lower case."""
        return list(self._connection.handshake_headers)

    @property
    def is_open(self) -> bool:
        """False as soon as this side knows of an end: a close frame, a lost stream, `abandon`."""
        return self._ended is None and self._connection.closed is None and self._tap.failure is None

    @property
    def has_backlog(self) -> bool:
        """True while the peer has not taken everything that was sent."""
        return self._wire.has_backlog

    def send_now(self, payload: bytes) -> None:
        """Send one text message (UTF-8) in this step.

        Raises SessionEnded. When `is_open` was true before the call, the message may have left all the same.
        """
        if self._ended is not None or self._connection.closed is not None:
            self._raise_ended()
        try:
            self._wire.write_now(self._framer.frame(payload))
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            self._raise_lost(error)

    def send_many_now(self, payloads: Sequence[bytes]) -> None:
        """Send text messages in this step and in this order, with one write to the wire. Raises as `send_now` does."""
        if self._ended is not None or self._connection.closed is not None:
            self._raise_ended()
        frame = self._framer.frame
        try:
            self._wire.write_now(b"".join([frame(payload) for payload in payloads]))
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            self._raise_lost(error)

    async def receive(self) -> str | bytes:
        """The next message. Messages that came before the end are still given; then SessionEnded is raised."""
        await trio.lowlevel.checkpoint_if_cancelled()
        message = self._tap.take()
        if message is not None:
            await trio.lowlevel.cancel_shielded_checkpoint()
            return message
        while message is None:
            if self._ended is not None:
                self._raise_ended()
            await self._tap.arrived.park()
            message = self._tap.take()
        return message

    async def deliver(self, taker: Taker) -> NoReturn:
        """Hand every message to `taker` in the step that reads it, until the session ends; then SessionEnded is raised.

        A message costs no scheduler round, and those of one read come together, as do those that waited before this
        call. Messages that came before the end are still given. taker: must not wait; what it raises ends the session
        and is raised here.
        """
        try:
            self._tap.deliver_to(taker)
            while self._ended is None:
                await self._tap.arrived.park()
        finally:
            self._tap.taker = None
        if self._tap.taker_fault is not None:
            raise self._tap.taker_fault
        self._raise_ended()

    async def ping(self, timeout_s: float) -> float:
        """Send a ping and return the seconds until its pong (or a later one) came.

        Raises trio.TooSlowError after `timeout_s`, which does not end the session, and SessionEnded.
        """
        self._raise_if_ended()
        if len(self._pings_out) >= PING_LIMIT:
            self.abandon(f"{PING_LIMIT} pings without an answer")
            self._raise_ended()
        over = trio.Event()
        self._pings_out.add(over)
        sent = trio.current_time()
        # In a task of its own: a cancelled ping of the library stays in its table for ever, and one that is
        # outstanding when the peer goes is never woken. This task ends with the pong or with the session.
        self._nursery.start_soon(self._await_pong, next(self._ping_number).to_bytes(8, "big"), over)
        with trio.fail_after(timeout_s):
            await over.wait()
        self._raise_if_ended()
        return trio.current_time() - sent

    def abandon(self, reason: str) -> None:
        """End the session by our own verdict (silence, say), in this step and without a close handshake.

        The task that receives gets what has already arrived, then SessionEnded(reason).
        """
        self._end(SessionEnded(reason))

    async def _await_pong(self, payload: bytes, over: trio.Event) -> None:
        with suppress(ConnectionClosed, LocalProtocolError):
            await self._connection.ping(payload)
            self._pings_out.discard(over)
            over.set()

    async def _follow(self) -> None:
        """Make the library's end ours, once all its messages are in the inbox."""
        await self._tap.bring_over(self._connection)
        # When it is we who leave, the library stops giving messages before its close handshake is done.
        if self._ended is None:
            self._end(SessionEnded("closed by the peer without a close frame"))

    async def _leave(self) -> None:
        """Say goodbye if anybody is there to hear it, then end. Bounded, also when cancelled."""
        if self.is_open:
            self._ended = SessionEnded("closed by this side")
            with trio.move_on_after(CLOSE_TIMEOUT_S, shield=True):
                await self._connection.aclose()
        self._end(SessionEnded("closed by this side"))

    def _raise_if_ended(self) -> None:
        if not self.is_open:
            self._raise_ended()

    def _raise_lost(self, error: Exception) -> NoReturn:
        self._end(SessionEnded(f"connection lost: {error}"))
        self._raise_ended()

    def _raise_ended(self) -> NoReturn:
        """A fresh exception each time: several tasks may raise it, and a traceback belongs to one."""
        self._end(SessionEnded("the session is over"))
        assert self._ended is not None
        raise SessionEnded(self._ended.reason, self._ended.close_code)

    def _end(self, otherwise: SessionEnded) -> None:
        """Make the end known to every waiter. The cause is what was seen first; `otherwise` when nothing was."""
        if self._ended is None:
            closed = self._connection.closed
            # trio-websocket says 1006 when no close frame came: a local invention that is never on the wire.
            if closed is not None and closed.code != 1006:
                self._ended = SessionEnded(f"closed: {closed.reason or closed.name}", closed.code)
            else:
                self._ended = self._tap.failure or otherwise
        self._wire.abort()
        self._tap.arrived.unpark_all()
        for over in self._pings_out:
            over.set()


@asynccontextmanager
async def connect_websocket(
    wire: Wire,
    host: str,
    resource: str,
    *,
    headers: list[tuple[bytes, bytes]],
    entropy: Callable[[int], bytes],
    handshake_timeout_s: float,
    max_message_size: int = MAX_MESSAGE_SIZE,
) -> AsyncIterator[WebSocket]:
    """Open a session over `wire`, which belongs to it from here on: the wire is closed however this ends.

    host: value of the Host header (with the port unless it is the default one). resource: path and query.
    headers: added to the handshake; User-Agent is added when missing. entropy: n unpredictable bytes (mask keys).
    max_message_size: in bytes of a binary and characters of a text message; a longer one ends the session with 1009.

    Raises HandshakeRefused when the peer answers with another status than 101, SessionEnded when it does not answer
    within `handshake_timeout_s`, closes, or answers nonsense. The block's own exceptions pass through unwrapped; a
    session that ends inside the block is seen by its users as SessionEnded and cancels nothing.
    Leaving takes CLOSE_TIMEOUT_S at most, whatever the peer does, also when cancelled.
    """
    if not any(name.lower() == b"user-agent" for name, _ in headers):
        headers = [*headers, (b"User-Agent", USER_AGENT)]
    handshake_over = trio.Event()
    tap = Tap(wire, handshake_over, max_message_size)
    opened: list[WebSocketConnection] = []

    async def read() -> None:
        """Host the library's reader. Its faults end the session, never the program: they are the peer's doing."""
        try:
            async with trio.open_nursery() as reader:
                opened.append(
                    await wrap_client_stream(
                        reader,
                        tap,  # type: ignore[arg-type]  # any stream will do; the annotation names trio's own
                        host,
                        resource,
                        extra_headers=headers,
                        message_queue_size=_LIBRARY_QUEUE_SIZE,
                        max_message_size=max_message_size,
                        receive_buffer_size=_READ_SIZE,
                    )
                )
                handshake_over.set()
        except* Exception as faults:
            # Only the kind is told: the text may quote a header, and a header may be a key.
            tap.fail(SessionEnded(f"protocol fault: {type(faults.exceptions[0]).__name__}"))
        finally:
            handshake_over.set()

    socket: WebSocket | None = None
    failure: BaseException | None = None
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(read, name="websocket reader")
            nursery.start_soon(tap.finish_writes, name="websocket writer")
            try:
                with trio.move_on_after(handshake_timeout_s):
                    await handshake_over.wait()
                if not opened:
                    silence = SessionEnded(f"no answer to the handshake in {handshake_timeout_s} s")
                    nonsense = SessionEnded("the answer to the handshake is not valid")
                    raise tap.failure or (nonsense if handshake_over.is_set() else silence)
                socket = WebSocket(opened[0], tap, wire, TextFramer(entropy), nursery)
                yield socket
            except BaseException as error:
                failure = error
            if socket is not None:
                await socket._leave()
            nursery.cancel_scope.cancel()
    finally:
        wire.abort()
        # Raised out here because the nursery would wrap it in a group, or drop it for a cancellation of its own.
        if failure is not None:
            try:
                raise failure
            finally:
                failure = None  # the exception knows this frame; without this line they would keep each other alive
