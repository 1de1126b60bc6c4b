"""The same id again: which command a client's id stands for, and what was replied to it.

An id is taken when its command is admitted and stays taken for REPLAY_WINDOW_S. Asked again meanwhile, the same command
gets the stored reply or waits for the one in flight; another command under the id is refused. Nothing here encodes,
sends or reads a clock.
"""

from collections import OrderedDict
from typing import Final, Generic, TypeAlias, TypeVar

from ..contract.commands import Command
from ..contract.frames import same_command
from ..contract.ids import CommandID
from ..settings import REPLAY_LIMIT, REPLAY_WINDOW_S

WINDOW_NS: Final = REPLAY_WINDOW_S * 1_000_000_000

Waiter = TypeVar("Waiter")
"""Who is replied to: the ticket of an admitted command."""

Key: TypeAlias = tuple[bytes, CommandID]
"""The peer's identity and the id that it chose."""


class Remembered(Generic[Waiter]):
    """One id of one client: in flight while `reply` is None. Replies are kept as they were encoded: small."""

    __slots__ = ("command", "expires_ns", "reply", "waiter")

    def __init__(self, waiter: Waiter, command: Command, expires_ns: int) -> None:
        self.waiter: Waiter | None = waiter
        self.command = command
        self.reply: bytes | None = None
        self.expires_ns = expires_ns

    def is_for(self, command: Command) -> bool:
        """Whether the id stands for this very command, whenever that was sent."""
        return same_command(self.command, command)


class Replays(Generic[Waiter]):
    """Every id that is taken, oldest first."""

    def __init__(self) -> None:
        self.forgotten = 0
        """Ids that made room for others before their time was over."""
        self._remembered: OrderedDict[Key, Remembered[Waiter]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._remembered)

    def find(self, key: Key, now_ns: int) -> Remembered[Waiter] | None:
        """What an id stands for; None when it is free. now_ns: monotonic."""
        known = self._remembered.get(key)
        return known if known is not None and known.expires_ns > now_ns else None

    def remember(self, key: Key, waiter: Waiter, command: Command, now_ns: int) -> None:
        """Take an id for a command that is in flight from now on; past REPLAY_LIMIT the oldest id is given up."""
        self._remembered[key] = Remembered(waiter, command, now_ns + WINDOW_NS)
        # An id whose time is over may still stand at its old place.
        self._remembered.move_to_end(key)
        if len(self._remembered) > REPLAY_LIMIT:
            self._remembered.popitem(last=False)
            self.forgotten += 1

    def settle(self, key: Key, waiter: Waiter, reply: bytes | None) -> None:
        """The command of this waiter has its reply. None: it was refused, and its id is free for a fresh try."""
        known = self._remembered.get(key)
        if known is None or known.waiter is not waiter:
            # The id was given up, or taken anew since.
            return
        if reply is None:
            del self._remembered[key]
        else:
            known.waiter = None
            known.reply = reply

    def forget_old(self, now_ns: int) -> None:
        """Drop the ids whose time is over."""
        remembered = self._remembered
        while remembered:
            oldest = next(iter(remembered.values()))
            if oldest.expires_ns > now_ns:
                return
            remembered.popitem(last=False)
