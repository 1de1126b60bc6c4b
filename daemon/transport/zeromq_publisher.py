"""The socket of events: an XPUB, which tells who listens to what, so that nothing is made for nobody.

libzmq takes in every topic that a subscriber sends, without a bound, and has no way to end one connection. So whoever
sends too many has the socket closed, which gives the memory back, and bound anew a while later: honest subscribers
come back by themselves and see a gap in the numbers of what they hear.
"""

from collections.abc import Callable
from typing import Final, NamedTuple, cast

import trio
import zmq

from .doors import AGAIN_LIMIT_S, AGAIN_S, QUIET_S
from .endpoints import BindFailed
from .zeromq_sockets import EVENTS, NOBLOCK, NOBLOCK_MORE, POLLIN

TOPICS_LIMIT: Final = 64
"""Topics of one process; there are some 25 in all. With the limit of a topic's bytes that is 4 KiB."""

TOPICS_IN_ALL: Final = 1_024
READ_STEP: Final = 64
"""Subscriptions taken in at once: 0.1 ms of the loop."""

_SUBSCRIBED: Final = b"\x01"
_LEFT: Final = b"\x00"
_UNKNOWN: Final = "an unknown process"


class _Topics:
    """Who subscribed to what first. libzmq tells of a topic's first subscriber and of its last one's leaving."""

    def __init__(self) -> None:
        self._of: dict[bytes, str] = {}
        self._counts: dict[str, int] = {}
        self._wanted: dict[bytes, bool] = {}

    def wanted(self, topic: bytes) -> bool:
        """Whether somebody listens to a topic, or to a beginning of it."""
        known = self._wanted.get(topic)
        if known is None:
            known = self._wanted[topic] = any(map(topic.startswith, self._of))
        return known

    def take(self, message: bytes, peer: str) -> bool:
        """Take in what a subscriber sent; False when it is more than its share, or no subscription."""
        self._wanted.clear()
        kind, topic = message[:1], message[1:]
        if kind == _LEFT:
            owner = self._of.pop(topic, None)
            if owner is not None:
                self._counts[owner] -= 1
                if not self._counts[owner]:
                    del self._counts[owner]
            return True
        if kind == _SUBSCRIBED and topic not in self._of:
            self._of[topic] = peer
            self._counts[peer] = self._counts.get(peer, 0) + 1
        return kind == _SUBSCRIBED and self._counts.get(peer, 0) <= TOPICS_LIMIT and len(self._of) <= TOPICS_IN_ALL


class Flooded(NamedTuple):
    """The socket was closed on account of a subscriber."""

    detail: str


class ZeromqPublisher:
    """A bound XPUB socket; made by `Bus.publisher`."""

    def __init__(self, open_socket: Callable[[], "zmq.Socket[bytes]"]) -> None:
        """open_socket: gives a bound one, again and again. Raises BindFailed."""
        self.dropped = 0
        self.closed = False
        self.socket: zmq.Socket[bytes]
        self._open_socket = open_socket
        self._pause_s = AGAIN_S
        self._shut_s = float("-inf")
        self._open()

    def wants(self, topic: bytes) -> bool:
        if self._topics.wanted(topic):
            return True
        # Nobody is to miss an event because its subscription was not read yet.
        return not self.socket.closed and self._read() and self._topics.wanted(topic)

    def publish_nowait(self, topic: bytes, body: bytes) -> None:
        if self.closed:
            raise trio.ClosedResourceError("the socket is closed")
        if self.socket.closed:
            return
        try:
            self._send(topic, NOBLOCK_MORE)
        except zmq.Again:
            # Somebody's queue is full, and nobody got it. Send again with drops allowed: the others must not suffer.
            self.dropped += 1
            self.socket.setsockopt(zmq.XPUB_NODROP, 0)
            self._send(topic, NOBLOCK_MORE)
            self._send(body, NOBLOCK)
            self.socket.setsockopt(zmq.XPUB_NODROP, 1)
        else:
            self._send(body, NOBLOCK)

    def heed(self, now_s: float) -> "Flooded | None":
        """Take in who listens; close the socket where one subscriber sends too much. now_s: trio's clock.

        To be called often: what was not read is kept by libzmq.
        """
        if self.closed or self.socket.closed:
            return None
        self._read()
        if self._flooder is None:
            return None
        self.socket.close(linger=0)
        self._topics = _Topics()
        self._pause_s = AGAIN_S if now_s - self._shut_s > QUIET_S else min(AGAIN_LIMIT_S, 2 * self._pause_s)
        self._shut_s = now_s
        return Flooded(f"{self._flooder} sent more than {TOPICS_LIMIT} topics; bound anew in {self._pause_s:.0f} s")

    def reopen(self, now_s: float) -> bool:
        """Bind anew when it is time to; whether that was done."""
        if self.closed or not self.socket.closed or now_s - self._shut_s < self._pause_s:
            return False
        try:
            self._open()
        except BindFailed:
            self._pause_s += AGAIN_S
            return False
        return True

    def close(self) -> None:
        self.closed = True
        self.socket.close()

    def _open(self) -> None:
        self._topics = _Topics()
        self._flooder: str | None = None
        socket = self._open_socket()
        self.socket = socket
        # Below pyzmq's Python wrapper send costs half.
        self._send = super(zmq.Socket, socket).send
        self._events = cast("Callable[[int], int]", super(zmq.Socket, socket).get)

    def _read(self) -> bool:
        """Take in what subscribers sent; whether there was anything."""
        read = 0
        while read < READ_STEP and self._events(EVENTS) & POLLIN:
            frame = self.socket.recv(NOBLOCK, copy=False)
            peer = _peer_of(frame)
            if not self._topics.take(frame.bytes, peer) and self._flooder is None:
                self._flooder = peer
            read += 1
        return read > 0


def _peer_of(frame: zmq.Frame) -> str:
    """Who sent a subscription, as the kernel tells."""
    try:
        parts = str(frame.get("Peer-Address")).split(":")
    except zmq.ZMQError:
        return _UNKNOWN
    return f"uid {parts[1]} pid {parts[3]}" if len(parts) == 4 else _UNKNOWN
