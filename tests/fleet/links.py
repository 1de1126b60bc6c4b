"""The ways between the nodes of a cluster, each through a relay that can be cut and healed."""

import asyncio
import contextlib
import threading
from collections.abc import Coroutine, Iterator
from types import TracebackType
from typing import Any, Final, Self

from tests.fleet.cluster import free_ports

CHUNK: Final = 1 << 16


class Links:
    """Relays in a thread of their own, so that a busy test does not slow the cluster down."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._relays: list[_Relay] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, e: BaseException | None, t: TracebackType | None) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def route(self, a: int, b: int, port: int) -> int:
        """A way of its own from a to b, who listens there."""
        [own] = free_ports(1)
        relay = _Relay(frozenset((a, b)), own, port)
        self._relays.append(relay)
        self._run(relay.listen())
        return own

    def cut(self, *pairs: tuple[int, int]) -> None:
        """Nothing goes between these any more: who tries is refused."""
        for relay in self._relays:
            if relay.pair in map(frozenset, pairs):
                self._run(relay.close())

    def heal(self) -> None:
        """Everything goes again."""
        for relay in self._relays:
            self._run(relay.listen())

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)


class _Relay:
    """One way, from whoever connects here to a port."""

    def __init__(self, pair: frozenset[int], own: int, port: int) -> None:
        self.pair = pair
        self._own = own
        self._port = port
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    async def listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._carry, "127.0.0.1", self._own)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in self._open:
            writer.transport.abort()
        self._open.clear()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._port)
            both = {writer, far_writer}
            self._open |= both
            await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
            self._open -= both
        writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while chunk := await reader.read(CHUNK):
            writer.write(chunk)
            await writer.drain()
    writer.close()


def ways(node: int, nodes: int = 3) -> Iterator[tuple[int, int]]:
    """Those between this node and the others."""
    return ((node, other) for other in range(nodes) if other != node)
