"""Whether one REST endpoint may be called after it has refused the key.

Two kinds of call, two rules. An ordinary call stays away for long, since whoever repeats a wrong key is locked out. A
call of a kill is made whatever was refused before, and then again after a pause that grows: what a lockout costs is
less than orders that nobody takes off the book. Nobody stays away because of one odd answer: that a key is refused is
believed when the venue's own API has said so on two connections.

All methods are plain calls that take the time as an argument, monotonic nanoseconds.
"""

from typing import Final

from ..contract.evidence import Fault, RestAnswer, RestFailed, RestUnreadable
from .instants import MS
from .reactions import RULES

KEY_REFUSED: Final = frozenset({Fault.CREDENTIALS, Fault.LOCKOUT})
"""What the API says of the key itself."""

SAYS_NOTHING: Final = KEY_REFUSED | {Fault.ROUTE_BUSY, Fault.UNAVAILABLE, Fault.STALE_NONCE}
"""What an API says, or the edge in front of it, before it has found the key good."""

PRESSING_PAUSES_MS: Final = (1_000, 2_000, 4_000, 8_000, 15_000)
"""How long a kill's calls stay away after each refusal; the last repeats for as long as the latch holds."""


def has_seen_key(answer: RestAnswer) -> bool:
    """Whether an answer shows that the API found key and nonce good, whatever else it says."""
    return not (isinstance(answer, RestUnreadable) or (isinstance(answer, RestFailed) and answer.fault in SAYS_NOTHING))


class _Pause:
    """The pause of a kill's calls of one form: each has its own, so that a list asked for takes no cancel's place."""

    __slots__ = ("refusals", "refused_ns", "until_ns")

    def __init__(self, now_ns: int) -> None:
        self.refusals = 0
        self.refused_ns = self.until_ns = now_ns

    def grow(self, now_ns: int) -> None:
        # What was under way together with the last refusal is no new one.
        if now_ns >= self.until_ns:
            pause_ms = PRESSING_PAUSES_MS[min(self.refusals, len(PRESSING_PAUSES_MS) - 1)]
            self.refusals += 1
            self.refused_ns = now_ns
            self.until_ns = now_ns + pause_ms * MS

    def shorten(self) -> bool:
        """Begin anew with the shortest pause; whether that is over sooner."""
        until_ns = min(self.until_ns, self.refused_ns + PRESSING_PAUSES_MS[0] * MS)
        sooner = until_ns < self.until_ns
        self.refusals = min(self.refusals, 1)
        self.until_ns = until_ns
        return sooner


class Gate:
    """The gate of one endpoint under one key. Forms of calls are names of the caller's."""

    def __init__(self) -> None:
        self._until_ns = 0
        self._refused = False
        self._why = ""
        self._pauses: dict[str, _Pause] = {}

    @property
    def doubts(self) -> bool:
        """Whether a refusal of the key must be heard on a second connection before it is believed."""
        return not self._refused

    def shut(self, now_ns: int, pressing: str | None = None) -> str | None:
        """Why a call is not to be made now; None when it is. pressing: the form of a kill's call."""
        return self._why if now_ns < self.opens_ns(pressing) else None

    def opens_ns(self, pressing: str | None) -> int:
        """When such a call may be made: in the past where it may be made now."""
        if pressing is None:
            return self._until_ns
        return self._pauses[pressing].until_ns if pressing in self._pauses else 0

    def refused(self, failed: RestFailed, now_ns: int, pressing: str | None = None) -> None:
        """The API has refused the key, on two connections or once more."""
        assert failed.fault in KEY_REFUSED
        self._refused = True
        self._why = failed.error
        self._until_ns = max(self._until_ns, now_ns + RULES[failed.fault].closes_ms * MS)
        if pressing is not None:
            self._pauses.setdefault(pressing, _Pause(now_ns)).grow(now_ns)

    def answered(self, answer: RestAnswer, pressing: str | None = None) -> bool:
        """The venue answered a call. Whatever its API says of the call, it has taken the key: ordinary calls go on.

        A kill's calls of other forms stay away for the shortest pause alone; whether one is over sooner by that.
        """
        if not has_seen_key(answer):
            return False
        self._until_ns = 0
        self._refused = False
        if pressing is not None:
            self._pauses.pop(pressing, None)
        shortened = [pause.shorten() for pause in self._pauses.values()]
        return any(shortened)

    def pulled(self) -> None:
        """A kill was pulled, perhaps once more: its pauses begin anew with the shortest."""
        for pause in self._pauses.values():
            pause.shorten()

    def released(self) -> None:
        """The kill is over: the next one is another, and goes at once."""
        self._pauses.clear()

    def reopen(self) -> None:
        """Another key is in use from here on: what was refused to the last one says nothing about it."""
        self._until_ns = 0
        self._refused = False
        self._pauses.clear()
