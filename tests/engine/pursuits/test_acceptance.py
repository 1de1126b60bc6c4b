"""The venue said yes, how often it has to for a family, and how it takes that back."""

import pytest

from canceld.contract.evidence import Fault, OrderState
from canceld.contract.outcomes import Acked, Canceled, Rejected, Unknown
from canceld.engine.effects import Alert

from ..desk import DEADLINE_MS, O1, O2, O3, Desk, named, order, userref


def test_an_ack_that_names_the_order_makes_its_proof_queryable() -> None:
    desk = Desk(0)
    desk.cancel("t", named("slot-1"), proof=True)
    desk.ack(desk.last(), O1)
    desk.wait(400)
    call = desk.call()
    assert call.order_ids == (O1,)
    desk.rest_orders(call, OrderState(O1, "canceled", filled_qty="1"))
    assert desk.outcome("t") == Canceled("1")
    assert desk.answers["t"].order_id == O1


def test_an_ack_that_names_an_order_whose_end_was_heard_before_is_proof() -> None:
    desk = Desk(0)
    send = desk.asked("t", named("slot-1"), proof=True)
    desk.canceled(O1, "2")
    desk.ack(send, O1)
    assert desk.outcome("t") == Canceled("2")


def test_an_acceptance_that_is_refused_in_the_end_is_taken_back_for_whoever_waits_for_proof() -> None:
    desk = Desk(0, 1)
    desk.opened(O1)
    desk.cancel("ack", order(O1))
    send = desk.accepted("proof", order(O1), proof=True)
    assert desk.outcome("ack") == Acked()
    desk.reject(send, Fault.INVALID, "broker option")
    again = desk.last()
    assert again.lane == 1
    desk.ack(again)
    desk.canceled(O1)
    assert desk.outcome("proof") == Canceled("0")


def test_a_second_routes_ack_after_the_first_changes_nothing() -> None:
    desk = Desk(0, 1)
    first, second = desk.hedged("t", order(O1), proof=True)
    desk.ack(first)
    desk.ack(second)
    assert desk.pursuits.counts.repeated_acks == 1
    desk.canceled(O1)
    assert desk.outcome("t") == Canceled("0")


def test_the_second_paths_denial_never_overwrites_the_first_paths_ack() -> None:
    desk = Desk(0, 1)
    first, second = desk.hedged("t", order(O1), proof=True)
    desk.ack(first)
    desk.reject(second)
    assert desk.answers == {}
    desk.canceled(O1)
    assert desk.outcome("t") == Canceled("0")
    assert desk.answers["t"].error is None


def test_a_userref_is_accepted_when_as_many_acks_came_as_orders_are_known() -> None:
    desk = Desk(0)
    send = desk.asked_family(O1, O2)
    desk.ack(send)
    assert desk.answers == {}
    desk.ack(send)
    assert desk.outcome("t") == Acked()
    assert desk.pursuits.idle


def test_acks_that_name_their_order_are_counted_once_each() -> None:
    desk = Desk(0)
    send = desk.asked_family(O1, O2)
    desk.ack(send, O1)
    desk.ack(send, O1)
    assert desk.answers == {}
    assert desk.pursuits.counts.repeated_acks == 1
    desk.ack(send, O2)
    assert desk.outcome("t") == Acked()


def test_no_ack_is_waited_for_of_an_order_that_filled_in_the_meantime() -> None:
    desk = Desk(0)
    desk.family(O1, O2)
    desk.accepted("t", userref(7))
    assert desk.answers == {}
    desk.filled(O2)
    assert desk.outcome("t") == Acked()


def test_of_a_family_that_the_stream_never_told_of_one_ack_may_be_all() -> None:
    desk = Desk(0)
    desk.accepted("t", userref(7))
    assert desk.answers == {}, "an order was canceled of which the stream had not told: it has not told of all"
    desk.nothing_rests()
    assert desk.outcome("t") == Acked()


@pytest.mark.parametrize("by_rest", [False, True])
def test_a_stream_that_told_of_fewer_orders_than_were_canceled_is_no_witness(by_rest: bool) -> None:
    """A stalled stream has not told of two orders. The venue cancels one of them and refuses the other, which only a
    list can show: it is then canceled by itself."""
    desk = Desk(0)
    desk.cancel("t", userref(7))
    if by_rest:
        desk.reject(desk.last(), Fault.PERMISSION)
        desk.rest_count(desk.call(), 1)
    else:
        desk.ack(desk.last())
    listed = desk.call()
    assert (listed.form, desk.answers) == ("open_orders", {})
    desk.rest_orders(listed, OrderState(O2, "open", userref=7))
    again = desk.last()
    assert again.target == order(O2)
    desk.ack(again)
    assert desk.outcome("t") == Acked()


def test_an_error_among_the_acks_sends_each_order_its_own_cancel() -> None:
    desk = Desk(0)
    send = desk.asked_family(O1, O2, O3)
    desk.ack(send)
    desk.reject(send, Fault.THROTTLED)
    own = desk.take()
    assert [s.target for s in own] == [order(O1), order(O2), order(O3)]
    desk.ack(send)
    for s in own:
        assert desk.answers == {}
        desk.ack(s)
    assert desk.outcome("t") == Acked()
    assert desk.answers["t"].attempts == 4
    assert desk.pursuits.idle


def test_an_error_after_the_known_acks_alerts_when_the_client_was_told_already() -> None:
    desk = Desk(0)
    send = desk.asked_family(O1)
    desk.ack(send)
    desk.reject(send, Fault.THROTTLED)
    assert [type(effect) for effect in desk.told] == [Alert]
    desk.reject(send, Fault.NOT_OPEN)
    assert len(desk.told) == 1


def test_an_error_after_the_known_acks_takes_the_acceptance_back_for_whoever_waits_for_proof() -> None:
    desk = Desk(0)
    send = desk.asked_family(O1, proof=True)
    desk.ack(send)
    desk.reject(send, Fault.NOT_OPEN)
    assert desk.take() == []
    desk.reject(send, Fault.THROTTLED)
    assert desk.last().target == order(O1)
    desk.canceled(O1)
    desk.wait(1500)
    desk.rest_orders(desk.call())
    assert desk.outcome("t") == Canceled("0")


def test_a_family_that_was_refused_for_one_order_is_not_accepted_by_the_acks_of_the_others() -> None:
    desk = Desk(0)
    send = desk.asked_family(O1, proof=True)
    desk.canceled(O1)
    desk.reject(send, Fault.THROTTLED)
    desk.ack(send)
    assert desk.answers == {}
    desk.wait(DEADLINE_MS)
    assert desk.outcome("t") == Rejected("throttled"), "one that nobody told us of may rest"


def test_one_late_ack_of_several_does_not_tell_a_family_accepted() -> None:
    desk = Desk(0)
    send = desk.asked_family(O1, O2, deadline_ms=100)
    desk.wait(100)
    assert desk.outcome("t") == Unknown(("ws",))
    desk.ack(send)
    assert desk.lates == []
    desk.ack(send)
    assert [late.settlement.outcome for late in desk.lates] == [Acked()]
