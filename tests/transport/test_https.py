"""One HTTP connection: what left, what came, and nothing claimed beyond it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import h11
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from canceld.transport import https
from canceld.transport.https import AnswerLost, HttpConnection, NotSent, Response, date_ns
from canceld.transport.memory.wire import MemoryWire, memory_wire_pair
from canceld.transport.wire import WRITE_BACKLOG_LIMIT
from tests.transport.misbehaving import read_head

LIMIT = 1 << 20
"""In place of RESPONSE_LIMIT, which takes as many seconds as it has tens of megabytes."""

Server = Callable[[MemoryWire], Awaitable[None]]

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@asynccontextmanager
async def connection(server: Server, *, capacity: int = 256 * 1024) -> AsyncIterator[HttpConnection]:
    here, there = memory_wire_pair(capacity)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server, there)
        http = HttpConnection(here, "venue.test")
        yield http
        await http.aclose()
        nursery.cancel_scope.cancel()


def answering(*chunks: bytes, then: str = "stay") -> Server:
    """Read one request, answer with `chunks` as separate segments, then "stay", "end" or "reset"."""

    async def server(stream: MemoryWire) -> None:
        await read_head(stream)
        for chunk in chunks:
            await stream.send_all(chunk)
            await wait_all_tasks_blocked()
        if then == "end":
            await stream.aclose()
        elif then == "reset":
            stream.reset()
        else:
            await trio.sleep_forever()

    return server


async def post(http: HttpConnection, body: bytes = b"", timeout_s: float = 5) -> Response:
    return await http.request("POST", "/0/x", [], body, timeout_s=timeout_s)


async def lost(server: Server, timeout_s: float = 5) -> AnswerLost:
    """The error of one request to `server`; the connection must be closed after it."""
    async with connection(server) as http:
        with pytest.raises(AnswerLost) as caught:
            await post(http, timeout_s=timeout_s)
        assert not http.is_open
        with pytest.raises(NotSent):
            await post(http)
    return caught.value


async def h11_server(stream: MemoryWire) -> None:
    """A correct server: echoes the body, keeps the connection as the client asks."""
    protocol = h11.Connection(h11.SERVER)
    while True:
        body = b""
        target = b""
        while True:
            event = protocol.next_event()
            if event is h11.NEED_DATA:
                protocol.receive_data(await stream.receive_some())
            elif isinstance(event, h11.Request):
                target = event.target
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                break
            else:
                return
        answer = protocol.send(h11.Response(status_code=200, headers=[(b"X-Target", target)]))
        assert answer is not None
        await stream.send_all(answer + (protocol.send(h11.Data(data=body)) or b""))
        await stream.send_all(protocol.send(h11.EndOfMessage()) or b"")
        if protocol.our_state is not h11.DONE:
            await stream.aclose()
            return
        protocol.start_next_cycle()


# --- whole answers ---------------------------------------------------------------------------------------------------


async def test_requests_follow_each_other_on_one_connection() -> None:
    async with connection(h11_server) as http:
        for number in range(5):
            response = await http.request("POST", f"/p/{number}", [(b"API-Key", b"k")], b"n=%d" % number, timeout_s=5)
            assert response.status == 200
            assert response.body == b"n=%d" % number
            assert response.header(b"x-target") == b"/p/%d" % number
            assert response.header(b"absent") is None
            assert http.is_open


async def test_head_and_body_leave_in_one_write_with_the_fields_a_server_needs() -> None:
    here, there = memory_wire_pair()
    writes: list[bytes] = []

    class Counting(MemoryWire):
        def write_now(self, data: bytes) -> None:
            writes.append(data)
            super().write_now(data)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(h11_server, there)
        http = HttpConnection(Counting(here._incoming, here._outgoing), "venue.test:8443")
        await http.request("POST", "/0/private/X", [(b"API-Sign", b"s")], b"nonce=1", timeout_s=5)
        await http.request("GET", "/0/public/Time", [(b"user-agent", b"own")], b"", timeout_s=5)
        await http.aclose()
    head, body = writes[0].split(b"\r\n\r\n")
    assert body == b"nonce=1"
    assert head.split(b"\r\n") == [
        b"POST /0/private/X HTTP/1.1",
        b"Host: venue.test:8443",
        b"User-Agent: canceld",
        b"Accept-Encoding: identity",
        b"Content-Length: 7",
        b"API-Sign: s",
    ]
    assert b"Content-Length" not in writes[1]
    assert b"user-agent: own" in writes[1]
    assert b"canceld" not in writes[1]
    assert len(writes) == 2


async def test_a_body_in_chunks_and_single_bytes_is_put_together() -> None:
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nwhol\r\n1;x=y\r\ne\r\n0\r\n\r\n"
    async with connection(answering(*(bytes([byte]) for byte in answer))) as http:
        assert (await post(http)).body == b"whole"
        assert http.is_open


async def test_interim_answers_are_passed_over() -> None:
    async with connection(answering(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n" + OK)) as http:
        assert (await post(http)).body == b"ok"


@pytest.mark.parametrize(
    ("status", "field", "body"),
    [
        (301, b"Location: https://elsewhere.test/", b""),
        (403, b"Content-Type: text/html", b"<html>denied</html>"),
        (429, b"Retry-After: 3", b""),
        (520, b"cf-ray: 1", b"<html>unknown error</html>"),
        (200, b"Content-Type: text/html", b"<html>a page where JSON was due</html>"),
        (200, b"Content-Encoding: gzip", b"\x1f\x8b unasked, not inflated"),
    ],
)
async def test_any_whole_answer_is_returned_as_it_is(status: int, field: bytes, body: bytes) -> None:
    answer = b"HTTP/1.1 %d Why\r\n%s\r\nContent-Length: %d\r\n\r\n%s" % (status, field, len(body), body)
    async with connection(answering(answer)) as http:
        response = await post(http)
        assert (response.status, response.body) == (status, body)
        name, value = field.split(b": ")
        assert response.header(name.lower()) == value
        assert http.is_open


async def test_an_answer_that_announces_a_close_is_the_last() -> None:
    async with connection(answering(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")) as http:
        assert (await post(http)).body == b"ok"
        assert not http.is_open
        with pytest.raises(NotSent):
            await post(http)


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.0 200 OK\r\n\r\n"])
async def test_a_body_that_ends_with_the_stream_is_whole(head: bytes) -> None:
    async with connection(answering(head, b"all ", b"of it", then="end")) as http:
        assert (await post(http)).body == b"all of it"
        assert not http.is_open


async def test_a_large_request_to_a_slow_reader_arrives_whole(autojump_clock: MockClock) -> None:
    async with connection(h11_server, capacity=1000) as http:
        body = bytes(range(256)) * 500
        assert (await post(http, body)).body == body


async def test_idle_since_is_when_the_last_answer_was_whole(autojump_clock: MockClock) -> None:
    async with connection(h11_server) as http:
        assert http.idle_since == trio.current_time()
        await trio.sleep(7)
        assert http.idle_since == pytest.approx(trio.current_time() - 7)
        await post(http)
        assert http.idle_since == trio.current_time()


# --- nothing left ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["aclose", "reset"])
async def test_a_peer_that_closed_while_idle_means_not_sent(end: str) -> None:
    async def server(stream: MemoryWire) -> None:
        await read_head(stream)
        await stream.send_all(OK)
        await wait_all_tasks_blocked()
        if end == "aclose":
            await stream.aclose()
        else:
            stream.reset()

    async with connection(server) as http:
        await post(http)
        assert http.is_open
        await wait_all_tasks_blocked(0.01)
        with pytest.raises(NotSent, match="idle"):
            await post(http)
        assert not http.is_open


@pytest.mark.parametrize("unasked", [b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n", OK, b"?"])
async def test_what_came_unasked_is_never_the_next_answer(unasked: bytes) -> None:
    async def server(stream: MemoryWire) -> None:
        await read_head(stream)
        await stream.send_all(OK)
        await wait_all_tasks_blocked()
        await stream.send_all(unasked)
        with pytest.raises(AssertionError, match="closed before its request"):
            await read_head(stream)

    async with connection(server) as http:
        await post(http)
        await wait_all_tasks_blocked(0.01)
        with pytest.raises(NotSent, match="unasked"):
            await post(http)
        await wait_all_tasks_blocked()


async def test_what_came_in_one_segment_behind_an_answer_closes_the_connection() -> None:
    async with connection(answering(OK + OK)) as http:
        assert (await post(http)).body == b"ok"
        assert not http.is_open
        with pytest.raises(NotSent):
            await post(http)


async def test_is_open_notices_a_close_without_a_request() -> None:
    async with connection(answering(OK, then="end")) as http:
        await post(http)
        await wait_all_tasks_blocked(0.01)
        assert not http.is_open


@pytest.mark.parametrize(
    ("method", "target", "header"),
    [
        ("GET", "/a b", (b"X", b"y")),
        ("GET", "/\r\nInjected: 1", (b"X", b"y")),
        ("GET", "/\xe9", (b"X", b"y")),
        ("GET", "", (b"X", b"y")),
        ("GET\r\n", "/", (b"X", b"y")),
        ("get", "/", (b"X", b"y")),
        ("HEAD", "/", (b"X", b"y")),
        ("CONNECT", "venue.test:443", (b"X", b"y")),
        ("GET", "/", (b"X", b"a\r\nInjected: 1")),
        ("GET", "/", (b"X", b"a\n b")),
        ("GET", "/", (b"X", b"a\x00")),
        ("GET", "/", (b"X: y\r\nInjected", b"1")),
        ("GET", "/", (b"Bad Name", b"y")),
        ("GET", "/", (b"", b"y")),
        ("GET", "/", (b"content-length", b"7")),
        ("GET", "/", (b"Transfer-Encoding", b"chunked")),
        ("GET", "/", (b"Connection", b"close")),
        ("GET", "/", (b"Expect", b"100-continue")),
    ],
)
async def test_a_request_that_is_not_ours_to_send_is_not_sent(
    method: str, target: str, header: tuple[bytes, bytes]
) -> None:
    here, there = memory_wire_pair()
    http = HttpConnection(here, "venue.test")
    with pytest.raises(NotSent, match="not a valid request"):
        await http.request(method, target, [header], b"", timeout_s=5)
    assert there.receive_nowait() == b"", "closed without a byte"


@given(
    st.text(max_size=20).map(lambda rest: "/" + rest),
    st.lists(st.tuples(st.binary(max_size=8), st.binary(max_size=12)), max_size=4),
    st.binary(max_size=50),
)
def test_what_is_sent_is_the_one_request_that_was_asked_for(
    target: str, headers: list[tuple[bytes, bytes]], body: bytes
) -> None:
    async def run() -> None:
        here, there = memory_wire_pair()
        http = HttpConnection(here, "venue.test")
        with suppress(NotSent, AnswerLost):
            await http.request("POST", target, headers, body, timeout_s=1)
        sent = there.receive_nowait()
        if not sent:
            return
        # A strict server reads exactly this request, and nothing behind it.
        server = h11.Connection(h11.SERVER)
        server.receive_data(sent)
        request = server.next_event()
        assert isinstance(request, h11.Request)
        assert request.target == target.encode()
        expected = [(name.lower(), value.strip(b" \t")) for name, value in headers]
        assert list(request.headers)[-len(expected) or len(request.headers) :] == expected
        got = b""
        while isinstance(event := server.next_event(), h11.Data):
            got += event.data
        assert isinstance(event, h11.EndOfMessage)
        assert got == body
        assert server.trailing_data == (b"", False)

    trio.run(run, clock=MockClock(autojump_threshold=0))


# --- an answer lost --------------------------------------------------------------------------------------------------


async def test_silence_is_bounded(autojump_clock: MockClock) -> None:
    error = await lost(answering(), timeout_s=2)
    assert "no complete answer in 2 s" in error.detail
    assert error.status is None
    assert trio.current_time() == pytest.approx(2)


async def test_a_peer_that_does_not_read_is_bounded(autojump_clock: MockClock) -> None:
    async def server(stream: MemoryWire) -> None:
        await trio.sleep_forever()

    async with connection(server, capacity=1000) as http:
        with pytest.raises(AnswerLost):
            await post(http, b"x" * 5000, timeout_s=2)
        assert not http.is_open
    assert trio.current_time() == pytest.approx(2)


async def test_a_request_beyond_the_backlog_limit_may_have_left_in_part() -> None:
    async def server(stream: MemoryWire) -> None:
        await trio.sleep_forever()

    async with connection(server) as http:
        with pytest.raises(AnswerLost, match="backlog limit"):
            await post(http, b"x" * (WRITE_BACKLOG_LIMIT + 300_000))


async def test_a_trickle_does_not_stretch_the_timeout(autojump_clock: MockClock) -> None:
    async def server(stream: MemoryWire) -> None:
        await read_head(stream)
        await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        with suppress(trio.BrokenResourceError):
            while True:
                await stream.send_all(b"x")
                await trio.sleep(0.5)

    error = await lost(server, timeout_s=3)
    assert error.status == 200
    assert trio.current_time() == pytest.approx(3, abs=0.5)


@pytest.mark.parametrize("then", ["end", "reset"])
@pytest.mark.parametrize(
    ("chunk", "status"),
    [
        (b"", None),
        (b"HTTP/1.1 200 O", None),
        (b'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{"result"', 200),
        (b"HTTP/1.1 502 Bad\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", 502),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n", 200),
    ],
    ids=["nothing", "half a head", "half a body", "half a chunk", "no last chunk"],
)
async def test_a_truncated_answer_is_lost(
    autojump_clock: MockClock, chunk: bytes, status: int | None, then: str
) -> None:
    error = await lost(answering(chunk, then=then))
    assert error.status == status
    assert trio.current_time() < 0.1


async def test_a_body_that_should_end_with_the_stream_and_ends_with_a_reset_is_lost() -> None:
    error = await lost(answering(b"HTTP/1.1 200 OK\r\n\r\nsome", then="reset"))
    assert error.status == 200


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01 TLS on a plain port\r\n\r\n",
        b"HTTP/1.1 two hundred\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: ten\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n12",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: other\r\nConnection: Upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 200_000,
        b"HTTP/1.1 100 Continue\r\n\r\n" * 100 + OK,
    ],
    ids=["TLS", "status", "length", "two lengths", "encoding", "chunk size", "upgrade", "endless head", "only interim"],
)
async def test_an_unreadable_answer_is_lost_at_once(autojump_clock: MockClock, garbage: bytes) -> None:
    await lost(answering(garbage))
    assert trio.current_time() < 0.1


@pytest.mark.parametrize("framing", [b"Content-Length: 99999999", b"Transfer-Encoding: chunked"])
async def test_an_answer_past_the_limit_is_lost(framing: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(https, "RESPONSE_LIMIT", LIMIT)

    async def server(stream: MemoryWire) -> None:
        await read_head(stream)
        await stream.send_all(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n")
        chunk = b"x" * 0x10000
        with suppress(trio.BrokenResourceError):
            for _ in range(2 * LIMIT // len(chunk)):
                await stream.send_all(chunk if framing.startswith(b"C") else b"10000\r\n" + chunk + b"\r\n")

    error = await lost(server)
    assert "larger than" in error.detail
    assert error.status == 200


async def test_an_answer_of_just_the_limit_is_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(https, "RESPONSE_LIMIT", LIMIT)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % LIMIT
    async with connection(answering(head, *[b"x" * (LIMIT // 64)] * 64)) as http:
        assert len((await post(http)).body) == LIMIT


async def test_a_cancelled_request_closes_the_connection(autojump_clock: MockClock) -> None:
    async with connection(answering()) as http:
        with trio.move_on_after(1):
            await post(http)
        assert not http.is_open
        with pytest.raises(NotSent):
            await post(http)


async def test_closing_during_a_request_loses_its_answer() -> None:
    async with connection(answering()) as http:
        async with trio.open_nursery() as nursery:

            async def request() -> None:
                with pytest.raises(AnswerLost):
                    await post(http)

            nursery.start_soon(request)
            await wait_all_tasks_blocked()
            assert http.is_open
            await http.aclose()
        assert not http.is_open


async def test_two_requests_at_once_are_a_fault_of_the_caller() -> None:
    async with connection(answering()) as http, trio.open_nursery() as nursery:

        async def first() -> None:
            with suppress(AnswerLost):
                await post(http)

        nursery.start_soon(first)
        await wait_all_tasks_blocked()
        with pytest.raises(AssertionError):
            await post(http)
        await http.aclose()


@settings(max_examples=200, deadline=None)
@given(
    st.one_of(
        st.binary(max_size=300),
        st.binary(max_size=100).map(lambda noise: b"HTTP/1.1 200 OK\r\n" + noise),
        st.binary(max_size=100).map(lambda noise: b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + noise),
    ),
    st.sampled_from(["end", "reset", "stay"]),
)
def test_any_bytes_give_an_answer_or_one_error(noise: bytes, then: str) -> None:
    async def run() -> None:
        with trio.fail_after(60):
            async with connection(answering(noise, then=then)) as http:
                response: Response | None = None
                with suppress(AnswerLost):
                    response = await post(http)
                if response is None:
                    assert not http.is_open
                else:
                    assert 200 <= response.status < 1000

    trio.run(run, clock=MockClock(autojump_threshold=0))


@pytest.mark.parametrize(
    ("written", "unix_s"),
    [
        (b"Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777),
        (b"Sat, 29 Feb 2028 23:59:59 GMT", 1_835_481_599),
        (b"Sun, 29 Feb 2026 08:49:37 GMT", None),
        (b"Sun, 06 Nov 1994 08:49:60 GMT", None),
        (b"Sun, 06 Foo 1994 08:49:37 GMT", None),
        (b"Sun, 06 Nov 1994 08:49:37 UTC", None),
        (b"Sunday, 06-Nov-94 08:49:37 GMT", None),
        (b"Sun, 06 Nov 0000 08:49:37 GMT", None),
        (b"", None),
    ],
)
def test_the_date_of_an_answer(written: bytes, unix_s: int | None) -> None:
    expected = None if unix_s is None else unix_s * 1_000_000_000
    assert date_ns([(b"server", b"x"), (b"date", written), (b"date", b"the second one")]) == expected
    assert date_ns([(b"server", b"x")]) is None
