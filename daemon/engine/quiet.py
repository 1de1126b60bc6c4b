"""Pauses of what cancels nothing, on a lane whose venue says that we send too much: looks, surveys, canaries.

A cancel never waits for it: it was asked for by somebody, and a session that is merely warned still takes it.
"""

from typing import Final

from .instants import MS
from .lane import Lane

PAUSES_MS: Final = (1000, 2000, 4000, 8000, 16_000)
"""The pause after each notice in a row; the last one repeats. The venue's own limit is not published and moves with its
load. Source: Spot WebSocket FAQ."""

FORGIVEN_NS: Final = 60_000 * MS
"""After so long without a notice the next pause is the first one again."""


class Quiet:
    """The pauses of one venue's lanes. Times are monotonic nanoseconds."""

    def __init__(self) -> None:
        self._until_ns: dict[Lane, int] = {}
        self._notices: dict[Lane, int] = {}
        self._told_ns: dict[Lane, int] = {}

    def told(self, lane: Lane, now_ns: int) -> bool:
        """The venue says on a lane that its rate is exceeded. Whether a pause begins with it.

        What it says while we pause already is about what had left before.
        """
        if self.holds(lane, now_ns):
            return False
        if now_ns - self._told_ns.get(lane, -FORGIVEN_NS) >= FORGIVEN_NS:
            self._notices[lane] = 0
        self._told_ns[lane] = now_ns
        self._until_ns[lane] = now_ns + PAUSES_MS[min(self._notices[lane], len(PAUSES_MS) - 1)] * MS
        self._notices[lane] += 1
        return True

    def holds(self, lane: Lane, now_ns: int) -> bool:
        """Whether nothing optional is to be sent on a lane."""
        return self._until_ns.get(lane, now_ns) > now_ns

    def anywhere(self, now_ns: int) -> bool:
        """Whether any lane pauses: what goes by no lane in particular, or by all, waits for each."""
        return self.ends_ns(now_ns) > now_ns

    def ends_ns(self, now_ns: int) -> int:
        """When the last pause is over; now where none is on."""
        return max((now_ns, *self._until_ns.values()))
