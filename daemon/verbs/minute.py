"""What was answered in the last minute, and how long it took: counted a second at a time, so that drawing is cheap."""

from collections import Counter, deque
from typing import Final, NamedTuple

MINUTE_S: Final = 60

STEPS: Final = 16
"""Buckets between one power of two and the next: a percentile is told at most a sixteenth too high."""


class Times(NamedTuple):
    """How long answers took, in microseconds."""

    p50_us: float
    p99_us: float
    max_us: float


class _Second:
    def __init__(self, at: int) -> None:
        self.at = at
        self.outcomes: Counter[str] = Counter()
        self.buckets: Counter[int] = Counter()
        self.most_us = 0.0


class Minute:
    """Outcomes and durations of the last minute. Times are seconds of any one monotonic clock."""

    def __init__(self) -> None:
        self._seconds: deque[_Second] = deque(maxlen=MINUTE_S + 1)

    def count(self, outcome: str, took_us: float | None, now_s: float) -> None:
        """One outcome was heard of. took_us: None where it does not say."""
        second = int(now_s)
        if not self._seconds or self._seconds[-1].at != second:
            self._seconds.append(_Second(second))
        last = self._seconds[-1]
        last.outcomes[outcome] += 1
        if took_us is not None:
            last.buckets[_bucket(took_us)] += 1
            last.most_us = max(last.most_us, took_us)

    def outcomes(self, now_s: float) -> Counter[str]:
        """How many there were of each."""
        total: Counter[str] = Counter()
        for one in self._of(now_s):
            total.update(one.outcomes)
        return total

    def times(self, now_s: float) -> Times | None:
        """How long they took; None where there were none."""
        buckets: Counter[int] = Counter()
        most_us = 0.0
        for one in self._of(now_s):
            buckets.update(one.buckets)
            most_us = max(most_us, one.most_us)
        if not buckets:
            return None
        return Times(_percentile(buckets, 50, most_us), _percentile(buckets, 99, most_us), most_us)

    def _of(self, now_s: float) -> list[_Second]:
        return [one for one in self._seconds if one.at > now_s - MINUTE_S]


def _bucket(took_us: float) -> int:
    whole = max(int(took_us), 1)
    power = whole.bit_length() - 1
    return power * STEPS + (whole * STEPS >> power) - STEPS


def _percentile(buckets: Counter[int], percent: float, most_us: float) -> float:
    """The upper end of the bucket that holds it, or the longest of all."""
    wanted, seen = buckets.total() * percent / 100, 0
    for bucket in sorted(buckets):
        seen += buckets[bucket]
        if seen >= wanted:
            power, step = divmod(bucket, STEPS)
            return min(float((1 << power) * (STEPS + step + 1) / STEPS), most_us)
    return most_us
