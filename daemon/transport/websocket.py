"""One WebSocket client session over a Wire: trio-websocket keeps the protocol, plain text messages pass beside it.

trio-websocket does the handshake, answers pings, joins fragments, judges faults and closes. Between the opening and the
close nearly all traffic is whole text messages in single frames, and for those it is the long way round: its sender
queues for a lock and waits for the scheduler before the first byte leaves, its reader goes through the scheduler for
each message. So text frames are built here and handed to the wire in the caller's step, and whole text frames are taken
out of the incoming bytes before the library sees the rest. Both are self-contained (RFC 6455 section 5.2).

Left to itself that library can hang in a handshake, in closing and in a ping, and can lose its reader to a slow
consumer. Here every one of those waits ends: see `_Tap` and `connect_websocket`.

This file does not dial, authenticate, reconnect or read what a message says.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import count
from math import inf
from typing import Final, NoReturn

import h11
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_client_stream
from wsproto.utilities import LocalProtocolError

from .https import USER_AGENT
from .wire import RECEIVE_SIZE, Wire

MAX_MESSAGE_SIZE: Final = 16 * 1024 * 1024

# What one read asks of the wire. All messages of a read may be worked through in one step (`WebSocket.deliver`), so
# this bounds the time for which nothing else runs: some 300 short answers.
_READ_SIZE: Final = 16 * 1024

# Messages that have arrived and are not taken. The shortest frame has two bytes, so this is more than one read can
# bring, and a consumer that keeps up never meets it. One that far behind has stopped, and what it would read is old:
# ending the session is the only honest answer.
RECEIVE_QUEUE_LIMIT: Final = RECEIVE_SIZE

# The same in size (bytes or characters): four messages of the largest size.
RECEIVE_BACKLOG_LIMIT: Final = 4 * MAX_MESSAGE_SIZE

# The library's own queue. It is emptied at once into ours, so its size only saves scheduler rounds.
_LIBRARY_QUEUE_SIZE: Final = 1024

# How long leaving a session may wait for the peer's close frame. A polite peer answers in one round trip.
CLOSE_TIMEOUT_S: Final = 0.5

# How long a refusal's body is waited for once its head is there: it only explains, and some never end.
REFUSAL_BODY_WAIT_S: Final = 0.25
REFUSAL_BODY_LIMIT: Final = 64 * 1024

# Pings without an answer at one time. A peer that owes more than this many is not coming back.
PING_LIMIT: Final = 8

# Mask keys drawn at a time: one call to the entropy source per 1,024 frames.
_KEY_BLOCK_SIZE: Final = 4096

_CONTINUATION, _TEXT, _BINARY, _PING, _PONG = 0x0, 0x1, 0x2, 0x9, 0xA  # opcodes (RFC 6455 section 5.2)
_WHOLE_TEXT: Final = 0x80 | _TEXT  # first byte of a frame: final, no extension bit, opcode text
_HEADS: Final = [bytes((_WHOLE_TEXT, 0x80 | length)) for length in range(126)]  # masked, 7-bit length

# The largest text taken beside the library: all that a 16-bit length can say.
_TEXT_LIMIT: Final = 0xFFFF


Taker = Callable[[Sequence[str | bytes]], None]


class SessionEnded(Exception):
    """The session is over, or never began. Whatever was written and not answered may have arrived.

    reason: for people. close_code: from the close frame that ended the session, None when there was none.
    """

    def __init__(self, reason: str, close_code: int | None = None) -> None:
        super().__init__(reason, close_code)
        self.reason = reason
        self.close_code = close_code

    def __str__(self) -> str:
        return self.reason if self.close_code is None else f"{self.reason} ({self.close_code})"


class HandshakeRefused(SessionEnded):
    """The peer answered the opening handshake with an HTTP status other than 101.

    headers: names in lower case. body: its first REFUSAL_BODY_LIMIT bytes, as far as they came promptly.
    """

    def __init__(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        super().__init__(f"handshake refused with HTTP status {status}")
        self.status = status
        self.headers = headers
        self.body = body


class TextFramer:
    """Builds masked client text frames (RFC 6455 sections 5.2 and 5.3)."""

    def __init__(self, entropy: Callable[[int], bytes]) -> None:
        """entropy: that many unpredictable bytes. A guessable mask key lets a payload forge traffic for proxies."""
        self._entropy = entropy
        self._keys = b""
        self._next_key = 0

    def frame(self, payload: bytes) -> bytes:
        """One unfragmented text frame; `payload` is UTF-8 by the caller's word."""
        start = self._next_key
        if start == len(self._keys):
            self._keys = self._entropy(_KEY_BLOCK_SIZE)
            start = 0
        self._next_key = start + 4
        key = self._keys[start : start + 4]
        length = len(payload)
        if length < 126:
            head = _HEADS[length]
        elif length < 65536:
            head = b"\x81\xfe" + length.to_bytes(2, "big")
        else:
            head = b"\x81\xff" + length.to_bytes(8, "big")
        # One exclusive-or of two long integers masks the whole payload without a Python loop.
        mask = int.from_bytes((key * (length // 4 + 1))[:length], "little")
        return head + key + (int.from_bytes(payload, "little") ^ mask).to_bytes(length, "little")


class TextSieve:
    """Takes whole text messages out of a server's byte stream; what it does not take is the library's to decode.

    It takes a frame only if the library could do nothing but give its text: final, unmasked, shortest form of length,
    valid UTF-8, not too large, and nothing before it still on its way through the library. So order is kept, and
    everything that is special or wrong is seen by the library in one piece.
    """

    def __init__(self, limit: int) -> None:
        """limit: bytes of the largest text to take."""
        self._limit = min(limit, _TEXT_LIMIT)
        self._held = b""  # the beginning of a frame that is not complete
        self._owed: float = 0  # bytes still to come of a frame whose beginning was passed on; inf: all that comes
        self._fragmented = False  # the library has the first part of a message
        self._through_library = 0  # messages passed on whole and not yet reported by `library_gave_message`

    def library_gave_message(self) -> None:
        """The consumer has got one message that went through the library."""
        self._through_library -= 1

    def split(self, data: bytes) -> tuple[list[str], bytes]:
        """Of the next bytes of the stream: the texts taken, in order, and the bytes for the library."""
        texts: list[str] = []
        passed: list[bytes] = []
        at = 0
        if self._held:
            data = self._held + data
            self._held = b""
        elif self._owed:
            at = int(min(self._owed, len(data)))
            self._owed -= at
            passed.append(data[:at])
        size = len(data)
        while at < size:
            if size - at < 4 and (size - at < 2 or data[at + 1] == 126):
                break
            first, second = data[at], data[at + 1]
            # Lengths of 16 bits are common, those of 64 are not: a text that long is the library's in any case.
            body = at + 4 if second == 126 else at + 2
            length = int.from_bytes(data[at + 2 : body], "big") if second == 126 else second
            if (
                first == _WHOLE_TEXT
                and length <= self._limit
                and (second < 126 or (second == 126 and length >= 126))
                and not self._fragmented
                and not self._through_library
            ):
                end = body + length
                if end > size:
                    break
                try:
                    texts.append(data[body:end].decode())
                except UnicodeDecodeError:
                    pass  # the library's to refuse
                else:
                    at = end
                    continue
            if second == 127:
                body = at + 10
                if body > size:
                    break
                length = int.from_bytes(data[at + 2 : body], "big")
            frame_end = body + length if self._goes_on(first, second, length) else inf
            passed.append(data[at : int(min(frame_end, size))])
            self._owed = max(0, frame_end - size)
            at = int(min(frame_end, size))
        if at < size:
            self._held = data[at:]
        return texts, b"".join(passed)

    def _goes_on(self, first: int, second: int, length: int) -> bool:
        """Note a frame that the library gets. False when it ends the session: nothing behind it is a message."""
        final, reserved, opcode = first & 0x80, first & 0x70, first & 0x0F
        if reserved or second > 127 or length < (0, 126, 65536)[max(0, second - 125)]:
            return False
        if opcode in (_PING, _PONG):
            return bool(final) and length < 126
        if opcode not in (_CONTINUATION, _TEXT, _BINARY) or (opcode == _CONTINUATION) != self._fragmented:
            return False
        self._fragmented = not final
        if final:
            self._through_library += 1
        return True


class _Tap(trio.abc.Stream):
    """The stream that trio-websocket is given: it lets through only what the library handles well.

    * During the handshake it holds the answer back until it is known to be a 101. A refusal, an end of stream or
      garbage is recorded here; the library would report some of those late, wrongly or never.
    * After it, whole text messages go straight to the inbox.
    * It never waits for a slow peer in a send, so that the library's reader goes on reading; `finish_writes` brings
      away what the kernel did not take.
    """

    def __init__(self, wire: Wire, handshake_over: trio.Event, max_message_size: int) -> None:
        self._wire = wire
        self._handshake_over = handshake_over
        self._opened = False
        self._sieve = TextSieve(max_message_size)
        self._behind_answer = b""  # what came in one segment with the handshake's answer
        self._untaken = 0
        self.inbox: deque[str | bytes] = deque()
        self.arrived = trio.lowlevel.ParkingLot()
        self.taker: Taker | None = None  # gets the messages instead of the inbox
        self.taker_fault: Exception | None = None
        self.failure: SessionEnded | None = None

    def fail(self, failure: SessionEnded) -> None:
        """Record the first cause, end the wire, and let whoever waits for the handshake see it."""
        if self.failure is None:
            self.failure = failure
        self._wire.abort()
        self._handshake_over.set()

    def take(self) -> str | bytes | None:
        """The oldest message in the inbox."""
        if not self.inbox:
            return None
        message = self.inbox.popleft()
        self._untaken -= len(message)
        return message

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        try:
            if not self._opened:
                return await self._receive_answer()
            while True:
                data, self._behind_answer = self._behind_answer, b""
                if not data:
                    data = await self._wire.receive_some(max_bytes)
                texts, rest = self._sieve.split(data)
                if texts:
                    self._put(texts)
                if rest or not data:
                    return rest
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            self.fail(SessionEnded(f"connection lost: {error}"))
            raise

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await trio.lowlevel.checkpoint()
        try:
            self._wire.write_now(bytes(data))
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            self.fail(SessionEnded(f"connection lost: {error}"))
            raise

    async def wait_send_all_might_not_block(self) -> None:
        await trio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        # The library closes by itself on an invalid handshake answer and at the end of a close handshake.
        self._handshake_over.set()
        await self._wire.aclose()

    async def finish_writes(self) -> None:
        """Take to the kernel what it did not take at once; ends with the wire."""
        try:
            while True:
                await self._wire.wait_backlog()
                await self._wire.drain()
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            self.fail(SessionEnded(f"connection lost: {error}"))

    async def bring_over(self, connection: WebSocketConnection) -> None:
        """Put what the library decodes (binary, fragmented and very large messages) where the rest is; ends with it."""
        with suppress(ConnectionClosed):
            while True:
                message = await connection.get_message()
                self._sieve.library_gave_message()
                self._put([message])

    def deliver_to(self, taker: Taker) -> None:
        """Give `taker` what is in the inbox, and from now on what arrives."""
        self.taker = taker
        waiting, self._untaken = list(self.inbox), 0
        self.inbox.clear()
        if waiting:
            self._put(waiting)

    def _put(self, messages: Sequence[str | bytes]) -> None:
        if self.taker is not None:
            try:
                self.taker(messages)
            except Exception as fault:
                # Not the library's to see: it would take a mistake of ours for one of the peer's.
                self.taker_fault = self.taker_fault or fault
                self.fail(SessionEnded("the taker of the messages failed"))
            return
        self.inbox.extend(messages)
        self._untaken += sum(map(len, messages))
        self.arrived.unpark_all()
        if len(self.inbox) > RECEIVE_QUEUE_LIMIT or self._untaken > RECEIVE_BACKLOG_LIMIT:
            self.fail(SessionEnded("nobody takes the messages that arrive"))

    async def _receive_answer(self) -> bytes:
        """The head of the answer, once it is a complete 101. Anything else fails the handshake."""
        answer = bytearray()
        parser = h11.Connection(h11.CLIENT)
        # The parser must know that an upgrade was asked for; these bytes go nowhere.
        parser.send(h11.Request(method="GET", target="/", headers=[("Host", ""), ("Upgrade", "websocket")]))
        parser.send(h11.EndOfMessage())
        while True:
            try:
                event = parser.next_event()
            except h11.RemoteProtocolError as error:
                raise self._refuse(SessionEnded(f"unreadable answer to the handshake: {error}")) from error
            if event is h11.NEED_DATA:
                data = await self._wire.receive_some(RECEIVE_SIZE)
                if not data:
                    raise self._refuse(SessionEnded("closed by the peer during the handshake"))
                answer += data
                parser.receive_data(data)
            elif isinstance(event, h11.InformationalResponse) and event.status_code == 101:
                self._opened = True
                self._behind_answer = parser.trailing_data[0]
                return bytes(answer[: len(answer) - len(self._behind_answer)])
            elif isinstance(event, h11.Response):
                body = await self._refusal_body(parser)
                raise self._refuse(HandshakeRefused(event.status_code, list(event.headers), body))

    async def _refusal_body(self, parser: h11.Connection) -> bytes:
        body = bytearray()
        # A body may be unlimited, unreadable or cut off: what has come by then is what there is.
        with trio.move_on_after(REFUSAL_BODY_WAIT_S), suppress(h11.RemoteProtocolError, trio.BrokenResourceError):
            while len(body) < REFUSAL_BODY_LIMIT:
                event = parser.next_event()
                if event is h11.NEED_DATA:
                    parser.receive_data(await self._wire.receive_some(RECEIVE_SIZE))
                elif isinstance(event, h11.Data):
                    body += event.data
                else:
                    break
        return bytes(body[:REFUSAL_BODY_LIMIT])

    def _refuse(self, failure: SessionEnded) -> trio.BrokenResourceError:
        self.fail(failure)
        return trio.BrokenResourceError(failure.reason)


class WebSocket:
    """An open session. Made by `connect_websocket`, and of no use after its block.

    One task receives; any task may send.
    """

    def __init__(
        self, connection: WebSocketConnection, tap: _Tap, wire: Wire, framer: TextFramer, nursery: trio.Nursery
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
    tap = _Tap(wire, handshake_over, max_message_size)
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
