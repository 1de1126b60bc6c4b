"""Ten thousand replies that are due at once: the first are foreseen so early that the last one is in time."""

from canceld.engine.crowd import CROWD, EACH_NS, LOOK_NS, may_begin, to_begin
from canceld.engine.instants import MS

S = 1000 * MS


def test_few_have_their_whole_time() -> None:
    assert to_begin([S] * (CROWD - 1), S) == 0
    assert to_begin([], S) == 0


def test_a_crowd_begins_when_its_last_would_be_late_otherwise() -> None:
    crowd = [2 * S] * 10_000
    begins_ns = 2 * S - 10_000 * EACH_NS - LOOK_NS
    assert to_begin(crowd, begins_ns) == 0
    assert to_begin(crowd, begins_ns + 1) == 10_000
    assert may_begin(2 * S, 10_000, begins_ns + 1)
    assert not may_begin(2 * S, 10_000, begins_ns - 1)


def test_who_has_more_time_is_left_out() -> None:
    deadlines = [2 * S] * 1_000 + [60 * S] * 9_000
    assert to_begin(deadlines, 2 * S - 50 * MS) == 1_000
    assert to_begin(deadlines, S) == 0


def test_deadlines_that_come_one_by_one_are_no_crowd() -> None:
    deadlines = [S + number * MS for number in range(5_000)]
    assert to_begin(deadlines, S) == 0
