"""Refused nonces: when another program is named, and how long ordinary calls then keep away."""

from hypothesis import given
from hypothesis import strategies as st

from canceld.engine.overtaken import PAUSES_MS, SHARED_AFTER, WINDOW_NS, Overtaken

S = 10**9
MS = 10**6


def test_two_refusals_are_a_meeting_and_the_third_in_a_minute_is_another_program() -> None:
    overtaken = Overtaken()
    for at_s in (0, 30):
        assert overtaken.refused(at_s * S, pressing=False)
        assert not overtaken.shared(at_s * S)
    assert overtaken.refused(59 * S, pressing=False)
    assert overtaken.shared(59 * S)
    assert overtaken.shared(59 * S + WINDOW_NS - 1)
    assert not overtaken.shared(59 * S + WINDOW_NS)


def test_three_refusals_in_more_than_a_minute_name_nobody() -> None:
    overtaken = Overtaken()
    for at_s in (0, 30, 60, 91):
        assert overtaken.refused(at_s * S, pressing=False)
        assert not overtaken.shared(at_s * S)


def test_pauses_between_jumps_grow_to_half_a_minute_and_calls_stay_away_once_refused_in_one() -> None:
    overtaken = Overtaken()
    now_ns = 0
    for _ in range(SHARED_AFTER - 1):
        assert overtaken.refused(now_ns, pressing=False)
    for pause_ms in (*PAUSES_MS, PAUSES_MS[-1]):
        assert overtaken.refused(now_ns, pressing=False)
        # After a jump calls go on, until the other program has jumped too.
        assert not overtaken.away(now_ns)
        assert not overtaken.refused(now_ns + 1, pressing=False)
        assert overtaken.away(now_ns + pause_ms * MS - 1)
        now_ns += pause_ms * MS
        assert not overtaken.away(now_ns)


def test_a_quiet_minute_forgets_the_pauses() -> None:
    overtaken = Overtaken()
    for _ in range(2 * SHARED_AFTER):
        overtaken.refused(0, pressing=False)
    assert overtaken.away(1)
    for _ in range(SHARED_AFTER - 1):
        assert overtaken.refused(WINDOW_NS, pressing=False)
    assert not overtaken.shared(WINDOW_NS)


@given(st.lists(st.tuples(st.integers(0, 40 * S), st.booleans()), max_size=60))
def test_a_kills_call_jumps_each_time_and_others_at_most_twice_in_a_pause(steps: list[tuple[int, bool]]) -> None:
    overtaken = Overtaken()
    now_ns = 0
    jumps: list[int] = []
    for after_ns, pressing in steps:
        now_ns += after_ns
        jumped = overtaken.refused(now_ns, pressing=pressing)
        if pressing:
            assert jumped
        elif jumped:
            jumps.append(now_ns)
    # The first two, and what the first pause of a second lets through: never more in half a second.
    for first, third in zip(jumps, jumps[SHARED_AFTER:], strict=False):
        assert third - first >= PAUSES_MS[0] * MS // 2 or third - first >= WINDOW_NS
