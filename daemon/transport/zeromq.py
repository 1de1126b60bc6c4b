"""Local message sockets: pyzmq ROUTER and PUB sockets on trio, through libzmq's edge-triggered descriptor.

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

from .descriptors import count_descriptors, raise_descriptor_limit
from .endpoints import IPC, Door, bind, check_endpoint
from .endpoints import BindFailed as BindFailed  # what every caller of Bus must catch
from .messages import (
    EVENT_LIMIT,
    FRAME_LIMIT_BYTES,
    FRAMES_LIMIT,
    RECEIVE_LIMIT,
    SEND_LIMIT,
    Message,
    Publisher,
    Router,
    Sent,
)

LIBZMQ_OLDEST: Final = (4, 3, 5)  # older ones carry known memory faults that a local peer can reach
LINGER_MS: Final = 200  # last replies get this long to leave; libzmq's own default waits for ever
TERM_TIMEOUT_S: Final = 1.0  # above LINGER_MS with room for a busy machine
HANDSHAKE_MS: Final = 1_000  # a peer that connects and says nothing holds a descriptor no longer than this
SUBSCRIPTION_LIMIT_BYTES: Final = 1_024  # the only thing a subscriber sends is topic prefixes
DISCARD_STEP: Final = 256  # frames of an excessive message thrown away per call: about 0.2 ms of the loop

# Descriptors that newcomers leave to the venues' connections and files: a fifth, or this many where a fifth is less,
# but never more than half. libzmq accepts some 25,000 a second: 500 between two looks.
SPARE_DESCRIPTORS: Final = 1_024
LOOK_S: Final = 0.02

# Plain ints: pyzmq's enums cost more to combine and pass than the calls they are passed to.
_NOBLOCK: Final = int(zmq.NOBLOCK)
_NOBLOCK_MORE: Final = int(zmq.NOBLOCK | zmq.SNDMORE)
_EVENTS: Final = int(zmq.EVENTS)
_POLLIN: Final = int(zmq.POLLIN)


class Bus:
    """libzmq in this process: one context, its I/O thread and the sockets opened through it.

    Never fork after this was made: nothing of libzmq works in the child.
    """

    def __init__(self) -> None:
        """Raises RuntimeError on a libzmq older than LIBZMQ_OLDEST."""
        found = zmq.zmq_version_info()
        if found < LIBZMQ_OLDEST:
            wanted = ".".join(map(str, LIBZMQ_OLDEST))
            raise RuntimeError(f"libzmq {zmq.zmq_version()} is too old, {wanted} is the oldest accepted")
        self.version = zmq.zmq_version()
        # libzmq aborts the process when accept finds none left, and the usual soft limit of 1,024 is one burst of
        # connections from any local peer: each may hold one for HANDSHAKE_MS without a word.
        raise_descriptor_limit()
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._context.linger = LINGER_MS  # inherited by every socket
        self._opened: list[ZeromqRouter | ZeromqPublisher] = []
        self._doors: list[Door] = []

    def router(
        self,
        endpoint: str,
        *,
        mode: int,
        max_frame_bytes: int = FRAME_LIMIT_BYTES,
        frames_limit: int = FRAMES_LIMIT,
        closes_last: bool = False,
    ) -> Router:
        """Bind a ROUTER socket; an ipc socket file has exactly `mode` from its first moment.

        max_frame_bytes: a peer that sends a larger frame loses its connection.
        frames_limit: frames after the identity; of a longer message only one more than that is kept.
        closes_last: while descriptors run short newcomers get in here for longer than anywhere else. For a socket
        that few may open.
        Raises ValueError on an endpoint that `check_endpoint` refuses, BindFailed when it cannot be had.

        Binding takes the address from whoever listens there, silently: hold a lock first (`disk.Directory.lock`), and
        watch `socket_inode` afterwards.
        """
        check_endpoint(endpoint)
        socket = self._context.socket(zmq.ROUTER)
        # Without MANDATORY libzmq drops what it cannot deliver and says nothing.
        socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        # A newcomer who names another's identity must not get the other's replies.
        socket.setsockopt(zmq.ROUTER_HANDOVER, 0)
        socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
        socket.setsockopt(zmq.MAXMSGSIZE, max_frame_bytes)
        socket.setsockopt(zmq.RCVHWM, RECEIVE_LIMIT)
        socket.setsockopt(zmq.SNDHWM, SEND_LIMIT)
        bind(socket, endpoint, mode)
        router = ZeromqRouter(socket, frames_limit)
        self._keep(router, socket, endpoint, closes_last)
        return router

    def publisher(self, endpoint: str, *, mode: int) -> Publisher:
        """Bind a PUB socket; the file's mode and the errors are as for `router`."""
        check_endpoint(endpoint)
        socket = self._context.socket(zmq.PUB)
        # With NODROP a full subscriber is an error to react to instead of a silent loss: see publish_nowait.
        socket.setsockopt(zmq.XPUB_NODROP, 1)
        socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
        socket.setsockopt(zmq.MAXMSGSIZE, SUBSCRIPTION_LIMIT_BYTES)
        socket.setsockopt(zmq.SNDHWM, EVENT_LIMIT)
        bind(socket, endpoint, mode)
        publisher = ZeromqPublisher(socket)
        self._keep(publisher, socket, endpoint)
        return publisher

    async def aclose(self) -> None:
        """Close every socket, give queued messages LINGER_MS to leave, and end within TERM_TIMEOUT_S."""
        for opened in self._opened:
            opened.close()
        self._opened.clear()
        if self._context.closed:
            await trio.lowlevel.checkpoint()
            return
        # term() blocks in C where no cancellation reaches it: a thread may be left behind, the loop may not.
        with trio.move_on_after(TERM_TIMEOUT_S, shield=True):
            await trio.to_thread.run_sync(self._context.term, abandon_on_cancel=True)

    async def guard(self, turns_away: Callable[[bool], None]) -> None:
        """Turn newcomers away while descriptors run short, and tell when that begins and ends. Ends by cancellation.

        When accept finds none left, libzmq ends the whole process. Whoever is connected already notices nothing.
        """
        shut = False
        try:
            while True:
                in_use, limit = count_descriptors()
                spare = max(limit // 5, min(SPARE_DESCRIPTORS, limit // 2))
                for door in self._doors:
                    door.heed(limit - in_use, spare)
                if shut is not any(door.is_shut for door in self._doors):
                    shut = not shut
                    turns_away(shut)
                await trio.sleep(LOOK_S)
        finally:
            for door in self._doors:
                if door.is_shut:
                    door.open()

    def _keep(
        self,
        opened: "ZeromqRouter | ZeromqPublisher",
        socket: "zmq.Socket[bytes]",
        endpoint: str,
        closes_last: bool = False,
    ) -> None:
        # An endpoint may be bound again and again, after thefts: those closed since need no closing at the end.
        self._opened = [known for known in self._opened if not known.closed]
        self._opened.append(opened)
        self._doors = [known for known in self._doors if known.is_shut or not known.closed]
        if endpoint.startswith(IPC):
            self._doors.append(Door(socket, endpoint, closes_last))


class ZeromqRouter:
    """A bound ROUTER socket under the rules at the top of this file; made by `Bus.router`."""

    def __init__(self, socket: "zmq.Socket[bytes]", frames_limit: int) -> None:
        self.rescues = 0
        self._socket = socket
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
            if not self._received or self._events(_EVENTS) & _POLLIN:
                identity = recv(_NOBLOCK)
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
        origin = recv(_NOBLOCK, False)
        frames = [origin.bytes]
        more: bool = origin.more
        while more:
            if len(frames) > self._frames_limit:
                self._discarding = True
                break
            frame = recv(_NOBLOCK, False)
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
            send(identity, _NOBLOCK_MORE)
        except zmq.Again:
            sent = Sent.FULL
        except zmq.ZMQError as error:
            self._raise_if_closed(error)
            if error.errno != errno.EHOSTUNREACH:
                raise
            sent = Sent.GONE
        else:
            for frame in frames[:-1]:
                send(frame, _NOBLOCK_MORE)
            send(frames[-1], _NOBLOCK)
        # A refused send reads the mailbox too, so the reader is looked after in every case.
        self._drained = False
        if self._parked and self._events(_EVENTS) & _POLLIN:
            self.rouse()
        return sent

    def rouse(self) -> None:
        if self._parked:
            self._parked = False
            # The descriptor stays open; this is how trio ends a wait without a scope around it.
            trio.lowlevel.notify_closing(self._descriptor)

    async def readable(self) -> None:
        if self.closed:
            await trio.lowlevel.checkpoint()
            raise trio.ClosedResourceError("the socket is closed")
        if self._parked:
            await trio.lowlevel.checkpoint()
            raise trio.BusyResourceError("another task waits on this socket")
        if not self._drained:
            # The caller stopped at its cap, or something was sent since libzmq said EAGAIN.
            if self._events(_EVENTS) & _POLLIN:
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
            if not self.closed and not self._descriptor_poll.poll(0) and self._events(_EVENTS) & _POLLIN:
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
        self._socket.close()

    def _discard(self) -> bool:
        """Throw away up to DISCARD_STEP frames of the current message; True when it has ended."""
        for _ in range(DISCARD_STEP):
            if not self._recv(_NOBLOCK, False).more:
                self._discarding = False
                return True
        return False

    def _raise_if_closed(self, error: zmq.ZMQError) -> None:
        if self.closed:
            raise trio.ClosedResourceError("the socket is closed") from error


class ZeromqPublisher:
    """A bound PUB socket; made by `Bus.publisher`."""

    def __init__(self, socket: "zmq.Socket[bytes]") -> None:
        self.dropped = 0
        self._socket = socket
        self._send = super(zmq.Socket, socket).send
        self.closed = False

    def publish_nowait(self, topic: bytes, body: bytes) -> None:
        if self.closed:
            raise trio.ClosedResourceError("the socket is closed")
        try:
            self._send(topic, _NOBLOCK_MORE)
        except zmq.Again:
            # Somebody's queue is full, and nobody got it. Send again with drops allowed: the others must not suffer.
            self.dropped += 1
            self._socket.setsockopt(zmq.XPUB_NODROP, 0)
            self._send(topic, _NOBLOCK_MORE)
            self._send(body, _NOBLOCK)
            self._socket.setsockopt(zmq.XPUB_NODROP, 1)
        else:
            self._send(body, _NOBLOCK)

    def close(self) -> None:
        self.closed = True
        self._socket.close()
