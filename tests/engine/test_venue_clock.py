"""What a venue tells of its time convicts this machine's clock, and slow answers never do."""

import random

import pytest

from canceld.engine.venue_clock import VenueClock

S = 1_000_000_000
MS = 1_000_000
NOON_NS = 1_800_000_000 * S


class World:
    """The true time, and a machine whose wall clock is ahead of it by `ahead_ns`."""

    def __init__(self, ahead_ns: int = 0) -> None:
        self.now_ns = 5_000 * S
        self.ahead_ns = ahead_ns
        self.venue_ahead_ns = 0
        self.clock = VenueClock()

    def _venue_ns(self) -> int:
        return NOON_NS + self.now_ns + self.venue_ahead_ns

    def answer(self, there_ms: float, back_ms: float) -> None:
        """One request and its answer, dated by the venue in between."""
        asked_ns = self.now_ns
        self.now_ns += int(there_ms * MS)
        date_ns = self._venue_ns() // S * S
        self.now_ns += int(back_ms * MS)
        self.clock.dated(date_ns, asked_ns, self.now_ns)

    def event(self, late_ms: float) -> None:
        event_ns = self._venue_ns()
        self.now_ns += int(late_ms * MS)
        self.clock.happened(event_ns, self.now_ns)

    def shown_ns(self) -> int:
        return self.clock.ahead_ns(NOON_NS + self.now_ns + self.ahead_ns, self.now_ns)


def test_before_anything_is_told_nothing_is_wrong() -> None:
    world = World(3_600 * S)
    assert not world.clock.known
    assert world.shown_ns() == 0


@pytest.mark.parametrize("seed", range(20))
def test_a_right_clock_is_never_convicted_however_slow_the_answers(seed: int) -> None:
    dice, world = random.Random(seed), World()
    for _ in range(500):
        world.answer(dice.expovariate(1 / 200), dice.expovariate(1 / 2_000))
        world.now_ns += int(dice.uniform(0, 20) * S)
        assert world.shown_ns() == 0
    assert world.clock.known


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("ahead_s", [-3_600.0, -6.0, -1.2, 1.2, 6.0, 3_600.0])
def test_a_wrong_clock_is_convicted_of_nearly_all_it_is_wrong_by(seed: int, ahead_s: float) -> None:
    dice, world = random.Random(seed), World(int(ahead_s * S))
    for _ in range(40):
        world.answer(20, 20)
        world.now_ns += int(dice.uniform(0, 15) * S)
        assert 0 <= world.shown_ns() / world.ahead_ns <= 1
    assert world.shown_ns() / S == pytest.approx(ahead_s, abs=0.25)


def test_one_answer_is_enough_for_what_is_grossly_wrong() -> None:
    world = World(-30 * S)
    world.answer(50, 50)
    assert -30.0 <= world.shown_ns() / S <= -28.8


def test_a_wall_clock_that_is_set_shows_without_another_answer() -> None:
    world = World()
    world.answer(10, 10)
    world.ahead_ns = 3_600 * S
    assert world.shown_ns() / S == pytest.approx(3_600, abs=1.1)
    world.ahead_ns = 0
    assert world.shown_ns() == 0


def test_events_tell_when_this_clock_is_behind_and_never_that_it_is_ahead() -> None:
    behind, ahead = World(-4 * S), World(4 * S)
    for world in (behind, ahead):
        for late_ms in (90_000, 30, 3_000):
            world.event(late_ms)
        assert not world.clock.known
    assert behind.shown_ns() / S == pytest.approx(-4, abs=0.1)
    assert ahead.shown_ns() == 0


def test_one_answer_that_contradicts_the_others_changes_nothing() -> None:
    world = World()
    world.answer(10, 10)
    world.venue_ahead_ns = -600 * S
    world.answer(10, 10)
    assert world.shown_ns() == 0
    world.venue_ahead_ns = 0
    world.answer(10, 10)
    assert world.shown_ns() == 0


def test_a_venue_whose_clock_is_set_is_followed_with_the_second_answer() -> None:
    world = World()
    world.answer(10, 10)
    world.venue_ahead_ns = 10 * S
    world.answer(10, 10)
    world.answer(10, 10)
    assert world.shown_ns() / S == pytest.approx(-10, abs=1.1)


def test_what_was_told_long_ago_is_worth_less() -> None:
    world = World(2 * S)
    for _ in range(40):
        world.answer(1, 1)
        world.now_ns += 1_037 * MS
    before = world.shown_ns()
    assert before > 1_900 * MS
    world.now_ns += 3_600 * S
    assert before - world.shown_ns() == pytest.approx(0.36 * S, rel=0.05)


def test_what_its_clock_has_shown_at_least_is_never_later_than_what_it_showed() -> None:
    clock = VenueClock()
    assert clock.earliest_ns(0, 0) is None
    clock.dated(1_700_000_000 * S, 10 * S, 11 * S)
    assert clock.earliest_ns(11 * S, 11 * S) == 1_700_000_000 * S
    told_ns = clock.earliest_ns(10 * S, 111 * S)
    assert told_ns is not None
    assert told_ns < 1_699_999_999 * S, "clocks drift"


@pytest.mark.parametrize("seed", range(10))
def test_what_the_venue_showed_lies_between_the_least_and_the_most(seed: int) -> None:
    dice, world = random.Random(seed), World()
    assert (world.clock.earliest_ns(0, 0), world.clock.latest_ns(0, 0)) == (None, None)
    for _ in range(60):
        world.now_ns += int(dice.uniform(0, 5) * S)
        world.answer(dice.uniform(1, 80), dice.uniform(1, 80))
        at_ns = world.now_ns - int(dice.uniform(0, 2) * S)
        earliest_ns = world.clock.earliest_ns(at_ns, world.now_ns)
        latest_ns = world.clock.latest_ns(at_ns, world.now_ns)
        assert earliest_ns is not None
        assert latest_ns is not None
        assert earliest_ns <= NOON_NS + at_ns <= latest_ns
