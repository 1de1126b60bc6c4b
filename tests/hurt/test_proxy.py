"""The proxy itself: each kind of fault does to a connection what its name says, and nothing else does."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import pytest
import trio

from tests.hurt.proxy import HOST, ON_LIVE, ON_NEW, Proxy

WITHIN_S: Final = 10.0
SAID: Final = bytes(range(256)) * 8
SOON_S: Final = 0.15
"""Within which an echo over loopback has long come, and over a hurt connection has not."""

PASSING: Final = ("latency", "jitter", "bandwidth", "slicing", "stall", "one_way_stall", "stall_at_byte")
FOR_EVER: Final = ("half_open",)
FATAL: Final = ("reset", "close_without_notify", "cut_in_a_record")


async def echo(stream: trio.SocketStream) -> None:
    """A venue that says what it hears."""
    try:
        async for heard in stream:
            await stream.send_all(heard)
    except trio.BrokenResourceError:
        pass  # the proxy has reset it


@asynccontextmanager
async def carried(seed: int = 1) -> AsyncIterator[tuple[Proxy, int]]:
    """A proxy before an echo, and its port."""
    with trio.fail_after(WITHIN_S):
        async with trio.open_nursery() as nursery:
            listeners = await trio.open_tcp_listeners(0, host=HOST)
            nursery.start_soon(trio.serve_listeners, echo, listeners)
            proxy = Proxy(listeners[0].socket.getsockname()[1], random.Random(seed))
            ports = await nursery.start(proxy.run, ["route"])
            yield proxy, ports["route"]
            nursery.cancel_scope.cancel()


async def exchange(stream: trio.SocketStream, said: bytes = SAID) -> bytes:
    """What comes back, as much as was said; less when the connection ends."""
    heard = b""
    try:
        await stream.send_all(said)
        while len(heard) < len(said) and (part := await stream.receive_some()):
            heard += part
    except trio.BrokenResourceError:
        pass
    return heard


def test_each_kind_is_tested_here() -> None:
    assert {*PASSING, *FOR_EVER, *FATAL, "garbage"} == ON_LIVE.keys()
    assert {"refused", "silent_handshake", "handshake_cut_off", "garbled_handshake"} == ON_NEW.keys()


async def test_unhurt_it_carries_every_byte() -> None:
    async with carried() as (_, port):
        stream = await trio.open_tcp_stream(HOST, port)
        assert await exchange(stream, SAID * 500) == SAID * 500


@pytest.mark.parametrize("kind", PASSING)
async def test_what_passes_delays_and_loses_nothing(kind: str) -> None:
    async with carried() as (proxy, port):
        stream = await trio.open_tcp_stream(HOST, port)
        await exchange(stream)
        proxy.strike(kind, proxy.links[0])
        began = trio.current_time()
        assert await exchange(stream) == SAID
        # Slices take as long as it takes to send them, which is next to nothing here.
        assert kind == "slicing" or trio.current_time() - began > 0.02
        assert proxy.struck == {kind: 1}


async def test_a_half_open_connection_stays_so_whatever_is_lifted_meanwhile() -> None:
    async with carried() as (proxy, port):
        stream = await trio.open_tcp_stream(HOST, port)
        await exchange(stream)
        link = proxy.links[0]
        proxy.strike("half_open", link)
        for way in link.ways:
            way.heal()
        with trio.move_on_after(SOON_S) as silence:
            await exchange(stream)
        assert silence.cancelled_caught
        await trio.aclose_forcefully(stream)


@pytest.mark.parametrize("kind", FATAL)
async def test_what_is_fatal_ends_the_connection_and_only_that(kind: str) -> None:
    async with carried() as (proxy, port):
        stream, other = await trio.open_tcp_stream(HOST, port), await trio.open_tcp_stream(HOST, port)
        await exchange(stream)
        await exchange(other)
        proxy.strike(kind, proxy.links[0])
        heard = await exchange(stream)
        assert len(heard) < len(SAID)
        assert (kind == "cut_in_a_record") is bool(heard)
        assert await exchange(other) == SAID


@pytest.mark.parametrize("seed", range(4))
async def test_garbage_is_one_byte(seed: int) -> None:
    async with carried(seed) as (proxy, port):
        stream = await trio.open_tcp_stream(HOST, port)
        await exchange(stream)
        proxy.strike("garbage", proxy.links[0])
        heard = await exchange(stream)
        assert sum(one != other for one, other in zip(SAID, heard, strict=True)) == 1
        assert await exchange(stream) == SAID


@pytest.mark.parametrize("kind", sorted(ON_NEW))
async def test_a_new_connection_is_struck_and_the_next_is_not(kind: str) -> None:
    async with carried() as (proxy, port):
        proxy.strike_next(kind, "route")
        stream = await trio.open_tcp_stream(HOST, port)
        heard = b""
        with trio.move_on_after(SOON_S):
            heard = await exchange(stream)
        assert heard != SAID
        assert await exchange(await trio.open_tcp_stream(HOST, port)) == SAID
        assert proxy.struck == {kind: 1}
        await trio.aclose_forcefully(stream)
