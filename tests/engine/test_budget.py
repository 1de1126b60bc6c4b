"""The mirrored rate counters: the published costs, the published limits, and a choice that never refuses."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canceld.engine.budget import (
    INTERMEDIATE,
    PAIRS_LIMIT,
    POINTS,
    POINTS_CEILING,
    POINTS_RESERVE,
    PRO,
    RESERVES,
    STARTER,
    Budget,
    Pace,
    PointBudget,
    RestBudget,
    cost,
    tier_of,
)

SECOND_NS = 10**9


@pytest.mark.parametrize(
    ("age_s", "points"),
    [
        (0.0, 8),
        (4.999, 8),
        (5.0, 6),
        (9.999, 6),
        (10.0, 5),
        (15.0, 4),
        (44.9, 4),
        (45.0, 2),
        (90.0, 1),
        (299.9, 1),
        (300.0, 0),
        (1e9, 0),
        (None, 8),
        (-1.0, 8),
        (math.nan, 8),
        (math.inf, 0),
    ],
)
def test_cancel_costs_what_the_table_says(age_s: float | None, points: int) -> None:
    assert cost(age_s) == points


@pytest.mark.parametrize(
    ("ceiling", "tier"), [(60, STARTER), (125, INTERMEDIATE), (180, PRO), (None, STARTER), (10, STARTER)]
)
def test_tier_is_told_by_its_ceiling(ceiling: float | None, tier: object) -> None:
    assert tier_of(ceiling) == tier


def test_raised_ceiling_keeps_the_decay_of_the_tier_below() -> None:
    raised = tier_of(500)
    assert raised.ceiling == 500
    assert raised.decay == PRO.decay
    assert tier_of(130).decay == INTERMEDIATE.decay


@pytest.mark.parametrize(("ceiling", "cancels"), [(60, 7), (125, 15), (180, 22)])
def test_young_orders_are_cancelled_singly_as_long_as_the_published_count(ceiling: float, cancels: int) -> None:
    budget = Budget(ceiling)
    for _ in range(cancels):
        assert budget.room("XBT/USD", 0) >= cost(0.0)
        budget.charge("XBT/USD", cost(0.0), 0)
    assert budget.room("XBT/USD", 0) < cost(0.0)


def test_counter_decays_at_the_tiers_rate_and_not_below_zero() -> None:
    budget = Budget(125)
    budget.charge("XBT/USD", 100, 0)
    assert budget.room("XBT/USD", 0) == 25
    assert budget.room("XBT/USD", 10 * SECOND_NS) == pytest.approx(25 + 23.4)
    assert budget.room("XBT/USD", 3600 * SECOND_NS) == 125


def test_clock_that_stands_still_or_turns_back_never_frees_room() -> None:
    budget = Budget(60)
    budget.charge("XBT/USD", 60, 10 * SECOND_NS)
    assert budget.room("XBT/USD", 0) == 0


def test_pairs_have_counters_of_their_own() -> None:
    budget = Budget(60)
    budget.charge("XBT/USD", 60, 0)
    assert budget.room("XBT/USD", 0) == 0
    assert budget.room("ETH/USD", 0) == 60


def test_points_of_an_unknown_pair_count_against_every_pair() -> None:
    budget = Budget(60)
    budget.charge(None, 20, 0)
    budget.charge("XBT/USD", 10, 0)
    assert budget.room("XBT/USD", 0) == 30
    assert budget.room("ETH/USD", 0) == 40
    assert budget.room(None, 0) == 40


def test_told_ceiling_changes_the_room_and_none_changes_nothing() -> None:
    budget = Budget()
    budget.told(180)
    assert budget.room("XBT/USD", 0) == 180
    budget.told(None)
    assert budget.room("XBT/USD", 0) == 180


def test_form_is_single_while_there_is_room_then_batch() -> None:
    budget = Budget(60)
    seven: list[tuple[str | None, float | None]] = [("XBT/USD", 0.0)] * 7
    assert budget.form(seven, 0) == "single"
    assert budget.form([*seven, ("XBT/USD", 0.0)], 0) == "batch"
    assert budget.form([*seven, ("ETH/USD", 0.0)], 0) == "single"
    budget.charge("XBT/USD", 30, 0)
    assert budget.form(seven, 0) == "batch"


def test_old_orders_cost_nothing_but_need_a_counter_that_is_not_over() -> None:
    budget = Budget(60)
    hundred: list[tuple[str | None, float | None]] = [("XBT/USD", 301.0)] * 100
    assert budget.form(hundred, 0) == "single"
    budget.charge("XBT/USD", 61, 0)
    assert budget.form(hundred, 0) == "batch"


def test_one_order_is_always_single() -> None:
    budget = Budget(60)
    budget.charge("XBT/USD", 1000, 0)
    assert budget.form([("XBT/USD", 0.0)], 0) == "single"
    assert budget.form([("XBT/USD", 0.0)], 0, everything=True) == "single"


def test_all_is_chosen_for_everything_only() -> None:
    budget = Budget(60)
    many: list[tuple[str | None, float | None]] = [("XBT/USD", 0.0)] * 8
    assert budget.form(many, 0, everything=True) == "all"
    assert budget.form(many[:2], 0, everything=True) == "single"


def test_orders_of_unknown_pair_and_age_are_taken_for_the_dearest() -> None:
    budget = Budget(60)
    assert budget.form([(None, None)] * 7, 0) == "single"
    assert budget.form([(None, None)] * 8, 0) == "batch"
    assert budget.form([(None, None)] * 4 + [("XBT/USD", 0.0)] * 4, 0) == "batch"


@given(
    st.lists(st.tuples(st.none() | st.sampled_from(["XBT/USD", "ETH/USD"]), st.none() | st.floats()), max_size=60),
    st.booleans(),
    st.floats(0, 1e6),
)
def test_there_is_always_a_form(
    orders: list[tuple[str | None, float | None]], everything: bool, charged: float
) -> None:
    budget = Budget(60)
    budget.charge("XBT/USD", charged, 0)
    form = budget.form(orders, 0, everything=everything)
    assert form in ("single", "batch", "all")
    assert everything or form != "all"
    assert len(orders) > 1 or form == "single"


def test_number_of_counters_is_bounded_and_the_overflow_is_not_forgotten() -> None:
    budget = Budget(180)
    for n in range(PAIRS_LIMIT + 500):
        budget.charge(f"PAIR{n}/USD", 1, 0)
    assert len(budget) <= PAIRS_LIMIT + 1
    assert budget.room("NEW/USD", 0) < 0, "500 points of pairs without a counter count against every pair"
    # A minute later the old counters are empty and make place.
    budget.charge("NEW/USD", 8, 3600 * SECOND_NS)
    assert budget.room("NEW/USD", 3600 * SECOND_NS) == 172
    assert len(budget) < 10


def test_queries_end_while_enough_is_left_for_what_cannot_wait() -> None:
    budget = RestBudget()
    for _ in range(20 - RESERVES["look"]):
        assert budget.spares("look", 0)
        budget.called("query", 1, 0)
    assert not budget.spares("look", 0)
    assert budget.spares("look", SECOND_NS)


def test_queries_never_take_the_call_that_opens_the_only_session() -> None:
    budget, now_ns = RestBudget(), 0
    for _ in range(200):
        now_ns += 500_000_000
        if budget.spares("settle", now_ns):
            budget.called("query", 1, now_ns)
        assert budget.spares("first token", now_ns)


def test_the_list_of_priorities_is_kept_from_its_end_to_its_beginning() -> None:
    """With each call that is made fewer uses are left, the last on the list first; a kill and a cancel always are."""
    budget, left = RestBudget(), list(RESERVES)
    for _ in range(40):
        now_left = [use for use in RESERVES if budget.spares(use, 0)]
        assert now_left == left[: len(now_left)]
        left = now_left
        budget.called("batch", 1, 0)
    assert left == ["kill", "cancel"]


def test_single_cancels_over_rest_cost_no_call() -> None:
    budget = RestBudget(STARTER)
    for _ in range(100):
        budget.called("cancel", 1, 0)
    assert budget.spares("look", 0)


def test_rest_tier_follows_the_told_ceiling() -> None:
    budget = RestBudget()
    budget.told(60)
    for _ in range(15 - RESERVES["look"]):
        assert budget.spares("look", 0)
        budget.called("batch", 50, 0)
    assert not budget.spares("look", 0)
    budget.told(None)
    assert not budget.spares("look", 0)


def test_points_choose_batches_when_single_cancels_would_eat_into_the_reserve() -> None:
    budget = PointBudget()
    orders: list[tuple[str | None, float | None]] = [(None, None)]
    assert budget.form(orders * 35, 0) == "single"
    assert budget.form(orders * 36, 0) == "batch"
    for _ in range(35):
        budget.sent(None, None, 0)
    assert budget.form(orders, 0) == "batch"
    assert not budget.spares("look", 0)
    assert budget.form(orders * 35, 10 * SECOND_NS) == "single"


@pytest.mark.parametrize(
    ("form", "orders", "points"),
    [("cancel", 1, 10), ("batch", 20, 29), ("all", 1, 25), ("open_orders", 1, 2), ("query", 1, 1)],
)
def test_points_of_each_call_are_those_of_the_venues_table(form: str, orders: int, points: int) -> None:
    budget = PointBudget()
    calls = 0
    while budget.spares("look", 0):
        budget.called(form, orders, 0)
        calls += 1
    assert (calls - 1) * points <= POINTS_CEILING - POINTS_RESERVE - POINTS["open_orders"] < calls * points


def test_pace_lets_a_burst_through_and_then_so_many_a_second() -> None:
    pace = Pace(50.0, 100)
    assert [pace.take(0) for _ in range(100)] == [0] * 100
    wait_ns = pace.take(0)
    assert 19_000_000 < wait_ns <= 20_000_001
    assert pace.take(wait_ns) == 0
    assert pace.take(wait_ns) > 0
    assert [pace.take(10 * SECOND_NS) for _ in range(100)] == [0] * 100
