"""Pauses of what cancels nothing: longer with each notice, on the lane that was told, and forgiven in time."""

from canceld.engine.instants import MS
from canceld.engine.quiet import FORGIVEN_NS, PAUSES_MS, Quiet


def test_each_notice_after_a_pause_asks_for_a_longer_one() -> None:
    quiet, now_ns = Quiet(), 5
    for pause_ms in (*PAUSES_MS, PAUSES_MS[-1]):
        assert not quiet.holds(0, now_ns)
        assert quiet.told(0, now_ns)
        assert quiet.holds(0, now_ns + pause_ms * MS - 1)
        now_ns += pause_ms * MS
        assert not quiet.holds(0, now_ns)


def test_notices_while_it_pauses_are_about_what_had_left_before() -> None:
    quiet = Quiet()
    assert [quiet.told(0, at_ms * MS) for at_ms in (0, 1, 999, 1000)] == [True, False, False, True]
    assert quiet.ends_ns(1000 * MS) == (1000 + PAUSES_MS[1]) * MS


def test_a_quiet_minute_forgives() -> None:
    quiet = Quiet()
    quiet.told(0, 0)
    quiet.told(0, 2000 * MS)
    at_ns = 2000 * MS + FORGIVEN_NS
    quiet.told(0, at_ns)
    assert quiet.ends_ns(at_ns) == at_ns + PAUSES_MS[0] * MS


def test_a_lane_pauses_alone_and_what_is_for_all_lanes_waits_for_each() -> None:
    quiet = Quiet()
    assert not quiet.anywhere(7)
    quiet.told(1, 7)
    assert (quiet.holds(0, 7), quiet.holds(1, 7), quiet.anywhere(7)) == (False, True, True)
    assert not quiet.anywhere(7 + PAUSES_MS[0] * MS)
