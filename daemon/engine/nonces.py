"""Nonces of one API key: strictly increasing across restarts, crashes, lost files and clocks that step back.

A nonce that is not above the last one is refused, and enough refusals lock the key out. So a mark is kept on disk that
no nonce may pass before it is durable: after a crash everything up to the mark counts as used. The mark is reserved a
minute ahead, so that no draw ever waits for the disk. The file itself is read and written by others.
"""

import re
import zlib
from typing import Final

BLOCK_NS: Final = 60 * 10**9
"""How far above the clock a mark is reserved; renewed when half of it is used, which leaves a disk 30 s."""

DRAWS_AHEAD: Final = 1_000_000
"""Nonces reserved at least, for when they run ahead of the clock and count up one by one; years of REST calls."""

MARGIN_NS: Final = 24 * 3600 * 10**9
"""Head start where the last nonce is not known: more than any wrong time zone or restored clock is off. A larger one
would buy nothing, and nonces drawn ahead of the clock do no harm."""

FIRST_JUMP_NS: Final = 8 * 10**9
JUMP_GROWTH: Final = 8
JUMP_LIMIT_NS: Final = 7 * 24 * 3600 * 10**9
"""The jumps that follow each other without a nonce that was taken: the first, by how much each is longer, and up to
where; a thousand of them take twenty of the five hundred years that there are. So three refusals catch up with ten
minutes: each one more is a pause in which a daemon that starts has no way to the venue. Two programs that overtake
each other, and whose nonces are taken in between, are a few seconds further ahead each time."""

NONCE_LIMIT: Final = 2**64 - 1
"""Largest nonce Kraken takes. Source: Spot REST "Authentication"."""


class Nonces:
    """The one source of nonces for a key. Times are wall-clock nanoseconds: a nonce must outlive the process.

    stored: what `parse_mark` read from the state file; None when it is absent or unreadable, which costs MARGIN_NS.

    Whoever owns the file asks `mark_to_store` after construction and now and then after draws, makes the mark durable
    and says so with `stored`. A disk that fails stops nothing: nonces go on from memory, `covered` turns false, and
    only a crash together with a clock that steps back could then repeat one.
    """

    def __init__(self, stored: int | None, now_ns: int, *, growth: int = JUMP_GROWTH) -> None:
        """growth: by how much each jump is longer than the one before."""
        self._growth = growth
        self._now_ns = now_ns
        self._last = now_ns + MARGIN_NS if stored is None else stored
        self._mark = self._last
        self._jump = FIRST_JUMP_NS
        self.proven = False
        """Whether the venue has taken a nonce of this process."""

    def draw(self, now_ns: int) -> int:
        """The next nonce, above every earlier one of this key.

        It follows the clock, so that the numbers stay meaningful, but keeps clear of the durable mark: near it, and
        while the clock is behind, nonces count up one by one inside what is reserved.
        """
        self._now_ns = now_ns
        follows = self._last < now_ns <= self._mark - DRAWS_AHEAD // 2
        self._last = now_ns if follows else self._last + 1
        return self._last

    def mark_to_store(self) -> int | None:
        """The mark to make durable now; None when enough is reserved. Asking again gives it again until `stored`."""
        if self._mark >= self._reach(2):
            return None
        return self._reach(1)

    def stored(self, mark: int) -> None:
        """`mark` is durable: nonces up to it may be drawn."""
        self._mark = max(self._mark, mark)

    def begin_unstored(self, now_ns: int) -> None:
        """The disk takes no mark at the start: begin above every process that found the same mark before us.

        They began by this rule too, earlier, and a nonce takes longer than the nanosecond it counts. Jumps may have
        taken the mark far ahead of the clock: then the time of day tells them apart.
        """
        self._last = max(self._last + now_ns % MARGIN_NS, now_ns + MARGIN_NS + BLOCK_NS)

    def overtaken(self, now_ns: int) -> None:
        """The venue has seen a higher nonce: jump above whatever another user of the key can have drawn.

        That is most often `panic`, which counts on from the stored mark, or a clock that was ahead: hence the margin,
        measured from the clock so that repeated jumps do not pile it up. For one refused request, one jump and one
        retry; a second refusal means a foreign program on the key or a finer scale, which is for people to mend, or a
        process before us that had jumped as well: each jump is longer than the last, so that it is caught up with.
        """
        self._now_ns = now_ns
        self._last = max(now_ns + MARGIN_NS, max(self._last, self._mark) + self._jump)
        self._jump = min(self._growth * self._jump, JUMP_LIMIT_NS)

    def taken(self) -> None:
        """The venue took a nonce: whoever was ahead is caught up with, and the next jump is short again."""
        self._jump = FIRST_JUMP_NS
        self.proven = True

    def adopt(self, mark: int) -> None:
        """Another program has stored this mark: nonces up to it may have been used."""
        self._last = max(self._last, mark)
        self._mark = max(self._mark, mark)

    @property
    def covered(self) -> bool:
        """Whether the last nonce is one that the file would make us skip after a crash."""
        return self._last <= self._mark

    def _reach(self, share: int) -> int:
        """How far a mark reaches with 1/share of the reserve left."""
        return max(self._now_ns + BLOCK_NS // share, self._last + DRAWS_AHEAD // share)


_FILE: Final = re.compile(rb"(\d{1,20}) ([0-9a-f]{8})\n\Z")


def format_mark(mark: int) -> bytes:
    """A mark as the state file holds it: digits, a space, their CRC-32, a line end."""
    digits = b"%d" % mark
    return b"%b %08x\n" % (digits, zlib.crc32(digits))


def parse_mark(content: bytes | None) -> int | None:
    """The mark in a state file's content; None for no file and for any content that format_mark did not write whole.

    The checksum is there because a flipped or missing digit would still be a number, and a lower one is a lockout.
    """
    match = None if content is None else _FILE.match(content)
    if match is None or int(match[2], 16) != zlib.crc32(match[1]):
        return None
    mark = int(match[1])
    return mark if mark <= NONCE_LIMIT else None
