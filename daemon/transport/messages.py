"""What passes between the daemon and its local peers, and what sends and receives it: the ports of zeromq.py.

In service libzmq stands behind them, in tests and simulations memory/zeromq.py.
"""

import enum
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final, Protocol

import msgspec
import zmq

from .doors import DoorNews

FRAME_LIMIT_BYTES: Final = 1 << 20
FRAMES_LIMIT: Final = 4
RECEIVE_LIMIT: Final = 1_000  # messages libzmq keeps per peer before it stops reading from that peer
SEND_LIMIT: Final = 1_000  # messages libzmq keeps per peer that does not read
EVENT_LIMIT: Final = 10_000  # events libzmq keeps per subscriber that does not read
PEER_TEXTS_LIMIT: Final = 4_096


class Sent(enum.Enum):
    """What became of a message given to `send_nowait`."""

    OK = enum.auto()  # libzmq has it; whether the peer ever reads it is not known
    FULL = enum.auto()  # the peer does not read and its queue is full; nothing was sent
    GONE = enum.auto()  # no such peer is connected; nothing was sent


class Peer(msgspec.Struct, frozen=True):
    """Who connected, as the kernel recorded it at connect time (SO_PEERCRED): a peer cannot forge it."""

    uid: int
    pid: int


class Message(msgspec.Struct, eq=False):
    """One received message: `identity` is the address for a reply, `frames` is everything after it.

    `frames` holds at least one frame, and at most one more than the socket's frames limit: a longer list means that
    the peer sent too many and the rest was thrown away. A struct because it is made per message: 0.3 us less.
    """

    identity: bytes
    frames: list[bytes]
    origin: zmq.Frame | Peer | None = None  # what `peer` is read from

    @property
    def peer(self) -> Peer | None:
        """The sender's uid and pid; None where the transport knows none (inproc).

        Read from the frame itself and only when asked (0.4 us). Never remembered by identity: a peer may choose its
        identity, also one that libzmq gave to somebody else before, and would be taken for that other peer.
        """
        origin = self.origin
        if isinstance(origin, zmq.Frame):
            try:
                address = origin.get("Peer-Address")
            except zmq.ZMQError:
                return None
            return _peer_from(str(address))
        return origin

    def __repr__(self) -> str:
        # Contents stay out of logs and tracebacks.
        return f"Message(identity={self.identity.hex()}, sizes={[len(frame) for frame in self.frames]})"


class Router(Protocol):
    """A socket that many peers send to and that answers each by its identity.

    The owner's loop: `receive_nowait` until None or a cap of its own, then `await readable()`, and again; every half
    second or so it cancels the wait and goes round without it, belt and braces against a wake-up lost by libzmq.
    One task receives; any task of the same trio run may send.
    """

    @property
    def rescues(self) -> int:
        """Times that the slow timer alone found a message; a count that grows is a bug in this room.

        A single one can be chance: a message that arrived within the few microseconds of the look itself.
        """
        ...

    def receive_nowait(self) -> Message | None:
        """The next message, or None when there is none now. Never raises on what a peer sent.

        Raises trio.ClosedResourceError after `close`.
        """
        ...

    def send_nowait(self, identity: bytes, frames: Sequence[bytes]) -> Sent:
        """Hand one message to the peer `identity`; never waits, never drops silently.

        frames: at least one. Raises trio.ClosedResourceError after `close`.
        """
        ...

    async def readable(self) -> None:
        """Return when `receive_nowait` is worth calling again; it may still answer None. Always a checkpoint.

        Raises trio.ClosedResourceError when the socket is closed before or meanwhile, trio.BusyResourceError when
        another task waits already.
        """
        ...

    def rouse(self) -> None:
        """Have a wait for `readable` return now, for a reason that is not on the socket."""
        ...

    def close(self) -> None:
        """Close the socket; calling it again does nothing. The socket's file stays, as libzmq leaves it."""
        ...


class Publisher(Protocol):
    """A socket that any number of subscribers listen to."""

    @property
    def dropped(self) -> int:
        """Events that at least one subscriber lost because it did not read."""
        ...

    def wants(self, topic: bytes) -> bool:
        """Whether anybody listens to events of this topic: else none needs to be made."""
        ...

    def publish_nowait(self, topic: bytes, body: bytes) -> None:
        """Hand one event, frames `[topic, body]`, to every subscriber whose queue has room; never waits.

        Raises trio.ClosedResourceError after `close`.
        """
        ...

    def close(self) -> None:
        """Close the socket; calling it again does nothing."""
        ...


class MessageBus(Protocol):
    """What opens routers and publishers: `Bus` in service, `MemoryBus` under virtual time."""

    version: str

    def router(
        self,
        endpoint: str,
        *,
        mode: int,
        max_frame_bytes: int = FRAME_LIMIT_BYTES,
        frames_limit: int = FRAMES_LIMIT,
        closes_last: bool = False,
    ) -> Router:
        """Open a router on `endpoint`. Raises ValueError on a refused endpoint, BindFailed when it cannot be had."""
        ...

    def publisher(self, endpoint: str, *, mode: int) -> Publisher:
        """Open a publisher on `endpoint`. Raises as `router` does."""
        ...

    async def guard(self, turns_away: Callable[[bool], None], door_news: Callable[[DoorNews], None]) -> None:
        """Keep the sockets' files, and turn newcomers away while descriptors run short. Ends by cancellation.

        turns_away: told when that begins and ends. door_news: told what somebody did to a file.
        """
        ...

    async def aclose(self) -> None:
        """Close everything opened here, within a bound."""
        ...


@lru_cache(maxsize=PEER_TEXTS_LIMIT)
def _peer_from(address: str) -> Peer | None:
    """libzmq's text for an ipc peer, `localhost:uid:gid:pid`; None for any other text."""
    parts = address.split(":")
    if len(parts) != 4 or not all(part.isdecimal() for part in parts[1:]):
        return None
    return Peer(uid=int(parts[1]), pid=int(parts[3]))
