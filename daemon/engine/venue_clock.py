"""How far this machine's wall clock is off, by what a venue tells of its own time in answers that come anyway.

An answer was made at some moment between its request and its arrival, so each one gives two bounds, and its way to us
is never taken for an error of the clock. The tightest bounds are kept; they widen with age, as clocks drift. They hold
for CLOCK_BOOTTIME, which nobody sets: a wall clock that is set, either way, shows at once and spoils nothing.
"""

from typing import Final

import msgspec

DATE_NS: Final = 1_000_000_000
"""What an HTTP date leaves open: it is cut to the second."""

DRIFT: Final = 100e-6
"""What a clock may drift by, as a part of the time passed: twice what usual crystals do."""

FAR_NS: Final = 2**62


class Bounds(msgspec.Struct, frozen=True):
    """The venue's clock is ahead of CLOCK_BOOTTIME by so much at least and at most."""

    least_ns: int = -FAR_NS
    most_ns: int = FAR_NS

    def within(self, other: "Bounds") -> "Bounds | None":
        """What both allow; None where they contradict each other."""
        least_ns, most_ns = max(self.least_ns, other.least_ns), min(self.most_ns, other.most_ns)
        return Bounds(least_ns, most_ns) if least_ns <= most_ns else None


class VenueClock:
    """One venue's clock. All `asked_ns`, `heard_ns` and `now_ns` are CLOCK_BOOTTIME."""

    def __init__(self) -> None:
        self._bounds = Bounds()
        self._doubt: Bounds | None = None
        self._told_ns = 0

    @property
    def known(self) -> bool:
        """Whether it has told both sides."""
        return self._bounds.least_ns > -FAR_NS and self._bounds.most_ns < FAR_NS

    def dated(self, date_ns: int, asked_ns: int, heard_ns: int) -> None:
        """An answer bore this date (Unix nanoseconds, a whole second)."""
        self._told(Bounds(date_ns - heard_ns, date_ns + DATE_NS - asked_ns), heard_ns)

    def happened(self, event_ns: int, heard_ns: int) -> None:
        """An event of this time (Unix nanoseconds) was told of, nobody knows how late: its clock shows more by now."""
        self._told(Bounds(event_ns - heard_ns), heard_ns)

    def earliest_ns(self, at_ns: int, now_ns: int) -> int | None:
        """The least that its clock can have shown at a moment (Unix nanoseconds); None where nothing is known."""
        least_ns = self._aged(now_ns).least_ns
        return None if self._bounds.least_ns == -FAR_NS else at_ns + least_ns

    def latest_ns(self, at_ns: int, now_ns: int) -> int | None:
        """The most that its clock can have shown at a moment (Unix nanoseconds); None where nothing is known."""
        most_ns = self._aged(now_ns).most_ns
        return None if self._bounds.most_ns == FAR_NS else at_ns + most_ns

    def ahead_ns(self, utc_ns: int, now_ns: int) -> int:
        """How far our wall clock, which shows `utc_ns`, is ahead of the venue's at least; negative when it is behind.

        0 where it may well be right, and where nothing is known.
        """
        aged = self._aged(now_ns)
        ours_ns = utc_ns - now_ns
        if ours_ns > aged.most_ns:
            return ours_ns - aged.most_ns
        return min(ours_ns - aged.least_ns, 0)

    def _aged(self, now_ns: int) -> Bounds:
        wider_ns = int((now_ns - self._told_ns) * DRIFT)
        return Bounds(self._bounds.least_ns - wider_ns, self._bounds.most_ns + wider_ns)

    def _told(self, told: Bounds, now_ns: int) -> None:
        both = self._aged(now_ns).within(told)
        if both is None:
            # One that contradicts all before may be wrong itself; two that agree show that the venue's clock was set.
            both = None if self._doubt is None else self._doubt.within(told)
            if both is None:
                self._doubt = told
                return
        self._bounds, self._doubt, self._told_ns = both, None, now_ns
