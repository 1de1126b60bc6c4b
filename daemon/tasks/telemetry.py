"""Counters and latency histograms: cheap enough to record on every cancel, read only when somebody asks."""

from bisect import bisect_left
from typing import Any, Final

_BITS: Final = 6
"""Leading bits of a duration that are kept: a percentile is off by at most 1/32 of its value."""

_MASK: Final = (1 << _BITS) - 1

BOUNDS_US: Final = (
    *(100, 200, 500),
    *(1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000),
    *(1_000_000, 2_000_000, 5_000_000, 10_000_000, 60_000_000),
)
"""Upper bounds of the coarse buckets that are told to a monitoring system: from one hop on loopback to the longest
deadline."""


class Histogram:
    """Durations in ns, in log-linear buckets; memory does not grow with what is recorded."""

    def __init__(self) -> None:
        self._buckets: dict[int, int] = {}
        self.count = 0
        self.most_ns = 0
        self.sum_ns = 0

    def record(self, duration_ns: int) -> None:
        """Count one duration; a negative one counts as 0."""
        duration_ns = max(duration_ns, 0)
        shift = max(duration_ns.bit_length() - _BITS, 0)
        bucket = (shift << _BITS) + (duration_ns >> shift)
        self._buckets[bucket] = self._buckets.get(bucket, 0) + 1
        self.count += 1
        self.sum_ns += duration_ns
        if duration_ns > self.most_ns:
            self.most_ns = duration_ns

    def percentile_ns(self, percent: float) -> int:
        """The duration that `percent` of the recorded ones do not exceed; 0 when there is none."""
        wanted = self.count * percent / 100
        seen = 0
        for bucket in sorted(self._buckets):
            seen += self._buckets[bucket]
            if seen >= wanted:
                return min(((bucket & _MASK) + 1) << (bucket >> _BITS), self.most_ns)
        return self.most_ns

    def summary(self) -> dict[str, Any]:
        """Count and percentiles in microseconds, for `status`."""
        return {
            "count": self.count,
            "p50_us": self.percentile_ns(50) / 1000,
            "p99_us": self.percentile_ns(99) / 1000,
            "p999_us": self.percentile_ns(99.9) / 1000,
            "max_us": self.most_ns / 1000,
        }

    def cumulative(self) -> list[int]:
        """For each of BOUNDS_US how many durations do not exceed it, as far as the fine buckets can tell: a duration
        within 1/32 below a bound may be counted with the next one."""
        counts = [0] * (len(BOUNDS_US) + 1)
        for bucket, count in self._buckets.items():
            most_us = min(((bucket & _MASK) + 1) << (bucket >> _BITS), self.most_ns) / 1000
            counts[bisect_left(BOUNDS_US, most_us)] += count
        for i in range(1, len(BOUNDS_US)):
            counts[i] += counts[i - 1]
        return counts[:-1]


class Ledger:
    """How many cancels ended in which outcome by which route, and how long each kind took from receipt to reply."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str, str], Histogram] = {}

    def record(self, venue: str, outcome: str, route: str, duration_ns: int) -> None:
        """One outcome was told. duration_ns: from the receipt of its command."""
        row = self._rows.get((venue, outcome, route))
        if row is None:
            row = self._rows[venue, outcome, route] = Histogram()
        row.record(duration_ns)

    def rows(self) -> list[dict[str, Any]]:
        """For `status`: a row per venue, outcome and route, with its count, the sum of its durations in seconds, and
        for each of BOUNDS_US how many did not exceed it."""
        return [
            {
                "venue": venue,
                "outcome": outcome,
                "route": route,
                "count": row.count,
                "sum_s": row.sum_ns / 1e9,
                "buckets": list(zip(BOUNDS_US, row.cumulative(), strict=True)),
            }
            for (venue, outcome, route), row in sorted(self._rows.items())
        ]
