"""Dialling on loopback: each phase ends by its own bound, and yesterday's addresses outlive today's DNS. Real time."""

from __future__ import annotations

import os
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
import trustme
from hypothesis import given
from hypothesis import strategies as st

from canceld.transport import network
from canceld.transport.https import HttpConnection
from canceld.transport.limits import ADDRESS_LIMIT
from canceld.transport.network import (
    NAME_LIMIT,
    RESOLVER_THREADS,
    TLS_TRIES,
    Address,
    DialFailed,
    Network,
    alternate_families,
    numeric_address,
    system_lookup,
)
from canceld.transport.tls import client_context
from canceld.transport.websocket import connect_websocket
from canceld.transport.wire import SocketWire, Wire
from tests.transport.misbehaving import TEXT, ClientFrames, accept, frame, read_head

AUTHORITY = trustme.CA()


@pytest.fixture
def trusted(tmp_path: Path) -> ssl.SSLContext:
    path = tmp_path / "ca.pem"
    AUTHORITY.cert_pem.write_to_path(str(path))
    return client_context(str(path))


@pytest.fixture(autouse=True)
def short_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """The phases' bounds at a tenth, so that a test of one takes a moment."""
    for name in ("RESOLVE_TIMEOUT_S", "RESOLVE_PATIENCE_S", "CONNECT_TIMEOUT_S", "TLS_TIMEOUT_S"):
        monkeypatch.setattr(network, name, getattr(network, name) / 10)


@pytest.fixture(autouse=True)
def no_descriptor_left() -> Iterator[None]:
    before = set(os.listdir("/proc/self/fd"))
    yield
    # Sockets of servers and losers of a race included.
    kept = [number for number in set(os.listdir("/proc/self/fd")) - before if os.path.exists(f"/proc/self/fd/{number}")]
    assert [os.readlink(f"/proc/self/fd/{number}") for number in kept] == []


@asynccontextmanager
async def served(
    handler: Callable[[trio.SocketStream], Awaitable[object]], host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[int]:
    listeners = await trio.open_tcp_listeners(port, host=host)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, handler, listeners)
        yield listeners[0].socket.getsockname()[1]
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def served_tls(
    handler: Callable[[trio.SSLStream[trio.SocketStream]], Awaitable[object]],
    name: str = "localhost",
    host: str = "127.0.0.1",
    port: int = 0,
) -> AsyncIterator[int]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert(name).configure_cert(context)

    async def over_tls(stream: trio.SocketStream) -> None:
        tls = trio.SSLStream(stream, context, server_side=True)
        try:
            await handler(tls)
        except trio.BrokenResourceError:
            pass
        finally:
            await trio.aclose_forcefully(tls)

    async with served(over_tls, host, port) as bound:
        yield bound


async def echo(stream: trio.abc.Stream) -> None:
    while data := await stream.receive_some(65536):
        await stream.send_all(data)


async def silence(stream: trio.abc.Stream) -> None:
    await trio.sleep_forever()


def at(*hosts: str) -> Callable[[str, int], list[Address]]:
    """A look-up that gives these addresses for every name."""
    return lambda _, port: [address for host in hosts if (address := numeric_address(host, port)) is not None]


def broken_lookup(host: str, port: int) -> list[Address]:
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


@asynccontextmanager
async def black_hole() -> AsyncIterator[tuple[str, int]]:
    """An address on which SYNs are dropped: a listener whose queue is full."""
    with socket.create_server(("127.0.0.2", 0), backlog=0) as listener:
        where: tuple[str, int] = listener.getsockname()
        fillers = [socket.socket() for _ in range(3)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(where)
        yield where
        for filler in fillers:
            filler.close()


async def failure(dial: Awaitable[Wire]) -> DialFailed:
    with pytest.raises(DialFailed) as caught:
        await dial
    return caught.value


async def exchange(wire: Wire, question: bytes) -> bytes:
    wire.write_now(question)
    return await wire.receive_some()


# --- connecting ------------------------------------------------------------------------------------------------------


async def test_a_plain_dial_gives_a_tuned_socket() -> None:
    async with served(echo) as port:
        wire = await Network().dial("localhost", port, tls=None)
        assert await exchange(wire, b"hello") == b"hello"
        assert isinstance(wire, SocketWire)
        tuned = wire._socket
        assert tuned.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
        assert tuned.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert tuned.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == network.KEEPALIVE_IDLE_S
        assert tuned.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == network.USER_TIMEOUT_MS
        await wire.aclose()


async def test_an_ipv6_address_is_dialled() -> None:
    async with served(echo, host="::1") as port:
        wire = await Network().dial("::1", port, tls=None)
        assert await exchange(wire, b"six") == b"six"
        await wire.aclose()


@pytest.mark.parametrize("addresses", [("192.0.2.1",), ("127.0.0.1", "192.0.2.1"), ("2001:db8::1",)])
async def test_plain_text_does_not_leave_this_machine(addresses: tuple[str, ...]) -> None:
    error = await failure(Network(at(*addresses)).dial("venue.test", 80, tls=None))
    assert error.phase == "connect"
    assert "loopback only" in error.detail


async def test_a_refused_connection_is_told_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    error = await failure(Network(at("127.0.0.1", "::1")).dial("venue.test", port, tls=None))
    assert error.phase == "connect"
    assert "127.0.0.1: " in error.detail
    assert "::1: " in error.detail
    assert "Connection refused" in str(error)


async def test_a_black_hole_costs_the_connect_timeout_and_no_more() -> None:
    async with black_hole() as (host, port):
        started = trio.current_time()
        error = await failure(Network().dial(host, port, tls=None))
        assert error.phase == "connect"
        assert 0.25 < trio.current_time() - started < 5


async def test_a_black_hole_costs_a_head_start_when_another_address_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "HEAD_START_S", 0.1)
    monkeypatch.setattr(network, "CONNECT_TIMEOUT_S", 3)
    async with black_hole() as (host, port):
        listener = await trio.open_tcp_listeners(port, host="127.0.0.1")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.serve_listeners, echo, listener)
            started = trio.current_time()
            wire = await Network(at(host, "127.0.0.1")).dial("venue.test", port, tls=None)
            assert 0.09 < trio.current_time() - started < 2.5
            assert await exchange(wire, b"found") == b"found"
            await wire.aclose()
            nursery.cancel_scope.cancel()


async def test_a_refusal_does_not_wait_for_the_head_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "HEAD_START_S", 10)
    async with served(echo) as port:
        with trio.fail_after(2):
            wire = await Network(at("127.0.0.3", "127.0.0.1")).dial("venue.test", port, tls=None)
        await wire.aclose()


async def test_a_cancelled_dial_leaves_no_socket() -> None:
    async with black_hole() as (host, port):
        with trio.move_on_after(0.05) as scope:
            await Network().dial(host, port, tls=None)
        assert scope.cancelled_caught


# --- names -----------------------------------------------------------------------------------------------------------


async def test_a_name_that_does_not_resolve_is_told() -> None:
    error = await failure(Network(broken_lookup).dial("venue.test", 443, tls=None))
    assert error.phase == "resolve"
    assert "venue.test" in error.detail
    error = await failure(Network(lambda host, port: []).dial("venue.test", 443, tls=None))
    assert error.phase == "resolve"


async def test_an_address_needs_no_resolver() -> None:
    async with served(echo) as port:
        wire = await Network(broken_lookup).dial("127.0.0.1", port, tls=None)
        await wire.aclose()


async def test_the_last_good_addresses_are_used_when_dns_fails() -> None:
    answers: list[Callable[[str, int], list[Address]]] = [at("127.0.0.1"), broken_lookup]

    def lookup(host: str, port: int) -> list[Address]:
        return answers.pop(0)(host, port)

    async with served(echo) as port:
        dialler = Network(lookup)
        for _ in range(2):
            wire = await dialler.dial("venue.test", port, tls=None)
            await wire.aclose()
        assert answers == []


async def test_the_address_that_worked_outlives_a_dns_that_lies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "HEAD_START_S", 0.05)
    async with black_hole() as (wrong, port):
        listeners = await trio.open_tcp_listeners(port, host="127.0.0.1")
        answers = [at("127.0.0.1"), at(wrong)]
        dialler = Network(lambda host, port: answers.pop(0)(host, port))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.serve_listeners, echo, listeners)
            for _ in range(2):
                wire = await dialler.dial("venue.test", port, tls=None)
                assert await exchange(wire, b"right") == b"right"
                await wire.aclose()
            nursery.cancel_scope.cancel()


async def test_an_address_with_the_wrong_certificate_gives_way_to_the_next(trusted: ssl.SSLContext) -> None:
    async with served_tls(echo, host="127.0.0.1") as port, served_tls(echo, "wrong.test", "127.0.0.2", port):
        wire = await Network(at("127.0.0.2", "127.0.0.1")).dial("localhost", port, tls=trusted)
        assert await exchange(wire, b"hello") == b"hello"
        await wire.aclose()


async def test_wrong_certificates_everywhere_end_the_dial(trusted: ssl.SSLContext) -> None:
    dialled = 0

    async def count(stream: trio.abc.Stream) -> None:
        nonlocal dialled
        dialled += 1
        await stream.receive_some()

    async with served_tls(count, "wrong.test", "0.0.0.0") as port:
        error = await failure(Network(at("127.0.0.1", "127.0.0.2", "127.0.0.3")).dial("localhost", port, tls=trusted))
        assert error.phase == "tls"
    assert dialled <= TLS_TRIES


async def test_a_resolver_that_hangs_is_bounded_and_its_late_answer_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    answered = threading.Event()

    def lookup(host: str, port: int) -> list[Address]:
        release.wait(10)
        try:
            return at("127.0.0.1")(host, port)
        finally:
            answered.set()

    async with served(echo) as port:
        dialler = Network(lookup)
        started = trio.current_time()
        error = await failure(dialler.dial("venue.test", port, tls=None))
        assert error.phase == "resolve"
        assert 0.25 < trio.current_time() - started < 5
        release.set()
        await trio.to_thread.run_sync(answered.wait)
        while ("venue.test", port) not in dialler._resolved:
            await trio.lowlevel.checkpoint()
        release.clear()
        # The resolver hangs again; now there is something to go on with, after less patience.
        monkeypatch.setattr(network, "RESOLVE_TIMEOUT_S", 60)
        with trio.fail_after(5):
            wire = await dialler.dial("venue.test", port, tls=None)
        await wire.aclose()
        release.set()


async def test_hanging_look_ups_use_up_only_their_own_threads() -> None:
    release = threading.Event()
    hanging = 0

    def lookup(host: str, port: int) -> list[Address]:
        nonlocal hanging
        hanging += 1
        release.wait(10)
        return at("127.0.0.1")(host, port)

    async with served(echo) as port:
        dialler = Network(lookup)
        try:
            async with trio.open_nursery() as nursery:
                for number in range(RESOLVER_THREADS + 3):
                    nursery.start_soon(failure, dialler.dial(f"{number}.test", port, tls=None))
            assert hanging == RESOLVER_THREADS
            # Threads for other work, and dialling an address, are as free as before.
            assert trio.to_thread.current_default_thread_limiter().borrowed_tokens == 0
            wire = await dialler.dial("127.0.0.1", port, tls=None)
            await wire.aclose()
        finally:
            release.set()


async def test_memory_for_names_and_addresses_is_bounded() -> None:
    many = [f"127.0.1.{number}" for number in range(1, 100)]
    dialler = Network(at(*many))
    for number in range(NAME_LIMIT + 10):
        assert len(await dialler._resolve(f"{number}.test", 1)) == ADDRESS_LIMIT
    assert len(dialler._resolved) == NAME_LIMIT


def test_the_systems_resolver_gives_addresses_to_dial() -> None:
    assert (socket.AF_INET, ("127.0.0.1", 443)) in system_lookup("localhost", 443)


six, four = socket.AF_INET6, socket.AF_INET


@given(st.lists(st.tuples(st.sampled_from([six, four]), st.integers(0, 5))))
def test_families_take_turns_and_nothing_is_lost(drawn: list[tuple[socket.AddressFamily, int]]) -> None:
    addresses: list[Address] = [(family, (f"host{number}", 1)) for family, number in drawn]
    turned = alternate_families(addresses)
    assert sorted(turned) == sorted(set(addresses))
    for family in (six, four):
        order = [address for address in dict.fromkeys(addresses) if address[0] is family]
        assert [address for address in turned if address[0] is family] == order
    if turned:
        assert turned[0] == addresses[0]
        shorter = min(sum(address[0] is family for address in turned) for family in (six, four))
        assert all(turned[number][0] is not turned[number + 1][0] for number in range(2 * shorter - 1))


# --- TLS over the loopback -------------------------------------------------------------------------------------------


async def test_a_verified_dial_carries_bytes(trusted: ssl.SSLContext) -> None:
    async with served_tls(echo) as port:
        wire = await Network().dial("localhost", port, tls=trusted)
        assert await exchange(wire, b"hello") == b"hello"
        await wire.aclose()


async def test_a_peer_with_another_name_is_a_failed_dial(trusted: ssl.SSLContext) -> None:
    async with served_tls(echo, name="elsewhere.test") as port:
        error = await failure(Network().dial("localhost", port, tls=trusted))
        assert error.phase == "tls"
        assert "Hostname mismatch" in error.detail


async def test_a_peer_nobody_vouches_for_is_a_failed_dial() -> None:
    async with served_tls(echo) as port:
        error = await failure(Network().dial("localhost", port, tls=client_context(None)))
        assert error.phase == "tls"
        assert "CERTIFICATE_VERIFY_FAILED" in error.detail


async def test_a_peer_that_accepts_and_says_nothing_costs_the_tls_timeout(trusted: ssl.SSLContext) -> None:
    async with served(silence) as port:
        started = trio.current_time()
        error = await failure(Network().dial("localhost", port, tls=trusted))
        assert error.phase == "tls"
        assert 0.25 < trio.current_time() - started < 5


async def test_a_peer_that_closes_in_the_tls_handshake_is_told_at_once(trusted: ssl.SSLContext) -> None:
    async def hang_up(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.aclose()

    async with served(hang_up) as port:
        error = await failure(Network().dial("localhost", port, tls=trusted))
        assert error.phase == "tls"


async def test_a_peer_that_speaks_http_on_a_tls_port_is_told(trusted: ssl.SSLContext) -> None:
    async def plain(stream: trio.SocketStream) -> None:
        await stream.send_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await trio.sleep_forever()

    async with served(plain) as port:
        error = await failure(Network().dial("localhost", port, tls=trusted))
        assert error.phase == "tls"


async def test_a_mebibyte_for_a_slow_reader_arrives_whole_and_in_order(trusted: ssl.SSLContext) -> None:
    pieces = [b"%08d" % number * 128 for number in range(1024)]
    got: list[bytes] = []
    start = trio.Event()
    done = trio.Event()

    async def slow(stream: trio.SSLStream[trio.SocketStream]) -> None:
        await stream.do_handshake()
        await start.wait()
        while sum(map(len, got)) < 1024 * 1024:
            got.append(bytes(await stream.receive_some(1000)))
            await trio.lowlevel.checkpoint()
        done.set()

    async with served_tls(slow) as port:
        wire = await Network().dial("localhost", port, tls=trusted)
        wire._carrier._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)  # type: ignore[attr-defined]
        for piece in pieces:
            wire.write_now(piece)
        assert wire.has_backlog
        start.set()
        await wire.drain()
        assert not wire.has_backlog
        await done.wait()
        assert b"".join(got) == b"".join(pieces)
        await wire.aclose()


async def test_a_websocket_session_over_tls(trusted: ssl.SSLContext) -> None:
    async def server(stream: trio.SSLStream[trio.SocketStream]) -> None:
        await accept(stream)
        frames = ClientFrames()
        while events := await frames.next(stream):
            for event in events:
                await stream.send_all(frame(TEXT, getattr(event, "data", "").encode()))

    async with served_tls(server) as port:
        wire = await Network().dial("localhost", port, tls=trusted)
        async with connect_websocket(
            wire, f"localhost:{port}", "/", headers=[], entropy=os.urandom, handshake_timeout_s=5
        ) as ws:
            ws.send_many_now([b"one", b"two"])
            assert [await ws.receive(), await ws.receive()] == ["one", "two"]


async def test_a_request_over_tls_and_a_close_seen_before_the_next(trusted: ssl.SSLContext) -> None:
    closed = trio.Event()

    async def server(stream: trio.SSLStream[trio.SocketStream]) -> None:
        await read_head(stream)
        await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        await trio.aclose_forcefully(stream)
        closed.set()

    async with served_tls(server) as port:
        http = HttpConnection(await Network().dial("localhost", port, tls=trusted), f"localhost:{port}")
        response = await http.request("GET", "/", [], b"", timeout_s=5)
        assert response.body == b"ok"
        await closed.wait()
        assert not http.is_open
        await http.aclose()
