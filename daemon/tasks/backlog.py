"""Messages that were read off a socket ahead of their turn, so that what must not wait is found among them.

Peers take turns, as they do on the socket itself: whoever sends little is not kept waiting by whoever sends much. A
peer can be held back for a while: what it sends waits here, and nobody else does.
"""

from collections import deque

from ..transport.zeromq import Message


class Backlog:
    """A bounded queue of messages, first in first out for each peer."""

    def __init__(self, limit: int, limit_bytes: int) -> None:
        """Takes nothing more beyond so many messages, or so many bytes: the rest stays where it is, on the socket."""
        self._limit = limit
        self._limit_bytes = limit_bytes
        self._queues: dict[bytes, deque[Message]] = {}
        self._held: dict[bytes, tuple[int, deque[Message]]] = {}
        self._count = 0
        self._bytes = 0

    def __bool__(self) -> bool:
        """Whether there is a message whose turn it is."""
        return bool(self._queues)

    def __len__(self) -> int:
        return self._count

    @property
    def holds(self) -> bool:
        """Whether some peer is held back: what comes from it must not be taken past what waits here."""
        return bool(self._held)

    @property
    def full(self) -> bool:
        return self._count >= self._limit or self._bytes >= self._limit_bytes

    def put(self, message: Message) -> None:
        """Keep a message until its peer's turn."""
        identity = message.identity
        if self._held and identity in self._held:
            queue = self._held[identity][1]
        else:
            queue = self._queues.setdefault(identity, deque())
        queue.append(message)
        self._count += 1
        self._bytes += _size(message)

    def take(self) -> Message:
        """The next message, of the peer whose turn it is. Raises IndexError when it is nobody's."""
        if not self._queues:
            raise IndexError("nobody's turn")
        identity = next(iter(self._queues))
        queue = self._queues.pop(identity)
        message = queue.popleft()
        if queue:
            self._queues[identity] = queue
        self._count -= 1
        self._bytes -= _size(message)
        return message

    def hold(self, identity: bytes, until_ns: int) -> None:
        """Pass over a peer until then; one that is held back already stays so for as long as it was to."""
        if identity not in self._held:
            self._held[identity] = (until_ns, self._queues.pop(identity, deque()))

    def release(self, now_ns: float) -> int | None:
        """Let those have their turn again whose time has come; when the next one's comes, None for none."""
        for identity in [identity for identity, (until_ns, _) in self._held.items() if until_ns <= now_ns]:
            _, queue = self._held.pop(identity)
            if queue:
                self._queues[identity] = queue
        return min((until_ns for until_ns, _ in self._held.values()), default=None)


def _size(message: Message) -> int:
    return sum(map(len, message.frames))
