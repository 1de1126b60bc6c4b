"""The only place where time is read: a monotonic clock for durations, UTC for records.

This file never sleeps and keeps no timers; those are trio's.
"""

import time
from datetime import UTC, datetime
from typing import Final

import trio

NS_PER_S: Final = 1_000_000_000
VIRTUAL_UTC_START_NS: Final = 1_800_000_000 * NS_PER_S  # 2027-01-15T08:00:00Z: plainly not a date of this run
VIRTUAL_MONOTONIC_START_NS: Final = 1_000 * NS_PER_S  # not zero, so that "never" and "at start" cannot be mixed up


class Clock:
    """Reads the machine's clocks; holds no state."""

    def monotonic_ns(self) -> int:
        """CLOCK_MONOTONIC in ns: the clock clients stamp `sent_ns` with, comparable across processes of one boot."""
        return time.clock_gettime_ns(time.CLOCK_MONOTONIC)

    def thread_ns(self) -> int:
        """How long this thread has had the processor. Reading it costs a microsecond."""
        return time.thread_time_ns()

    def boottime_ns(self) -> int:
        """CLOCK_BOOTTIME in ns: like `monotonic_ns`, but it runs on while the machine is suspended.

        The difference of the two grows by exactly the time slept, during which no timer of ours ran.
        """
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME)

    def slept_ns(self) -> int:
        """How long this machine has been suspended since it booted."""
        return self.boottime_ns() - self.monotonic_ns()

    def utc_ns(self) -> int:
        """Nanoseconds since 1970-01-01 UTC. It may jump either way: for records only, never for durations."""
        return time.time_ns()


class VirtualClock(Clock):
    """A clock that moves only as trio's own does, for tests and simulations under `trio.testing.MockClock`.

    Two clocks made in one run with the same start values always agree, so a restarted part sees time go on.
    """

    def __init__(
        self, *, monotonic_start_ns: int = VIRTUAL_MONOTONIC_START_NS, utc_start_ns: int = VIRTUAL_UTC_START_NS
    ) -> None:
        self._monotonic_start_ns = monotonic_start_ns
        self._utc_start_ns = utc_start_ns
        self._suspended_ns = 0

    def monotonic_ns(self) -> int:
        return self._monotonic_start_ns + round(trio.current_time() * NS_PER_S)

    def thread_ns(self) -> int:
        return self.monotonic_ns()

    def boottime_ns(self) -> int:
        return self.monotonic_ns() + self._suspended_ns

    def utc_ns(self) -> int:
        return self._utc_start_ns + round(trio.current_time() * NS_PER_S)

    def step_utc(self, step_ns: int) -> None:
        """Move the wall clock alone, as an operator or a time daemon does; either direction."""
        self._utc_start_ns += step_ns

    def suspend(self, slept_ns: int) -> None:
        """Act as if the machine had slept: the wall and boot clocks move, the monotonic one does not."""
        self._suspended_ns += slept_ns
        self._utc_start_ns += slept_ns


def rfc3339(utc_ns: int) -> str:
    """`utc_ns` as RFC 3339 text in UTC, always with six decimals and a Z, so that texts sort as times do."""
    seconds, rest_ns = divmod(utc_ns, NS_PER_S)
    moment = datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest_ns // 1_000, tzinfo=None)
    return moment.isoformat(timespec="microseconds") + "Z"
