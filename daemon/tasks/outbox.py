"""Replies on their way out: sent at once, or kept within bounds for a client that does not read.

A reply that finds no room is counted and left to a replay: its client asks again with the same id. Nothing here waits
for a client.
"""

from collections import deque
from collections.abc import Sequence
from itertools import count
from operator import itemgetter
from typing import Final, Literal, Protocol

import trio

from ..settings import OUTBOX_BYTES, OUTBOX_REPLIES, OUTBOX_TOTAL_BYTES
from ..transport.messages import Router, Sent
from .events import Events

LOOKS_S: Final = (0.001, 0.02)
"""When a kept reply is offered again: soon while it gets anywhere, since a burst fills the socket of a client that
reads well and its replies have 50 ms; doubling up to the longer pause while not, since many clients may be stuck."""

Door = Literal["commands", "control"]


REPLY_COST_BYTES: Final = 160
"""What a kept reply takes beside its own bytes: the objects around them, and their place in the queue."""

UNREAD: Final = "a client does not read its replies"
CUT: Final = "clients that do not read their replies take too much memory"


class Whose(Protocol):
    """What a reply answers: it knows who asked."""

    @property
    def who(self) -> str: ...


class Kept:
    """What one client has not taken yet, oldest first. turn: of when it last took any, or was first found full."""

    __slots__ = ("bytes", "replies", "turn", "whose")

    def __init__(self, whose: Whose | None, turn: int) -> None:
        self.replies: deque[list[bytes]] = deque()
        self.bytes = 0
        self.turn = turn
        self.whose = whose


class Outlet:
    """One command socket as replies see it: the router, and what its clients have not taken yet."""

    __slots__ = ("door", "kept", "router")

    def __init__(self, door: Door, router: Router) -> None:
        self.door = door
        self.router = router
        self.kept: dict[bytes, Kept] = {}


class Outbox:
    """The replies of both sockets; they share one bound of bytes."""

    def __init__(self, outlets: Sequence[Outlet], events: Events) -> None:
        self.undelivered = 0
        """Replies that no client will get unless it asks again."""
        self.kept_bytes = 0
        """What is kept takes so much."""
        self._turns = count()
        self._outlets = outlets
        self._events = events
        self._kept_some = trio.Event()
        self._pause_s = LOOKS_S[0]

    def send(
        self, outlet: Outlet, identity: bytes, enveloped: bool, payload: bytes, whose: Whose | None = None
    ) -> None:
        """Reply to a client. enveloped: it is a REQ, which wants its empty frame back. whose: what it asked."""
        frames = [b"", payload] if enveloped else [payload]
        if outlet.kept and identity in outlet.kept:
            # Replies overtake none of their own client's.
            self._keep(outlet, identity, frames, whose)
            return
        sent = outlet.router.send_nowait(identity, frames)
        if sent is Sent.FULL:
            self._keep(outlet, identity, frames, whose)
        elif sent is Sent.GONE:
            self.undelivered += 1

    async def offer_kept(self, patience_s: float) -> None:
        """Offer once what is kept, after a pause. With nothing kept: wait until there is, for so long at most."""
        soonest_s, longest_s = LOOKS_S
        if any(outlet.kept for outlet in self._outlets):
            await trio.sleep(self._pause_s)
        else:
            self._kept_some = trio.Event()
            with trio.move_on_after(patience_s):
                await self._kept_some.wait()
        taken = [self._offer(outlet, identity) for outlet in self._outlets for identity in list(outlet.kept)]
        self._pause_s = soonest_s if any(taken) else min(2 * self._pause_s, longest_s)

    def _keep(self, outlet: Outlet, identity: bytes, frames: list[bytes], whose: Whose | None) -> None:
        """Keep a reply for a client that does not read; past the bounds it is left to a replay."""
        kept = outlet.kept.get(identity)
        if kept is None:
            kept = outlet.kept[identity] = Kept(whose, next(self._turns))
        size = len(frames[-1])
        if len(kept.replies) >= OUTBOX_REPLIES or kept.bytes + size > OUTBOX_BYTES:
            self._lose(1)
            return
        while self.kept_bytes + size + REPLY_COST_BYTES > OUTBOX_TOTAL_BYTES:
            if self._cut(spared=kept):
                continue
            self._lose(1)
            return
        kept.replies.append(frames)
        self._kept_some.set()
        kept.bytes += size
        self.kept_bytes += size + REPLY_COST_BYTES

    def _cut(self, spared: Kept) -> bool:
        """Throw away what is kept for whoever else took nothing for the longest time; whether there is anybody."""
        found = [
            (kept.turn, outlet, identity)
            for outlet in self._outlets
            for identity, kept in outlet.kept.items()
            if kept is not spared
        ]
        if not found:
            return False
        _, outlet, identity = min(found, key=itemgetter(0))
        kept = self._forget(outlet, identity)
        self.undelivered += len(kept.replies)
        who = ("" if kept.whose is None else kept.whose.who) or "an unknown client"
        do = (
            f"{who} read none for the longest time, and what was kept for it is gone; mend or stop it; it can ask again"
        )
        self._events.alert("warning", CUT, do)
        return True

    def _offer(self, outlet: Outlet, identity: bytes) -> bool:
        """Offer a client what was kept for it, until it is full again or gone; whether any of it went."""
        kept = outlet.kept[identity]
        before = len(kept.replies)
        while kept.replies:
            sent = outlet.router.send_nowait(identity, kept.replies[0])
            if sent is Sent.FULL:
                if len(kept.replies) == before:
                    return False
                kept.turn = next(self._turns)
                return True
            if sent is Sent.GONE:
                self._lose(len(kept.replies))
                break
            size = len(kept.replies.popleft()[-1])
            kept.bytes -= size
            self.kept_bytes -= size + REPLY_COST_BYTES
        self._forget(outlet, identity)
        return True

    def _forget(self, outlet: Outlet, identity: bytes) -> Kept:
        kept = outlet.kept.pop(identity)
        self.kept_bytes -= kept.bytes + REPLY_COST_BYTES * len(kept.replies)
        return kept

    def _lose(self, replies: int) -> None:
        self.undelivered += replies
        self._events.alert("warning", UNREAD, "mend or stop it; its replies can be asked for again")
