"""Which routes can take a request now."""

from canceld.engine.instants import FAR_NS
from canceld.engine.lane import REST
from canceld.engine.pursuits.lanes import Lanes
from canceld.engine.pursuits.pursuit import Pursuit, Waiter

from ..desk import order


def pursuit() -> Pursuit:
    return Pursuit(order("O-1"), Waiter("t", order("O-1"), False, 2000, 0))


def plan(lanes: Lanes, one: Pursuit, now_ns: int = 0) -> list[int]:
    return list(lanes.free_for(one, now_ns))


def test_the_plan_is_active_session_other_sessions_rest() -> None:
    lanes = Lanes(rest=True)
    assert plan(lanes, pursuit()) == [REST]
    lanes.up(0)
    lanes.up(1)
    lanes.up(0)
    assert plan(lanes, pursuit()) == [0, 1, REST]
    lanes.down(0)
    lanes.down(0)
    assert plan(lanes, pursuit()) == [1, REST]
    lanes.up(0)
    assert plan(lanes, pursuit()) == [1, 0, REST], "who comes back stands behind who stayed"


def test_a_venue_without_rest_has_no_rest_lane() -> None:
    lanes = Lanes(rest=False)
    lanes.up(0)
    assert plan(lanes, pursuit()) == [0]


def test_a_lane_that_has_it_or_refused_it_or_queued_it_is_not_free_for_it() -> None:
    lanes = Lanes(rest=True)
    lanes.up(0)
    lanes.up(1)
    one = pursuit()
    one.refused = frozenset({1})
    one.queued = True
    assert plan(lanes, one) == [0]


def test_tried_lanes_are_those_that_failed_before_a_byte_left_too() -> None:
    lanes = Lanes(rest=True)
    lanes.up(0)
    lanes.up(1)
    one = pursuit()
    assert lanes.untried_for(one, 0) == 0
    one.sent = (0, 1)
    assert lanes.untried_for(one, 0) == REST
    one.unsent = frozenset({REST})
    assert lanes.untried_for(one, 0) is None


def test_a_closed_lane_reopens_by_time_and_never_earlier_by_a_milder_refusal() -> None:
    lanes = Lanes(rest=True)
    lanes.close(REST, 900)
    lanes.close(REST, 100)
    assert not lanes.usable(REST, 899)
    assert not lanes.rest_reopened(899)
    assert lanes.rest_reopens_ns == 900
    assert lanes.usable(REST, 900)
    assert lanes.rest_reopened(900)
    assert not lanes.rest_reopened(900)
    assert lanes.rest_reopens_ns == FAR_NS


def test_a_new_session_is_not_closed_for_what_the_old_one_did() -> None:
    lanes = Lanes(rest=True)
    lanes.up(0)
    lanes.close(0, 900)
    assert plan(lanes, pursuit()) == [REST]
    lanes.up(0)
    assert plan(lanes, pursuit()) == [0, REST]


def test_the_first_to_wait_for_a_token_asks_for_it_and_nobody_uses_the_lane_meanwhile() -> None:
    lanes = Lanes(rest=True)
    lanes.up(0)
    first, second = pursuit(), pursuit()
    assert lanes.await_token(0, first)
    assert not lanes.await_token(0, second)
    assert lanes.awaits_token(second)
    assert plan(lanes, pursuit()) == [REST]
    assert not lanes.renewed_since(0, 5)
    assert list(lanes.token_renewed(0, 10)) == [first, second]
    assert not lanes.awaits_token(second)
    assert lanes.renewed_since(0, 10)
    assert not lanes.renewed_since(0, 11)
    assert not lanes.token_renewed(0, 20)


def test_who_waits_for_a_token_is_given_back_when_it_fails_or_the_session_ends_or_starts() -> None:
    for ending in (Lanes.token_failed, Lanes.down, Lanes.up):
        lanes = Lanes(rest=True)
        lanes.up(0)
        one = pursuit()
        lanes.await_token(0, one)
        assert list(ending(lanes, 0)) == [one]
        assert not lanes.stale
