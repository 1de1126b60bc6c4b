"""Calls out to the REST lane and their answers, in time, late and unreadable."""

import pytest

from canceld.contract.evidence import Fault, OrderState, RestAnswer, RestCanceled, RestMode, RestUnreadable
from canceld.contract.ids import EVERYTHING
from canceld.contract.outcomes import Acked, Canceled, NotOpen, Refused, Rejected, Unknown
from canceld.engine.calls import Call

from ..desk import DEADLINE_MS, O1, O2, O3, Desk, named, order, userref


def test_a_dead_rest_lane_is_not_asked_again_in_the_same_step() -> None:
    desk = Desk()
    desk.cancel("t", order(O1))
    calls = 0
    while (call := desk.maybe_call()) is not None:
        desk.rest_fail(call, left=False, why="REST: connection refused")
        calls += 1
        assert calls < 10, "REST is called in a loop that never lets time pass"
    assert calls == 1
    desk.wait(DEADLINE_MS)
    assert desk.outcome("t") == Refused("no_route", "no spot session takes it, and REST: connection refused")
    assert desk.answers["t"].attempts == 0
    assert desk.pursuits.idle


def test_rest_is_tried_again_after_a_pause() -> None:
    desk = Desk()
    desk.cancel("t", order(O1))
    desk.rest_fail(desk.call(), left=False)
    desk.wait(100)
    desk.rest_count(desk.call())
    assert desk.outcome("t") == Acked()
    assert desk.answers["t"].attempts == 1


def test_calls_that_wait_for_rest_to_reopen_are_announced_when_it_does() -> None:
    desk = Desk()
    desk.cancel("a", named("slot-1"))
    desk.cancel("b", named("slot-2"))
    desk.rest_refuse(desk.call(), Fault.ROUTE_BUSY)
    assert desk.maybe_call() is None
    announced = desk.rest_ready
    desk.wait(1000)
    assert desk.rest_ready > announced
    desk.rest_count(desk.call())
    assert desk.outcome("b") == Acked()


def test_only_order_ids_share_a_batch() -> None:
    desk = Desk()
    for ticket, target in (("a", order(O1)), ("n", named("slot-1")), ("b", order(O2)), ("u", userref(7))):
        desk.cancel(ticket, target)
    assert desk.call().order_ids == (O1, O2)
    assert [desk.call().targets[0], desk.call().targets[0]] == [named("slot-1"), userref(7)]


def test_a_userref_on_its_way_is_not_repeated_from_the_rest_queue() -> None:
    desk = Desk(0)
    desk.refused_with(Fault.ROUTE_BUSY, "t", order(O2), error="Exceeded msg rate")
    desk.wait(700)
    desk.cancel("u", userref(7))
    desk.wait(400)
    assert desk.last().target == userref(7), "the session is open again and REST has not taken it yet"
    calls = []
    while (call := desk.maybe_call()) is not None:
        calls.append((call.form, call.targets[0]))
    assert ("cancel", userref(7)) not in calls


def test_an_order_accepted_while_it_was_queued_for_rest_is_not_batched() -> None:
    desk = Desk(0)
    for ticket, target in (("a", order(O1)), ("b", order(O2)), ("c", order(O3))):
        desk.cancel(ticket, target, proof=True)
    sends = desk.take()
    desk.wait(400)
    desk.ack(sends[1])
    assert desk.call().order_ids == (O1, O3)


def test_everything_by_rest_answers_with_its_count_even_of_zero() -> None:
    desk = Desk()
    desk.cancel("t", EVERYTHING)
    call = desk.call()
    assert call.form == "all"
    desk.rest_count(call, 0)
    assert (desk.outcome("t"), desk.answers["t"].count) == (Acked(), 0)


def test_a_userref_by_rest_is_accepted_by_its_count() -> None:
    desk = Desk(0)
    desk.family(O1, O2)
    desk.refused_with(Fault.PERMISSION, "t", userref(7))
    desk.rest_count(desk.call(), 2)
    assert desk.outcome("t") == Acked()


def test_a_userref_by_rest_without_any_stream_is_accepted_when_a_list_shows_nothing_under_it() -> None:
    """The stream may have missed an order of the family, and Kraken counts only those that it canceled."""
    desk = Desk()
    desk.family(O1)
    desk.cancel("t", userref(7))
    desk.rest_count(desk.call(), 1)
    assert desk.answers == {}
    call = desk.call()
    assert call.form == "open_orders"
    desk.rest_orders(call)
    assert desk.outcome("t") == Acked()


def test_a_userref_by_rest_without_any_stream_goes_on_after_what_a_list_shows() -> None:
    desk = Desk()
    desk.cancel("t", userref(7))
    desk.rest_count(desk.call(), 1)
    desk.rest_orders(desk.call(), OrderState(O2, "open", userref=7))
    call = desk.one_call("cancel", O2)
    desk.rest_count(call, 1)
    assert desk.outcome("t") == Acked()


def test_a_userref_that_worked_by_rest_is_not_sent_again_while_the_list_is_awaited() -> None:
    """The strategy may use it for its next order by then. (Simulation seeds 97, 124 and 147.)"""
    desk = Desk()
    desk.cancel("t", userref(7))
    desk.rest_count(desk.call(), 1)
    assert desk.call().form == "open_orders"
    desk.up(0)
    desk.wait(DEADLINE_MS)
    assert desk.take() == []
    assert isinstance(desk.outcome("t"), Unknown)


def test_a_userref_by_rest_with_too_small_a_count_is_split() -> None:
    desk = Desk()
    desk.family(O1, O2)
    desk.cancel("t", userref(7))
    desk.rest_count(desk.call(), 1)
    call = desk.one_call("batch", O1, O2)
    desk.rest_count(call, 2)
    # No stream tells whether there was a third.
    assert desk.answers == {}
    listed = desk.call()
    assert listed.form == "open_orders"
    desk.rest_orders(listed)
    assert desk.outcome("t") == Acked()


def test_a_userrefs_small_count_that_comes_late_changes_nothing() -> None:
    desk = Desk()
    desk.family(O1, O2)
    desk.cancel("t", userref(7), deadline_ms=100)
    call = desk.call()
    desk.wait(100)
    desk.rest_count(call, 1)
    assert desk.lates == []
    assert desk.pursuits.idle


def test_a_call_that_fails_after_its_pursuits_are_over_moves_nothing() -> None:
    desk = Desk(0)
    desk.cancel("a", order(O1))
    desk.cancel("b", order(O2))
    desk.wait(400)
    cancel = desk.call()
    desk.wait(400)
    query = desk.call()
    desk.canceled(O1)
    desk.canceled(O2)
    desk.rest_fail(cancel, left=True)
    desk.rest_fail(query, left=True)
    assert not desk.pursuits.rest.wants_call
    assert desk.pursuits.idle


def test_a_rest_answer_after_the_sessions_ack_changes_nothing() -> None:
    desk = Desk(0)
    desk.family(O1, O2)
    send = desk.asked("t", order(O3), proof=True)
    desk.wait(400)
    call = desk.call()
    desk.ack(send)
    desk.rest_count(call)
    send = desk.asked("u", order("OX-1"), proof=True)
    desk.wait(400)
    call = next(call for call in iter(desk.call, None) if call.form == "cancel")
    desk.ack(send)
    desk.rest_refuse(call, Fault.PERMISSION)
    desk.canceled(O3)
    desk.canceled("OX-1")
    assert desk.outcome("t") == desk.outcome("u") == Canceled("0")


def test_a_rest_answer_that_counts_nothing_is_a_denial() -> None:
    desk = Desk()
    desk.cancel("t", order(O1))
    while "t" not in desk.answers:
        call = desk.maybe_call()
        if call is not None and call.form == "cancel":
            desk.rest_count(call, 0)
        elif call is not None:
            desk.rest_orders(call)
        desk.wait(10)
    assert desk.outcome("t") == NotOpen()


@pytest.mark.parametrize("answer", [RestUnreadable("HTTP 502"), RestMode("online")])
def test_an_unreadable_rest_answer_puts_the_cancel_in_doubt(answer: RestAnswer) -> None:
    desk = Desk()
    desk.cancel("t", order(O1), deadline_ms=90)
    desk.rest(desk.call(), answer)
    desk.wait(90)
    assert desk.outcome("t") == Unknown(("rest",))
    assert desk.answers["t"].error in ("HTTP 502", "an answer to another question")


def test_a_venue_without_rest_is_never_asked_over_it() -> None:
    desk = Desk(0, rest=False)
    desk.refused_with(Fault.PERMISSION, "t", order(O1), error="not allowed")
    assert desk.outcome("t") == Rejected("permission")
    desk.batch([("u", order(O2)), ("v", order(O3))])
    for send in desk.take():
        desk.reject(send)
    assert desk.maybe_call() is None
    desk.down(0)
    desk.cancel("w", order("OD-1"))
    desk.wait(DEADLINE_MS)
    assert desk.outcome("w") == Refused("no_route", "no spot session takes it")


class _Hearer:
    """Who asks; a kind of its own for each matter."""

    def call_answered(self, call: Call, answer: RestAnswer, now_ns: int) -> None: ...

    def call_failed(self, call: Call, left: bool, why: str, now_ns: int) -> None: ...


class _Driller(_Hearer):
    """Asks the same in another matter."""


def test_an_urgent_call_in_another_matter_takes_no_place() -> None:
    desk = Desk()
    rest = desk.pursuits.rest
    first, again, drill = _Hearer(), _Hearer(), _Driller()
    for owner in (first, drill, again):
        rest.request("open_orders", owner, 0, urgent=True)
    calls = [rest.next_urgent(0), rest.next_urgent(0), rest.next_urgent(0)]
    assert [call and call.owner for call in calls] == [drill, again, None]


def test_an_answer_to_a_kill_opens_the_lane_for_everybody() -> None:
    desk = Desk()
    desk.cancel("a", order(O1))
    desk.rest_refuse(desk.call(), Fault.LOCKOUT)
    desk.cancel("b", order(O2))
    assert desk.maybe_call() is None
    desk.pursuits.rest.request("all", _Hearer(), desk.now_ns, urgent=True)
    call = desk.pursuits.rest.next_urgent(desk.now_ns)
    assert call is not None
    desk.rest(call, RestCanceled(1, False))
    desk.wait(500)
    desk.rest_count(desk.call())
    assert desk.outcome("b") == Acked()
