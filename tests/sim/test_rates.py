"""The rate counters: the published costs, decay and thresholds."""

from __future__ import annotations

import pytest

from canceld.sim.rates import (
    INTERMEDIATE,
    PRO,
    STARTER,
    Budget,
    Budgets,
    RestCounters,
    RestLimit,
    Tier,
    TradingCounters,
    cancel_cost,
)


@pytest.mark.parametrize(
    ("age_s", "cost"), [(0, 8), (4.9, 8), (5, 6), (10, 5), (15, 4), (45, 2), (90, 1), (299, 1), (300, 0)]
)
def test_a_cancel_costs_less_the_older_the_order(age_s: float, cost: int) -> None:
    assert cancel_cost(age_s) == cost


@pytest.mark.parametrize(("tier", "cancels"), [(STARTER, 7), (INTERMEDIATE, 15), (PRO, 22)])
def test_young_cancels_run_into_the_limit(tier: Tier, cancels: int) -> None:
    counters = TradingCounters(lambda: 0.0, tier)
    granted = 0
    while counters.charge_cancel("alice", "XBT/USD", 0.0):
        granted += 1
    assert granted == cancels
    assert counters.charge_cancel("alice", "ETH/USD", 0.0)
    assert counters.charge_cancel("bob", "XBT/USD", 0.0)


def test_points_drain_with_time_and_not_below_zero() -> None:
    now_s = 0.0
    counters = TradingCounters(lambda: now_s, PRO)
    for _ in range(22):
        counters.charge_cancel("alice", "XBT/USD", 0.0)
    assert counters.value("alice", "XBT/USD") == 176
    now_s = 10.0
    assert counters.value("alice", "XBT/USD") == 176 - 37.5
    now_s = 1000.0
    assert counters.value("alice", "XBT/USD") == 0


def test_a_batch_is_booked_in_full_and_may_overrun() -> None:
    counters = TradingCounters(lambda: 0.0, PRO)
    counters.charge_batch("alice", "XBT/USD", [0.0] * 50)
    assert counters.value("alice", "XBT/USD") == 400
    assert not counters.charge_cancel("alice", "XBT/USD", 0.0)
    assert not counters.charge_add("alice", "XBT/USD")


def test_a_free_cancel_is_refused_too_above_the_threshold() -> None:
    counters = TradingCounters(lambda: 0.0, PRO)
    counters.charge_batch("alice", "XBT/USD", [0.0] * 50)
    assert not counters.charge_cancel("alice", "XBT/USD", 1000.0)


def test_the_rest_counter_blocks_and_recovers() -> None:
    now_s = 0.0
    counters = RestCounters(lambda: now_s, RestLimit(maximum=20, decay_per_s=1))
    assert all(counters.charge("key", 1) for _ in range(20))
    assert not counters.charge("key", 1)
    assert counters.charge("other", 1)
    assert counters.charge("key", 0)
    now_s = 5.0
    assert counters.charge("key", 1)


def test_a_caller_who_never_stops_is_not_blocked_for_ever() -> None:
    now_s = 0.0
    counters = RestCounters(lambda: now_s, RestLimit(maximum=20, decay_per_s=1))
    for _ in range(10_000):
        counters.charge("key", 1)
    now_s = 25.0
    assert counters.charge("key", 1)


def test_a_budget_slides_and_a_refusal_costs_nothing() -> None:
    now_s = 0.0
    budgets = Budgets(lambda: now_s, Budget(points=20, window_s=10))
    assert budgets.charge("alice", 12)
    now_s = 6.0
    assert not budgets.charge("alice", 9)
    assert budgets.charge("alice", 8)
    assert budgets.charge("bob", 20)
    now_s = 10.0
    assert budgets.charge("alice", 12)
    assert not budgets.charge("alice", 1)
    assert budgets.charge("alice", 0)
