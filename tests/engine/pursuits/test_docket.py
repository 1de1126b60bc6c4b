"""What is pursued and when the next alarm is due: the ground that decides nothing."""

from canceld.engine.instants import FAR_NS, MS

from ..desk import DEADLINE_MS, O1, O2, Desk, order


def test_with_nothing_to_do_no_alarm_is_due() -> None:
    assert Desk(0).pursuits.next_wake_ns == FAR_NS


def test_the_alarm_is_for_what_comes_first_and_never_for_what_is_done() -> None:
    desk = Desk(0)
    first = desk.asked("t", order(O1))
    desk.now_ms += 100
    desk.asked("u", order(O2))
    due_ns = desk.pursuits.next_wake_ns
    assert desk.now_ns < due_ns < desk.now_ns + DEADLINE_MS * MS, "silence is due before the deadline"
    desk.ack(first)
    assert desk.pursuits.next_wake_ns > due_ns, "the first has its answer: its alarm is none any more"


def test_a_request_that_is_closed_is_awaited_by_nobody() -> None:
    desk = Desk(0)
    send = desk.asked("t", order(O1))
    pursuit = desk.pursuits.pursued[order(O1)]
    attempt = pursuit.pending[send.lane]
    desk.pursuits.close_attempt(pursuit, attempt, desk.now_ns)
    assert pursuit.pending == {}
    assert not desk.pursuits.inflight.waiting
