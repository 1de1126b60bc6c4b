"""The stream that stands between a Wire and trio-websocket: what passes beside the library, and why a session ended."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

import h11
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection

from .limits import LIST_LIMIT, RECEIVE_SIZE
from .text_frames import TextSieve
from .wire import Wire

# A list of 50,000 open orders is one message of 27 MB on Spot, and whoever refuses it has no session at all.
MAX_MESSAGE_SIZE: Final = LIST_LIMIT

# Messages that have arrived and are not taken. The shortest frame has two bytes, so this is more than one read can
# bring, and a consumer that keeps up never meets it. One that far behind has stopped, and what it would read is old:
# ending the session is the only honest answer.
RECEIVE_QUEUE_LIMIT: Final = RECEIVE_SIZE

# The same in size (bytes or characters), where it is more than one message: the longest list, and what comes behind it
# before it is taken.
RECEIVE_BACKLOG_LIMIT: Final = MAX_MESSAGE_SIZE + 64 * 1024 * 1024

# How long a refusal's body is waited for once its head is there: it only explains, and some never end.
REFUSAL_BODY_WAIT_S: Final = 0.25
REFUSAL_BODY_LIMIT: Final = 64 * 1024

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


class Tap(trio.abc.Stream):
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
                rest = self.sift(data)
                if rest or not data:
                    return rest
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            self.fail(SessionEnded(f"connection lost: {error}"))
            raise

    def sift(self, data: bytes) -> bytes:
        """Hand on the texts among the next bytes; what is left is for the library."""
        texts, rest = self._sieve.split(data)
        if texts:
            self._put(texts)
        return rest

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
        waiting = len(self.inbox)
        if waiting > RECEIVE_QUEUE_LIMIT or (waiting > 1 and self._untaken > RECEIVE_BACKLOG_LIMIT):
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
