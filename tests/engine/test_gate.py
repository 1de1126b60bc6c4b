"""When a REST endpoint is called after it refused the key: ordinary calls stay away, a kill's come back soon."""

from typing import Final

import pytest

from canceld.contract.evidence import Fault, RestAnswer, RestCanceled, RestFailed, RestUnreadable
from canceld.engine.gate import Gate

S: Final = 1_000_000_000
KEY: Final = RestFailed(Fault.CREDENTIALS, "EAPI:Invalid key")
LOCKOUT: Final = RestFailed(Fault.LOCKOUT, "EGeneral:Temporary lockout")


def test_ordinary_calls_stay_away_and_a_kill_does_not() -> None:
    gate = Gate()
    gate.refused(LOCKOUT, 0)
    assert gate.shut(899 * S) == LOCKOUT.error
    assert gate.shut(900 * S) is None
    assert gate.shut(0, "all") is None


def test_a_kills_pauses_grow_up_to_fifteen_seconds() -> None:
    gate, now_ns, pauses = Gate(), 0, []
    for _ in range(7):
        gate.refused(KEY, now_ns, "all")
        began_ns = now_ns
        while gate.shut(now_ns, "all"):
            now_ns += S // 10
        pauses.append((now_ns - began_ns) / S)
    assert pauses == [1, 2, 4, 8, 15, 15, 15]


def test_a_list_that_is_asked_for_takes_no_cancels_place() -> None:
    gate = Gate()
    gate.refused(KEY, 0, "open_orders")
    assert gate.shut(1, "open_orders")
    assert gate.shut(1, "all") is None


def test_refusals_of_calls_under_way_together_count_once() -> None:
    gate = Gate()
    for _ in range(5):
        gate.refused(KEY, 0, "all")
    assert gate.shut(S, "all") is None


def test_a_kill_pulled_anew_waits_a_second_at_most() -> None:
    gate = Gate()
    for at_s in (0, 1, 3, 7, 15):
        gate.refused(KEY, at_s * S, "all")
    assert gate.shut(29 * S, "all")
    gate.pulled()
    assert gate.shut(16 * S, "all") is None
    gate.refused(KEY, 16 * S, "all")
    assert gate.shut(18 * S, "all") is None


def test_an_answer_to_a_kill_opens_it_for_everybody() -> None:
    gate = Gate()
    gate.refused(LOCKOUT, 0)
    gate.answered(RestCanceled(3, False), "all")
    assert gate.shut(1) is None
    assert gate.doubts


@pytest.mark.parametrize(
    "answer",
    [RestUnreadable("HTTP 502"), RestFailed(Fault.ROUTE_BUSY, "HTTP 403"), RestFailed(Fault.UNAVAILABLE, "busy")],
)
def test_an_answer_that_has_seen_no_key_opens_nothing(answer: RestAnswer) -> None:
    gate = Gate()
    gate.refused(KEY, 0, "all")
    gate.answered(answer, "all")
    assert gate.shut(1)
    assert gate.shut(1, "all")


def test_an_answer_to_another_call_ends_the_long_pauses_and_not_the_shortest() -> None:
    gate = Gate()
    for at_s in (0, 1, 3, 7, 15):
        gate.refused(KEY, at_s * S, "all")
    assert not gate.answered(RestUnreadable("HTTP 502"), "open_orders")
    assert gate.opens_ns("all") == 30 * S
    assert gate.answered(RestCanceled(3, False), "open_orders")
    assert gate.opens_ns("all") == 16 * S
    assert not gate.answered(RestCanceled(3, False), "open_orders"), "nothing is left to shorten"
    gate.refused(KEY, 16 * S, "all")
    assert gate.opens_ns("all") == 18 * S


def test_the_next_kill_waits_for_no_pause_of_the_last_one() -> None:
    gate = Gate()
    gate.refused(KEY, 0, "all")
    gate.released()
    assert gate.shut(1, "all") is None
    assert gate.shut(1)


def test_another_key_opens_it() -> None:
    gate = Gate()
    gate.refused(KEY, 0, "all")
    gate.reopen()
    assert gate.shut(1) is None
    assert gate.shut(1, "all") is None
