"""Local message sockets: pyzmq ROUTER sockets on trio, through libzmq's edge-triggered descriptor.

ZMQ_FD tells that libzmq's mailbox has news, not that a message waits; any call on the socket, a send included, may
swallow that news. So one object owns each socket, nothing else may touch it, and these rules are kept here:

1. Receive until libzmq says EAGAIN, only then wait for the descriptor.
2. After each send, look at ZMQ_EVENTS, and wake the waiting reader when a message is there.
3. Nobody else asks for ZMQ_EVENTS: the question itself swallows the news.
4. The caller caps each drain, and `readable` lets other tasks run before it returns.
5. A slow timer looks again anyway. What only the timer found is counted in `rescues`: more than a stray one is a bug.
6. Before the descriptor is closed, trio is told, else a parked task waits on whatever reuses the number.

Source: libzmq's zmq_getsockopt page, ZMQ_FD. No message content is looked at here, and no message is ever waited on.
"""

import errno
import select
from collections.abc import Callable, Sequence
from typing import Final, cast

import trio
import zmq

from .messages import Message, Sent

DISCARD_STEP: Final = 256  # frames of an excessive message thrown away per call: about 0.2 ms of the loop

# Plain ints: pyzmq's enums cost more to combine and pass than the calls they are passed to.
NOBLOCK: Final = int(zmq.NOBLOCK)
NOBLOCK_MORE: Final = int(zmq.NOBLOCK | zmq.SNDMORE)
EVENTS: Final = int(zmq.EVENTS)
POLLIN: Final = int(zmq.POLLIN)


class ZeromqRouter:
    """A bound ROUTER socket under the rules at the top of this file; made by `Bus.router`."""

    def __init__(self, socket: "zmq.Socket[bytes]", frames_limit: int) -> None:
        self.rescues = 0
        self.socket = socket
        self._frames_limit = frames_limit
        self._descriptor = cast(int, socket.getsockopt(zmq.FD))
        self._descriptor_poll = select.poll()
        self._descriptor_poll.register(self._descriptor, select.POLLIN)
        # Bound once: an attribute look-up less per call, and below pyzmq's Python wrapper send costs half (0.5 us).
        self._recv = socket.recv
        self._send = super(zmq.Socket, socket).send
        self._events = cast("Callable[[int], int]", super(zmq.Socket, socket).get)
        self.closed = False
        self._drained = False  # libzmq said EAGAIN and nothing touched the socket since: safe to park
        self._discarding = False  # the rest of an excessive message still has to be thrown away
        self._received = False  # the last call of `receive_nowait` gave a message
        self._parked = False

    def receive_nowait(self) -> Message | None:
        if self._discarding and not self._discard():
            return None  # not drained: `readable` comes straight back after letting others run
        recv = self._recv
        try:
            # Behind a message there is mostly no other one, and to ask costs a third of being told by an exception.
            if not self._received or self._events(EVENTS) & POLLIN:
                identity = recv(NOBLOCK)
            else:
                self._received = False
                self._drained = True
                return None
        except zmq.Again:
            self._received = False
            self._drained = True
            return None
        except zmq.ZMQError as error:
            self._raise_if_closed(error)
            raise
        # Messages arrive whole, so from here on no frame can be missing. A Frame object costs less than asking
        # libzmq for RCVMORE, and it carries the peer's credentials.
        origin = recv(NOBLOCK, False)
        frames = [origin.bytes]
        more: bool = origin.more
        while more:
            if len(frames) > self._frames_limit:
                self._discarding = True
                break
            frame = recv(NOBLOCK, False)
            frames.append(frame.bytes)
            more = frame.more
        self._received = True
        return Message(identity, frames, origin)

    def send_nowait(self, identity: bytes, frames: Sequence[bytes]) -> Sent:
        if not frames:
            raise ValueError("a message has at least one frame")
        send = self._send
        sent = Sent.OK
        try:
            # Only this frame can be refused: once the peer is chosen, libzmq takes the message whole.
            send(identity, NOBLOCK_MORE)
        except zmq.Again:
            sent = Sent.FULL
        except zmq.ZMQError as error:
            self._raise_if_closed(error)
            if error.errno != errno.EHOSTUNREACH:
                raise
            sent = Sent.GONE
        else:
            for frame in frames[:-1]:
                send(frame, NOBLOCK_MORE)
            send(frames[-1], NOBLOCK)
        # A refused send reads the mailbox too, so the reader is looked after in every case.
        self._drained = False
        if self._parked and self._events(EVENTS) & POLLIN:
            self.rouse()
        return sent

    def rouse(self) -> None:
        if self._parked:
            self._parked = False
            # The descriptor stays open; this is how trio ends a wait without a scope around it.
            trio.lowlevel.notify_closing(self._descriptor)

    def look_again(self) -> None:
        """The socket was touched, which may have swallowed the news of a message: wake the waiting reader if so."""
        self._drained = False
        if self._parked and self._events(EVENTS) & POLLIN:
            self.rouse()

    async def readable(self) -> None:
        if self.closed:
            await trio.lowlevel.checkpoint()
            raise trio.ClosedResourceError("the socket is closed")
        if self._parked:
            await trio.lowlevel.checkpoint()
            raise trio.BusyResourceError("another task waits on this socket")
        if not self._drained:
            # The caller stopped at its cap, or something was sent since libzmq said EAGAIN.
            if self._events(EVENTS) & POLLIN:
                await trio.lowlevel.checkpoint()
                return
            self._drained = True
        self._parked = True
        try:
            # No scope and no timer of our own around it: they would cost every message a tenth of its way through here.
            await trio.lowlevel.wait_readable(self._descriptor)
        except trio.ClosedResourceError:
            # Also what `rouse` wakes us with.
            if self.closed:
                raise
        except trio.Cancelled:
            # News still in the mailbox is no rescue: the wait would have seen it as well.
            if not self.closed and not self._descriptor_poll.poll(0) and self._events(EVENTS) & POLLIN:
                self.rescues += 1
            raise
        finally:
            self._parked = False
            self._drained = False

    def close(self) -> None:
        if self.closed:
            return
        self.closed = True
        trio.lowlevel.notify_closing(self._descriptor)
        self.socket.close()

    def _discard(self) -> bool:
        """Throw away up to DISCARD_STEP frames of the current message; True when it has ended."""
        for _ in range(DISCARD_STEP):
            if not self._recv(NOBLOCK, False).more:
                self._discarding = False
                return True
        return False

    def _raise_if_closed(self, error: zmq.ZMQError) -> None:
        if self.closed:
            raise trio.ClosedResourceError("the socket is closed") from error
