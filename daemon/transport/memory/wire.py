"""A connection between two ends in one process: no socket, no thread, so that virtual time is exact."""

from __future__ import annotations

from typing import Final

import trio

from ..limits import RECEIVE_SIZE
from ..wire import BackloggedWire

# What a memory wire takes before its reader must read: about what Linux gives a fresh loopback socket.
MEMORY_CAPACITY: Final = 256 * 1024


class _Pipe:
    """One direction of a memory wire."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.held = bytearray()
        self.ended = False  # the writer closed: what is held can still be read
        self.lost = False  # the reader closed, or the connection was reset: what is held is gone
        self.arrived = trio.lowlevel.ParkingLot()
        self.room = trio.lowlevel.ParkingLot()

    def wake(self) -> None:
        self.arrived.unpark_all()
        self.room.unpark_all()


class MemoryWire(BackloggedWire):
    """A Wire that ends in another MemoryWire of the same process: no socket, no thread, so virtual time is exact.

    It fills up like a socket does: when the peer has not read `capacity` bytes, the rest is backlog. And it ends like
    one: after `aclose` or `abort` the peer still reads what was on the way, after `reset` it does not.
    """

    def __init__(self, incoming: _Pipe, outgoing: _Pipe) -> None:
        super().__init__()
        self._incoming = incoming
        self._outgoing = outgoing

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        await trio.lowlevel.checkpoint()
        while True:
            data = self._take(max_bytes or RECEIVE_SIZE)
            if data is not None:
                return data
            await self._incoming.arrived.park()

    def receive_nowait(self) -> bytes | None:
        return self._take(RECEIVE_SIZE)

    def reset(self) -> None:
        """End the connection as a reset does: both ends are broken at once, and what was on the way is lost."""
        for pipe in (self._incoming, self._outgoing):
            pipe.lost = True
            pipe.held.clear()
            pipe.wake()
        self._break("connection reset")

    def _take(self, max_bytes: int) -> bytes | None:
        self._raise_if_over()
        pipe = self._incoming
        if pipe.lost:
            raise self._break("connection reset by peer")
        if pipe.held:
            data = bytes(pipe.held[:max_bytes])
            del pipe.held[:max_bytes]
            pipe.room.unpark_all()
            return data
        return b"" if pipe.ended else None

    def _hand_on(self, data: bytes | bytearray) -> int:
        pipe = self._outgoing
        if pipe.lost:
            raise BrokenPipeError("broken pipe")
        taken = min(len(data), pipe.capacity - len(pipe.held))
        pipe.held += memoryview(data)[:taken]
        if taken:
            pipe.arrived.unpark_all()
        return taken

    async def _wait_room(self) -> None:
        pipe = self._outgoing
        while not pipe.lost and len(pipe.held) >= pipe.capacity:
            await pipe.room.park()
            self._raise_if_over()

    def _release(self) -> None:
        # Nobody reads here any more, so the peer's writes fail from now on.
        self._incoming.lost = True
        self._incoming.held.clear()
        self._outgoing.ended = True
        self._incoming.wake()
        self._outgoing.wake()


def memory_wire_pair(capacity: int = MEMORY_CAPACITY) -> tuple[MemoryWire, MemoryWire]:
    """Two ends of one connection; `capacity` is in bytes and for each direction."""
    there, back = _Pipe(capacity), _Pipe(capacity)
    return MemoryWire(back, there), MemoryWire(there, back)
