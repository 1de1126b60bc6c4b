"""The correlation table: every request is waited for once, found for a while, and forgotten."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canceld.contract.ids import REQID_LIMIT, Reqid
from canceld.engine.inflight import Attempt, Inflight, Reqids
from canceld.engine.lane import REST


def table(limit: int = 100) -> Inflight[str]:
    return Inflight(Reqids(1), memory_ns=1000, limit=limit)


def test_request_ids_rise_and_stay_exact_for_every_json_reader() -> None:
    reqids = Reqids(REQID_LIMIT - 1)
    assert [reqids.draw(), reqids.draw()] == [REQID_LIMIT - 1, REQID_LIMIT]
    with pytest.raises(AssertionError):
        reqids.draw()


@pytest.mark.parametrize("first", [0, -1, REQID_LIMIT])
def test_a_first_request_id_outside_the_range_is_refused(first: int) -> None:
    with pytest.raises(ValueError, match="reqid"):
        Reqids(first)


def test_an_attempt_waits_until_it_is_settled_and_is_found_for_a_while_after() -> None:
    inflight = table()
    attempt = inflight.open("a", 0, 10)
    assert (attempt.reqid, attempt.of, attempt.lane, attempt.sent_ns) == (1, "a", 0, 10)
    assert inflight.waiting == 1
    inflight.settle(attempt, 20)
    inflight.settle(attempt, 30)
    assert inflight.waiting == 0
    assert inflight.find(attempt.reqid) is attempt
    inflight.forget(1019)
    assert inflight.find(attempt.reqid) is attempt
    inflight.forget(1020)
    assert inflight.find(attempt.reqid) is None
    assert inflight.find(Reqid(999)) is None


def test_settling_forgets_what_is_old_and_what_is_too_much() -> None:
    inflight = table(limit=2)
    attempts = [inflight.open("a", 0, 0) for _ in range(4)]
    for attempt in attempts[:3]:
        inflight.settle(attempt, 0)
    assert [inflight.find(a.reqid) is not None for a in attempts] == [False, True, True, True]
    inflight.settle(attempts[3], 1000)
    assert [inflight.find(a.reqid) is not None for a in attempts] == [False, False, False, True]


def test_a_lost_lane_gives_back_what_waited_on_it_and_leaves_the_others() -> None:
    inflight = table()
    on_first, on_second, on_rest = (inflight.open("x", lane, 0) for lane in (0, 1, REST))
    answered = inflight.open("y", 0, 0)
    inflight.settle(answered, 1)
    assert inflight.lost(0, 2) == [on_first]
    assert inflight.lost(0, 3) == []
    assert inflight.lost(7, 3) == []
    assert (on_first.waiting, on_second.waiting, on_rest.waiting) == (False, True, True)
    assert inflight.waiting == 2


STEPS = st.tuples(
    st.sampled_from(["open", "settle", "lose", "forget"]), st.integers(0, 9), st.sampled_from([0, 1, REST])
)


@given(st.lists(STEPS, max_size=60))
def test_each_attempt_is_given_back_once_and_the_table_empties(steps: list[tuple[str, int, int]]) -> None:
    inflight = table(limit=5)
    opened: list[Attempt[str]] = []
    over: list[Reqid] = []
    now_ns = 0
    for what, pick, lane in steps:
        now_ns += 100
        if what == "open":
            opened.append(inflight.open("x", lane, now_ns))
        elif what == "settle" and opened:
            attempt = opened[pick % len(opened)]
            if attempt.waiting:
                over.append(attempt.reqid)
            inflight.settle(attempt, now_ns)
        elif what == "lose":
            over += [attempt.reqid for attempt in inflight.lost(lane, now_ns)]
        else:
            inflight.forget(now_ns)
        assert inflight.waiting == len(opened) - len(over)
        assert all(inflight.find(attempt.reqid) is attempt for attempt in opened if attempt.waiting)
    assert len(over) == len(set(over))
    for lane in (0, 1, REST):
        inflight.lost(lane, now_ns)
    inflight.forget(now_ns + 1000)
    assert inflight.waiting == 0
    assert all(inflight.find(attempt.reqid) is None for attempt in opened)
