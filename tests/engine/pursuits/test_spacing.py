"""Requests for one order on one lane: never two within fifty milliseconds, never a fourth within a second."""

from canceld.engine.instants import MS
from canceld.engine.lane import REST
from canceld.engine.pursuits.spacing import SPACE_NS, bars, may_leave_ns
from canceld.engine.reactions import PER_SECOND, SPACE_MS

START_NS = 1000 * 1000 * MS


def tries(lane: int, *at_ms: int) -> tuple[int, ...]:
    return tuple(part for ms in at_ms for part in (lane, START_NS + ms * MS))


def test_the_first_may_leave_at_any_time_and_other_lanes_do_not_count() -> None:
    assert may_leave_ns((), 0) == 0
    assert may_leave_ns(tries(1, 0, 100), 0) == 0
    assert may_leave_ns(tries(REST, 0), 0) == 0


def test_the_next_waits_for_the_space() -> None:
    assert SPACE_NS == SPACE_MS * MS
    assert may_leave_ns(tries(0, 0), 0) == START_NS + SPACE_NS


def test_one_more_than_fits_into_a_second_waits_for_the_first_to_be_a_second_ago() -> None:
    times = range(0, 100 * PER_SECOND, 100)
    assert may_leave_ns(tries(0, *times), 0) == START_NS + 1000 * MS
    assert may_leave_ns(tries(0, *times[:-1]), 0) == START_NS + times[-2] * MS + SPACE_NS


def test_a_request_now_is_held_back_where_it_would_keep_the_last_one_from_leaving() -> None:
    """The one that matters most is the one right before the deadline."""
    last_ns = START_NS + 500 * MS
    assert bars((), last_ns - SPACE_NS + 1, last_ns)
    assert not bars((), last_ns - SPACE_NS, last_ns)
    assert bars(tries(0, *range(0, 100 * (PER_SECOND - 1), 100)), START_NS + 400 * MS, last_ns)
    assert not bars(tries(0, 0), START_NS + 400 * MS, last_ns)
