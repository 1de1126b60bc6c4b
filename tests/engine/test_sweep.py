"""The sweep: it never stops, never floods, and says `flat` only of a venue that two looks have shown empty."""

import heapq
from collections import deque
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canceld.engine.effects import Alert
from canceld.engine.instants import FAR_NS, MS
from canceld.engine.lane import REST, Lane
from canceld.engine.sweep import (
    ALERT_EVERY_NS,
    ALERT_NS,
    BLIND_LOOK_NS,
    CONFIRM_NS,
    ERROR_CHARS,
    FLAT_LOOK_NS,
    GAP_NS,
    LOOK_AFTER_NS,
    LOOK_TIMEOUT_NS,
    NAMED_LIMIT,
    REST_PAUSE_NS,
    ROUND_PAUSES_MS,
    SHOWN_LIMIT,
    STALE_NS,
    THROTTLED_NS,
    CancelOne,
    FireAll,
    Flat,
    Look,
    Sweep,
    Walk,
)
from canceld.engine.sweep_orders import KNOWN_LIMIT, SINGLES_LIMIT

SECOND_NS = 1000 * MS
START_NS = 1000 * SECOND_NS


class Hand:
    """A sweep driven by hand, with a clock in milliseconds since the kill; `take` empties its effects."""

    def __init__(self, *lanes: Lane, mass: bool = True, rest: bool = True, known: tuple[str, ...] = ()) -> None:
        self.now_ns = START_NS
        self.look = 0
        self.fired: set[Lane] = set()
        told = dict.fromkeys(known, START_NS)
        self.sweep = Sweep("spot", mass=mass, rest=rest, live=lanes, known=told, now_ns=START_NS)

    def take(self) -> list[Any]:
        effects, self.sweep.effects = self.sweep.effects, []
        for effect in effects:
            if isinstance(effect, Look):
                self.look = effect.number
            elif isinstance(effect, FireAll):
                self.fired.add(effect.lane)
        return effects

    def at(self, now_ms: float) -> list[Any]:
        """Let time pass up to then, waking the sweep whenever it asks for it."""
        until_ns = START_NS + int(now_ms * MS)
        effects = self.take()
        while self.sweep.wake_ns <= until_ns:
            self.now_ns = max(self.now_ns, self.sweep.wake_ns)
            self.sweep.on_time(self.now_ns)
            effects += self.take()
        self.now_ns = until_ns
        return effects

    def answered(self, lane: Lane, count: int | None = None) -> list[Any]:
        self.sweep.fired_answered(lane, count, self.now_ns)
        return self.take()

    def shown(self, *order_ids: str) -> list[Any]:
        self.sweep.look_answered(self.look, order_ids, self.now_ns)
        return self.take()

    def failed(self, why: str = "HTTP 502", *, throttled: bool = False) -> list[Any]:
        self.sweep.look_failed(self.look, why, self.now_ns, throttled=throttled)
        return self.take()

    @property
    def state(self) -> str:
        return self.sweep.state(self.now_ns)

    @property
    def status(self) -> dict[str, Any]:
        return self.sweep.status(self.now_ns)

    def flat(self) -> None:
        """Bring a venue without orders to flat, from wherever the sweep is."""
        for _ in range(4):
            while not any(isinstance(effect, Look) for effect in self.at((self.now_ns - START_NS) / MS + 50)):
                for lane in self.fired:
                    self.answered(lane)
                self.fired = set()
            self.shown()
        assert self.state == "flat"


# ---------------------------------------------------------------- cancels


def test_kill_fires_by_session_and_rest_side_by_side_before_anything_else() -> None:
    assert Hand(0, 1).take() == [FireAll(0), FireAll(1), FireAll(REST)]
    assert Hand().take() == [FireAll(REST)]
    assert Hand(1, rest=False).take() == [FireAll(1)]


def test_venue_without_cancel_all_is_walked() -> None:
    hand = Hand(0, mass=False, rest=False, known=("A", "B"))
    assert hand.take() == [Walk()]
    assert hand.at(LOOK_AFTER_NS / MS) == [Walk(), Look(1)]
    # What only the look shows is not among what the caller walks.
    hand.shown("C")
    assert CancelOne("C") in hand.at(1000)


def test_pulled_again_it_strikes_on_every_way_also_beside_a_session_that_answers() -> None:
    hand = Hand(0, 1)
    hand.take()
    hand.at(10)
    for lane in (0, 1, REST):
        hand.answered(lane)
    assert hand.at(251) == [FireAll(0)]
    hand.sweep.fire({}, hand.now_ns)
    assert hand.at(351)[-3:] == [FireAll(0), FireAll(1), FireAll(REST)]


def test_rest_that_stays_away_is_asked_the_moment_it_opens() -> None:
    hand, opens_ns = Hand(), START_NS + 1000 * MS
    hand.take()
    for now_ms in (0, 250, 750):
        hand.at(now_ms)
        hand.sweep.fired_failed(REST, "EAPI:Invalid key", hand.now_ns)
        hand.sweep.opens(opens_ns, hand.now_ns, looks=False)
    hand.failed()
    hand.sweep.opens(opens_ns, hand.now_ns, looks=True)
    assert hand.at(999) == []
    assert hand.at(1000)[:2] == [FireAll(REST), Look(2)]


def test_an_order_too_young_for_a_list_to_show_is_looked_for_once_it_is_not() -> None:
    hand = Hand(0, known=("A",))
    hand.at(1890)
    assert hand.shown() == [Look(2)], "the round of 1750 ms"
    hand.shown()
    assert hand.status["residual"] == ["A"]
    assert hand.at(1999) == []
    assert hand.at(2000) == [Look(3)]


def test_rounds_go_on_at_most_a_second_apart_without_any_answer() -> None:
    hand = Hand(0)
    effects = [(0, effect) for effect in hand.take()]
    for now_ms in range(1, 600_000, 10):
        effects += [(now_ms, effect) for effect in hand.at(now_ms)]
    rounds = [now_ms for now_ms, effect in effects if effect == FireAll(0)]
    assert max(after - before for before, after in pairwise(rounds)) <= ROUND_PAUSES_MS[-1] + 10
    assert max(ROUND_PAUSES_MS) == 1000
    assert hand.state == "unreachable"


def test_session_that_comes_up_carries_the_cancel_at_once() -> None:
    hand = Hand(rest=False)
    assert hand.at(5000) != []
    assert hand.status["tried"] == {"ws": "no session is up", "look": "no session is up"}
    hand.sweep.session_up(1, hand.now_ns)
    assert hand.take() == [FireAll(1)]
    assert hand.answered(1) == [Look(1)]
    assert "ws" not in hand.status["tried"]


def test_session_that_dies_with_the_cancel_has_it_repeated_elsewhere_at_once() -> None:
    hand = Hand(0, 1)
    hand.at(150)
    hand.sweep.session_down(0, hand.now_ns)
    assert hand.take() == [FireAll(1), FireAll(REST)]


def test_end_of_the_last_order_that_was_known_brings_the_look() -> None:
    hand = Hand(0, mass=False, rest=False, known=("O1", "O2"))
    hand.at(5)
    hand.sweep.order_ended("O1", canceled=True, now_ns=hand.now_ns)
    assert not any(isinstance(effect, Look) for effect in hand.take()), "another one rests"
    hand.sweep.order_ended("O2", canceled=True, now_ns=hand.now_ns)
    assert any(isinstance(effect, Look) for effect in hand.take())


def test_silent_session_is_passed_over_in_the_next_round() -> None:
    hand = Hand(0, 1)
    hand.take()
    assert FireAll(1) in hand.at(ROUND_PAUSES_MS[0])


def test_rest_pauses_while_a_session_answers_and_returns_when_it_does_not() -> None:
    hand = Hand(0)
    hand.take()
    fired: list[float] = []
    hand.answered(0)
    hand.answered(REST)
    for now_ms in range(10, 12_000, 10):
        for effect in hand.at(now_ms):
            if effect == FireAll(REST):
                fired.append(now_ms)
            elif effect == FireAll(0):
                hand.answered(0)
        hand.shown("A")
    assert fired
    assert min(after - before for before, after in pairwise(fired)) >= REST_PAUSE_NS / MS
    hand.at(14_000)
    assert FireAll(REST) in hand.at(15_100)


def test_order_that_outlives_accepted_cancel_alls_is_cancelled_by_its_id() -> None:
    hand = Hand(0)
    hand.take()
    assert hand.answered(0, 3) == [Look(1)]
    assert hand.shown("A") == []
    effects = hand.at(ROUND_PAUSES_MS[0])
    assert FireAll(0) in effects
    assert CancelOne("A") not in effects
    hand.answered(0, 0)
    hand.shown("A")
    assert CancelOne("A") in hand.at(1000)


def test_orders_are_cancelled_by_id_from_the_first_look_when_no_cancel_all_was_accepted() -> None:
    hand = Hand(0)
    hand.sweep.fired_failed(0, "EGeneral:Permission denied", hand.now_ns)
    hand.sweep.fired_failed(REST, "EGeneral:Permission denied", hand.now_ns)
    hand.at(LOOK_AFTER_NS / MS)
    hand.shown("A", "B")
    effects = hand.at(1000)
    assert {CancelOne("A"), CancelOne("B")} <= set(effects)
    assert hand.status["tried"] == {"ws": "EGeneral:Permission denied", "rest": "EGeneral:Permission denied"}


def test_orders_are_cancelled_by_id_again_once_cancel_alls_are_refused() -> None:
    hand = Hand(0)
    hand.flat()
    hand.sweep.fire({}, hand.now_ns)
    hand.take()
    hand.sweep.fired_failed(0, "EGeneral:Permission denied", hand.now_ns)
    hand.at((hand.now_ns + LOOK_AFTER_NS - START_NS) / MS)
    hand.shown("A")
    assert CancelOne("A") in hand.at((hand.now_ns - START_NS) / MS + ROUND_PAUSES_MS[1])


def test_known_order_is_cancelled_by_id_even_when_no_look_is_answered() -> None:
    hand = Hand(0, known=("A",))
    hand.take()
    hand.answered(0, 1)
    assert CancelOne("A") in hand.at(4000)


def test_single_cancels_take_turns_within_their_limit() -> None:
    hand = Hand(0, mass=False, rest=False)
    hand.at(LOOK_AFTER_NS / MS)
    every = [f"O{number}" for number in range(3 * SINGLES_LIMIT)]
    hand.shown(*every)
    asked: list[str] = []
    for now_ms in range(300, 6000, 100):
        effects = [effect.order_id for effect in hand.at(now_ms) if isinstance(effect, CancelOne)]
        assert len(effects) <= SINGLES_LIMIT
        asked += effects
        hand.shown(*every)
    assert set(asked) == set(every)


def test_order_that_appears_while_flat_is_cancelled_on_sight_and_looked_for() -> None:
    hand = Hand(0)
    hand.flat()
    hand.sweep.order_opened("A", hand.now_ns)
    assert hand.take() == [CancelOne("A")]
    assert hand.state == "residual"
    assert hand.status["residual"] == ["A"]
    hand.sweep.order_opened("A", hand.now_ns)
    assert hand.take() == []
    now_ms = (hand.now_ns - START_NS) / MS
    assert FireAll(0) in hand.at(now_ms + LOOK_AFTER_NS / MS)
    hand.sweep.order_ended("A", canceled=True, now_ns=hand.now_ns)
    hand.flat()
    assert hand.sweep.canceled == 1


def test_repeated_kill_fires_again_and_is_verified_anew() -> None:
    hand = Hand(0)
    hand.flat()
    hand.sweep.fire({"B": hand.now_ns}, hand.now_ns)
    assert FireAll(0) in hand.take()
    assert hand.state == "residual"
    for _ in range(100):
        hand.sweep.fire({}, hand.now_ns)
    assert hand.take() == []


# ---------------------------------------------------------------- looks


def test_two_empty_looks_make_flat() -> None:
    hand = Hand(0)
    hand.take()
    assert hand.answered(0, 2) == [Look(1)]
    hand.answered(REST, 0)
    assert hand.shown() == []
    assert hand.state == "residual"
    assert hand.at(CONFIRM_NS / MS - 1) == []
    assert hand.at(CONFIRM_NS / MS) == [Look(2)]
    assert hand.shown() == [Flat()]
    assert hand.state == "flat"
    assert hand.status == {
        "state": "flat", "canceled": 2, "residual": [], "resting": 0, "rounds": 1, "looks": 2
    }  # fmt: skip


def test_look_begun_before_the_last_cancel_does_not_count() -> None:
    hand = Hand(0)
    assert Look(1) in hand.at(LOOK_AFTER_NS / MS)
    assert FireAll(0) in hand.at(800)
    hand.shown()
    assert hand.at(1000) == [Look(2)]
    assert hand.shown() == []
    assert hand.at(1200) == [Look(3)]
    assert hand.shown() == [Flat()]


def test_venue_whose_looks_are_slower_than_the_rounds_is_verified_all_the_same() -> None:
    hand = Hand(0)
    looks: list[tuple[float, int]] = []
    for now_ms in range(0, 15_000, 50):
        looks += [(now_ms, effect.number) for effect in hand.at(now_ms) if isinstance(effect, Look)]
        if looks and now_ms - looks[-1][0] >= 3000:
            hand.shown()
            if hand.state == "flat":
                break
    assert hand.state == "flat"


def test_order_opened_between_the_looks_breaks_their_row() -> None:
    hand = Hand(0)
    hand.take()
    hand.answered(0, 0)
    hand.shown()
    hand.sweep.order_opened("A", hand.now_ns)
    hand.sweep.order_ended("A", canceled=True, now_ns=hand.now_ns)
    hand.at(CONFIRM_NS / MS)
    hand.shown()
    assert hand.state == "residual"


def test_order_the_stream_told_is_not_gone_because_a_look_lacks_it_yet() -> None:
    hand = Hand(0)
    hand.take()
    hand.sweep.order_opened("A", hand.now_ns)
    for now_ms in range(50, 2000, 50):
        hand.at(now_ms)
        hand.shown()
        assert hand.state == "residual", now_ms
        assert hand.status["residual"] == ["A"]
    for now_ms in range(2000, 4000, 50):
        hand.at(now_ms)
        hand.shown()
    assert hand.state == "flat"
    assert hand.sweep.canceled == 1


def test_late_answer_to_a_look_that_was_given_up_proves_nothing() -> None:
    hand = Hand(0)
    hand.take()
    hand.answered(0, 0)
    first = hand.look
    hand.at(LOOK_TIMEOUT_NS / MS + 1)
    assert hand.look == first + 1
    for _ in range(5):
        hand.sweep.look_answered(first, (), hand.now_ns)
    assert hand.state == "unreachable"
    assert hand.status["tried"]["look"] == "no answer"


def test_session_that_comes_up_while_confirming_does_not_hurry_the_second_look() -> None:
    hand = Hand(0)
    hand.take()
    hand.answered(0, 0)
    hand.at(50)
    hand.shown()
    hand.at(160)
    hand.sweep.session_up(1, hand.now_ns)
    assert hand.take() == []
    assert hand.at(50 + CONFIRM_NS / MS) == [Look(2)]


def test_failed_look_while_confirming_brings_the_rounds_back() -> None:
    hand = Hand(0)
    hand.take()
    hand.answered(0, 0)
    hand.shown()
    hand.at(CONFIRM_NS / MS)
    assert FireAll(0) in hand.failed()
    assert hand.state == "residual"


def test_throttled_looks_pause_and_cancels_do_not() -> None:
    hand = Hand(0)
    hand.at(LOOK_AFTER_NS / MS)
    hand.failed("EAPI:Rate limit exceeded", throttled=True)
    effects = hand.at(LOOK_AFTER_NS / MS + THROTTLED_NS / MS - 1)
    assert not [effect for effect in effects if isinstance(effect, Look)]
    assert effects.count(FireAll(0)) >= 3
    assert Look(2) in hand.at(LOOK_AFTER_NS / MS + THROTTLED_NS / MS)


@pytest.mark.parametrize(("lanes", "pause_ns"), [((0,), FLAT_LOOK_NS), ((), BLIND_LOOK_NS)])
def test_flat_venue_is_looked_at_seldom_but_for_ever(lanes: tuple[Lane, ...], pause_ns: int) -> None:
    hand = Hand(*lanes)
    hand.flat()
    begun_ms = (hand.now_ns - START_NS) / MS
    looks = 0
    for step in range(1, 51):
        effects = hand.at(begun_ms + step * pause_ns / MS)
        assert len(effects) == 1
        assert isinstance(effects[0], Look)
        looks += 1
        hand.shown()
    assert looks == 50
    assert hand.state == "flat"


def test_order_that_a_look_shows_while_flat_is_swept_at_once() -> None:
    hand = Hand(0)
    hand.flat()
    hand.at((hand.now_ns - START_NS) / MS + FLAT_LOOK_NS / MS)
    effects = hand.shown("A")
    assert FireAll(0) in effects
    assert CancelOne("A") not in effects
    assert hand.state == "residual"


def test_flat_does_not_outlive_the_looks_that_prove_it() -> None:
    hand = Hand(0)
    hand.flat()
    flat_ms = (hand.now_ns - START_NS) / MS
    for step in range(int(STALE_NS / SECOND_NS) - 1):
        hand.at(flat_ms + step * 1000)
        hand.failed()
        assert hand.state == "flat"
    effects = hand.at(flat_ms + STALE_NS / MS + 100)
    assert FireAll(0) in effects
    assert hand.state == "unreachable"


# ---------------------------------------------------------------- reports


def test_people_hear_within_a_second_and_once_a_minute_when_something_is_left() -> None:
    hand = Hand(0, known=("A",))
    hand.take()
    alerts: list[tuple[float, Alert]] = []
    for now_ms in range(0, 130_000, 50):
        alerts += [(now_ms, effect) for effect in hand.at(now_ms) if isinstance(effect, Alert)]
        hand.shown("A", "B")
    assert [now_ms for now_ms, _ in alerts] == [(ALERT_NS + n * ALERT_EVERY_NS) / MS for n in range(3)]
    assert {alert.what for _, alert in alerts} == {"spot: not flat after a kill"}
    assert "2 (A, B)" in alerts[0][1].do or "2 (B, A)" in alerts[0][1].do


def test_nobody_is_alarmed_by_a_venue_that_is_flat_in_time() -> None:
    hand = Hand(0)
    hand.take()
    hand.answered(0, 1)
    hand.shown()
    hand.at(CONFIRM_NS / MS)
    hand.shown()
    assert not [effect for effect in hand.at(3000) if isinstance(effect, Alert)]


def test_dead_venue_is_unreachable_with_what_was_tried_and_what_may_rest() -> None:
    hand = Hand(0, known=("A", "B"))
    hand.sweep.fired_failed(0, "x" * 10_000, hand.now_ns)
    hand.sweep.fired_failed(REST, "no address", hand.now_ns)
    alert = next(effect for effect in hand.at(ALERT_NS / MS) if isinstance(effect, Alert))
    assert "rest: no address" in alert.do
    hand.failed("no address")
    assert hand.state == "unreachable"
    assert hand.status["residual"] == ["A", "B"]
    assert hand.status["tried"] == {"ws": "x" * ERROR_CHARS, "rest": "no address", "look": "no address"}


def test_count_is_the_venues_or_what_vanished_between_looks() -> None:
    told = Hand(0, known=("A", "B"))
    told.answered(0, 5)
    told.answered(REST, None)
    assert told.sweep.canceled == 5
    counted = Hand(0, mass=False, rest=False)
    counted.at(LOOK_AFTER_NS / MS)
    counted.shown("A", "B", "C")
    counted.sweep.order_ended("A", canceled=True, now_ns=counted.now_ns)
    counted.sweep.order_ended("B", canceled=False, now_ns=counted.now_ns)
    counted.at(1000)
    counted.shown()
    assert counted.sweep.canceled == 2


def test_reports_and_memory_are_bounded() -> None:
    hand = Hand(0)
    hand.take()
    hand.answered(0)
    every = [f"O{number}" for number in range(KNOWN_LIMIT + 500)]
    hand.shown(*every)
    hand.sweep.order_opened("more", hand.now_ns)
    assert hand.status["resting"] == KNOWN_LIMIT + 501
    assert len(hand.status["residual"]) == SHOWN_LIMIT
    alert = next(effect for effect in hand.at(1500) if isinstance(effect, Alert))
    assert alert.do.count(", O") == NAMED_LIMIT - 1
    assert hand.state == "residual"
    hand.sweep.order_ended("more", canceled=True, now_ns=hand.now_ns)
    hand.shown("O1")
    assert hand.status["resting"] == 1


# ---------------------------------------------------------------- against a venue that misbehaves

TICK_NS = 10 * MS
LAG_NS = CONFIRM_NS - TICK_NS


class Exchange:
    """A book with a random temper: answers late or never, looks that lag behind, cancel-alls that miss some orders."""

    def __init__(self, seed: int, *, mass: bool, rest: bool) -> None:
        self.chance = Random(seed)
        self.mass = mass
        self.now_ns = START_NS
        self.book: dict[str, int] = {}
        self.tough: set[str] = set()
        self.placed = 0
        self.calm = False
        self.live: set[Lane] = {0, 1}
        self.agenda: list[tuple[int, int, Any]] = []
        self.step = 0
        self.begun: dict[int, int] = {}
        self.row: deque[int] = deque(maxlen=2)
        self.recent: deque[int] = deque()
        self.worked_ns = START_NS
        for _ in range(self.chance.randrange(8)):
            self.place()
        known = [order_id for order_id in self.book if self.chance.random() < 0.7]
        told = dict.fromkeys(known, START_NS)
        self.sweep = Sweep("spot", mass=mass, rest=rest, live=(0, 1), known=told, now_ns=START_NS)
        self.pump()

    def place(self) -> str:
        self.placed += 1
        order_id = f"O{self.placed}"
        self.book[order_id] = self.now_ns
        if self.chance.random() < 0.3:
            self.tough.add(order_id)
        return order_id

    def later(self, delay_ms: float, what: Any) -> None:
        self.step += 1
        heapq.heappush(self.agenda, (self.now_ns + int(delay_ms * MS), self.step, what))

    def delay_ms(self) -> float:
        return self.chance.uniform(1, 80 if self.calm or self.chance.random() < 0.7 else 7000)

    def lost(self) -> bool:
        return not self.calm and self.chance.random() < 0.25

    def pump(self) -> None:
        effects, self.sweep.effects = self.sweep.effects, []
        for effect in effects:
            self.carry_out(effect)
            if isinstance(effect, FireAll | Walk | CancelOne | Look):
                self.worked_ns = self.now_ns
                self.recent.append(self.now_ns)
        while self.recent and self.recent[0] <= self.now_ns - SECOND_NS:
            self.recent.popleft()
        # Rounds and looks by their gap, each at most two lanes and a look; single cancels by their limit, which may
        # fall into two of its windows.
        assert len(self.recent) <= 4 * (SECOND_NS // GAP_NS) + 2 * SINGLES_LIMIT
        self.check()

    def check(self) -> None:
        assert self.sweep.wake_ns < FAR_NS
        if self.sweep.state(self.now_ns) == "flat":
            assert len(self.row) == 2
            assert not [order_id for order_id, placed_ns in self.book.items() if placed_ns < self.row[0]]

    def carry_out(self, effect: Any) -> None:
        match effect:
            case FireAll(lane):
                self.later(self.delay_ms(), lambda: self.fired(lane))
            case Walk():
                for order_id in list(self.book):
                    if order_id not in self.tough:
                        self.later(self.delay_ms(), lambda gone=order_id: self.take_off(gone))
            case CancelOne(order_id):
                if not self.lost():
                    self.later(self.delay_ms(), lambda: self.take_off(order_id))
            case Look(number):
                self.begun[number] = self.now_ns
                if not self.lost():
                    self.later(self.delay_ms() / 2, lambda: self.looked(number))

    def fired(self, lane: Lane) -> None:
        if self.lost():
            if self.chance.random() < 0.5:
                self.sweep.fired_failed(lane, "EService:Unavailable", self.now_ns)
            return
        gone = [order_id for order_id in self.book if order_id not in self.tough]
        for order_id in gone:
            self.take_off(order_id)
        self.sweep.fired_answered(lane, len(gone), self.now_ns)

    def take_off(self, order_id: str) -> None:
        if self.book.pop(order_id, None) is not None and self.chance.random() < 0.7:
            self.sweep.order_ended(order_id, canceled=True, now_ns=self.now_ns)

    def looked(self, number: int) -> None:
        # The book as of now, but for what was placed a moment ago; the answer travels on.
        shown = [order_id for order_id, placed_ns in self.book.items() if placed_ns + LAG_NS <= self.now_ns]
        self.later(self.delay_ms() / 2, lambda: self.look_comes(number, shown))

    def look_comes(self, number: int, shown: list[str]) -> None:
        if self.chance.random() < 0.1 and not self.calm:
            throttled = self.chance.random() < 0.3
            self.sweep.look_failed(number, "EAPI:Rate limit exceeded", self.now_ns, throttled=throttled)
            return
        age_ns = self.now_ns - self.begun[number]
        if abs(age_ns - LOOK_TIMEOUT_NS) <= 2 * TICK_NS:
            return  # whether this look was given up just now is not for the model to know
        if number == max(self.begun) and age_ns < LOOK_TIMEOUT_NS:
            self.row.append(self.begun[number])
        self.sweep.look_answered(number, shown, self.now_ns)

    def disturb(self) -> None:
        match self.chance.randrange(6):
            case 0:
                order_id = self.place()
                if self.chance.random() < 0.7:
                    self.later(self.chance.uniform(1, 50), lambda: self.opened(order_id))
            case 1 if self.live:
                lane = self.chance.choice(sorted(self.live))
                self.live.discard(lane)
                self.sweep.session_down(lane, self.now_ns)
            case 2:
                lane = self.chance.randrange(2)
                self.live.add(lane)
                self.sweep.session_up(lane, self.now_ns)
            case 3 if self.book:
                order_id = self.chance.choice(sorted(self.book))
                del self.book[order_id]
                self.sweep.order_ended(order_id, canceled=False, now_ns=self.now_ns)
            case 4:
                self.sweep.fire({}, self.now_ns)

    def calm_down(self) -> None:
        self.calm = True
        self.live.add(0)
        self.sweep.session_up(0, self.now_ns)
        self.pump()

    def opened(self, order_id: str) -> None:
        if order_id in self.book:
            self.sweep.order_opened(order_id, self.now_ns)

    def run(self, duration_s: float) -> None:
        until_ns = self.now_ns + int(duration_s * SECOND_NS)
        while self.now_ns < until_ns:
            self.now_ns += TICK_NS
            while self.agenda and self.agenda[0][0] <= self.now_ns:
                heapq.heappop(self.agenda)[2]()
                self.pump()
            if self.sweep.wake_ns <= self.now_ns:
                self.sweep.on_time(self.now_ns)
                self.pump()
                assert self.sweep.wake_ns > self.now_ns, "a sweep that has acted waits for something later"
            if not self.calm and self.chance.random() < 0.02:
                self.disturb()
                self.pump()
            self.check()
            if self.live:
                assert self.now_ns - self.worked_ns <= FLAT_LOOK_NS + LOOK_TIMEOUT_NS, "the sweep has stopped"


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([(True, True), (True, False), (False, False)]))
def test_flat_is_true_the_sweep_goes_on_and_ends_flat_when_the_venue_calms_down(
    seed: int, ways: tuple[bool, bool]
) -> None:
    mass, rest = ways
    exchange = Exchange(seed, mass=mass, rest=rest)
    exchange.run(20)
    exchange.calm_down()
    exchange.run(15)
    assert exchange.book == {}
    assert exchange.sweep.state(exchange.now_ns) == "flat"
