"""TLS over a wire: who is let in, what a write and a read promise, and how it ends. Real TLS, over memory."""

from __future__ import annotations

import datetime
import ssl
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
import trio
import trustme
from trio.testing import wait_all_tasks_blocked

from canceld.transport.memory.wire import MemoryWire, memory_wire_pair
from canceld.transport.tls import TlsWire, client_context, start_tls
from canceld.transport.wire import WRITE_BACKLOG_LIMIT

AUTHORITY = trustme.CA()
NAME = "venue.test"


@pytest.fixture
def ca_file(tmp_path: Path) -> str:
    path = tmp_path / "ca.pem"
    AUTHORITY.cert_pem.write_to_path(str(path))
    return str(path)


def server_context(certificate: trustme.LeafCert | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    (certificate or AUTHORITY.issue_cert(NAME)).configure_cert(context)
    return context


@asynccontextmanager
async def session(
    ca_file: str, *, context: ssl.SSLContext | None = None, capacity: int = 256 * 1024
) -> AsyncIterator[tuple[TlsWire, trio.SSLStream[MemoryWire], MemoryWire]]:
    """A client wire, the server's TLS stream, and the server's carrier under it."""
    here, there = memory_wire_pair(capacity)
    server = trio.SSLStream(there, context or server_context(), server_side=True)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.do_handshake)
        client = await start_tls(here, client_context(ca_file), NAME)
    yield client, server, there
    await client.aclose()
    await trio.aclose_forcefully(there)


async def read_exactly(stream: trio.abc.ReceiveStream, count: int) -> bytes:
    held = b""
    while len(held) < count:
        data = await stream.receive_some(65536)
        assert data, "ended early"
        held += data
    return held


async def handshake_failure(context: ssl.SSLContext, server: ssl.SSLContext, name: str = NAME) -> str:
    here, there = memory_wire_pair()
    stream = trio.SSLStream(there, server, server_side=True)

    async def serve() -> None:
        with suppress(trio.BrokenResourceError):
            await stream.do_handshake()
            # TLS 1.3: the server is done before the client has judged the certificate.
            with pytest.raises(trio.BrokenResourceError):
                await stream.receive_some()
        await there.aclose()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        with pytest.raises(trio.BrokenResourceError) as caught:
            await start_tls(here, context, name)
    with pytest.raises(trio.ClosedResourceError):
        here.write_now(b"the carrier must be closed")
    return str(caught.value)


# --- who is let in ---------------------------------------------------------------------------------------------------


async def test_a_self_signed_peer_is_refused(ca_file: str) -> None:
    stranger = trustme.CA().issue_cert(NAME)
    assert "CERTIFICATE_VERIFY_FAILED" in await handshake_failure(client_context(ca_file), server_context(stranger))


async def test_an_added_root_is_needed_and_is_only_added(ca_file: str) -> None:
    assert "CERTIFICATE_VERIFY_FAILED" in await handshake_failure(client_context(None), server_context())
    assert "CERTIFICATE_VERIFY_FAILED" in await handshake_failure(client_context(""), server_context())
    # Every root of the system is still there beside the added one.
    assert len(client_context(ca_file).get_ca_certs()) == len(client_context(None).get_ca_certs()) + 1


async def test_a_peer_with_another_name_is_refused(ca_file: str) -> None:
    other = AUTHORITY.issue_cert("elsewhere.test")
    assert "Hostname mismatch" in await handshake_failure(client_context(ca_file), server_context(other))


async def test_an_expired_certificate_is_refused(ca_file: str) -> None:
    yesterday = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    stale = AUTHORITY.issue_cert(NAME, not_after=yesterday)
    assert "expired" in await handshake_failure(client_context(ca_file), server_context(stale))


def only_tls_1_1(context: ssl.SSLContext) -> ssl.SSLContext:
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


async def test_tls_1_1_is_refused(ca_file: str) -> None:
    old = only_tls_1_1(server_context())
    await handshake_failure(client_context(ca_file), old)
    # The version is the reason: the same server and a client that puts up with it come to terms.
    here, there = memory_wire_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.SSLStream(there, old, server_side=True).do_handshake)
        await start_tls(here, only_tls_1_1(client_context(ca_file)), NAME)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_tls_1_2_and_1_3_are_spoken(ca_file: str, version: ssl.TLSVersion) -> None:
    context = server_context()
    context.minimum_version = context.maximum_version = version
    async with session(ca_file, context=context) as (client, server, _):
        client.write_now(b"question")
        assert await server.receive_some() == b"question"
        await server.send_all(b"answer")
        assert await client.receive_some() == b"answer"


async def test_a_context_that_does_not_verify_cannot_be_used(ca_file: str) -> None:
    unnamed = client_context(ca_file)
    unnamed.check_hostname = False
    unverified = client_context(ca_file)
    unverified.check_hostname = False
    unverified.verify_mode = ssl.CERT_NONE
    for context in (unnamed, unverified):
        here, there = memory_wire_pair()
        with pytest.raises(ValueError, match="does not verify"):
            await start_tls(here, context, NAME)
        assert there.receive_nowait() == b"", "closed without a byte"


def test_session_keys_are_not_written_for_the_asking(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ca_file: str
) -> None:
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
    assert client_context(ca_file).keylog_filename is None
    assert not (tmp_path / "keys").exists()


def test_a_root_file_that_cannot_be_used_is_an_error_and_not_an_empty_trust(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        client_context(str(tmp_path / "absent.pem"))
    (tmp_path / "empty.pem").write_text("")
    with pytest.raises(ssl.SSLError):
        client_context(str(tmp_path / "empty.pem"))


@pytest.mark.parametrize("garbage", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x15\x03\x01\x00\x02\x02\x28"])
async def test_a_peer_that_does_not_speak_tls_is_told(ca_file: str, garbage: bytes) -> None:
    here, there = memory_wire_pair()
    there.write_now(garbage)
    with pytest.raises(trio.BrokenResourceError, match="TLS"):
        await start_tls(here, client_context(ca_file), NAME)


async def test_a_stream_that_ends_in_the_handshake_is_told(ca_file: str) -> None:
    here, there = memory_wire_pair()
    await there.aclose()
    with pytest.raises(trio.BrokenResourceError):
        await start_tls(here, client_context(ca_file), NAME)


# --- bytes -----------------------------------------------------------------------------------------------------------


async def test_ciphertext_has_left_when_write_now_returns(ca_file: str) -> None:
    async with session(ca_file) as (client, _, carrier):
        assert carrier.receive_nowait() is None
        client.write_now(b"now")
        assert carrier.receive_nowait()
        assert not client.has_backlog


@pytest.mark.parametrize("size", [1, 16_384, 16_385, 100_000, 1_048_576])
async def test_every_size_arrives_whole(ca_file: str, size: int) -> None:
    payload = bytes(range(256)) * (size // 256 + 1)
    payload = payload[:size]
    async with session(ca_file) as (client, server, _), trio.open_nursery() as nursery:
        client.write_now(payload)
        nursery.start_soon(client.drain)
        assert await read_exactly(server, size) == payload
        nursery.start_soon(server.send_all, payload)
        assert await read_exactly(client, size) == payload


async def test_a_slow_reader_of_a_mebibyte_gets_it_in_order(ca_file: str) -> None:
    async with session(ca_file, capacity=10_000) as (client, server, _), trio.open_nursery() as nursery:
        pieces = [b"%06d" % number * 100 for number in range(1800)]
        for piece in pieces:
            client.write_now(piece)
        assert client.has_backlog
        nursery.start_soon(client.drain)
        assert await read_exactly(server, 600 * 1800) == b"".join(pieces)
        await wait_all_tasks_blocked()
        assert not client.has_backlog


async def test_a_backlog_past_the_limit_breaks_the_wire(ca_file: str) -> None:
    async with session(ca_file) as (client, _, _):
        with pytest.raises(trio.BrokenResourceError, match="backlog limit"):
            client.write_now(b"x" * (WRITE_BACKLOG_LIMIT + 300_000))
        with pytest.raises(trio.BrokenResourceError):
            client.write_now(b"x")


async def test_writes_go_on_while_a_read_waits(ca_file: str) -> None:
    async with session(ca_file) as (client, server, _), trio.open_nursery() as nursery:
        got: list[bytes] = []

        async def reader() -> None:
            got.append(await client.receive_some())

        nursery.start_soon(reader)
        await wait_all_tasks_blocked()
        client.write_now(b"one")
        client.write_now(b"two")
        assert await read_exactly(server, 6) == b"onetwo"
        await server.send_all(b"back")
        await wait_all_tasks_blocked()
        assert got == [b"back"]


async def test_a_record_in_single_bytes_is_read_whole(ca_file: str) -> None:
    async with session(ca_file) as (client, server, carrier), trio.open_nursery() as nursery:
        got: list[bytes] = []

        async def reader() -> None:
            got.append(await client.receive_some())

        nursery.start_soon(reader)
        # A one-byte pipe towards the client.
        carrier._outgoing.capacity = 1
        await server.send_all(b"dribble")
        await wait_all_tasks_blocked()
        assert got == [b"dribble"]


async def test_max_bytes_is_kept_and_the_rest_comes_next(ca_file: str) -> None:
    async with session(ca_file) as (client, server, _):
        await server.send_all(b"abcdef")
        assert await client.receive_some(4) == b"abcd"
        assert await client.receive_some(4) == b"ef"


async def test_receive_nowait_passes_over_what_is_not_data(ca_file: str) -> None:
    """A TLS 1.3 server sends session tickets behind its handshake: they are not an answer."""
    async with session(ca_file) as (client, server, _):
        assert client.receive_nowait() is None
        await server.send_all(b"data")
        assert client.receive_nowait() == b"data"
        assert client.receive_nowait() is None


# --- the end ---------------------------------------------------------------------------------------------------------


async def test_closing_says_goodbye_and_waits_for_nobody(ca_file: str) -> None:
    async with session(ca_file) as (client, server, _):
        with trio.fail_after(1):
            await client.aclose()
        assert await server.receive_some() == b""
        with pytest.raises(trio.ClosedResourceError):
            client.write_now(b"x")
        with pytest.raises(trio.ClosedResourceError):
            await client.receive_some()
        await client.aclose()


async def test_closing_with_a_backlog_gives_it_up(ca_file: str) -> None:
    async with session(ca_file) as (client, server, _):
        client.write_now(b"x" * 1_000_000)
        await client.aclose()

        async def read_all() -> None:
            while await server.receive_some():
                pass

        with pytest.raises(trio.BrokenResourceError):
            await read_all()


async def test_the_peers_goodbye_is_the_end_of_stream(ca_file: str) -> None:
    async with session(ca_file) as (client, server, _), trio.open_nursery() as nursery:
        await server.send_all(b"last words")
        nursery.start_soon(trio.aclose_forcefully, server)
        assert await client.receive_some() == b"last words"
        with pytest.raises(trio.BrokenResourceError):
            await client.receive_some()
    async with session(ca_file) as (client, server, _), trio.open_nursery() as nursery:
        nursery.start_soon(server.aclose)
        await wait_all_tasks_blocked()
        assert await client.receive_some() == b""
        assert await client.receive_some() == b""
        assert client.receive_nowait() == b""
        await client.aclose()


async def test_an_end_without_goodbye_is_truncation(ca_file: str) -> None:
    async with session(ca_file) as (client, server, carrier):
        await server.send_all(b"half")
        await carrier.aclose()
        assert await client.receive_some() == b"half"
        with pytest.raises(trio.BrokenResourceError):
            await client.receive_some()


async def test_a_record_that_was_tampered_with_breaks_the_wire(ca_file: str) -> None:
    async with session(ca_file) as (client, server, carrier):
        await server.send_all(b"good")
        await server.send_all(b"bad")
        held = carrier._outgoing.held
        held[-1] ^= 1
        assert await client.receive_some() == b"good"
        with pytest.raises(trio.BrokenResourceError, match="TLS"):
            await client.receive_some()
        with pytest.raises(trio.BrokenResourceError, match="TLS"):
            client.write_now(b"x")
        with pytest.raises(trio.BrokenResourceError, match="TLS"):
            client.receive_nowait()


async def test_a_reset_breaks_the_wire(ca_file: str) -> None:
    async with session(ca_file) as (client, _, carrier):
        carrier.reset()
        with pytest.raises(trio.BrokenResourceError):
            await client.receive_some()
        with pytest.raises(trio.BrokenResourceError):
            client.write_now(b"x")


async def test_aborting_wakes_the_reader(ca_file: str) -> None:
    async with session(ca_file) as (client, _, _), trio.open_nursery() as nursery:

        async def reader() -> None:
            with pytest.raises(trio.ClosedResourceError):
                await client.receive_some()

        nursery.start_soon(reader)
        await wait_all_tasks_blocked()
        client.abort()
