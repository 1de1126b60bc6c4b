"""Histograms: percentiles within their promised error, in memory that does not grow."""

import random

import pytest

from canceld.tasks.telemetry import BOUNDS_US, Histogram, Ledger

PRECISION = 1 / 32


def test_an_empty_one_says_nothing_happened() -> None:
    empty = Histogram()
    assert empty.percentile_ns(99) == 0
    assert empty.summary() == {"count": 0, "p50_us": 0.0, "p99_us": 0.0, "p999_us": 0.0, "max_us": 0.0}


@pytest.mark.parametrize("duration_ns", [0, 1, 63, 64, 65, 1_000, 123_456_789, 10**12, 2**62])
def test_one_duration_is_every_percentile(duration_ns: int) -> None:
    one = Histogram()
    one.record(duration_ns)
    assert one.most_ns == duration_ns
    for percent in (0.1, 50, 99.9, 100):
        assert one.percentile_ns(percent) == pytest.approx(duration_ns, rel=PRECISION, abs=1)


@pytest.mark.parametrize("seed", range(5))
def test_percentiles_are_off_by_no_more_than_promised(seed: int) -> None:
    rng = random.Random(seed)
    durations = sorted(round(rng.lognormvariate(12, 2)) for _ in range(5_000))
    histogram = Histogram()
    for duration_ns in durations:
        histogram.record(duration_ns)
    for percent in (1, 50, 90, 99, 99.9):
        exact = durations[min(round(len(durations) * percent / 100), len(durations)) - 1]
        assert histogram.percentile_ns(percent) == pytest.approx(exact, rel=PRECISION, abs=1)
    assert histogram.count == len(durations)
    assert histogram.summary()["max_us"] == durations[-1] / 1000


def test_a_percentile_is_never_above_the_largest_nor_below_a_smaller_one() -> None:
    histogram = Histogram()
    for duration_ns in (100, 10_000, 1_000_000):
        histogram.record(duration_ns)
    told = [histogram.percentile_ns(percent) for percent in range(1, 101)]
    assert told == sorted(told)
    assert told[-1] == 1_000_000


def test_a_negative_duration_counts_as_none_at_all() -> None:
    histogram = Histogram()
    histogram.record(-5)
    assert (histogram.count, histogram.most_ns) == (1, 0)


def test_memory_does_not_grow_with_what_is_recorded() -> None:
    histogram = Histogram()
    rng = random.Random(1)
    for _ in range(100_000):
        histogram.record(rng.randrange(10**9))
    assert len(histogram._buckets) <= 31 * 32


@pytest.mark.parametrize("seed", range(5))
def test_coarse_buckets_hold_what_does_not_exceed_their_bounds(seed: int) -> None:
    rng = random.Random(seed)
    durations = [round(rng.lognormvariate(14, 3)) for _ in range(2_000)]
    histogram = Histogram()
    for duration_ns in durations:
        histogram.record(duration_ns)
    told = histogram.cumulative()
    assert len(told) == len(BOUNDS_US)
    assert told == sorted(told)
    for bound_us, count in zip(BOUNDS_US, told, strict=True):
        assert sum(d <= bound_us * 1000 * (1 - PRECISION) for d in durations) <= count
        assert count <= sum(d <= bound_us * 1000 for d in durations)
    assert histogram.sum_ns == sum(durations)


def test_a_ledger_has_a_row_for_each_venue_outcome_and_route() -> None:
    ledger = Ledger()
    ledger.record("spot", "acked", "ws", 150_000)
    ledger.record("spot", "acked", "ws", 3_000_000)
    ledger.record("prime", "unknown", "none", 2_000_000_000)
    prime, spot = ledger.rows()
    assert (prime["venue"], prime["outcome"], prime["route"], prime["count"]) == ("prime", "unknown", "none", 1)
    assert (spot["count"], spot["sum_s"]) == (2, 0.00315)
    assert [dict(spot["buckets"])[us] for us in (100, 200, 2_000, 5_000, 60_000_000)] == [0, 1, 1, 2, 2]
