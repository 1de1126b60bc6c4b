"""How long each peer may keep us busy with what cancels nothing, while somebody else's cancels want the same time."""

from typing import Final

SHARE: Final = 16
"""One part in so many of our time is for deciding what is answered to each peer's pings, queries and nonsense. To
receive them and to send the answers takes three times as much, which is not measured here. That is some 4,000 pings a
second, which no honest client comes near."""

BURST_NS: Final = 2_000_000
"""How much of our time a peer may take at once: a client that pings a few dozen times, or looks at the status."""

PEERS_LIMIT: Final = 1_024
"""Peers whose use is known. The one first heard of is forgotten for another, and may take a burst again."""


class FairUse:
    """For each peer a bucket of our time, which what it sends fills and which leaks by one part in SHARE."""

    def __init__(self) -> None:
        self._used: dict[bytes, tuple[int, int]] = {}

    def charge(self, identity: bytes, spent_ns: int, now_ns: int) -> int:
        """So much time went to this peer; how many ns it has to wait before the next of it is due, mostly 0."""
        level_ns, seen_ns = self._used.get(identity, (0, now_ns))
        level_ns = max(level_ns - (now_ns - seen_ns) // SHARE, 0) + spent_ns
        if identity not in self._used and len(self._used) >= PEERS_LIMIT:
            del self._used[next(iter(self._used))]
        self._used[identity] = (level_ns, now_ns)
        return max(level_ns - BURST_NS, 0) * SHARE
