"""What to do when the venue goes on calling our nonces too low: another program draws nonces for the same key.

One jump above the other's nonces mends a single meeting. Two programs that jump above each other make every call of
both fail, and each refused nonce brings the key nearer to a lockout. So from the third refusal in a minute people are
told, and ordinary calls jump after pauses that grow, and stay away in between once they are refused again. A kill's
calls jump each time, at once. Times are monotonic nanoseconds.
"""

from collections import deque
from collections.abc import Sequence
from typing import Final

from .instants import MS

WINDOW_NS: Final = 60_000 * MS
"""After a minute without a refusal nobody else is taken to use the key."""

SHARED_AFTER: Final = 3
"""Refusals within the window that no restart, no `panic` and no restored state explains: two jumps are above those."""

PAUSES_MS: Final = (1_000, 2_000, 4_000, 8_000, 16_000, 30_000)
"""From one jump of ordinary calls to the next; the last repeats."""


class Overtaken:
    """The refused nonces of one key."""

    def __init__(self, before_ns: Sequence[int] = ()) -> None:
        """before_ns: the refusals that earlier processes met, oldest first."""
        self._refused_ns: deque[int] = deque(maxlen=SHARED_AFTER)
        self._shared = False
        self._pauses = 0
        self._until_ns = 0
        self._away = False
        for at_ns in before_ns:
            self.refused(at_ns, pressing=False)

    def shared(self, now_ns: int) -> bool:
        """Whether another program seems to use the key: from the third refusal until there was none for a minute."""
        return self._shared and not self._quiet(now_ns)

    def away(self, now_ns: int) -> bool:
        """Whether ordinary calls are not to be made: after the last jump they were refused again."""
        return self._away and now_ns < self._until_ns

    def refused(self, now_ns: int, *, pressing: bool) -> bool:
        """A nonce was too low. Whether to jump above it now; for a kill's call, `pressing`, always."""
        if self._quiet(now_ns):
            self._shared, self._pauses = False, 0
        self._refused_ns.append(now_ns)
        if len(self._refused_ns) == SHARED_AFTER and now_ns < self._refused_ns[0] + WINDOW_NS:
            self._shared = True
        if pressing:
            return True
        self._away = now_ns < self._until_ns
        if self._shared and not self._away:
            pause_ms = PAUSES_MS[min(self._pauses, len(PAUSES_MS) - 1)]
            self._pauses += 1
            self._until_ns = now_ns + pause_ms * MS
        return not self._away

    def _quiet(self, now_ns: int) -> bool:
        return not self._refused_ns or now_ns >= self._refused_ns[-1] + WINDOW_NS
