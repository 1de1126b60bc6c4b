"""The kill switch's latch: what the state file holds, and the two steps that alone clear it.

Clear needs proof, latched does not: the absence of the file means armed, and whatever else is found in its place,
readable or not, means latched. The file itself is read, written and removed by others.
"""

import enum
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Final, Literal, TypeAlias

import msgspec

from ..contract.ids import VENUES, Venue
from .sealed import Broken, seal, unseal

VERSION: Final = 1
"""Version of the file's format. Any other is one we cannot judge, and counts as latched."""

REASON_CHARS: Final = 512
WHO_CHARS: Final = 128
"""What is kept of the two free texts: as much as a `kill` command may bring, so that the file stays one short line."""

Trigger: TypeAlias = Literal["command", "signal", "file", "lease", "panic", "unreadable"]
"""What pulled the switch. `unreadable`: nothing did that we know of, but the latch file cannot be read."""


class Latch(msgspec.Struct, frozen=True, kw_only=True):
    """The switch is pulled: by what and whom, when, why, and for which venues.

    who: "uid 1000 pid 4242" for commands and panic, the strategy for leases, empty where the trigger says it all.
    utc_ns: wall clock, for people; None when it cannot be known. venues: None for every one.
    """

    trigger: Trigger
    reason: str
    who: str = ""
    utc_ns: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] | None = None
    venues: Annotated[tuple[Venue, ...], msgspec.Meta(min_length=1)] | None = None

    @property
    def at(self) -> str | None:
        """`utc_ns` as RFC 3339 text."""
        if self.utc_ns is None:
            return None
        seconds, rest_ns = divmod(self.utc_ns, 10**9)
        moment = datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest_ns // 1000, tzinfo=None)
        return moment.isoformat(timespec="microseconds") + "Z"

    def covers(self, venue: Venue) -> bool:
        """Whether this venue is swept while the latch holds."""
        return self.venues is None or venue in self.venues

    def widened(self, venues: Iterable[Venue] | None) -> "Latch":
        """The same latch for these venues too. It keeps its first cause: that is what the operator has to look into."""
        if self.venues is None or venues is None:
            return msgspec.structs.replace(self, venues=None)
        both = {*self.venues, *venues}
        return msgspec.structs.replace(self, venues=tuple(venue for venue in VENUES if venue in both))


# ---------------------------------------------------------------- the file


def format_latch(latch: Latch) -> bytes:
    """A latch as its file holds it: one line of JSON, sealed.

    Never raises: a kill must not fail because of what somebody typed as its reason. `at` is there for people alone.
    """
    members = {
        "trigger": latch.trigger,
        "reason": _writable(latch.reason, REASON_CHARS),
        "who": _writable(latch.who, WHO_CHARS),
        "at": latch.at,
        "utc_ns": latch.utc_ns,
        "venues": latch.venues,
    }
    return seal(VERSION, members)


def _writable(text: str, limit: int) -> str:
    """Bytes of a command line that are no UTF-8 arrive as lone surrogates, which no encoder takes."""
    return text[:limit].encode("utf-8", "replace").decode()


def parse_latch(content: bytes | None) -> Latch | None:
    """The latch in a state file's content; None only for no file at all.

    Whatever `format_latch` did not write whole (empty, truncated, altered, another version's) is a latch with the
    trigger "unreadable" and every venue: a damaged file must not re-arm anything.
    """
    if content is None:
        return None
    read = unseal(content, VERSION, Latch)
    if isinstance(read, Broken):
        return Latch(trigger="unreadable", reason=f"the latch file {read.why}")
    return read


# ---------------------------------------------------------------- re-arming

CODE_VALID_S: Final = 60
"""How long a one-time code can be used."""

CODE_ALPHABET: Final = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
"""Digits and capitals without the look-alikes 0 O 1 I; 32 of them, so that a random byte picks each as often."""

CODE_CHARS: Final = 8
"""Length of a one-time code: 40 random bits, of which one guess per code is allowed."""


def code_from(drawn: bytes) -> str:
    """A one-time code from CODE_CHARS random bytes."""
    assert len(drawn) == CODE_CHARS
    return "".join(CODE_ALPHABET[byte % len(CODE_ALPHABET)] for byte in drawn)


class Verdict(enum.Enum):
    """What came of a confirmation; the value is what the operator is told. REARMED alone has cleared the latch."""

    REARMED = "re-armed"
    NOT_LATCHED = "the kill switch is not latched"
    NO_CODE = "no code is valid; ask for one first"
    EXPIRED = "the code has expired; ask for a new one"
    WRONG_CODE = "wrong code, and the right one is void now; ask for a new one"
    RESTS = "orders rest, or may; repeat with force to re-arm all the same"


class Switch:
    """The kill switch. It is latched while `latch` is not None; nothing but `confirm` with the right code clears it.

    latch: what `parse_latch` read at start-up. Times are monotonic nanoseconds.

    After REARMED the caller removes the file; when that fails it trips the switch again with the same latch, since the
    next start would find it latched anyway and nobody may be told otherwise.
    """

    def __init__(self, latch: Latch | None) -> None:
        self._latch = latch
        self._code: str | None = None
        self._expires_ns = 0

    @property
    def latch(self) -> Latch | None:
        """Why the switch is latched; None while it is armed."""
        return self._latch

    def trip(self, latch: Latch) -> Latch:
        """Pull the switch; returns the latch to make durable: when it was pulled before, the first one, widened.

        A code that was handed out before is void: whoever asked for it did not know of this kill.
        """
        self._code = None
        self._latch = latch if self._latch is None else self._latch.widened(latch.venues)
        return self._latch

    def ask(self, now_ns: int, code: str) -> bool:
        """Make `code`, freshly drawn, the one valid code for CODE_VALID_S; False when the switch is not latched."""
        if self._latch is None:
            return False
        self._code = code
        self._expires_ns = now_ns + CODE_VALID_S * 10**9
        return True

    def confirm(self, code: str, now_ns: int, *, residual: bool, force: bool) -> Verdict:
        """Re-arm with the code that `ask` was given.

        residual: something rests on a latched venue, or nobody could prove that nothing does. The code stays valid
        then, so that the operator can decide on `force`. A wrong code voids the right one: there is no second guess.
        """
        if self._latch is None:
            return Verdict.NOT_LATCHED
        valid = self._code
        if valid is None:
            return Verdict.NO_CODE
        if now_ns >= self._expires_ns:
            self._code = None
            return Verdict.EXPIRED
        # People type codes in small letters.
        if code.strip().upper() != valid:
            self._code = None
            return Verdict.WRONG_CODE
        if residual and not force:
            return Verdict.RESTS
        self._code = None
        self._latch = None
        return Verdict.REARMED
