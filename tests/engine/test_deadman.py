"""The dead man's timer: renewed only while we work, off only when told to, and one command at a time."""

from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canceld.engine.deadman import (
    ANSWER_TIMEOUT_NS,
    CHECK_NS,
    FIRING_NS,
    LAG_LIMIT_NS,
    MAINTENANCE_LEAD_NS,
    RETRY_NS,
    SECOND_NS,
    STOP_PATIENCE_NS,
    Arm,
    Deadman,
    Disarm,
    Health,
    Notice,
    Over,
)
from canceld.engine.effects import Alert
from canceld.engine.instants import FAR_NS, MS

START_NS = 1000 * SECOND_NS
VENUE_OFFSET_S = 1_763_600_000.25
GOOD = Health(path_up=True, lag_ns=0, progress=True, latched=False)


class Hand:
    """A timer driven by hand: time in seconds since the start, a venue that answers after 20 ms unless told not to."""

    def __init__(self, *, timeout_s: int = 60, refresh_s: int = 15) -> None:
        self.now_ns = START_NS
        self.timeout_s = timeout_s
        self.deadman = Deadman("spot", timeout_s=timeout_s, refresh_s=refresh_s, now_ns=START_NS)
        self.health = GOOD
        self.answers = True
        self.offset_s = VENUE_OFFSET_S

    def take(self) -> list[Any]:
        effects, self.deadman.effects = self.deadman.effects, []
        for effect in effects:
            if self.answers and isinstance(effect, Arm | Disarm):
                self.answer(effect)
        return effects

    def answer(self, effect: Arm | Disarm) -> None:
        self.now_ns += 10 * MS
        trigger_s = None if isinstance(effect, Disarm) else self.trigger_s(effect.timeout_s)
        self.now_ns += 10 * MS
        self.deadman.answered(effect.number, trigger_s, self.now_ns)

    def trigger_s(self, timeout_s: float) -> float:
        """Whole seconds, rounded up, as the venue tells it."""
        return -(-(self.now_ns / 1e9 + self.offset_s + timeout_s) // 1)

    def at(self, now_s: float) -> list[tuple[float, Any]]:
        """Let time pass up to then, waking whenever it is asked for; what was wanted, and when."""
        until_ns = START_NS + round(now_s * SECOND_NS)
        seen = [(self.now_s, effect) for effect in self.take()]
        for _ in range(100_000):
            wake_ns = self.deadman.wake_ns
            if wake_ns > until_ns:
                break
            self.now_ns = max(self.now_ns, wake_ns)
            self.deadman.on_time(self.health, self.now_ns)
            seen += [(self.now_s, effect) for effect in self.take()]
        else:
            pytest.fail("it never waits")
        self.now_ns = max(self.now_ns, until_ns)
        return seen + [(self.now_s, effect) for effect in self.take()]

    @property
    def now_s(self) -> float:
        return round((self.now_ns - START_NS) / SECOND_NS, 1)

    @property
    def status(self) -> dict[str, Any]:
        return self.deadman.status(self.now_ns)


def only(seen: list[tuple[float, Any]], *kinds: type) -> list[tuple[float, Any]]:
    return [(at_s, effect) for at_s, effect in seen if isinstance(effect, kinds)]


def armed() -> Hand:
    hand = Hand()
    assert only(hand.at(1), Arm) == [(0.0, Arm(1, 60))]
    return hand


# ---------------------------------------------------------------- renewal


def test_timer_is_armed_at_once_and_renewed_every_refresh() -> None:
    hand = Hand()
    seen = hand.at(61)
    assert [round(at_s) for at_s, _ in seen] == [0, 15, 30, 45, 60]
    assert all(isinstance(effect, Arm) and effect.timeout_s == 60 for _, effect in seen)
    assert hand.status == {"state": "armed", "timeout_s": 60, "fires_in_ms": 59_000}


@pytest.mark.parametrize(
    ("health", "why"),
    [
        (GOOD._replace(latched=True), "latched"),
        (GOOD._replace(lag_ns=LAG_LIMIT_NS + 1), "loop lags"),
        (GOOD._replace(progress=False), "no progress"),
        (GOOD._replace(path_up=False), "venue not reachable"),
    ],
)
def test_renewal_stops_while_something_is_wrong_and_resumes_after(health: Health, why: str) -> None:
    hand = armed()
    hand.health = health
    seen = hand.at(90)
    assert only(seen, Arm, Disarm) == []
    assert hand.status["holding"] == why
    assert hand.status["fires_in_ms"] == 0
    told = only(seen, Alert, Notice)
    assert len(told) == 1
    assert isinstance(told[0][1], Notice if why == "latched" else Alert)
    hand.health = GOOD
    seen = hand.at(95)
    assert isinstance(only(seen, Arm)[0][1], Arm)
    over = [effect for _, effect in only(seen, Over)]
    assert over == ([] if why == "latched" else [Over("spot: the dead man's timer is not renewed")])
    assert "holding" not in hand.status


def test_lag_at_its_limit_still_renews() -> None:
    hand = armed()
    hand.health = GOOD._replace(lag_ns=LAG_LIMIT_NS)
    assert len(only(hand.at(16), Arm)) == 1


def test_nobody_is_alarmed_before_the_timer_was_ever_armed() -> None:
    hand = Hand()
    hand.health = GOOD._replace(path_up=False)
    assert hand.at(60) == []
    hand.health = GOOD
    assert [effect for _, effect in hand.at(61)] == [Arm(1, 60)]


# ---------------------------------------------------------------- commands that fail


def test_failed_renewal_is_repeated_and_told_when_it_goes_on() -> None:
    hand = armed()
    hand.answers = False
    assert [effect for _, effect in hand.at(15.5)] == [Arm(2, 60)]
    hand.deadman.failed(2, "EService:Unavailable", hand.now_ns)
    assert [effect for _, effect in hand.at(15.5 + RETRY_NS / 1e9)] == [Arm(3, 60)]
    hand.deadman.failed(3, "EService:Unavailable", hand.now_ns)
    assert isinstance(hand.take()[0], Alert)
    assert hand.status["error"] == "EService:Unavailable"
    assert hand.status["state"] == "armed"
    hand.answers = True
    seen = hand.at(22)
    assert Over("spot: the dead man's timer takes no commands") in [effect for _, effect in seen]
    assert "error" not in hand.status


def test_one_command_at_a_time_and_none_is_waited_for_without_end() -> None:
    hand = Hand()
    hand.answers = False
    seen = only(hand.at(21.5), Arm, Disarm)
    pause_s = (ANSWER_TIMEOUT_NS + RETRY_NS) / 1e9
    assert [at_s for at_s, _ in seen] == [0.0, pause_s, 2 * pause_s, 3 * pause_s]
    assert hand.status["state"] == "unknown"


def test_late_and_foreign_answers_change_nothing() -> None:
    hand = Hand()
    hand.answers = False
    hand.at(6)
    hand.deadman.answered(1, hand.trigger_s(60), hand.now_ns)
    hand.deadman.answered(99, None, hand.now_ns)
    hand.deadman.failed(99, "?", hand.now_ns)
    assert hand.status["state"] == "unknown"


# ---------------------------------------------------------------- maintenance


def test_timer_is_off_ahead_of_maintenance_and_armed_after_it() -> None:
    hand = armed()
    begins_s, ends_s = 500.0, 800.0
    announced = (START_NS + int(begins_s * SECOND_NS), START_NS + int(ends_s * SECOND_NS))
    hand.deadman.maintenance(*announced, hand.now_ns)
    hand.deadman.maintenance(*announced, hand.now_ns)
    lead_s = begins_s - MAINTENANCE_LEAD_NS / 1e9
    assert len(only(hand.at(lead_s - 2), Notice)) == 1
    seen = hand.at(ends_s - 1)
    off = only(seen, Disarm)
    assert len(off) == 1
    assert lead_s <= off[0][0] <= lead_s + CHECK_NS / 1e9
    assert [at_s for at_s, _ in only(seen, Arm) if at_s > off[0][0]] == []
    assert hand.status == {"state": "off", "timeout_s": 60, "holding": "maintenance"}
    seen = hand.at(ends_s + 2)
    assert len(only(seen, Arm)) == len(only(seen, Notice)) == 1
    hand.deadman.maintenance(*announced, hand.now_ns)
    assert only(hand.at(ends_s + 100), Disarm, Notice) == []


def test_maintenance_without_a_known_end_lasts_until_the_venue_is_back() -> None:
    hand = armed()
    begins_ns = hand.now_ns + 10 * SECOND_NS
    hand.deadman.maintenance(begins_ns, FAR_NS, hand.now_ns)
    assert len(only(hand.at(3), Disarm)) == 1
    assert only(hand.at(4000), Arm, Disarm) == []
    hand.deadman.maintenance_over(hand.now_ns)
    hand.deadman.maintenance(begins_ns, FAR_NS, hand.now_ns)
    assert len(only(hand.at(4002), Arm)) == 1


def test_maintenance_that_is_called_off_changes_nothing_more() -> None:
    hand = armed()
    hand.deadman.maintenance(hand.now_ns + 1000 * SECOND_NS, FAR_NS, hand.now_ns)
    hand.at(20)
    hand.deadman.maintenance_over(hand.now_ns)
    assert only(hand.at(2000), Disarm) == []


def test_disarming_ahead_of_maintenance_is_tried_until_it_works() -> None:
    hand = armed()
    hand.answers = False
    hand.deadman.maintenance(hand.now_ns + 60 * SECOND_NS, FAR_NS, hand.now_ns)
    hand.health = GOOD._replace(path_up=False)
    assert only(hand.at(10), Disarm) == []
    hand.health = GOOD
    assert len(only(hand.at(30), Disarm)) >= 2
    hand.answers = True
    hand.at(40)
    assert hand.status["state"] == "off"


def test_latch_lets_the_timer_run_into_maintenance() -> None:
    hand = armed()
    hand.deadman.maintenance(hand.now_ns + 60 * SECOND_NS, FAR_NS, hand.now_ns)
    hand.health = GOOD._replace(latched=True)
    assert only(hand.at(200), Arm, Disarm) == []
    assert hand.status["holding"] == "latched"


# ---------------------------------------------------------------- clean stop


def test_clean_stop_disarms_and_says_when_it_is_done() -> None:
    hand = armed()
    hand.answers = False
    hand.deadman.stop()
    assert not hand.deadman.stopped
    hand.deadman.on_time(hand.health, hand.now_ns)
    assert hand.take() == [Disarm(2)]
    assert not hand.deadman.stopped
    hand.deadman.answered(2, None, hand.now_ns)
    assert hand.deadman.stopped
    assert hand.deadman.wake_ns == FAR_NS
    assert hand.at(100) == []


def test_clean_stop_lets_a_renewal_under_way_arrive_first_for_a_bounded_time() -> None:
    hand = armed()
    hand.answers = False
    assert only(hand.at(15.5), Arm) == [(15.0, Arm(2, 60))]
    hand.deadman.stop()
    hand.deadman.on_time(hand.health, hand.now_ns)
    assert hand.take() == []
    assert only(hand.at(17), Disarm) == [(15.0 + STOP_PATIENCE_NS / 1e9, Disarm(3))]


def test_clean_stop_of_a_timer_that_was_never_armed_waits_for_nothing() -> None:
    hand = Hand()
    hand.deadman.stop()
    assert hand.deadman.stopped


def test_clean_stop_while_latched_leaves_the_timer_to_fire() -> None:
    hand = armed()
    hand.health = GOOD._replace(latched=True)
    hand.deadman.stop()
    hand.deadman.on_time(hand.health, hand.now_ns)
    assert only([(0, effect) for effect in hand.take()], Arm, Disarm) == []
    assert hand.deadman.stopped


# ---------------------------------------------------------------- another owner


def alarms(hand: Hand, effects: list[Any]) -> list[str]:
    return [effect.do for effect in effects if isinstance(effect, Alert) and "somebody else" in effect.what]


def test_firing_sooner_than_the_renewals_explain_is_another_owner() -> None:
    hand = armed()
    hand.at(40)
    hand.deadman.fired(hand.now_ns)
    effects = hand.take()
    assert len(alarms(hand, effects)) == 1
    assert "renewed in time" in alarms(hand, effects)[0]
    for _ in range(300):
        hand.deadman.fired(hand.now_ns)
    assert hand.take() == []
    assert hand.status["state"] == "fired"
    assert len(only(hand.at(42), Arm)) == 1


def test_firing_that_our_silence_explains_is_our_own() -> None:
    hand = armed()
    hand.health = GOOD._replace(progress=False)
    hand.at(61)
    hand.deadman.fired(hand.now_ns)
    effects = hand.take()
    assert alarms(hand, effects) == []
    assert len([effect for effect in effects if isinstance(effect, Alert)]) == 1
    hand.at(61 + FIRING_NS / 1e9 + 1)
    hand.deadman.fired(hand.now_ns)
    assert "not armed by this daemon" in alarms(hand, hand.take())[0]


def test_firing_of_an_arming_that_was_never_answered_is_our_own() -> None:
    hand = Hand()
    hand.answers = False
    hand.at(4)
    hand.health = GOOD._replace(path_up=False)
    hand.at(61)
    hand.deadman.fired(hand.now_ns)
    assert alarms(hand, hand.take()) == []


def test_trigger_time_earlier_than_our_renewal_asks_for_is_another_owner() -> None:
    hand = armed()
    hand.at(20)
    hand.offset_s -= 30
    assert len(alarms(hand, [effect for _, effect in hand.at(31)])) == 1


@pytest.mark.parametrize("step_s", [-1.0, 0.0, 1.0, 20.0])
def test_trigger_times_of_an_honest_venue_raise_no_suspicion(step_s: float) -> None:
    hand = armed()
    hand.at(20)
    hand.offset_s += step_s
    assert alarms(hand, [effect for _, effect in hand.at(200)]) == []


def test_timer_that_is_off_after_it_was_armed_is_another_owner_and_armed_again() -> None:
    hand = Hand()
    hand.answers = False
    hand.at(0.1)
    hand.deadman.answered(1, None, hand.now_ns)
    assert len(alarms(hand, hand.take())) == 1
    assert only(hand.at(3), Arm) == [(2.1, Arm(2, 60))]


# ---------------------------------------------------------------- at random


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32))
def test_commands_never_overlap_and_nothing_is_armed_when_it_must_not_be(seed: int) -> None:
    chance = Random(seed)
    deadman = Deadman("futures", timeout_s=60, refresh_s=15, now_ns=START_NS)
    now_ns, under_way, stopping, commands = START_NS, None, False, 0
    maintenance: tuple[int, int] | None = None
    until: list[tuple[int, Any]] = []
    health = GOOD
    while now_ns < START_NS + 600 * SECOND_NS:
        now_ns += 100 * MS
        if chance.random() < 0.02:
            lag_ns = chance.choice((0, 0, 0, 2 * SECOND_NS))
            health = Health(chance.random() < 0.8, lag_ns, chance.random() < 0.9, chance.random() < 0.1)
        if maintenance is None and chance.random() < 0.001:
            begins_ns = now_ns + chance.randrange(300) * SECOND_NS
            maintenance = (begins_ns, begins_ns + 60 * SECOND_NS)
            deadman.maintenance(*maintenance, now_ns)
        if chance.random() < 0.0005:
            stopping = True
            deadman.stop()
        if chance.random() < 0.002:
            deadman.fired(now_ns)
        for at_ns, effect in [entry for entry in until if entry[0] <= now_ns]:
            until.remove((at_ns, effect))
            if chance.random() < 0.2:
                deadman.failed(effect.number, "lost", now_ns)
            else:
                trigger_s = now_ns // SECOND_NS + 60.0 if isinstance(effect, Arm) else None
                deadman.answered(effect.number, trigger_s, now_ns)
            if under_way is not None and effect.number == under_way[0].number:
                under_way = None
        if deadman.wake_ns <= now_ns:
            deadman.on_time(health, now_ns)
            assert deadman.wake_ns > now_ns
        effects, deadman.effects = deadman.effects, []
        for effect in effects:
            if not isinstance(effect, Arm | Disarm):
                continue
            commands += 1
            if under_way is not None:
                least_ns = STOP_PATIENCE_NS if stopping else ANSWER_TIMEOUT_NS
                assert now_ns - under_way[1] >= least_ns, "two commands under way"
            under_way = (effect, now_ns)
            assert health.path_up
            assert not health.latched
            if chance.random() < 0.8:
                until.append((now_ns + chance.randrange(7000) * MS, effect))
            if isinstance(effect, Arm):
                assert health.lag_ns <= LAG_LIMIT_NS
                assert health.progress
                assert not stopping
                assert maintenance is None or not maintenance[0] - MAINTENANCE_LEAD_NS <= now_ns < maintenance[1]
            else:
                assert stopping or maintenance is not None
    assert commands <= 600 // 2 + 2


# ---------------------------------------------------------------- one timer, several daemons


def test_whoever_does_not_keep_it_neither_renews_nor_switches_it_off() -> None:
    hand = Hand()
    hand.health = GOOD._replace(right="another's")
    assert only(hand.at(120), Arm, Disarm, Alert) == []
    assert hand.status["holding"] == "another daemon keeps it"
    hand.deadman.stop()
    hand.deadman.on_time(hand.health, hand.now_ns)
    assert only([(0.0, effect) for effect in hand.take()], Disarm) == []
    assert hand.deadman.stopped, "a clean stop leaves another's timer alone"


def test_a_timer_that_was_handed_over_is_renewed_at_once_and_let_go_without_an_alert() -> None:
    hand = Hand()
    hand.health = GOOD._replace(right="another's")
    hand.at(30)
    hand.health = GOOD
    assert next(at_s for at_s, _ in only(hand.at(50), Arm)) <= 31.1
    hand.health = GOOD._replace(right="another's")
    assert only(hand.at(200), Arm, Disarm, Alert) == []


def test_while_nobody_is_known_to_keep_it_it_is_off_so_that_silence_cancels_nothing() -> None:
    hand = Hand()
    hand.at(20)
    hand.health = GOOD._replace(right="nobody's")
    seen = only(hand.at(40), Arm, Disarm, Alert)
    assert [type(effect) for _, effect in seen] == [Alert, Disarm]
    assert seen[-1][0] <= 22.0
    assert hand.status["state"] == "off"
    hand.health = GOOD
    assert only(hand.at(60), Arm, Over) != []
    assert hand.status["state"] == "armed"
