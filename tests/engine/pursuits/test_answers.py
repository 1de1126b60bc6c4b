"""The one answer of each ticket at its deadline, and news that comes after it."""

from canceld.contract.evidence import CancelAllAck, Fault
from canceld.contract.ids import EVERYTHING
from canceld.contract.outcomes import Acked, Canceled, Refused, Unknown

from ..desk import DEADLINE_MS, LATE_MS, O1, O2, Desk, named, order


def test_nothing_that_could_be_sent_is_refused_with_a_reason() -> None:
    desk = Desk()
    desk.cancel("t", order(O1), deadline_ms=300)
    desk.wait(300)
    assert desk.outcome("t") == Refused("no_route", "no spot session takes it, and REST was not reached yet")
    assert desk.answers["t"].sent_ns is None
    assert desk.pursuits.idle


def test_silence_to_the_deadline_is_unknown_and_names_the_routes() -> None:
    desk = Desk(0)
    desk.cancel("t", order(O1))
    desk.wait(500)
    desk.call()
    desk.wait(DEADLINE_MS)
    assert desk.outcome("t") == Unknown(("ws", "rest"))
    assert desk.answers["t"].answered_ns is None
    assert desk.pursuits.idle


def test_maintenance_to_the_deadline_is_a_refusal() -> None:
    desk = Desk(0)
    desk.mode("maintenance")
    desk.cancel("t", order(O1))
    desk.wait(DEADLINE_MS)
    assert desk.outcome("t") == Refused("no_route", "spot is in maintenance: it takes no cancels")
    assert desk.pursuits.idle
    desk.mode("online")
    assert desk.take() == []


def test_proof_that_does_not_come_is_unknown_and_says_why() -> None:
    desk = Desk(0)
    send = desk.accepted("t", order(O1), proof=True)
    desk.wait(DEADLINE_MS)
    assert desk.outcome("t") == Unknown(("ws",))
    assert desk.answers["t"].error == "accepted by the venue, but no proof came before the deadline"
    desk.ack(send)
    assert desk.lates == [], "that it was accepted is no news"
    desk.canceled(O1, "3")
    assert [late.settlement.outcome for late in desk.lates] == [Canceled("3")]


def test_a_late_ack_is_told_once_to_everybody_who_was_answered_unknown() -> None:
    desk = Desk(0)
    desk.cancel("a", order(O1), deadline_ms=100)
    send = desk.asked("b", order(O1), deadline_ms=200)
    desk.wait(200)
    assert desk.outcome("a") == desk.outcome("b") == Unknown(("ws",))
    desk.ack(send)
    desk.ack(send)
    desk.canceled(O1)
    assert [(late.ticket, late.settlement.outcome) for late in desk.lates] == [("a", Acked()), ("b", Acked())]
    assert desk.pursuits.counts.late == 2
    assert desk.pursuits.counts.repeated_acks == 1


def test_an_event_tells_those_answered_unknown_also_while_a_second_pursuit_runs() -> None:
    desk = Desk(0)
    desk.cancel("a", order(O1), deadline_ms=100)
    desk.wait(100)
    desk.cancel("b", order(O1))
    desk.canceled(O1, "1")
    assert desk.outcome("b") == Canceled("1")
    assert [(late.ticket, late.settlement.outcome) for late in desk.lates] == [("a", Canceled("1"))]


def test_two_pursuits_of_one_order_that_both_ended_unknown_are_told_together() -> None:
    desk = Desk(0)
    first = desk.asked("a", order(O1), deadline_ms=100)
    desk.wait(100)
    desk.cancel("b", order(O1), deadline_ms=100)
    desk.wait(100)
    desk.ack(first)
    desk.canceled(O1)
    assert [late.ticket for late in desk.lates] == ["a", "b"]


def test_late_news_of_a_name_is_not_taken_from_an_order_that_bears_it_much_later() -> None:
    desk = Desk(0)
    desk.cancel("t", named("slot-1"), deadline_ms=100)
    desk.wait(100)
    desk.wait(LATE_MS)
    desk.opened(O1, cl_ord_id="slot-1")
    desk.canceled(O1)
    assert desk.lates == []


def test_the_memory_for_late_news_is_bounded() -> None:
    desk = Desk(0, late_limit=1)
    desk.cancel("a", order(O1), deadline_ms=100)
    desk.cancel("b", order(O2), deadline_ms=100)
    first, second = desk.take()
    desk.wait(100)
    desk.ack(second)
    desk.ack(first)
    assert [late.ticket for late in desk.lates] == ["b"]


def test_a_late_cancel_all_ack_is_told() -> None:
    desk = Desk(0)
    send = desk.asked("t", EVERYTHING, deadline_ms=100)
    desk.wait(100)
    desk.hear(0, CancelAllAck(send.reqid, 3))
    desk.hear(0, CancelAllAck(send.reqid, 3))
    assert [(late.settlement.outcome, late.settlement.count) for late in desk.lates] == [(Acked(), 3)]


def test_a_late_rest_answer_is_told() -> None:
    desk = Desk()
    desk.cancel("t", order(O1), deadline_ms=100)
    call = desk.call()
    desk.wait(100)
    desk.rest_count(call)
    assert [late.settlement.route for late in desk.lates] == ["rest"]
    desk.cancel("u", order(O2), deadline_ms=100)
    call = desk.call()
    desk.wait(100)
    desk.rest_refuse(call, Fault.PERMISSION)
    assert len(desk.lates) == 1
