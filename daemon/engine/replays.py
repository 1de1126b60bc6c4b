"""The same id again: which command a client's id stands for, and what was replied to it.

An id is taken when its command is admitted and stays taken for REPLAY_WINDOW_S. Asked again meanwhile, the same command
gets the stored reply or waits for the one in flight; another command under the id is refused. Nothing here encodes for
a client, sends or reads a clock.
"""

import struct
from collections import OrderedDict
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, Final, Generic, TypeAlias, TypeVar

import msgspec

from ..contract.commands import Command
from ..contract.frames import untimed
from ..contract.ids import CommandID
from ..settings import REPLAY_LIMIT, REPLAY_WINDOW_S

WINDOW_NS: Final = REPLAY_WINDOW_S * 1_000_000_000

Waiter = TypeVar("Waiter")
"""Who is replied to: the ticket of an admitted command."""

Key: TypeAlias = bytes
"""The peer's identity and the id that it chose."""

_HEAD: Final = struct.Struct("<qH16s")
"""Of a packed reply: when its id is free again, the names of its members, the digest of its command. What follows are
the members' values: as long as all of it is bytes, a full table takes a quarter of the memory."""

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(list[Any]).decode


def key_of(identity: bytes, id: CommandID) -> Key:
    """No two peers and ids have the same key."""
    # An identity has 255 bytes at most, and is told from the id by its length.
    return b"%c%b%b" % (len(identity), identity, b"i%d" % id if isinstance(id, int) else b"s" + id.encode())


class Remembered(Generic[Waiter]):
    """One id of one client: in flight while there is a `waiter`, answered by `reply` from then on."""

    __slots__ = ("_digest", "command", "expires_ns", "reply", "waiter")

    def __init__(
        self,
        expires_ns: int,
        *,
        waiter: Waiter | None = None,
        command: Command | None = None,
        reply: Mapping[str, Any] | None = None,
        digest: bytes = b"",
    ) -> None:
        """command: of one in flight. digest: of the command that `reply` answered."""
        self.expires_ns = expires_ns
        self.waiter = waiter
        self.reply = reply
        self.command = command
        self._digest = digest

    def is_for(self, command: Command) -> bool:
        """Whether the id stands for this very command, whenever that was sent."""
        return (self._digest if self.command is None else _digest_of(self.command)) == _digest_of(command)


class Replays(Generic[Waiter]):
    """Every id that is taken, oldest first."""

    def __init__(self) -> None:
        self.forgotten = 0
        """Ids that made room for others before their time was over."""
        self._remembered: OrderedDict[Key, Remembered[Waiter] | bytes] = OrderedDict()
        # The names of a reply's members are few: the contract's.
        self._shapes: list[tuple[str, ...]] = []
        self._shape_at: dict[tuple[str, ...], int] = {}

    def __len__(self) -> int:
        return len(self._remembered)

    def find(self, key: Key, now_ns: int) -> Remembered[Waiter] | None:
        """What an id stands for; None when it is free. now_ns: monotonic."""
        found = self._remembered.get(key)
        known = self._unpack(found) if isinstance(found, bytes) else found
        return known if known is not None and known.expires_ns > now_ns else None

    def remember(self, key: Key, waiter: Waiter, command: Command, now_ns: int) -> None:
        """Take an id for a command that is in flight from now on; past REPLAY_LIMIT the oldest id is given up."""
        self._remembered[key] = Remembered(now_ns + WINDOW_NS, waiter=waiter, command=command)
        # An id whose time is over may still stand at its old place.
        self._remembered.move_to_end(key)
        if len(self._remembered) > REPLAY_LIMIT:
            self._remembered.popitem(last=False)
            self.forgotten += 1

    def settle(self, key: Key, waiter: Waiter, reply: Mapping[str, Any] | None) -> None:
        """The command of this waiter has its reply. None: it was refused, and its id is free for a fresh try."""
        known = self._remembered.get(key)
        if known is None or isinstance(known, bytes) or known.waiter is not waiter:
            # The id was given up, or taken anew since.
            return
        if reply is None:
            del self._remembered[key]
        else:
            self._remembered[key] = self._pack(known, reply)

    def forget_old(self, now_ns: int) -> None:
        """Drop the ids whose time is over."""
        remembered = self._remembered
        while remembered:
            oldest = next(iter(remembered.values()))
            expires_ns = _HEAD.unpack_from(oldest)[0] if isinstance(oldest, bytes) else oldest.expires_ns
            if expires_ns > now_ns:
                return
            remembered.popitem(last=False)

    def _pack(self, known: Remembered[Waiter], reply: Mapping[str, Any]) -> bytes:
        assert known.command is not None
        names = tuple(reply)
        shape = self._shape_at.get(names)
        if shape is None:
            shape = self._shape_at[names] = len(self._shapes)
            self._shapes.append(names)
        return _HEAD.pack(known.expires_ns, shape, _digest_of(known.command)) + _encode(list(reply.values()))

    def _unpack(self, packed: bytes) -> Remembered[Waiter]:
        expires_ns, shape, digest = _HEAD.unpack_from(packed)
        values = _decode(packed[_HEAD.size :])
        return Remembered(expires_ns, reply=dict(zip(self._shapes[shape], values, strict=True)), digest=digest)


def _digest_of(command: Command) -> bytes:
    """The same for the same request, whenever it was sent; its type is told by its tag."""
    return blake2b(_encode(untimed(command)), digest_size=16).digest()
