"""Replies on their way out: sent at once, or kept within bounds for a client that does not read.

A reply that finds no room is counted and left to a replay: its client asks again with the same id. Nothing here waits
for a client.
"""

from collections import deque
from collections.abc import Sequence
from typing import Final, Literal

import trio

from ..settings import OUTBOX_BYTES, OUTBOX_REPLIES, OUTBOX_TOTAL_BYTES
from ..transport.messages import Router, Sent
from .events import Events

LOOKS_S: Final = (0.001, 0.02)
"""When a kept reply is offered again: soon while it gets anywhere, since a burst fills the socket of a client that
reads well and its replies have 50 ms; doubling up to the longer pause while not, since many clients may be stuck."""

Door = Literal["commands", "control"]


class Outlet:
    """One command socket as replies see it: the router, and what its clients have not taken yet."""

    __slots__ = ("door", "kept", "kept_bytes", "router")

    def __init__(self, door: Door, router: Router) -> None:
        self.door = door
        self.router = router
        self.kept: dict[bytes, deque[list[bytes]]] = {}
        self.kept_bytes: dict[bytes, int] = {}


class Outbox:
    """The replies of both sockets; they share one bound of bytes."""

    def __init__(self, outlets: Sequence[Outlet], events: Events) -> None:
        self.undelivered = 0
        """Replies that no client will get unless it asks again."""
        self._outlets = outlets
        self._events = events
        self._kept_bytes = 0
        self._kept_some = trio.Event()
        self._pause_s = LOOKS_S[0]

    def send(self, outlet: Outlet, identity: bytes, enveloped: bool, payload: bytes) -> None:
        """Reply to a client. enveloped: it is a REQ, which wants its empty frame back."""
        frames = [b"", payload] if enveloped else [payload]
        if outlet.kept and identity in outlet.kept:
            # Replies overtake none of their own client's.
            self._keep(outlet, identity, frames)
            return
        sent = outlet.router.send_nowait(identity, frames)
        if sent is Sent.FULL:
            self._keep(outlet, identity, frames)
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

    def _keep(self, outlet: Outlet, identity: bytes, frames: list[bytes]) -> None:
        """Keep a reply for a client that does not read; past the bounds it is left to a replay."""
        size = len(frames[-1])
        kept = outlet.kept.setdefault(identity, deque())
        kept_bytes = outlet.kept_bytes.get(identity, 0)
        if (
            len(kept) >= OUTBOX_REPLIES
            or kept_bytes + size > OUTBOX_BYTES
            or self._kept_bytes + size > OUTBOX_TOTAL_BYTES
        ):
            self.undelivered += 1
            self._alert_unread()
            return
        kept.append(frames)
        self._kept_some.set()
        outlet.kept_bytes[identity] = kept_bytes + size
        self._kept_bytes += size

    def _offer(self, outlet: Outlet, identity: bytes) -> bool:
        """Offer a client what was kept for it, until it is full again or gone; whether any of it went."""
        kept = outlet.kept[identity]
        kept_before = len(kept)
        while kept:
            sent = outlet.router.send_nowait(identity, kept[0])
            if sent is Sent.FULL:
                return len(kept) < kept_before
            if sent is Sent.GONE:
                self.undelivered += len(kept)
                self._alert_unread()
                kept.clear()
                break
            size = len(kept.popleft()[-1])
            outlet.kept_bytes[identity] -= size
            self._kept_bytes -= size
        self._kept_bytes -= outlet.kept_bytes.pop(identity)
        del outlet.kept[identity]
        return True

    def _alert_unread(self) -> None:
        self._events.alert(
            "warning", "a client does not read its replies", "mend or stop it; its replies can be asked for again"
        )
