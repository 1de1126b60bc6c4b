"""When a WebSocket token may be asked for, and whether one that is there will do. No token itself is here.

A call that fails is repeated after 1, 2, 4 … 30 s, by whichever session: a key without the right to tokens, or nonces
that are refused, are there to be mended by people. Times are monotonic nanoseconds.
"""

from collections.abc import Sequence
from typing import Final

SECOND_NS: Final = 10**9
PAUSES_S: Final = (1, 2, 4, 8, 16, 30)
"""From a failed call to the next; the last repeats."""

REUSE_NS: Final = 600 * SECOND_NS
"""A token younger than this, and never refused, serves a new session too. Source: Spot WebSocket "Authentication"."""

REMEMBERED_NS: Final = 60 * SECOND_NS
"""How long before its start a process heeds failures of another."""


class TokenCalls:
    """The calls of one key."""

    def __init__(self, got_ns: Sequence[int] = (), failed_ns: Sequence[int] = ()) -> None:
        """got_ns, failed_ns: the calls of earlier processes that brought a token, and that failed, oldest first.

        One that nobody saw the end of tells nothing.
        """
        since_ns = got_ns[-1] if got_ns else 0
        failed_ns = [at_ns for at_ns in failed_ns if at_ns > since_ns]
        self._failures = len(failed_ns)
        self._failed_ns = failed_ns[-1] if failed_ns else 0
        self._under_way = 0

    def asked(self) -> None:
        """A call is made."""
        self._under_way += 1

    def answered(self, now_ns: int, *, good: bool) -> bool:
        """It is over. good: it brought a token. Returns whether it counts as one more failure."""
        self._under_way -= 1
        if good:
            self._failures = 0
            return False
        if self._failures and self.wait_ns(now_ns):
            # What was under way together with the last failure is no new one.
            return False
        self._failures += 1
        self._failed_ns = now_ns
        return True

    def dropped(self) -> None:
        """A call was given up by us, and tells nothing."""
        self._under_way -= 1

    def forget(self) -> None:
        """Another key is in use from here on."""
        self._failures = 0

    def wait_ns(self, now_ns: int) -> int:
        """How long no call is to be made: the rest of the pause, and while the one behind it is under way."""
        if not self._failures:
            return 0
        pause_s = PAUSES_S[min(self._failures, len(PAUSES_S)) - 1]
        wait_ns = max(0, self._failed_ns + pause_s * SECOND_NS - now_ns)
        return wait_ns or (SECOND_NS if self._under_way else 0)
