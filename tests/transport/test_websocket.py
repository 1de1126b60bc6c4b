"""A WebSocket session against servers that misbehave: whatever they do, every wait ends and every end has a cause.

Letters in test names are the rows of a table of known faults of the library underneath.
"""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from random import Random

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked
from wsproto import ConnectionType
from wsproto.connection import Connection
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage
from wsproto.frame_protocol import CloseReason

from canceld.transport import websocket_tap
from canceld.transport.memory.wire import MemoryWire, memory_wire_pair
from canceld.transport.text_frames import TextFramer, TextSieve
from canceld.transport.websocket import (
    CLOSE_TIMEOUT_S,
    PING_LIMIT,
    HandshakeRefused,
    SessionEnded,
    WebSocket,
    connect_websocket,
)
from canceld.transport.websocket_tap import (
    MAX_MESSAGE_SIZE,
    RECEIVE_QUEUE_LIMIT,
    REFUSAL_BODY_LIMIT,
    REFUSAL_BODY_WAIT_S,
)
from canceld.transport.wire import WRITE_BACKLOG_LIMIT, Wire
from tests.transport.misbehaving import (
    BINARY,
    PING,
    PONG,
    TEXT,
    ClientFrames,
    accept,
    accept_answer,
    close_frame,
    frame,
    read_head,
)

Server = Callable[[MemoryWire], Awaitable[None]]

BACKLOG = 64 * 1024 * 1024
"""In place of RECEIVE_BACKLOG_LIMIT, which is more than a test has time for."""


@asynccontextmanager
async def session(
    server: Server, *, capacity: int = 256 * 1024, handshake_timeout_s: float = 5, max_message_size: int = 1024 * 1024
) -> AsyncIterator[WebSocket]:
    here, there = memory_wire_pair(capacity)
    failure: BaseException | None = None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server, there)
        try:
            async with connect_websocket(
                here,
                "venue.test",
                "/ws?x=1",
                headers=[(b"X-Key", b"k")],
                entropy=os.urandom,
                handshake_timeout_s=handshake_timeout_s,
                max_message_size=max_message_size,
            ) as ws:
                yield ws
        except BaseException as error:
            failure = error
        # However the session ended, its wire is closed.
        with pytest.raises(trio.ClosedResourceError):
            here.write_now(b"x")
        nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure


def connecting(wire: Wire, *headers: tuple[bytes, bytes]) -> AbstractAsyncContextManager[WebSocket]:
    return connect_websocket(wire, "h", "/", headers=list(headers), entropy=os.urandom, handshake_timeout_s=5)


async def receive_to_the_end(ws: WebSocket) -> None:
    while True:
        assert isinstance(await ws.receive(), str | bytes)


async def silent(stream: MemoryWire) -> None:
    await trio.sleep_forever()


async def refused(server: Server, **options: float) -> SessionEnded:
    """The error of a handshake with `server`, on virtual time."""
    with pytest.raises(SessionEnded) as caught:
        async with session(server, **options):  # type: ignore[arg-type]
            raise AssertionError("the handshake should have failed")
    return caught.value


def answering(*chunks: bytes, then: str = "stay") -> Server:
    """Accept, send `chunks`, then "stay" silent, "end" the stream, "reset" it, or "echo" text messages."""

    async def server(stream: MemoryWire) -> None:
        await accept(stream)
        for chunk in chunks:
            await stream.send_all(chunk)
        if then == "end":
            await stream.aclose()
        elif then == "reset":
            await wait_all_tasks_blocked()
            stream.reset()
        elif then == "echo":
            frames = ClientFrames()
            while events := await frames.next(stream):
                for event in events:
                    if isinstance(event, TextMessage):
                        await stream.send_all(frame(TEXT, event.data.encode()))
                    elif isinstance(event, Ping):
                        await stream.send_all(frame(PONG, event.payload))
                    elif isinstance(event, CloseConnection):
                        await stream.send_all(close_frame(1000))
                        return
        else:
            await trio.sleep_forever()

    return server


def answering_raw(*chunks: bytes, then: str = "stay") -> Server:
    """Read the request, answer the handshake with raw bytes."""

    async def server(stream: MemoryWire) -> None:
        await read_head(stream)
        for chunk in chunks:
            await stream.send_all(chunk)
        if then == "end":
            await stream.aclose()
        elif then == "reset":
            stream.reset()
        else:
            await trio.sleep_forever()

    return server


# --- the handshake ---------------------------------------------------------------------------------------------------


async def test_the_request_carries_host_resource_headers_and_a_user_agent() -> None:
    seen: list[bytes] = []

    async def server(stream: MemoryWire) -> None:
        seen.append(await accept(stream))

    async with session(server) as ws:
        assert (b"x-edge", b"one") in ws.handshake_headers
        assert ws.is_open
    lines = seen[0].split(b"\r\n")
    assert lines[0] == b"GET /ws?x=1 HTTP/1.1"
    assert {b"Host: venue.test", b"X-Key: k", b"User-Agent: canceld", b"Sec-WebSocket-Version: 13"} <= set(lines)


async def test_h_a_server_that_never_answers_costs_the_handshake_timeout_and_no_more(autojump_clock: MockClock) -> None:
    started = trio.current_time()
    error = await refused(silent, handshake_timeout_s=3)
    assert not isinstance(error, HandshakeRefused)
    assert "no answer to the handshake in 3 s" in str(error)
    assert trio.current_time() - started == pytest.approx(3)


async def test_h_half_an_answer_costs_the_handshake_timeout_and_no_more(autojump_clock: MockClock) -> None:
    started = trio.current_time()
    await refused(answering_raw(b"HTTP/1.1 101 Switching Protocols\r\nUpgra"), handshake_timeout_s=3)
    assert trio.current_time() - started == pytest.approx(3)


@pytest.mark.parametrize("then", ["end", "reset"])
@pytest.mark.parametrize("chunk", [b"", b"HTTP/1.1 101 Switch"])
async def test_j_an_end_of_stream_in_the_handshake_is_told_at_once(
    autojump_clock: MockClock, chunk: bytes, then: str
) -> None:
    error = await refused(answering_raw(chunk, then=then), handshake_timeout_s=60)
    assert not isinstance(error, HandshakeRefused)
    assert error.close_code is None
    assert trio.current_time() < 0.1


async def test_i_a_401_without_content_length_is_told_promptly(autojump_clock: MockClock) -> None:
    error = await refused(
        answering_raw(b"HTTP/1.1 401 Unauthorized\r\nX-Why: signature\r\n\r\nbad signature"), handshake_timeout_s=60
    )
    assert isinstance(error, HandshakeRefused)
    assert (error.status, error.body) == (401, b"bad signature")
    assert (b"x-why", b"signature") in error.headers
    assert trio.current_time() == pytest.approx(REFUSAL_BODY_WAIT_S)


@pytest.mark.parametrize("then", ["end", "reset"])
async def test_i_a_401_that_ends_the_stream_is_told_at_once(autojump_clock: MockClock, then: str) -> None:
    async def server(stream: MemoryWire) -> None:
        await read_head(stream)
        await stream.send_all(b"HTTP/1.1 401 Unauthorized\r\n\r\nno")
        await wait_all_tasks_blocked()
        if then == "reset":
            stream.reset()
        else:
            await stream.aclose()

    error = await refused(server, handshake_timeout_s=60)
    assert isinstance(error, HandshakeRefused)
    assert (error.status, error.body) == (401, b"no")
    assert trio.current_time() < 0.1


async def test_a_503_keeps_its_retry_after_and_body(autojump_clock: MockClock) -> None:
    page = b"<html>busy</html>"
    error = await refused(
        answering_raw(
            b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 7\r\ncf-ray: 1-AMS\r\nContent-Length: %d\r\n\r\n"
            % len(page),
            page,
        )
    )
    assert isinstance(error, HandshakeRefused)
    assert (error.status, error.body) == (503, page)
    assert dict(error.headers)[b"retry-after"] == b"7"
    assert trio.current_time() < 0.1


async def test_a_redirect_is_a_refusal_and_is_not_followed(autojump_clock: MockClock) -> None:
    error = await refused(answering_raw(b"HTTP/1.1 302 Found\r\nLocation: ws://x/\r\nContent-Length: 0\r\n\r\n"))
    assert isinstance(error, HandshakeRefused)
    assert error.status == 302


async def test_a_refusal_body_without_end_is_cut(autojump_clock: MockClock) -> None:
    async def server(stream: MemoryWire) -> None:
        await read_head(stream)
        await stream.send_all(b"HTTP/1.1 429 Too Many\r\n\r\n")
        with suppress(trio.BrokenResourceError):
            while True:
                await stream.send_all(b"x" * 4096)

    error = await refused(server)
    assert isinstance(error, HandshakeRefused)
    assert error.status == 429
    assert len(error.body) == REFUSAL_BODY_LIMIT
    assert trio.current_time() == 0


async def test_a_broken_refusal_body_keeps_the_status(autojump_clock: MockClock) -> None:
    error = await refused(answering_raw(b"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"))
    assert isinstance(error, HandshakeRefused)
    assert error.status == 500


@pytest.mark.parametrize(
    "answer",
    [
        b"\x16\x03\x01 this is not HTTP\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: wrong\r\n\r\n",
        b"HTTP/1.1 101 S\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
        b"A" * 200_000,
    ],
    ids=["garbage", "no headers", "wrong accept", "other upgrade", "endless line"],
)
async def test_an_invalid_answer_is_told_at_once(autojump_clock: MockClock, answer: bytes) -> None:
    error = await refused(answering_raw(answer), handshake_timeout_s=60)
    assert not isinstance(error, HandshakeRefused)
    assert trio.current_time() < 0.1


@pytest.mark.parametrize(
    "addition", [b"Sec-WebSocket-Protocol: unasked\r\n", b"Sec-WebSocket-Extensions: permessage-deflate\r\n"]
)
async def test_what_was_not_offered_cannot_be_accepted(autojump_clock: MockClock, addition: bytes) -> None:
    async def server(stream: MemoryWire) -> None:
        answer = accept_answer(await read_head(stream))
        await stream.send_all(answer.replace(b"X-Edge: one\r\n", addition))
        await trio.sleep_forever()

    await refused(server, handshake_timeout_s=60)
    assert trio.current_time() < 0.1


async def test_a_wire_that_is_dead_already_is_told_at_once() -> None:
    here, there = memory_wire_pair()
    there.reset()
    with pytest.raises(SessionEnded, match="connection lost"):
        async with connecting(here):
            pass


async def test_a_header_that_cannot_be_sent_is_told(autojump_clock: MockClock) -> None:
    here, _ = memory_wire_pair()
    with pytest.raises(SessionEnded, match="protocol fault"):
        async with connecting(here, (b"X", b"a\r\nb")):
            pass
    assert trio.current_time() < 0.1


async def test_no_error_quotes_a_header() -> None:
    here, _ = memory_wire_pair()
    with pytest.raises(SessionEnded) as caught:
        async with connecting(here, (b"ApiSign", b"marked secret\n")):
            pass
    assert "secret" not in repr(caught.value)


async def test_cancelling_the_handshake_closes_the_wire(autojump_clock: MockClock) -> None:
    here, _ = memory_wire_pair()
    with trio.move_on_after(1) as scope:
        async with connecting(here):
            pass
    assert scope.cancelled_caught
    with pytest.raises(trio.ClosedResourceError):
        here.write_now(b"x")


# --- messages --------------------------------------------------------------------------------------------------------


async def test_messages_go_both_ways_at_every_length() -> None:
    lengths = [0, 1, 125, 126, 127, 65535, 65536, 70_000]
    async with session(answering(then="echo")) as ws:
        for length in lengths:
            ws.send_now(b"x" * length)
            assert await ws.receive() == "x" * length


async def test_many_messages_leave_in_one_write_and_in_order() -> None:
    here, there = memory_wire_pair()
    writes: list[int] = []

    class Counting(MemoryWire):
        def write_now(self, data: bytes) -> None:
            writes.append(len(data))
            super().write_now(data)

    counting = Counting(here._incoming, here._outgoing)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(answering(then="echo"), there)
        async with connecting(counting) as ws:
            writes.clear()
            ws.send_many_now([b"%d" % number for number in range(100)])
            assert len(writes) == 1
            assert [await ws.receive() for _ in range(100)] == [str(number) for number in range(100)]


async def test_a_message_right_behind_the_handshake_is_not_lost() -> None:
    async def server(stream: MemoryWire) -> None:
        await stream.send_all(accept_answer(await read_head(stream)) + frame(TEXT, b"early") + frame(BINARY, b"\xff"))
        await trio.sleep_forever()

    async with session(server) as ws:
        assert await ws.receive() == "early"
        assert await ws.receive() == b"\xff"


async def test_a_message_in_single_bytes_and_one_in_fragments_with_a_ping_inside() -> None:
    dribble = frame(TEXT, "señal".encode())
    fragments = frame(TEXT, b"one ", final=False) + frame(PING, b"?") + frame(0, b"two ", final=False) + frame(0, b"3")
    seen: list[bytes] = []

    async def server(stream: MemoryWire) -> None:
        await accept(stream)
        for byte in dribble:
            await stream.send_all(bytes([byte]))
            await wait_all_tasks_blocked()
        await stream.send_all(fragments)
        for event in await ClientFrames().next(stream):
            assert isinstance(event, Pong)
            seen.append(bytes(event.payload))
        await trio.sleep_forever()

    async with session(server) as ws:
        assert await ws.receive() == "señal"
        assert await ws.receive() == "one two 3"
        await wait_all_tasks_blocked()
    assert seen == [b"?"]


async def test_a_burst_is_delivered_in_the_step_that_reads_it() -> None:
    burst = b"".join(frame(TEXT, b"%d" % number) for number in range(50))
    batches: list[list[str | bytes]] = []
    async with session(answering(frame(TEXT, b"first"), burst, then="end")) as ws:
        assert await ws.receive() == "first"
        with pytest.raises(SessionEnded):
            await ws.deliver(lambda messages: batches.append(list(messages)))
    assert batches == [[str(number) for number in range(50)]]


async def test_what_waits_in_the_inbox_is_delivered_first() -> None:
    async def server(stream: MemoryWire) -> None:
        await accept(stream)
        await stream.send_all(frame(TEXT, b"1") + frame(TEXT, b"2"))
        await wait_all_tasks_blocked()
        await stream.send_all(frame(BINARY, b"3") + frame(TEXT, b"4"))
        await stream.send_all(close_frame(1012, "restart"))
        await trio.sleep_forever()

    got: list[str | bytes] = []
    async with session(server) as ws:
        assert await ws.receive() == "1"
        with pytest.raises(SessionEnded, match="restart") as caught:
            await ws.deliver(got.extend)
    assert got == ["2", b"3", "4"]
    assert caught.value.close_code == 1012


async def test_a_cancelled_delivery_leaves_later_messages_to_be_received(autojump_clock: MockClock) -> None:
    got: list[str | bytes] = []
    async with session(answering(then="echo")) as ws:
        with trio.move_on_after(1):
            await ws.deliver(got.extend)
        ws.send_now(b"later")
        assert await ws.receive() == "later"
    assert got == []


async def test_a_fault_of_the_taker_is_raised_where_it_was_given(autojump_clock: MockClock) -> None:
    def stumble(messages: object) -> None:
        raise AssertionError(f"cannot bear {messages}")

    async with session(answering(frame(TEXT, b"1") + frame(BINARY, b"2"))) as ws:
        with pytest.raises(AssertionError, match=re.escape("cannot bear ['1']")):
            await ws.deliver(stumble)
        assert not ws.is_open


async def test_a_taker_may_send_and_end_the_session(autojump_clock: MockClock) -> None:
    got: list[str | bytes] = []

    def answer_once(messages: Sequence[str | bytes]) -> None:
        got.extend(messages)
        if len(got) == 1:
            ws.send_now(b"again")
        else:
            ws.abandon("enough")

    async with session(answering(frame(TEXT, b"1"), then="echo")) as ws:
        with pytest.raises(SessionEnded, match="enough"):
            await ws.deliver(answer_once)
    assert got == ["1", "again"]


async def test_no_step_delivers_more_than_one_read(autojump_clock: MockClock) -> None:
    """A megabyte that is there at once comes in steps, and other tasks run between them.

    The first step is left out: it brings what had arrived before anybody asked.
    """
    batches: list[int] = []
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await trio.lowlevel.checkpoint()

    async with (
        session(answering(frame(TEXT, b"x" * 60) * 16_384, then="end"), capacity=2**21) as ws,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(others)
        with pytest.raises(SessionEnded):
            await ws.deliver(lambda messages: batches.append(len(messages)))
        nursery.cancel_scope.cancel()
    assert sum(batches) == 16_384
    assert max(batches[1:]) <= 16 * 1024 // 62 + 1
    assert turns >= len(batches) - 1


async def test_messages_before_a_close_are_still_given() -> None:
    async with session(answering(frame(TEXT, b"ack") + frame(TEXT, b"ack2") + close_frame(1012, "restart"))) as ws:
        await wait_all_tasks_blocked()
        assert not ws.is_open
        assert await ws.receive() == "ack"
        assert await ws.receive() == "ack2"
        for _ in range(2):
            with pytest.raises(SessionEnded) as caught:
                await ws.receive()
            assert (caught.value.close_code, caught.value.reason) == (1012, "closed: restart")


# --- the end ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [1000, 1001, 1008, 1011, 1012, 1013, 4000])
async def test_a_the_peer_closes_and_leaves_the_stream_open(autojump_clock: MockClock, code: int) -> None:
    async with session(answering(close_frame(code, "why"))) as ws:
        with pytest.raises(SessionEnded) as caught:
            await ws.receive()
        assert caught.value.close_code == code
        with pytest.raises(SessionEnded):
            ws.send_now(b"x")
        with pytest.raises(SessionEnded):
            ws.send_many_now([b"x"])
        with pytest.raises(SessionEnded):
            await ws.ping(1)
    assert trio.current_time() == 0


async def test_nothing_is_sent_once_the_peer_said_close() -> None:
    """The close frame is known before its answer is written: a message behind it would be a protocol fault."""
    events: list[object] = []

    async def server(stream: MemoryWire) -> None:
        await accept(stream)
        await stream.send_all(close_frame(1000))
        frames = ClientFrames()
        while got := await frames.next(stream):
            events.extend(got)

    async with session(server) as ws:
        await wait_all_tasks_blocked()
        with pytest.raises(SessionEnded):
            ws.send_now(b"late")
        await wait_all_tasks_blocked()
    assert [type(event) for event in events] == [CloseConnection]


@pytest.mark.parametrize("then", ["end", "reset"])
async def test_b_a_ping_ends_when_the_peer_drops(autojump_clock: MockClock, then: str) -> None:
    async def server(stream: MemoryWire) -> None:
        await accept(stream)
        await ClientFrames().next(stream)
        if then == "end":
            await stream.aclose()
        else:
            stream.reset()

    async with session(server) as ws:
        with pytest.raises(SessionEnded) as caught:
            await ws.ping(60)
        assert caught.value.close_code is None
        assert not ws.is_open
    assert trio.current_time() < 0.1


async def test_b_a_ping_to_a_silent_peer_is_bounded_and_does_not_end_the_session(autojump_clock: MockClock) -> None:
    async with session(answering()) as ws:
        with pytest.raises(trio.TooSlowError):
            await ws.ping(2)
        assert trio.current_time() == pytest.approx(2)
        assert ws.is_open


async def test_a_ping_gives_the_round_trip(autojump_clock: MockClock) -> None:
    async def server(stream: MemoryWire) -> None:
        await accept(stream)
        (event,) = await ClientFrames().next(stream)
        assert isinstance(event, Ping)
        await trio.sleep(0.125)
        await stream.send_all(frame(PONG, bytes(event.payload)))
        await trio.sleep_forever()

    async with session(server) as ws:
        assert await ws.ping(1) == pytest.approx(0.125)


async def test_g_unanswered_pings_are_bounded_and_then_end_the_session(autojump_clock: MockClock) -> None:
    async with session(answering()) as ws:
        for _ in range(PING_LIMIT):
            with pytest.raises(trio.TooSlowError):
                await ws.ping(0.1)
        with pytest.raises(SessionEnded, match="pings without an answer"):
            await ws.ping(0.1)
        assert not ws.is_open


async def test_g_a_later_pong_clears_the_pings_before_it(autojump_clock: MockClock) -> None:
    async def server(stream: MemoryWire) -> None:
        await accept(stream)
        frames = ClientFrames()
        number = 0
        while events := await frames.next(stream):
            for event in events:
                number += 1
                if isinstance(event, Ping) and number % PING_LIMIT == 0:
                    await stream.send_all(frame(PONG, bytes(event.payload)))

    async with session(server) as ws:
        for _ in range(3):
            for _ in range(PING_LIMIT - 1):
                with pytest.raises(trio.TooSlowError):
                    await ws.ping(0.1)
            await ws.ping(0.1)
        assert ws.is_open


async def test_c_pings_are_answered_while_nobody_takes_messages(autojump_clock: MockClock) -> None:
    pongs: list[bytes] = []

    async def server(stream: MemoryWire) -> None:
        await accept(stream)
        for _ in range(2000):
            await stream.send_all(frame(TEXT, b"x"))
        await stream.send_all(frame(PING, b"alive?"))
        for event in await ClientFrames().next(stream):
            assert isinstance(event, Pong)
            pongs.append(bytes(event.payload))
        await trio.sleep_forever()

    async with session(server) as ws:
        await trio.sleep(1)
        assert pongs == [b"alive?"]
        assert ws.is_open


async def test_the_list_of_fifty_thousand_open_orders_is_taken_whole() -> None:
    row = b'{"OABCDE-FGHIJ-KLMNOP":{"status":"open","descr":{"pair":"XBT/USD"}}},' + b" " * 460
    message = b"[[" + row * 50_000 + b'{}],"openOrders",{"sequence":1}]'
    assert len(message) > 16 * 1024 * 1024

    async def server(stream: MemoryWire) -> None:
        await accept(stream)
        sent = frame(TEXT, message) + frame(TEXT, b"behind it")
        for at in range(0, len(sent), 1 << 20):
            await stream.send_all(sent[at : at + (1 << 20)])
        await trio.sleep_forever()

    async with session(server, max_message_size=MAX_MESSAGE_SIZE) as ws:
        assert await ws.receive() == message.decode()
        assert await ws.receive() == "behind it"


@pytest.mark.parametrize(
    ("message", "count"),
    [(frame(TEXT, b""), 4 * RECEIVE_QUEUE_LIMIT + 65536), (frame(TEXT, b"x" * 1_000_000), 80)],
    ids=["many", "large"],
)
async def test_c_a_consumer_that_stops_ends_the_session_and_not_the_reader(
    autojump_clock: MockClock, message: bytes, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket_tap, "RECEIVE_BACKLOG_LIMIT", BACKLOG)
    assert len(message) * count > 65536 + 2 * RECEIVE_QUEUE_LIMIT
    assert count > RECEIVE_QUEUE_LIMIT or len(message) * count > BACKLOG

    async def server(stream: MemoryWire) -> None:
        await accept(stream)
        with suppress(trio.BrokenResourceError):
            for _ in range(20):
                await stream.send_all(message * (count // 20))

    async with session(server) as ws:
        await trio.sleep(1)
        assert not ws.is_open
        with pytest.raises(SessionEnded, match="nobody takes"):
            await receive_to_the_end(ws)


async def test_c_a_flood_that_is_taken_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket_tap, "RECEIVE_BACKLOG_LIMIT", BACKLOG)
    flood = frame(TEXT, b"x" * 1000) * 100
    rounds = 2 * BACKLOG // len(flood) + 1

    async def server(stream: MemoryWire) -> None:
        await accept(stream)
        for _ in range(rounds):
            await stream.send_all(flood)
        await trio.sleep_forever()

    taken = 0

    def take(messages: Sequence[str | bytes]) -> None:
        nonlocal taken
        taken += len(messages)
        if taken == rounds * 100:
            ws.abandon("all of it")

    async with session(server) as ws:
        with pytest.raises(SessionEnded, match="all of it"):
            await ws.deliver(take)


async def test_d_frames_do_not_interleave_behind_a_slow_reader(autojump_clock: MockClock) -> None:
    """Messages and pongs, through a pipe that takes 100 bytes at a time, with senders that get cancelled."""
    got: list[str] = []
    pongs = 0
    complete = trio.Event()

    async def server(stream: MemoryWire) -> None:
        nonlocal pongs
        await accept(stream)
        frames = ClientFrames()
        async with trio.open_nursery() as nursery:

            async def ping() -> None:
                for _ in range(20):
                    await stream.send_all(frame(PING, b"p" * 50))
                    await trio.sleep(0.01)

            nursery.start_soon(ping)
            while True:
                await trio.sleep(0.001)
                data = await stream.receive_some(64)
                for event in frames.feed(data):
                    if isinstance(event, TextMessage):
                        got.append(event.data)
                    elif isinstance(event, Pong):
                        pongs += 1
                    else:
                        assert isinstance(event, CloseConnection)
                        assert event.code == CloseReason.NORMAL_CLOSURE, "the frames before it were torn"
                        return
                if len(got) == 100 and pongs == 20:
                    complete.set()

    async with session(server, capacity=100) as ws:
        for number in range(100):
            with trio.move_on_after(0.0001):
                ws.send_now(b"%03d" % number * 50)
                await trio.sleep(0.001)
        assert ws.has_backlog
        await complete.wait()
        assert not ws.has_backlog
    assert got == [f"{number:03d}" * 50 for number in range(100)]
    assert pongs == 20


async def test_a_peer_that_does_not_read_ends_the_session_at_the_backlog_limit(autojump_clock: MockClock) -> None:
    async with session(answering()) as ws:
        ws.send_now(b"x" * (WRITE_BACKLOG_LIMIT - 1000))
        assert ws.is_open
        with pytest.raises(SessionEnded, match="backlog limit"):
            ws.send_now(b"x" * 300_000)
        assert not ws.is_open
        with pytest.raises(SessionEnded, match="backlog limit"):
            await ws.receive()


async def test_a_ping_flood_from_a_peer_that_does_not_read_is_bounded(autojump_clock: MockClock) -> None:
    async def server(stream: MemoryWire) -> None:
        await accept(stream)
        with suppress(trio.BrokenResourceError):
            while True:
                await stream.send_all(frame(PING, b"p" * 125) * 1000)

    async with session(server) as ws:
        with pytest.raises(SessionEnded, match="backlog limit"):
            await ws.receive()


async def test_e_a_message_that_is_too_large_ends_the_session_and_the_stream(autojump_clock: MockClock) -> None:
    ended = trio.Event()

    async def server(stream: MemoryWire) -> None:
        await accept(stream)
        await stream.send_all(frame(TEXT, b"x" * 1001))
        frames = ClientFrames()
        (event,) = await frames.next(stream)
        assert isinstance(event, CloseConnection)
        assert event.code == CloseReason.MESSAGE_TOO_BIG
        with pytest.raises((trio.BrokenResourceError, AssertionError)):
            assert await stream.receive_some() != b""
        ended.set()

    async with session(server, max_message_size=1000) as ws:
        with pytest.raises(SessionEnded) as caught:
            await ws.receive()
        assert caught.value.close_code == 1009
        with pytest.raises(SessionEnded):
            ws.send_now(b"x")
        await ended.wait()
    assert trio.current_time() < 0.1


@pytest.mark.parametrize(
    ("garbage", "code"),
    [
        (frame(TEXT, b"x", reserved=0x40), 1002),
        (frame(0x3, b"x"), 1002),
        (frame(0, b"continues nothing"), 1002),
        (frame(PING, b"p", final=False), 1002),
        (frame(PING, b"p" * 126), 1002),
        (b"\x81\x81\x00\x00\x00\x00x", 1002),
        (frame(TEXT, b"\xff\xfe"), 1007),
        (frame(TEXT, b"a", final=False) + frame(TEXT, b"b"), 1002),
        (frame(0x8, b"\x03"), 1002),
    ],
    ids=["reserved bit", "opcode", "continuation", "split ping", "long ping", "masked", "UTF-8", "mixed", "close"],
)
async def test_f_a_malformed_frame_ends_the_session(autojump_clock: MockClock, garbage: bytes, code: int) -> None:
    async with session(answering(frame(TEXT, b"fine") + garbage)) as ws:
        assert await ws.receive() == "fine"
        with pytest.raises(SessionEnded) as caught:
            await ws.receive()
        assert caught.value.close_code == code
        assert not ws.is_open
    assert trio.current_time() < 0.1


async def test_k_leaving_a_dead_peer_is_bounded(autojump_clock: MockClock) -> None:
    async with session(answering()) as ws:
        ws.send_now(b"x")
    assert trio.current_time() == pytest.approx(CLOSE_TIMEOUT_S)


async def test_k_leaving_a_peer_with_a_backlog_is_bounded(autojump_clock: MockClock) -> None:
    async with session(answering()) as ws:
        ws.send_now(b"x" * 1_000_000)
    assert trio.current_time() == pytest.approx(CLOSE_TIMEOUT_S)


async def test_leaving_a_polite_peer_takes_one_round_trip(autojump_clock: MockClock) -> None:
    async with session(answering(then="echo")) as ws:
        ws.send_now(b"x")
        await ws.receive()
    assert trio.current_time() == 0
    with pytest.raises(SessionEnded, match="closed by this side"):
        ws.send_now(b"x")
    with pytest.raises(SessionEnded, match="closed by this side"):
        await ws.receive()


async def test_a_cancelled_session_leaves_in_bounded_time(autojump_clock: MockClock) -> None:
    with trio.move_on_after(1) as scope:
        async with session(answering()) as ws:
            await ws.receive()
    assert scope.cancelled_caught
    assert trio.current_time() == pytest.approx(1 + CLOSE_TIMEOUT_S)


async def test_the_blocks_own_exception_comes_out_as_it_is(autojump_clock: MockClock) -> None:
    class Own(Exception):
        pass

    with pytest.raises(Own) as caught:
        async with session(answering(then="echo")):
            raise Own
    assert type(caught.value) is Own


async def test_the_blocks_own_exception_survives_a_cancellation(autojump_clock: MockClock) -> None:
    class Own(Exception):
        pass

    async def fail_while_cancelled(wire: Wire) -> None:
        with trio.CancelScope() as scope:
            async with connecting(wire):
                scope.cancel()
                raise Own

    here, there = memory_wire_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(answering(then="echo"), there)
        with pytest.raises(Own):
            await fail_while_cancelled(here)


@pytest.mark.parametrize("then", ["end", "reset"])
async def test_a_lost_stream_ends_the_session_without_a_close_code(autojump_clock: MockClock, then: str) -> None:
    async with session(answering(then=then)) as ws:
        with pytest.raises(SessionEnded) as caught:
            await ws.receive()
        assert caught.value.close_code is None
        assert not ws.is_open
        with pytest.raises(SessionEnded):
            ws.send_now(b"x")
    assert trio.current_time() < 0.1


async def test_abandoning_wakes_the_receiver_and_leaves_at_once(autojump_clock: MockClock) -> None:
    async with session(answering()) as ws:
        async with trio.open_nursery() as nursery:

            async def receiver() -> None:
                with pytest.raises(SessionEnded, match="silent for 5 s"):
                    await ws.receive()

            nursery.start_soon(receiver)
            await wait_all_tasks_blocked()
            ws.abandon("silent for 5 s")
            ws.abandon("another reason comes too late")
        assert not ws.is_open
        with pytest.raises(SessionEnded, match="silent for 5 s"):
            ws.send_now(b"x")
    assert trio.current_time() == 0


async def test_a_wire_that_breaks_under_the_writer_wakes_the_receiver(autojump_clock: MockClock) -> None:
    async with session(answering()) as ws:
        ws.send_now(b"x" * 1_000_000)
        wire = ws._wire
        assert isinstance(wire, MemoryWire)
        wire._break("timed out")
        with pytest.raises(SessionEnded, match="timed out"):
            await ws.receive()


# --- framing ---------------------------------------------------------------------------------------------------------


@given(st.lists(st.text(max_size=300), max_size=20))
def test_every_frame_is_what_a_strict_server_expects(texts: list[str]) -> None:
    framer = TextFramer(os.urandom)
    frames = ClientFrames()
    for text in texts:
        (event,) = frames.feed(framer.frame(text.encode()))
        assert isinstance(event, TextMessage)
        assert event.data == text


@settings(max_examples=30)
@given(st.sampled_from([125, 126, 127, 65535, 65536, 1_000_001]), st.characters(max_codepoint=127))
def test_every_length_form_is_right_at_its_border(length: int, character: str) -> None:
    (event,) = ClientFrames().feed(TextFramer(os.urandom).frame(character.encode() * length))
    assert isinstance(event, TextMessage)
    assert event.data == character * length


def test_each_frame_has_a_mask_key_of_its_own_drawn_in_blocks() -> None:
    drawn: list[int] = []

    def entropy(count: int) -> bytes:
        drawn.append(count)
        return os.urandom(count)

    framer = TextFramer(entropy)
    keys = {framer.frame(b"payload")[2:6] for _ in range(2048)}
    assert len(keys) > 2040
    assert len(drawn) == 2
    assert drawn[0] == 4096


# --- what is taken beside the library --------------------------------------------------------------------------------


class Library:
    """The library's decoder, as a client: messages, then the code of the close or the fault that ends them."""

    def __init__(self) -> None:
        self._decoder = Connection(ConnectionType.CLIENT)
        self._texts: list[str] = []
        self._blobs: list[bytes] = []
        self._ended = False

    def feed(self, data: bytes) -> list[str | bytes | int]:
        found: list[str | bytes | int] = []
        if self._ended:
            return found
        self._decoder.receive_data(data)
        for event in self._decoder.events():
            if isinstance(event, TextMessage):
                self._texts.append(event.data)
                if event.message_finished:
                    found.append("".join(self._texts))
                    self._texts.clear()
            elif isinstance(event, BytesMessage):
                self._blobs.append(bytes(event.data))
                if event.message_finished:
                    found.append(b"".join(self._blobs))
                    self._blobs.clear()
            elif isinstance(event, CloseConnection):
                self._ended = True
                return [*found, int(event.code)]
        return found


texts = st.one_of(st.text(max_size=200), st.sampled_from([125, 126, 127, 300]).map(lambda length: "x" * length)).map(
    str.encode
)
one_frame = st.one_of(
    texts.map(lambda text: frame(TEXT, text)),
    texts.map(lambda text: frame(TEXT, text)),
    st.binary(max_size=150).map(lambda payload: frame(BINARY, payload)),
    st.binary(max_size=125).map(lambda payload: frame(PING, payload)),
    st.binary(max_size=125).map(lambda payload: frame(PONG, payload)),
    st.tuples(texts, texts, texts).map(
        lambda parts: (
            frame(TEXT, parts[0], final=False) + frame(PING, b"") + frame(0, parts[1], final=False) + frame(0, parts[2])
        )
    ),
)
odd_frame = st.one_of(
    st.just(close_frame(1001, "bye")),
    st.binary(min_size=1, max_size=150).map(lambda payload: frame(TEXT, payload)),
    st.binary(max_size=20),
    st.just(frame(TEXT, b"masked", mask=b"abcd")),
    st.just(frame(TEXT, b"long form", length_form=126)),
    st.just(frame(TEXT, b"longer form", length_form=127)),
    st.just(frame(TEXT, b"x" * 70_000)),
    st.just(frame(TEXT, b"x", reserved=0x40)),
    st.just(frame(0, b"continues nothing")),
)


@settings(max_examples=400, deadline=None)
@given(
    st.lists(one_frame, max_size=12),
    st.lists(odd_frame, max_size=2),
    st.lists(one_frame, max_size=4),
    st.lists(st.integers(1, 300), min_size=1),
    st.randoms(use_true_random=False),
)
def test_the_sieve_and_the_library_together_give_what_the_library_alone_gives(
    before: list[bytes], odd: list[bytes], after: list[bytes], cuts: list[int], random: Random
) -> None:
    stream = b"".join(before + odd + after)
    expected = Library().feed(stream)
    sieve, behind = TextSieve(limit=1_000_000), Library()
    given: list[str | bytes | int] = []
    late: list[str | bytes | int] = []
    at, turn = 0, 0
    while at < len(stream):
        # Messages that went through the library arrive later than those that did not, by an unknown number of reads.
        if random.random() < 0.5:
            given.extend(late)
            for message in late:
                if not isinstance(message, int):
                    sieve.library_gave_message()
            late.clear()
        cut = cuts[turn % len(cuts)]
        taken, passed = sieve.split(stream[at : at + cut])
        given.extend(taken)
        late.extend(behind.feed(passed))
        at, turn = at + cut, turn + 1
    assert given + late == expected


def test_the_sieve_takes_plain_texts_and_holds_no_more_than_one_frame() -> None:
    sieve = TextSieve(limit=1000)
    long = frame(TEXT, b"x" * 1000)
    assert sieve.split(long * 3 + long[:500]) == (["x" * 1000] * 3, b"")
    assert sieve.split(long[500:]) == (["x" * 1000], b"")
    # One byte more than the limit is the library's to judge, from its first byte on.
    too_long = frame(TEXT, b"x" * 1001)
    assert sieve.split(too_long[:500]) == ([], too_long[:500])
    assert sieve.split(too_long[500:]) == ([], too_long[500:])
    # The library has not given that message yet, so the next one must queue behind it.
    assert sieve.split(frame(TEXT, b"next")) == ([], frame(TEXT, b"next"))
    sieve.library_gave_message()
    sieve.library_gave_message()
    assert sieve.split(frame(TEXT, b"plain again")) == (["plain again"], b"")


async def test_order_is_kept_between_messages_on_both_ways() -> None:
    pieces = [
        frame(TEXT, b"1"),
        frame(BINARY, b"2"),
        frame(TEXT, b"3"),
        frame(TEXT, b"4a", final=False) + frame(0, b"4b"),
        frame(TEXT, b"5" * 70_000),
        frame(TEXT, b"6"),
    ]
    async with session(answering(*pieces, b"".join(pieces))) as ws:
        got = [await ws.receive() for _ in range(12)]
        assert got == ["1", b"2", "3", "4a4b", "5" * 70_000, "6"] * 2


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_give_messages_or_an_end(noise: bytes) -> None:
    async def run() -> None:
        with trio.fail_after(60):
            async with session(answering(noise, then="end")) as ws:
                with pytest.raises(SessionEnded):
                    await receive_to_the_end(ws)

    trio.run(run, clock=MockClock(autojump_threshold=0))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.sampled_from(["end", "reset", "stay"]))
def test_any_bytes_as_an_answer_to_the_handshake_give_one_error(noise: bytes, then: str) -> None:
    async def run() -> None:
        with trio.fail_after(60):
            await refused(answering_raw(noise, then=then), handshake_timeout_s=5)
        assert trio.current_time() <= 5 + REFUSAL_BODY_WAIT_S

    trio.run(run, clock=MockClock(autojump_threshold=0))


def test_wire_is_the_only_thing_a_session_needs() -> None:
    """A session takes any Wire, so the whole of it runs on virtual time."""
    assert issubclass(MemoryWire, Wire)
