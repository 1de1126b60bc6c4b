"""A proxy on loopback that hurts the connections it carries: below TLS, so that both ends meet what a network does.

As a process of its own, `python -m tests.hurt.proxy HOST TARGET_PORT SEED ROUTE…`: it listens at that host, prints one
JSON line with a port for each route, carries every connection to the target, and strikes at random from the line
`storm GAP_S` on stdin until the line `calm`, upon which it prints how often each kind of fault struck. It ends at the
end of stdin.
"""

import json
import random
import socket
import struct
import sys
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial
from typing import Final

import trio

HOST: Final = "127.0.0.1"
READ_SIZE: Final = 16 * 1024
CHUNKS_LIMIT: Final = 64
"""Chunks under way in one direction; a slow one holds its sender up, as a full window does."""

PIECE_S: Final = 0.02
"""A bandwidth is kept by pieces of this duration."""

ABORT_AT_CLOSE: Final = struct.pack("ii", 1, 0)


class Way:
    """One direction of a connection, and what slows or spoils it."""

    def __init__(self, rng: random.Random) -> None:
        self.latency_s = 0.0
        self.jitter_s = 0.0
        self.bytes_per_s: float | None = None
        self.piece_bytes: int | None = None
        self.garbles = 0
        """So many of the next chunks get a byte changed."""
        self.stalls_after: int | None = None
        """Bytes that still pass before none does."""
        self._rng = rng
        self._gate = trio.Event()
        self._gate.set()
        self._lost = False
        self._due_s = 0.0

    def shut(self) -> None:
        """Let nothing pass any more, as a network that lost the way does."""
        if self._gate.is_set():
            self._gate = trio.Event()

    def lose(self) -> None:
        """Let nothing pass ever again."""
        self._lost = True
        self.shut()

    def heal(self) -> None:
        """Let what was held, and all that comes, pass in full speed, unless the way is lost."""
        self.latency_s = self.jitter_s = 0.0
        self.bytes_per_s = self.piece_bytes = self.stalls_after = None
        if not self._lost:
            self._gate.set()

    async def passable(self) -> None:
        """Return once something may pass, which can be never."""
        await self._gate.wait()

    def due(self) -> float:
        """When what came now is to leave; never before what came earlier."""
        delay_s = self.latency_s + self.jitter_s * self._rng.random()
        self._due_s = max(self._due_s, trio.current_time() + delay_s)
        return self._due_s

    def spoiled(self, chunk: bytes) -> bytes:
        """The chunk as it goes on."""
        if not self.garbles:
            return chunk
        self.garbles -= 1
        at = self._rng.randrange(len(chunk))
        return chunk[:at] + bytes((chunk[at] ^ 0x5A,)) + chunk[at + 1 :]

    def pieces(self, chunk: bytes) -> list[bytes]:
        """The chunk as the separate writes it goes on in."""
        size = self.piece_bytes or len(chunk)
        if self.bytes_per_s is not None:
            size = min(size, max(1, int(self.bytes_per_s * PIECE_S)))
        return [chunk[at : at + size] for at in range(0, len(chunk), size)]


class Link:
    """One connection from the daemon to the exchange."""

    def __init__(self, route: str, near: trio.SocketStream, far: trio.SocketStream, rng: random.Random) -> None:
        self.route = route
        self.near, self.far = near, far
        self.up, self.down = Way(rng), Way(rng)
        self._life = trio.CancelScope()
        self._cut = False

    @property
    def ways(self) -> tuple[Way, Way]:
        return self.up, self.down

    async def run(self) -> None:
        """Carry bytes until either end, or a fault, ends it."""
        with self._life:
            async with trio.open_nursery() as nursery:
                for way, source, sink in ((self.up, self.near, self.far), (self.down, self.far, self.near)):
                    send, receive = trio.open_memory_channel[tuple[float, bytes]](CHUNKS_LIMIT)
                    nursery.start_soon(self._take, way, source, send)
                    nursery.start_soon(self._give, way, receive, sink)
        for stream in (self.near, self.far):
            await trio.aclose_forcefully(stream)

    def reset(self) -> None:
        """End it by a reset in both directions."""
        for stream in (self.near, self.far):
            # It may be at its end already, with one side closed.
            if stream.socket.fileno() != -1:
                stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT_AT_CLOSE)
        self._life.cancel()

    def end(self) -> None:
        """End it as a process that dies does: TCP is closed, and TLS was not told."""
        self._life.cancel()

    def cut(self) -> None:
        """End it, as `end` does, in the middle of the next chunk from the exchange."""
        self._cut = True

    async def _take(
        self, way: Way, source: trio.SocketStream, send: trio.MemorySendChannel[tuple[float, bytes]]
    ) -> None:
        while True:
            try:
                chunk = await source.receive_some(READ_SIZE)
            except trio.BrokenResourceError:
                chunk = b""
            await send.send((way.due(), chunk))
            if not chunk:
                # Behind a shut gate even the end of the exchange's side goes unseen; that of ours ends it all.
                if source is self.near:
                    self._life.cancel()
                return

    async def _give(
        self, way: Way, receive: trio.MemoryReceiveChannel[tuple[float, bytes]], sink: trio.SocketStream
    ) -> None:
        async for due_s, chunk in receive:
            await trio.sleep_until(due_s)
            await way.passable()
            if not chunk:
                self._life.cancel()
                return
            if self._cut and way is self.down:
                chunk = chunk[: len(chunk) // 2]
            try:
                for piece in way.pieces(way.spoiled(chunk) if chunk else chunk):
                    await self._pass_on(way, piece, sink)
            except trio.BrokenResourceError:
                self._life.cancel()
                return
            if self._cut and way is self.down:
                self._life.cancel()

    async def _pass_on(self, way: Way, piece: bytes, sink: trio.SocketStream) -> None:
        if way.stalls_after is not None:
            await sink.send_all(piece[: way.stalls_after])
            piece, way.stalls_after = piece[way.stalls_after :], max(0, way.stalls_after - len(piece))
            if piece:
                way.shut()
                await way.passable()
        await sink.send_all(piece)
        if way.bytes_per_s is not None:
            await trio.sleep(len(piece) / way.bytes_per_s)
        elif way.piece_bytes is not None:
            # Otherwise the kernel would put the pieces together again.
            await trio.lowlevel.checkpoint()


Strike = Callable[[Link, random.Random], float | None]
"""Does it to a link; after how many seconds it is to be lifted, None where it has no end."""


def latency(link: Link, rng: random.Random) -> float:
    """Both directions take 20 to 500 ms."""
    for way in link.ways:
        way.latency_s = rng.uniform(0.02, 0.5)
    return rng.uniform(0.5, 2.0)


def jitter(link: Link, rng: random.Random) -> float:
    """Each chunk takes a while of its own."""
    for way in link.ways:
        way.jitter_s = rng.uniform(0.05, 0.4)
    return rng.uniform(0.5, 2.0)


def bandwidth(link: Link, rng: random.Random) -> float:
    """A few kilobytes a second."""
    for way in link.ways:
        way.bytes_per_s = rng.uniform(2_000, 20_000)
    return rng.uniform(0.5, 2.0)


def slicing(link: Link, rng: random.Random) -> float:
    """A few bytes at a time."""
    for way in link.ways:
        way.piece_bytes = rng.randint(1, 40)
    return rng.uniform(0.5, 2.0)


def stall(link: Link, rng: random.Random) -> float:
    """Nothing passes for a while, in either direction."""
    for way in link.ways:
        way.shut()
    return rng.uniform(0.2, 3.0)


def one_way_stall(link: Link, rng: random.Random) -> float:
    """We are heard and hear nothing."""
    link.down.shut()
    return rng.uniform(0.2, 3.0)


def stall_at_byte(link: Link, rng: random.Random) -> float:
    """One direction stops in the middle of a frame."""
    rng.choice(link.ways).stalls_after = rng.randint(1, 600)
    return rng.uniform(1.0, 3.0)


def half_open(link: Link, rng: random.Random) -> None:
    """The peer is gone, and nobody says so."""
    for way in link.ways:
        way.lose()


def reset(link: Link, rng: random.Random) -> None:
    link.reset()


def close_without_notify(link: Link, rng: random.Random) -> None:
    """TCP ends in order; TLS never said goodbye."""
    link.end()


def cut_in_a_record(link: Link, rng: random.Random) -> None:
    """The same, half-way through a record."""
    link.cut()


def garbage(link: Link, rng: random.Random) -> None:
    """A byte is changed on the way: TLS must notice."""
    rng.choice(link.ways).garbles = 1


def refused(link: Link, rng: random.Random) -> None:
    """A new connection is reset at once."""
    link.reset()


def silent_handshake(link: Link, rng: random.Random) -> None:
    """A new connection is accepted, and nothing more."""
    link.down.lose()


def handshake_cut_off(link: Link, rng: random.Random) -> None:
    """A new connection stops at some byte of its handshakes."""
    link.down.stalls_after = rng.randint(1, 3_000)


def garbled_handshake(link: Link, rng: random.Random) -> None:
    """A byte of a new connection's handshake is changed."""
    link.down.garbles = 1


ON_LIVE: Final[Mapping[str, Strike]] = {
    strike.__name__: strike
    for strike in (
        latency, jitter, bandwidth, slicing, stall, one_way_stall, stall_at_byte, half_open, reset,
        close_without_notify, cut_in_a_record, garbage,
    )
}  # fmt: skip
"""What strikes a connection that is up."""

ON_NEW: Final[Mapping[str, Strike]] = {
    strike.__name__: strike for strike in (refused, silent_handshake, handshake_cut_off, garbled_handshake)
}
"""What strikes the next connection of its route."""


class Proxy:
    """Carries connections; keeps those that are up, by their age, and what awaits new ones."""

    def __init__(self, target_port: int, rng: random.Random, host: str = HOST) -> None:
        self.links: list[Link] = []
        self.struck: Counter[str] = Counter()
        self._target_port = target_port
        self._host = host
        self._rng = rng
        self._awaiting: dict[str, deque[str]] = {}
        self._lifting: trio.Nursery | None = None

    async def run(
        self, routes: list[str], *, task_status: trio.TaskStatus[dict[str, int]] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Listen on a port for each route until cancelled; the ports are told when all do."""
        async with trio.open_nursery() as self._lifting:
            ports = {}
            for route in routes:
                listeners = await trio.open_tcp_listeners(0, host=self._host)
                ports[route] = listeners[0].socket.getsockname()[1]
                self._lifting.start_soon(trio.serve_listeners, partial(self._carry, route), listeners)
            task_status.started(ports)

    def strike(self, kind: str, link: Link) -> None:
        """Do it to a connection."""
        assert self._lifting is not None
        self.struck[kind] += 1
        lasts_s = (ON_LIVE.get(kind) or ON_NEW[kind])(link, self._rng)
        if lasts_s is not None:
            self._lifting.start_soon(_lift, link, lasts_s)

    def strike_next(self, kind: str, route: str) -> None:
        """Do it to the next connection of a route."""
        self._awaiting.setdefault(route, deque()).append(kind)

    def calm(self) -> None:
        """Nothing awaits new connections any more; what holds live ones up for ever still does."""
        self._awaiting.clear()

    async def _carry(self, route: str, near: trio.SocketStream) -> None:
        try:
            far = await trio.open_tcp_stream(HOST, self._target_port)
        except OSError:
            await trio.aclose_forcefully(near)
            return
        link = Link(route, near, far, self._rng)
        self.links.append(link)
        if waiting := self._awaiting.get(route):
            self.strike(waiting.popleft(), link)
        try:
            await link.run()
        finally:
            self.links.remove(link)


async def _lift(link: Link, after_s: float) -> None:
    await trio.sleep(after_s)
    for way in link.ways:
        way.heal()


async def storm(proxy: Proxy, gap_s: float, rng: random.Random) -> None:
    """Strike somewhere every `gap_s` on average, each kind as often as the others, until cancelled.

    Drawn by route first: REST has most of the connections, and would have most of the faults.
    """
    while True:
        kinds = [*ON_LIVE, *ON_NEW]
        rng.shuffle(kinds)
        for kind in kinds:
            await trio.sleep(rng.uniform(0, 2 * gap_s))
            routes = sorted({link.route for link in proxy.links})
            if not routes:
                continue
            route = rng.choice(routes)
            if kind in ON_NEW:
                proxy.strike_next(kind, route)
            else:
                proxy.strike(kind, rng.choice([link for link in proxy.links if link.route == route]))


async def _heed(proxy: Proxy, rng: random.Random) -> None:
    storming = trio.CancelScope()

    async def strike(gap_s: float) -> None:
        with storming:
            await storm(proxy, gap_s, rng)

    async with trio.open_nursery() as nursery:
        async for line in _lines(trio.lowlevel.FdStream(sys.stdin.fileno())):
            match line.split():
                case ["storm", gap_s]:
                    nursery.start_soon(strike, float(gap_s))
                case ["calm"]:
                    storming.cancel()
                    proxy.calm()
                    print(json.dumps(proxy.struck), flush=True)


async def _lines(stream: trio.lowlevel.FdStream) -> AsyncIterator[str]:
    held = b""
    while data := await stream.receive_some():
        *whole, held = (held + data).split(b"\n")
        for line in whole:
            yield line.decode()


async def _main(host: str, target_port: int, seed: int, routes: list[str]) -> None:
    proxy = Proxy(target_port, random.Random(seed), host)
    async with trio.open_nursery() as nursery:
        ports = await nursery.start(proxy.run, routes)
        print(json.dumps(ports), flush=True)
        await _heed(proxy, random.Random(f"storm {seed}"))
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(_main, sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
