"""Puts into the record where a kill, a re-arming, a drill and a lease come from, beside the uid and pid of the socket.

It is found out after the command was taken and never before: nothing waits for it.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias

import msgspec
import trio

from ..contract.ids import CommandID
from ..transport.messages import Peer
from ..transport.origins import Origin
from .events import Events

WAITING_LIMIT: Final = 64
"""Commands whose senders are still to be looked up; one more is recorded with its uid and pid alone."""

Find: TypeAlias = Callable[[int, int], Awaitable[Origin | None]]
"""(uid, pid) to what the kernel tells of the process."""


class Origins:
    """Looks senders up, one after the other."""

    def __init__(self, find: Find, events: Events) -> None:
        self._find = find
        self._events = events
        self._asked, self._next = trio.open_memory_channel[tuple[str, CommandID | None, Peer]](WAITING_LIMIT)

    def look_up(self, what: str, id: CommandID | None, peer: Peer | None) -> None:
        """Record where this command's sender comes from, soon. what: the type of the command."""
        if peer is None:
            return
        try:
            self._asked.send_nowait((what, id, peer))
        except trio.WouldBlock:
            # Its `command` line stands; a flood of these is no reason to keep more.
            return

    async def run(self) -> None:
        """Look up who was asked about; ends by cancellation."""
        async for what, id, peer in self._next:
            found = await self._find(peer.uid, peer.pid)
            if found is not None:
                told: dict[str, Any] = msgspec.to_builtins(found)
                self._events.note("who", of=what, id=id, uid=peer.uid, pid=peer.pid, **told)
