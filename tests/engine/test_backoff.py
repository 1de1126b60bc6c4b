"""Reconnect delays: quick after a single drop, patient with a venue that stays down, never fast enough for a ban."""

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canceld.contract.evidence import Mode
from canceld.engine.backoff import (
    BANNED_S,
    CONNECT_LIMIT,
    CONNECT_WINDOW_NS,
    FAIR_S,
    FREE_TRIES,
    LONGEST_S,
    MAINTENANCE_FLOOR_S,
    REFUSED_S,
    RESERVE_SHARE,
    SPREAD_S,
    STABLE_NS,
    Backoff,
    ConnectBudget,
    Need,
    is_alarming,
)

SECOND_NS = 10**9


def test_first_tries_are_free_then_delays_double_with_a_rest_to_their_cap() -> None:
    backoff = Backoff()
    assert [backoff.delay_s(0, 1.0) for _ in range(16)] == [0, 0, 0, 1, 2, *[4] * 7, 8, 16, 30, 30]


def test_delay_is_spread_over_its_whole_length() -> None:
    backoff = Backoff()
    for _ in range(FREE_TRIES):
        backoff.delay_s(0, 0.5)
    assert [backoff.delay_s(0, uniform) for uniform in (0.0, 0.5, 0.25)] == [0.0, 1.0, 1.0]


def test_stable_session_forgives_earlier_failures() -> None:
    backoff = Backoff()
    for _ in range(8):
        backoff.delay_s(0, 1.0)
    backoff.live(0)
    assert backoff.delay_s(STABLE_NS, 1.0) == 0.0


def test_session_that_is_admitted_and_dropped_at_once_is_not_forgiven() -> None:
    backoff = Backoff()
    delays = []
    for step in range(8):
        backoff.live(step * 1000 * SECOND_NS)
        delays.append(backoff.delay_s(step * 1000 * SECOND_NS + STABLE_NS - 1, 1.0))
    assert delays == [0, 0, 0, 1, 2, 4, 4, 4]


def test_refused_stream_is_free_once_and_then_asks_for_less_each_time() -> None:
    backoff = Backoff()
    delays = [backoff.delay_s(0, 0.0, refused=True) for _ in range(8)]
    assert delays == [0, 1, 2, 4, 8, 16, 30, 30]
    backoff.live(0)
    assert backoff.delay_s(STABLE_NS, 1.0, refused=True) == 0.0


def test_failed_dial_after_a_stable_session_is_not_forgiven_twice() -> None:
    backoff = Backoff()
    backoff.live(0)
    delays = [backoff.delay_s(STABLE_NS * step, 1.0) for step in range(1, 6)]
    assert delays == [0, 0, 0, 1, 2]


def test_a_venue_that_takes_every_dial_is_dialled_as_the_budget_bears_it_however_often_it_drops_us() -> None:
    backoff, delays = Backoff(), []
    for step in range(12):
        now_ns = step * 100 * SECOND_NS
        backoff.dialled(now_ns)
        backoff.live(now_ns)
        delays.append(backoff.delay_s(now_ns + 2 * SECOND_NS, 1.0, pace_s=5.0))
    assert delays == [3.0] * 12
    backoff.dialled(0)
    backoff.live(0)
    assert backoff.delay_s(20 * SECOND_NS, 1.0, pace_s=18.0) == 0.0
    assert [backoff.delay_s(21 * SECOND_NS, 1.0, pace_s=18.0) for _ in range(4)] == [0.0, 0.0, 1.0, 2.0]


@pytest.mark.parametrize("mode", ["maintenance", "cancel_only"])
def test_maintenance_is_not_dialled_faster_than_its_floor(mode: Mode) -> None:
    backoff = Backoff()
    for uniform in (0.0, 0.5, 1.0, 0.0, 0.0):
        delay_s = backoff.delay_s(0, uniform, mode=mode)
        assert MAINTENANCE_FLOOR_S <= delay_s <= MAINTENANCE_FLOOR_S + SPREAD_S


@pytest.mark.parametrize(
    ("cause", "least_s", "most_s", "alarming"),
    [
        (1006, 0.0, 0.0, False),
        (1000, 0.0, 0.0, False),
        (1008, REFUSED_S, REFUSED_S + SPREAD_S, True),
        (1012, 0.0, SPREAD_S, False),
        (1013, 1.0, 1.0 + SPREAD_S, False),
        (400, REFUSED_S, REFUSED_S + SPREAD_S, True),
        (401, REFUSED_S, REFUSED_S + SPREAD_S, True),
        (403, BANNED_S, BANNED_S + SPREAD_S, True),
        (404, REFUSED_S, REFUSED_S + SPREAD_S, True),
        (429, BANNED_S, BANNED_S + SPREAD_S, True),
        (503, 0.0, 0.0, False),
        (None, 0.0, 0.0, False),
    ],
)
def test_cause_sets_the_delay_and_the_alarm(cause: int | None, least_s: float, most_s: float, alarming: bool) -> None:
    assert Backoff().delay_s(0, 0.0, cause=cause) == least_s
    assert Backoff().delay_s(0, 1.0, cause=cause) == most_s
    assert is_alarming(cause) is alarming


def test_venue_that_restarts_over_and_over_is_not_dialled_at_once_for_ever() -> None:
    backoff = Backoff()
    assert [backoff.delay_s(0, 1.0, cause=1012) for _ in range(6)] == [SPREAD_S] * FREE_TRIES + [1.0, 2.0, 4.0]


@given(
    st.lists(
        st.tuples(
            st.floats(0, 1),
            st.sampled_from(["online", "maintenance", "unknown"]),
            st.sampled_from([None, 1006, 1008, 1012, 1013, 429, 999_999, -1]),
        ),
        max_size=50,
    )
)
def test_every_delay_is_bounded(losses: list[tuple[float, Mode, int | None]]) -> None:
    backoff = Backoff()
    for uniform, mode, cause in losses:
        assert 0.0 <= backoff.delay_s(0, uniform, mode=mode, cause=cause) <= BANNED_S + SPREAD_S


def test_weekend_of_failures_still_has_a_delay() -> None:
    backoff = Backoff()
    for _ in range(100_000):
        delay_s = backoff.delay_s(0, 1.0)
    assert delay_s == LONGEST_S


def test_budget_is_spent_then_waited_for() -> None:
    budget = ConnectBudget()
    ordinary = CONNECT_LIMIT - CONNECT_LIMIT // RESERVE_SHARE
    assert [budget.take(n) for n in range(ordinary)] == [0] * ordinary
    assert budget.take(ordinary) == CONNECT_WINDOW_NS - ordinary
    assert budget.take(CONNECT_WINDOW_NS - 1) == 1
    assert budget.take(CONNECT_WINDOW_NS) == 0
    assert budget.take(CONNECT_WINDOW_NS) == 1


def test_what_others_have_spent_leaves_a_reserve_for_kills() -> None:
    budget, taken = ConnectBudget(), 0
    while budget.take(0) == 0:
        taken += 1
    while budget.take(1, pressing=True) == 0:
        taken += 1
    assert taken == CONNECT_LIMIT
    assert budget.take(1, pressing=True) == CONNECT_WINDOW_NS - 1


def test_under_a_kill_no_refusal_of_the_venue_sets_the_delay() -> None:
    backoff = Backoff()
    for cause in (403, 401, 1008, 429, 403, 403):
        backoff.delay_s(0, 1.0, cause=cause)
    backoff.forgive()
    delays = [backoff.delay_s(0, 1.0, mode="maintenance", cause=403, pressing=True) for _ in range(8)]
    assert delays == [0.0, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0, 15.0]


def test_one_more_session_goes_without_before_a_stream_does_and_that_before_the_only_session() -> None:
    budget = ConnectBudget()
    needs: tuple[Need, ...] = ("spare", "witness", "only")
    for need in needs:
        assert budget.take(0, need=need) == 0
        while budget.take(0, need=need) == 0:
            pass
    assert budget.take(0, pressing=True, need="spare") == 0


def test_an_attempt_that_found_no_address_is_given_back() -> None:
    told: list[str] = []
    budget = ConnectBudget(limit=6, booked=lambda: told.append("booked"), unbooked=lambda: told.append("unbooked"))
    for _ in range(50):
        assert budget.take(0) == 0
        budget.give_back()
    assert told == ["booked", "unbooked"] * 50
    assert budget.pace_s(0) == 0.0
    assert [budget.take(0) for _ in range(6)].count(0) == 5


def test_pace_grows_with_what_is_spent_of_the_budget() -> None:
    budget = ConnectBudget()
    assert budget.pace_s(0) == 0.0
    paces = []
    for _ in range(CONNECT_LIMIT):
        budget.take(0)
        paces.append(budget.pace_s(0))
    assert paces == sorted(paces)
    assert paces[-1] == FAIR_S
    assert budget.pace_s(CONNECT_WINDOW_NS) == 0.0


def test_one_session_dials_for_a_venue_without_any_until_its_dial_is_settled() -> None:
    budget = ConnectBudget()
    assert budget.is_first("prime", 1)
    assert not budget.is_first("prime", 0)
    assert budget.is_first("spot", 0)
    budget.settled("prime", 0)
    assert not budget.is_first("prime", 0)
    budget.settled("prime", 1)
    assert budget.is_first("prime", 0)


def test_one_more_session_has_less_while_those_of_its_venue_are_lost_all_the_time() -> None:
    budget = ConnectBudget()
    assert budget.need("spot", 1, 0, live=True) == "witness"
    budget.lost("spot", 0)
    assert budget.need("spot", 1, STABLE_NS - 1, live=True) == "spare"
    assert budget.need("spot", 1, STABLE_NS, live=True) == "witness"
    assert budget.need("spot", 1, 1, live=False) == "only"
    assert budget.need("spot", 0, 1, live=False) == "spare"


def test_no_window_ever_holds_more_attempts_than_the_limit() -> None:
    chance = random.Random(7)
    budget, now_ns, taken = ConnectBudget(limit=10, window_ns=100), 0, []
    for _ in range(2_000):
        now_ns += chance.randrange(0, 8)
        if budget.take(now_ns, pressing=chance.random() < 0.5) == 0:
            taken.append(now_ns)
    for at in taken:
        assert sum(at <= other < at + 100 for other in taken) <= 10
    assert len(taken) > 100


def test_waiting_as_told_always_gets_an_attempt() -> None:
    budget, now_ns = ConnectBudget(limit=3, window_ns=100), 0
    for _ in range(50):
        wait_ns = budget.take(now_ns)
        if wait_ns > 0:
            now_ns += wait_ns
            assert budget.take(now_ns) == 0
    assert now_ns > 0


def test_dials_that_are_reset_at_once_are_not_three_in_a_millisecond() -> None:
    backoff = Backoff()
    now_ns, dials = 1000 * SECOND_NS, []
    for _ in range(4):
        backoff.dialled(now_ns)
        dials.append(now_ns)
        now_ns += SECOND_NS // 1000
        now_ns += round(backoff.delay_s(now_ns, 0.0) * SECOND_NS)
    gaps_ms = [(after - before) // (SECOND_NS // 1000) for before, after in pairwise(dials)]
    assert gaps_ms == [1, 100, 100], "the first is tried again at once: most drops are single ones"
