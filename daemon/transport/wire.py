"""Byte streams that can be written in one step: the promise itself, over a socket, and in memory.

trio's own streams may suspend before the first byte leaves and, when cancelled half-way, leave half a message behind.
A Wire does neither. `write_now` hands bytes to the kernel in the step that calls it, keeps in order what the kernel
did not take, and nothing that is cancelled can tear a message.

This file does not connect, encrypt or frame anything.
"""

from __future__ import annotations

import socket
from abc import abstractmethod
from typing import Final

import trio

# What one read asks for. Large reads mean few system calls and few wake-ups in a burst of answers.
RECEIVE_SIZE: Final = 64 * 1024

# Bytes kept for a peer that reads slowly. Ten thousand messages of 200 bytes are 2 MB; twice that is a peer which has
# stopped reading, and a message that waits behind 4 MiB is better given up and sent another way.
WRITE_BACKLOG_LIMIT: Final = 4 * 1024 * 1024

# What a memory wire takes before its reader must read: about what Linux gives a fresh loopback socket.
MEMORY_CAPACITY: Final = 256 * 1024


class Wire(trio.abc.Stream):
    """A byte stream whose write is one synchronous step.

    One task reads. Any task may write, at any moment: bytes leave in the order of the calls, and the bytes of one call
    are never split by those of another.

    Errors, from every method: trio.BrokenResourceError when the peer or the network ended the stream,
    trio.ClosedResourceError when this side did. Bytes given to a call that raised may have left all the same.
    """

    @abstractmethod
    def write_now(self, data: bytes) -> None:
        """Hand `data` on before returning; what the kernel does not take is kept and finished by `drain`.

        Past WRITE_BACKLOG_LIMIT bytes kept, the wire breaks.
        """

    @abstractmethod
    async def drain(self) -> None:
        """Return when the backlog is empty. Cancelling it loses nothing; several tasks may drain at once."""

    @property
    @abstractmethod
    def has_backlog(self) -> bool:
        """True while some written bytes are still on this side."""

    @abstractmethod
    async def wait_backlog(self) -> None:
        """Return when there is a backlog. Raises as soon as the wire is closed or broken."""

    @abstractmethod
    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Wait for bytes; b"" at the peer's end of stream, then and ever after."""

    @abstractmethod
    def receive_nowait(self) -> bytes | None:
        """What has arrived, without waiting: None when nothing has, b"" at the peer's end of stream."""

    @abstractmethod
    def abort(self) -> None:
        """Close in this step, without any farewell. Wakes every task that waits on it. Idempotent.

        What the kernel has taken is still delivered; the backlog is not.
        """

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """`write_now`, then `drain`. A cancelled call has written everything or will have it drained by others."""
        self.write_now(bytes(data))
        await self.drain()

    async def wait_send_all_might_not_block(self) -> None:
        """Return when the backlog is empty."""
        await self.drain()


class BackloggedWire(Wire):
    """The part of a Wire that is the same for every carrier: order, backlog, limit and end."""

    def __init__(self) -> None:
        self._backlog = bytearray()
        self._draining = False
        self._broken_by: str | None = None
        self._closed = False
        self._backlog_grew = trio.lowlevel.ParkingLot()
        self._drain_done = trio.lowlevel.ParkingLot()

    @abstractmethod
    def _hand_on(self, data: bytes | bytearray) -> int:
        """Give the carrier what it takes without waiting; how many bytes that was. OSError when it is dead."""

    @abstractmethod
    async def _wait_room(self) -> None:
        """Return when the carrier may take more. Raises trio.ClosedResourceError when `abort` came first."""

    @abstractmethod
    def _release(self) -> None:
        """Give the carrier up and wake whoever waits in it. Called once."""

    def write_now(self, data: bytes) -> None:
        self._raise_if_over()
        taken = 0 if self._backlog else self._push(data)
        if taken == len(data):
            return
        if len(self._backlog) + len(data) - taken > WRITE_BACKLOG_LIMIT:
            raise self._break("the peer does not read: write backlog limit reached")
        grew = not self._backlog
        self._backlog += memoryview(data)[taken:]
        if grew:
            self._backlog_grew.unpark_all()

    async def drain(self) -> None:
        await trio.lowlevel.checkpoint()
        while True:
            self._raise_if_over()
            if not self._backlog:
                return
            if self._draining:
                # The kernel lets one task wait for one descriptor; the others wait for that task.
                await self._drain_done.park()
                continue
            self._draining = True
            try:
                await self._wait_room()
                del self._backlog[: self._push(self._backlog)]
            finally:
                self._draining = False
                self._drain_done.unpark_all()

    @property
    def has_backlog(self) -> bool:
        return bool(self._backlog)

    async def wait_backlog(self) -> None:
        await trio.lowlevel.checkpoint()
        self._raise_if_over()
        while not self._backlog:
            await self._backlog_grew.park()
            self._raise_if_over()

    def abort(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._backlog.clear()
        self._release()
        self._wake()

    async def aclose(self) -> None:
        """Close; a backlog is given up, because waiting for it would make closing depend on the peer."""
        self.abort()
        await trio.lowlevel.checkpoint()

    def _push(self, data: bytes | bytearray) -> int:
        try:
            return self._hand_on(data)
        except OSError as error:
            raise self._break(str(error)) from error

    def _break(self, why: str) -> trio.BrokenResourceError:
        """Remember that the stream is dead, wake those who wait to write, and give the error to raise."""
        if self._broken_by is None:
            self._broken_by = why
            self._backlog.clear()
            self._wake()
        return trio.BrokenResourceError(self._broken_by)

    def _wake(self) -> None:
        self._backlog_grew.unpark_all()
        self._drain_done.unpark_all()

    def _raise_if_over(self) -> None:
        if self._closed:
            raise trio.ClosedResourceError("closed by this side")
        if self._broken_by is not None:
            raise trio.BrokenResourceError(self._broken_by)


class SocketWire(BackloggedWire):
    """A Wire over a connected, non-blocking stream socket, which it owns from then on.

    The plain standard-library socket is used because trio's has no synchronous send.
    """

    def __init__(self, connected: socket.socket) -> None:
        assert connected.gettimeout() == 0, "the socket must be non-blocking"
        super().__init__()
        self._socket = connected

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        self._raise_if_over()
        while True:
            # Waiting first costs one epoll round, and is also the checkpoint; trying first would cost a failed
            # system call on nearly every read, since a reader usually comes back to an empty socket.
            await trio.lowlevel.wait_readable(self._socket)
            data = self._take(max_bytes or RECEIVE_SIZE)
            if data is not None:
                return data

    def receive_nowait(self) -> bytes | None:
        self._raise_if_over()
        return self._take(RECEIVE_SIZE)

    def _take(self, max_bytes: int) -> bytes | None:
        self._raise_if_over()
        try:
            return self._socket.recv(max_bytes)
        except BlockingIOError:
            return None
        except OSError as error:
            raise self._break(str(error)) from error

    def _hand_on(self, data: bytes | bytearray) -> int:
        try:
            return self._socket.send(data)
        except BlockingIOError:
            return 0

    async def _wait_room(self) -> None:
        await trio.lowlevel.wait_writable(self._socket)
        self._raise_if_over()

    def _release(self) -> None:
        trio.lowlevel.notify_closing(self._socket)
        self._socket.close()


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
