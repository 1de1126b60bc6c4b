"""Counters and latency histograms: cheap enough to record on every cancel, read only when somebody asks."""

from typing import Any, Final

_BITS: Final = 6
"""Leading bits of a duration that are kept: a percentile is off by at most 1/32 of its value."""

_MASK: Final = (1 << _BITS) - 1


class Histogram:
    """Durations in ns, in log-linear buckets; memory does not grow with what is recorded."""

    def __init__(self) -> None:
        self._buckets: dict[int, int] = {}
        self.count = 0
        self.most_ns = 0

    def record(self, duration_ns: int) -> None:
        """Count one duration; a negative one counts as 0."""
        duration_ns = max(duration_ns, 0)
        shift = max(duration_ns.bit_length() - _BITS, 0)
        bucket = (shift << _BITS) + (duration_ns >> shift)
        self._buckets[bucket] = self._buckets.get(bucket, 0) + 1
        self.count += 1
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
