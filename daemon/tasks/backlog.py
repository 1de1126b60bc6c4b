"""Messages that were read off a socket ahead of their turn, so that what must not wait is found among them.

Peers take turns, as they do on the socket itself: whoever sends little is not kept waiting by whoever sends much. A
peer can be held back for a while: what of it can wait does so here, and nobody else does.
"""

from collections import deque

from ..transport.messages import Message


class Backlog:
    """A bounded queue of messages, first in first out for each peer."""

    def __init__(self, limit: int, limit_bytes: int) -> None:
        """Takes nothing more beyond so many messages, or so many bytes: the rest stays where it is, on the socket."""
        self._limit = limit
        self._limit_bytes = limit_bytes
        self._queues: dict[bytes, deque[Message]] = {}
        # Of peers that are held back, with their times, and of those that were and have not caught up yet.
        self._held: dict[bytes, tuple[int, deque[Message]]] = {}
        self._released: dict[bytes, deque[Message]] = {}
        self._released_next = False
        self._count = 0
        self._bytes = 0

    def __bool__(self) -> bool:
        """Whether there is a message whose turn it is."""
        return bool(self._queues) or bool(self._released)

    def __len__(self) -> int:
        return self._count

    @property
    def holds(self) -> bool:
        """Whether some peer is held back."""
        return bool(self._held)

    def lags(self, identity: bytes) -> bool:
        """Whether something of this peer was put aside, or is to be: more of the kind belongs behind it."""
        return identity in self._held or identity in self._released

    @property
    def full(self) -> bool:
        return self._count >= self._limit or self._bytes >= self._limit_bytes

    def put(self, message: Message) -> None:
        """Keep a message until its peer's turn, whether that peer is held back or not."""
        queue = self._queues.get(message.identity)
        if queue is None:
            queue = self._queues[message.identity] = deque()
        self._add(queue, message)

    def put_aside(self, message: Message) -> None:
        """Keep a message of a peer that lags, behind what was put aside before."""
        held = self._held.get(message.identity)
        self._add(self._released[message.identity] if held is None else held[1], message)

    def take(self) -> tuple[Message, bool]:
        """The next message, of the peer whose turn it is, and whether it was put aside before.

        Raises IndexError when it is nobody's turn.
        """
        queues = self._queues or self._released
        if not queues:
            raise IndexError("nobody's turn")
        if self._released:
            # Neither kind keeps the other from its turn.
            self._released_next = not self._released_next
            queues = self._released if self._released_next else queues
        identity = next(iter(queues))
        queue = queues.pop(identity)
        message = queue.popleft()
        if queue:
            queues[identity] = queue
        self._count -= 1
        self._bytes -= _size(message)
        return message, queues is self._released

    def hold(self, identity: bytes, until_ns: int) -> None:
        """Hold a peer back until then; one that is held back already stays so for as long as it was to."""
        if identity not in self._held:
            self._held[identity] = (until_ns, self._released.pop(identity, deque()))

    def release(self, now_ns: float) -> int | None:
        """Let those go on whose time has come; when the next one's comes, None for none."""
        for identity in [identity for identity, (until_ns, _) in self._held.items() if until_ns <= now_ns]:
            _, queue = self._held.pop(identity)
            if queue:
                self._released[identity] = queue
        return min((until_ns for until_ns, _ in self._held.values()), default=None)

    def _add(self, queue: deque[Message], message: Message) -> None:
        queue.append(message)
        self._count += 1
        self._bytes += _size(message)


def _size(message: Message) -> int:
    return sum(map(len, message.frames))
