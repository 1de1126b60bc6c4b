"""The local message sockets of zeromq.py without libzmq, descriptors or threads.

One `MemoryBus` plays one machine: it outlives the process under test, so dealers and subscribers stay while a router is
closed and bound again, as libzmq's own do by reconnecting.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

import trio

from ..doors import DoorNews
from ..endpoints import check_endpoint
from ..messages import (
    EVENT_LIMIT,
    FRAME_LIMIT_BYTES,
    FRAMES_LIMIT,
    RECEIVE_LIMIT,
    SEND_LIMIT,
    Message,
    Peer,
    Sent,
)

MEMORY_PEER: Final = Peer(uid=1_000, pid=4_242)


class MemoryBus:
    """The local message bus of one simulated machine."""

    def __init__(self, *, send_limit: int = SEND_LIMIT, event_limit: int = EVENT_LIMIT) -> None:
        """send_limit: replies kept for a dealer that does not read; event_limit: events kept per subscriber."""
        self.version = "memory"
        self._send_limit = send_limit
        self._event_limit = event_limit
        self._routers: dict[str, MemoryRouter] = {}
        self._publishers: dict[str, MemoryPublisher] = {}
        self._dealers: dict[str, list[MemoryDealer]] = {}
        self._subscribers: dict[str, list[MemorySubscriber]] = {}
        self._identities = 0

    def router(
        self,
        endpoint: str,
        *,
        mode: int,
        max_frame_bytes: int = FRAME_LIMIT_BYTES,
        frames_limit: int = FRAMES_LIMIT,
        closes_last: bool = False,
    ) -> "MemoryRouter":
        """Bind a router; like libzmq, it takes the address from whoever had it.

        `mode` and `closes_last` are not modelled.
        """
        check_endpoint(endpoint)
        router = MemoryRouter(max_frame_bytes, frames_limit, self._send_limit)
        deaf = self._routers.get(endpoint)
        self._routers[endpoint] = router
        for dealer in self._dealers.get(endpoint, []):
            # A router that lost its address keeps the peers it has, as libzmq's does; the others come to the new one.
            if deaf is None or not deaf.has(dealer):
                self._attach(dealer, router)
        return router

    def publisher(self, endpoint: str, *, mode: int) -> "MemoryPublisher":
        """Bind a publisher; `mode` is not modelled."""
        check_endpoint(endpoint)
        publisher = MemoryPublisher(self._subscribers.setdefault(endpoint, []), self._event_limit)
        self._publishers[endpoint] = publisher
        return publisher

    def connect(self, endpoint: str, *, identity: bytes | None = None, peer: Peer = MEMORY_PEER) -> "MemoryDealer":
        """A client of the router on `endpoint`, which may be bound later.

        identity: None lets the router choose one, anew after each reconnect, as libzmq does.
        """

        def reconnect() -> None:
            router = self._routers.get(endpoint)
            if router is not None:
                self._attach(dealer, router)

        dealer = MemoryDealer(identity, peer, reconnect)
        self._dealers.setdefault(endpoint, []).append(dealer)
        reconnect()
        return dealer

    def subscribe(self, endpoint: str, topic: bytes = b"") -> "MemorySubscriber":
        """A listener for topics that begin with `topic`."""
        subscriber = MemorySubscriber(topic)
        self._subscribers.setdefault(endpoint, []).append(subscriber)
        return subscriber

    def drop_process(self) -> None:
        """Act as if the process that bound here died at once: what it had not read is lost, clients wait for the next.

        A task parked in `readable` is woken with trio.ClosedResourceError.
        """
        for router in self._routers.values():
            router.close()
        for publisher in self._publishers.values():
            publisher.close()
        self._routers.clear()
        self._publishers.clear()

    async def guard(self, turns_away: Callable[[bool], None], door_news: Callable[[DoorNews], None]) -> None:
        """There are neither descriptors to run short of nor files to lose."""
        await trio.sleep_forever()

    async def aclose(self) -> None:
        """Close what is bound; dealers and subscribers stay. The bus can be bound again afterwards."""
        self.drop_process()
        await trio.lowlevel.checkpoint()

    def _attach(self, dealer: "MemoryDealer", router: "MemoryRouter") -> None:
        if dealer.closed:
            return
        identity = dealer.wanted_identity
        if identity is None:
            self._identities += 1
            identity = b"\0" + self._identities.to_bytes(4, "big")
        router.attach(identity, dealer)


class MemoryRouter:
    """Keeps the promises of `messages.Router`; made by `MemoryBus.router`."""

    def __init__(self, max_frame_bytes: int, frames_limit: int, send_limit: int) -> None:
        self.rescues = 0
        self._max_frame_bytes = max_frame_bytes
        self._frames_limit = frames_limit
        self._send_limit = send_limit
        self._inbox: deque[Message] = deque()
        self._dealers: dict[bytes, MemoryDealer] = {}
        self._news = trio.Event()
        self._waiting = False
        self._closed = False

    def receive_nowait(self) -> Message | None:
        self._raise_if_closed()
        return self._inbox.popleft() if self._inbox else None

    def send_nowait(self, identity: bytes, frames: Sequence[bytes]) -> Sent:
        if not frames:
            raise ValueError("a message has at least one frame")
        self._raise_if_closed()
        dealer = self._dealers.get(identity)
        if dealer is None or dealer.closed:
            return Sent.GONE
        return Sent.OK if dealer.deliver(list(frames), self._send_limit) else Sent.FULL

    async def readable(self) -> None:
        await trio.lowlevel.checkpoint()
        self._raise_if_closed()
        if self._waiting:
            raise trio.BusyResourceError("another task waits on this socket")
        if not self._inbox:
            self._news = trio.Event()
            self._waiting = True
            try:
                await self._news.wait()
            finally:
                self._waiting = False
            self._raise_if_closed()

    def rouse(self) -> None:
        self._news.set()

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._inbox.clear()
        for dealer in self._dealers.values():
            dealer.detach(self)
        self._dealers.clear()
        self._news.set()

    def has(self, dealer: "MemoryDealer") -> bool:
        """Whether `dealer` is connected here."""
        return any(known is dealer for known in self._dealers.values())

    def attach(self, identity: bytes, dealer: "MemoryDealer") -> None:
        """Connect `dealer` and take what it had queued; a second owner of an identity is ignored, as in libzmq."""
        if identity in self._dealers and not self._dealers[identity].closed:
            return
        self._dealers[identity] = dealer
        dealer.attached(self, identity)

    def push(self, identity: bytes, frames: list[bytes], peer: Peer) -> bool:
        """Take one message from a dealer; False when a frame is over the limit and ends the connection."""
        if any(len(frame) > self._max_frame_bytes for frame in frames):
            del self._dealers[identity]
            return False
        self._inbox.append(Message(identity, frames[: self._frames_limit + 1], peer))
        self._news.set()
        return True

    def forget(self, identity: bytes) -> None:
        """The dealer behind `identity` has gone; what it had sent before still arrives."""
        self._dealers.pop(identity, None)

    def _raise_if_closed(self) -> None:
        if self._closed:
            raise trio.ClosedResourceError("the socket is closed")


class MemoryDealer:
    """A client of a memory router; made by `MemoryBus.connect`."""

    def __init__(self, wanted_identity: bytes | None, peer: Peer, reconnect: Callable[[], None]) -> None:
        self._reconnect = reconnect
        self.wanted_identity = wanted_identity
        self.peer = peer
        self.closed = False
        self._router: MemoryRouter | None = None
        self._identity = b""
        self._outbox: deque[list[bytes]] = deque()
        self._inbox: deque[list[bytes]] = deque()
        self._news = trio.Event()

    @property
    def unsent(self) -> int:
        """How many messages wait for a router."""
        return len(self._outbox)

    async def send(self, frames: Sequence[bytes]) -> None:
        """Queue one message; while no router is bound it waits here, as with libzmq.

        Raises trio.ClosedResourceError when closed, trio.WouldBlock when RECEIVE_LIMIT messages wait for a router.
        """
        await trio.lowlevel.checkpoint()
        self.send_nowait(frames)

    def send_nowait(self, frames: Sequence[bytes]) -> None:
        """As `send`, without the checkpoint."""
        if self.closed:
            raise trio.ClosedResourceError("the dealer is closed")
        if len(self._outbox) >= RECEIVE_LIMIT:
            raise trio.WouldBlock
        self._outbox.append(list(frames))
        self._flush()

    async def receive(self) -> list[bytes]:
        """The next reply's frames; waits for one. Raises trio.ClosedResourceError when closed."""
        await trio.lowlevel.checkpoint()
        while not self._inbox:
            if self.closed:
                raise trio.ClosedResourceError("the dealer is closed")
            self._news = trio.Event()
            await self._news.wait()
        return self._inbox.popleft()

    def receive_nowait(self) -> list[bytes] | None:
        """The next reply's frames, or None when there is none."""
        return self._inbox.popleft() if self._inbox else None

    def close(self) -> None:
        """Go away, as a client that exits does: replies to it are answered with Sent.GONE from now on."""
        self.closed = True
        if self._router is not None:
            self._router.forget(self._identity)
            self._router = None
        self._news.set()

    def attached(self, router: MemoryRouter, identity: bytes) -> None:
        """The router side of connecting."""
        self._router = router
        self._identity = identity
        self._flush()

    def detach(self, router: MemoryRouter) -> None:
        """The router went away; keep what is still to be sent for the next one."""
        if self._router is router:
            self._router = None

    def deliver(self, frames: list[bytes], limit: int) -> bool:
        """Take one reply; False when `limit` replies wait unread."""
        if len(self._inbox) >= limit:
            return False
        self._inbox.append(frames)
        self._news.set()
        return True

    def _flush(self) -> None:
        while self._router is not None and self._outbox:
            if not self._router.push(self._identity, self._outbox.popleft(), self.peer):
                self._router = None
                self._reconnect()


class MemoryPublisher:
    """Keeps the promises of `messages.Publisher`; made by `MemoryBus.publisher`."""

    def __init__(self, subscribers: "list[MemorySubscriber]", event_limit: int) -> None:
        self.dropped = 0
        self._subscribers = subscribers
        self._event_limit = event_limit
        self._closed = False

    def wants(self, topic: bytes) -> bool:
        return any(topic.startswith(subscriber.topic) for subscriber in self._subscribers)

    def publish_nowait(self, topic: bytes, body: bytes) -> None:
        if self._closed:
            raise trio.ClosedResourceError("the socket is closed")
        # A list, not any(): every subscriber gets its copy even when an earlier one is full.
        taken = [
            subscriber.deliver(topic, body, self._event_limit)
            for subscriber in self._subscribers
            if topic.startswith(subscriber.topic)
        ]
        if not all(taken):
            self.dropped += 1

    def close(self) -> None:
        self._closed = True


class MemorySubscriber:
    """A listener on a memory publisher; made by `MemoryBus.subscribe`."""

    def __init__(self, topic: bytes) -> None:
        self.topic = topic
        self._inbox: deque[tuple[bytes, bytes]] = deque()
        self._news = trio.Event()

    async def receive(self) -> tuple[bytes, bytes]:
        """The next event as (topic, body); waits for one."""
        await trio.lowlevel.checkpoint()
        while not self._inbox:
            self._news = trio.Event()
            await self._news.wait()
        return self._inbox.popleft()

    def receive_nowait(self) -> tuple[bytes, bytes] | None:
        """The next event as (topic, body), or None when there is none."""
        return self._inbox.popleft() if self._inbox else None

    def deliver(self, topic: bytes, body: bytes, limit: int) -> bool:
        """Take one event; False when `limit` events wait unread."""
        if len(self._inbox) >= limit:
            return False
        self._inbox.append((topic, body))
        self._news.set()
        return True
