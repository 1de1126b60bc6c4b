"""Messages that were read off a socket ahead of their turn, so that what must not wait is found among them.

Peers take turns, as they do on the socket itself: whoever sends little is not kept waiting by whoever sends much.
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
        self._count = 0
        self._bytes = 0

    def __len__(self) -> int:
        return self._count

    @property
    def full(self) -> bool:
        return self._count >= self._limit or self._bytes >= self._limit_bytes

    def put(self, message: Message) -> None:
        """Keep a message until its peer's turn."""
        queue = self._queues.get(message.identity)
        if queue is None:
            queue = self._queues[message.identity] = deque()
        queue.append(message)
        self._count += 1
        self._bytes += _size(message)

    def take(self) -> Message:
        """The next message, of the peer whose turn it is. Raises IndexError when there is none."""
        if not self._queues:
            raise IndexError("the backlog is empty")
        identity = next(iter(self._queues))
        queue = self._queues.pop(identity)
        message = queue.popleft()
        if queue:
            self._queues[identity] = queue
        self._count -= 1
        self._bytes -= _size(message)
        return message


def _size(message: Message) -> int:
    return sum(map(len, message.frames))
