"""What both kinds of held leases agree on: how often to renew, when one counts as lost, what ends it cleanly."""

from typing import Final

from .requests import NS_PER_MS

SHARE: Final = 3
"""Renewals for each ttl: two may be lost before the lease is."""


def ended_cleanly(error: BaseException | None) -> bool:
    """Whether a block that ended like this gives its lease back. Anything else is left to the daemon to clean up."""
    return error is None or (isinstance(error, SystemExit) and not error.code)


class Hold:
    """When the next renewal is due, and whether the lease stands. Times are CLOCK_MONOTONIC ns."""

    def __init__(self, ttl_ms: int, pulse_ms: int | None, now_ns: int) -> None:
        self.error: Exception | None = None
        self.every_ms = max(1, ttl_ms // SHARE)
        self._ttl_ns = ttl_ms * NS_PER_MS
        self._pulse_ns = None if pulse_ms is None else pulse_ms * NS_PER_MS
        self._pulsed_ns = now_ns
        self._ends_ns = now_ns

    def pulse(self, now_ns: int) -> None:
        """The strategy shows that it still goes round."""
        self._pulsed_ns = now_ns

    def wants_renewal(self, now_ns: int) -> bool:
        """Whether to renew: always, or for as long as the strategy pulses."""
        return self._pulse_ns is None or now_ns - self._pulsed_ns <= self._pulse_ns

    def renewed(self, asked_ns: int) -> None:
        """The daemon took a renewal that was asked at this time: at that time at the earliest the ttl began."""
        self.error = None
        self._ends_ns = asked_ns + self._ttl_ns

    def stands(self, now_ns: int) -> bool:
        """Whether the daemon surely holds the lease now."""
        return now_ns < self._ends_ns
