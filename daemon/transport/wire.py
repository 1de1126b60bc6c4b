"""Byte streams that can be written in one step: the promise itself, and over a socket.

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

from .limits import RECEIVE_SIZE

# Bytes kept for a peer that reads slowly. Ten thousand messages of 200 bytes are 2 MB; twice that is a peer which has
# stopped reading, and a message that waits behind 4 MiB is better given up and sent another way.
WRITE_BACKLOG_LIMIT: Final = 4 * 1024 * 1024


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
