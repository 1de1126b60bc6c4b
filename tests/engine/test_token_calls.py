"""Calls for tokens: after a failure at 1, 2, 4 … 30 s, whoever asks; a call that is given up tells nothing."""

from canceld.engine.token_calls import PAUSES_S, SECOND_NS, TokenCalls


def test_after_each_failure_the_pause_is_longer_until_one_works() -> None:
    calls, now_ns, pauses = TokenCalls(), 0, []
    for _ in range(8):
        calls.asked()
        calls.answered(now_ns, good=False)
        pauses.append(calls.wait_ns(now_ns) // SECOND_NS)
        now_ns += calls.wait_ns(now_ns)
        assert calls.wait_ns(now_ns) == 0
    assert pauses == [*PAUSES_S, 30, 30]
    calls.asked()
    calls.answered(now_ns, good=True)
    assert calls.wait_ns(now_ns) == 0


def test_two_that_failed_together_are_one_failure() -> None:
    calls = TokenCalls()
    for _ in range(2):
        calls.asked()
    for _ in range(2):
        calls.answered(0, good=False)
    assert calls.wait_ns(0) == SECOND_NS


def test_behind_a_pause_one_tries_and_the_others_wait_for_it() -> None:
    calls = TokenCalls()
    calls.asked()
    calls.answered(0, good=False)
    calls.asked()
    assert calls.wait_ns(SECOND_NS) > 0
    calls.dropped()
    assert calls.wait_ns(SECOND_NS) == 0


def test_failures_of_the_process_before_count_unless_its_last_call_was_good() -> None:
    assert TokenCalls([-1], [-3, -2]).wait_ns(0) == 0
    failing = TokenCalls([-4], [-5, -3, -1])
    assert failing.wait_ns(0) == 2 * SECOND_NS - 1
    failing.forget()
    assert failing.wait_ns(0) == 0
