"""The one-step write: order, backlog, limit and end, on sockets and in memory."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from canceld.transport.memory.wire import memory_wire_pair
from canceld.transport.wire import WRITE_BACKLOG_LIMIT, SocketWire, Wire

Pair = Callable[[], tuple[Wire, Wire]]


def socket_pair() -> tuple[Wire, Wire]:
    ends = socket.socketpair()
    for end in ends:
        end.setblocking(False)
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
    return SocketWire(ends[0]), SocketWire(ends[1])


def tight_memory_pair() -> tuple[Wire, Wire]:
    return memory_wire_pair(capacity=8192)


both = pytest.mark.parametrize("pair", [socket_pair, tight_memory_pair])


async def read_exactly(wire: Wire, count: int) -> bytes:
    held = b""
    while len(held) < count:
        data = await wire.receive_some(65536)
        assert data, "ended early"
        held += data
    return held


@both
async def test_bytes_have_left_when_write_now_returns(pair: Pair) -> None:
    here, there = pair()
    here.write_now(b"now")
    assert there.receive_nowait() == b"now"
    assert not here.has_backlog
    await here.aclose()
    await there.aclose()


@both
async def test_a_slow_reader_gets_every_byte_in_order(pair: Pair) -> None:
    here, there = pair()
    pieces = [bytes([number]) * 1000 for number in range(200)]
    for piece in pieces:
        here.write_now(piece)
    assert here.has_backlog
    async with trio.open_nursery() as nursery:
        nursery.start_soon(here.drain)
        assert await read_exactly(there, 200_000) == b"".join(pieces)
    assert not here.has_backlog
    await here.aclose()
    await there.aclose()


@both
async def test_writes_during_a_drain_go_behind_it(pair: Pair) -> None:
    here, there = pair()
    here.write_now(b"a" * 100_000)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(here.drain)
        await trio.lowlevel.checkpoint()
        here.write_now(b"b" * 1000)
        assert await read_exactly(there, 101_000) == b"a" * 100_000 + b"b" * 1000
    await here.aclose()
    await there.aclose()


@both
async def test_a_cancelled_drain_tears_nothing(pair: Pair) -> None:
    here, there = pair()
    here.write_now(b"a" * 100_000)
    with trio.CancelScope() as scope:
        scope.cancel()
        await here.drain()
    assert scope.cancelled_caught
    here.write_now(b"b")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(here.drain)
        assert await read_exactly(there, 100_001) == b"a" * 100_000 + b"b"
    await here.aclose()
    await there.aclose()


@both
async def test_several_tasks_may_drain_and_the_first_may_be_cancelled(pair: Pair) -> None:
    here, there = pair()
    here.write_now(b"a" * 100_000)
    first = trio.CancelScope()
    finished = 0

    async def drain(scope: trio.CancelScope) -> None:
        nonlocal finished
        with scope:
            await here.drain()
            finished += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(drain, first)
        await wait_all_tasks_blocked()
        for _ in range(3):
            nursery.start_soon(drain, trio.CancelScope())
        await wait_all_tasks_blocked()
        first.cancel()
        await wait_all_tasks_blocked()
        await read_exactly(there, 100_000)
    assert finished == 3
    await here.aclose()
    await there.aclose()


@both
async def test_wait_backlog_returns_when_the_kernel_refuses_bytes(pair: Pair) -> None:
    here, there = pair()
    woken = trio.Event()

    async def writer() -> None:
        await here.wait_backlog()
        woken.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(writer)
        await wait_all_tasks_blocked()
        here.write_now(b"small")
        await wait_all_tasks_blocked()
        assert not woken.is_set()
        here.write_now(b"a" * 1_000_000)
        await woken.wait()
    await here.aclose()
    await there.aclose()


@both
async def test_a_backlog_past_the_limit_breaks_the_wire(pair: Pair) -> None:
    here, there = pair()
    waiter_saw: list[type[Exception]] = []

    async def writer() -> None:
        try:
            await here.drain()
        except trio.BrokenResourceError as error:
            waiter_saw.append(type(error))

    here.write_now(b"a" * 100_000)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(writer)
        await wait_all_tasks_blocked()
        with pytest.raises(trio.BrokenResourceError, match="backlog limit"):
            here.write_now(b"b" * WRITE_BACKLOG_LIMIT)
        await read_exactly(there, 1)
    assert waiter_saw == [trio.BrokenResourceError]
    with pytest.raises(trio.BrokenResourceError):
        here.write_now(b"c")
    with pytest.raises(trio.BrokenResourceError):
        await here.wait_backlog()
    await here.aclose()
    await there.aclose()


@both
async def test_closing_wakes_every_waiter(pair: Pair) -> None:
    here, there = pair()
    saw: list[str] = []

    async def expect_closed(name: str, wait: Callable[[], object]) -> None:
        with pytest.raises(trio.ClosedResourceError):
            await wait()  # type: ignore[misc]
        saw.append(name)

    here.write_now(b"a" * 100_000)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(expect_closed, "read", here.receive_some)
        nursery.start_soon(expect_closed, "drain", here.drain)
        nursery.start_soon(expect_closed, "second drain", here.drain)
        await wait_all_tasks_blocked()
        here.abort()
        here.abort()
    assert sorted(saw) == ["drain", "read", "second drain"]
    with pytest.raises(trio.ClosedResourceError):
        here.write_now(b"")
    with pytest.raises(trio.ClosedResourceError):
        here.receive_nowait()
    with pytest.raises(trio.ClosedResourceError):
        await here.wait_backlog()
    await here.aclose()
    await there.aclose()


@both
async def test_closing_wakes_who_waits_for_a_backlog(pair: Pair) -> None:
    here, there = pair()

    async def wait() -> None:
        with pytest.raises(trio.ClosedResourceError):
            await here.wait_backlog()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await wait_all_tasks_blocked()
        here.abort()
    await there.aclose()


@both
async def test_aborting_delivers_what_the_carrier_has_taken(pair: Pair) -> None:
    here, there = pair()
    here.write_now(b"last words")
    here.abort()
    assert await there.receive_some() == b"last words"
    assert await there.receive_some() == b""
    await there.aclose()


@both
async def test_an_orderly_close_lets_the_peer_read_to_the_end(pair: Pair) -> None:
    here, there = pair()
    here.write_now(b"last words")
    await here.aclose()
    assert await there.receive_some(4) == b"last"
    assert await there.receive_some() == b" words"
    assert await there.receive_some() == b""
    assert there.receive_nowait() == b""
    await there.aclose()


@both
async def test_writing_to_a_peer_that_is_gone_breaks_the_wire(pair: Pair) -> None:
    here, there = pair()
    await there.aclose()
    with pytest.raises(trio.BrokenResourceError):
        here.write_now(b"anybody?")
    with pytest.raises(trio.BrokenResourceError):
        here.write_now(b"anybody?")
    await here.aclose()


@both
async def test_closing_works_when_cancelled(pair: Pair) -> None:
    here, there = pair()
    await trio.aclose_forcefully(here)
    assert await there.receive_some() == b""
    with pytest.raises(trio.ClosedResourceError):
        await here.receive_some()
    await there.aclose()


@both
async def test_receive_nowait_tells_nothing_from_the_end(pair: Pair) -> None:
    here, there = pair()
    assert here.receive_nowait() is None
    there.write_now(b"x")
    assert here.receive_nowait() == b"x"
    await there.aclose()
    assert here.receive_nowait() == b""
    await here.aclose()


@both
async def test_send_all_takes_every_buffer_type(pair: Pair) -> None:
    here, there = pair()
    await here.send_all(b"a")
    await here.send_all(bytearray(b"b"))
    await here.send_all(memoryview(b"c"))
    await here.wait_send_all_might_not_block()
    assert await read_exactly(there, 3) == b"abc"
    await here.aclose()
    await there.aclose()


async def test_a_memory_reset_loses_what_was_on_the_way_and_breaks_both_ends() -> None:
    here, there = memory_wire_pair()
    here.write_now(b"lost")
    here.reset()
    for end in (here, there):
        with pytest.raises(trio.BrokenResourceError, match="reset"):
            await end.receive_some()
        with pytest.raises(trio.BrokenResourceError):
            end.write_now(b"x")


async def test_a_memory_reset_wakes_both_ends() -> None:
    here, there = memory_wire_pair(capacity=10)
    there.write_now(b"more than ten bytes")

    async def expect_broken(wait: Callable[[], object]) -> None:
        with pytest.raises(trio.BrokenResourceError):
            await wait()  # type: ignore[misc]

    async with trio.open_nursery() as nursery:
        nursery.start_soon(expect_broken, there.receive_some)
        nursery.start_soon(expect_broken, there.drain)
        nursery.start_soon(expect_broken, here.wait_backlog)
        await wait_all_tasks_blocked()
        here.reset()


async def test_a_reset_socket_is_broken_for_both_directions() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(listener.getsockname())
    server, _ = listener.accept()
    listener.close()
    client.setblocking(False)
    wire = SocketWire(client)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    server.close()
    with pytest.raises(trio.BrokenResourceError, match="reset"):
        await wire.receive_some()
    with pytest.raises(trio.BrokenResourceError, match="reset"):
        wire.write_now(b"x")
    await wire.aclose()


async def test_a_blocking_socket_is_not_accepted() -> None:
    ends = socket.socketpair()
    with pytest.raises(AssertionError):
        SocketWire(ends[0])
    for end in ends:
        end.close()
