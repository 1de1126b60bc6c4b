"""Many orders as one pursuit: one request for them, split where that cannot be relied on, judged together."""

import pytest

from canceld.contract.evidence import Fault, OrderState
from canceld.contract.outcomes import Acked, Canceled, Closed, NotOpen, Rejected, Unknown

from ..desk import DEADLINE_MS, O1, O2, O3, Desk, order, userref


def test_a_family_with_proof_waits_for_the_end_of_each_of_its_orders() -> None:
    desk = Desk(0)
    send = desk.asked_family(O1, O2, proof=True)
    desk.ack(send)
    desk.canceled(O1)
    desk.ack(send)
    assert desk.answers == {}
    desk.canceled(O2)
    assert desk.outcome("t") == Canceled()
    assert desk.pursuits.idle


def test_events_before_acks_prove_a_family() -> None:
    desk = Desk(0)
    send = desk.asked_family(O1, proof=True)
    desk.canceled(O1, "0.5")
    assert desk.answers == {}, "an order of the family that nobody knows may still rest"
    desk.ack(send)
    assert desk.outcome("t") == Canceled("0.5")


def test_a_family_is_not_proved_while_an_order_heard_of_since_may_yet_be_refused() -> None:
    desk = Desk(0)
    send = desk.asked_family(O1, proof=True)
    desk.opened(O2, userref=7)
    desk.ack(send)
    desk.canceled(O1)
    assert desk.answers == {}
    desk.reject(send, Fault.THROTTLED)
    desk.wait(1500)
    desk.rest_orders(desk.call(), OrderState(O2, "open", userref=7))
    desk.wait(DEADLINE_MS)
    assert desk.outcome("t") == Rejected("throttled")


def test_an_order_heard_of_since_that_ends_too_lets_the_family_be_proved() -> None:
    desk = Desk(0)
    send = desk.asked_family(O1, proof=True)
    desk.opened(O2, userref=7)
    desk.canceled(O1)
    desk.ack(send)
    assert desk.answers == {}
    desk.canceled(O2)
    # O2 may have used up the only ack, so a list has to bear it out.
    desk.wait(1500)
    desk.nothing_rests()
    assert desk.outcome("t") == Canceled("0")


def test_a_family_that_filled_is_closed_and_not_canceled() -> None:
    desk = Desk(0)
    send = desk.asked_family(O1, proof=True)
    desk.ack(send)
    desk.filled(O1)
    assert desk.outcome("t") == Closed("filled", "5")


def test_a_userref_that_may_have_left_is_unknown_when_nobody_knows_what_it_meant() -> None:
    desk = Desk(0, 1)
    desk.cancel("t", userref(7))
    desk.take()
    desk.down(0)
    assert desk.take() == []
    desk.rest_orders(desk.call())
    desk.wait(DEADLINE_MS)
    assert desk.outcome("t") == Unknown(("ws",))


def test_a_lost_userref_becomes_the_orders_it_meant() -> None:
    desk = Desk(0, 1)
    desk.family(O1, O2)
    desk.cancel("t", userref(7))
    desk.take()
    desk.canceled(O1)
    desk.opened(O3, userref=7)
    desk.down(0)
    assert [send.target for send in desk.sent] == [order(O2)], "neither the ended nor the newer order"
    desk.ack(desk.last())
    assert desk.outcome("t") == Acked()


def test_a_silent_userref_becomes_the_orders_it_meant() -> None:
    desk = Desk(0, 1)
    send = desk.asked_family(O1, O2, proof=True)
    desk.wait(400)
    own = desk.take()
    assert [s.target for s in own] == [order(O1), order(O2)]
    for ack in (send, send, *own):
        desk.ack(ack)
    assert desk.answers == {}, "accepted is not proved"
    desk.canceled(O1)
    desk.canceled(O2)
    desk.opened(O3, userref=7)
    desk.wait(1099)
    assert desk.maybe_call() is None, "an order on its way in would be missing from a list"
    desk.wait(1)
    desk.rest_orders(desk.call(), OrderState(O3, "open", userref=7))
    assert desk.answers == {}, "whether it was placed before the command nobody knows"
    desk.canceled(O3)
    desk.wait(400)
    desk.rest_orders(desk.call())
    assert desk.outcome("t") == Canceled()
    assert desk.answers["t"].route == "rest"
    assert desk.pursuits.idle


def test_a_silent_userref_whose_orders_ended_is_unknown_when_no_list_can_be_had() -> None:
    desk = Desk(0)
    desk.family(O1)
    desk.cancel("t", userref(7), proof=True)
    desk.wait(400)
    desk.canceled(O1)
    desk.wait(DEADLINE_MS)
    assert desk.outcome("t") == Unknown(("ws",))


def test_a_silent_userref_of_which_all_known_orders_filled_is_looked_up() -> None:
    desk = Desk(0)
    desk.family(O1)
    desk.cancel("t", userref(7))
    desk.filled(O1)
    desk.wait(1500)
    assert desk.answers == {}
    desk.nothing_rests()
    assert desk.outcome("t") == Closed("filled", "5")


def test_a_silent_userref_whose_known_orders_were_canceled_was_accepted_when_nothing_else_rests() -> None:
    """The stream may have fallen silent with the request, and an order placed before it untold. (Simulation, 5843.)"""
    desk = Desk(0)
    desk.family(O1)
    desk.cancel("t", userref(7))
    desk.canceled(O1)
    desk.wait(400)
    assert desk.answers == {}
    desk.nothing_rests()
    assert desk.outcome("t") == Acked()


def test_a_silent_userref_whose_stream_goes_on_needs_no_list() -> None:
    desk = Desk(0)
    desk.family(O1)
    desk.cancel("t", userref(7))
    desk.wait(450)
    desk.canceled(O1)
    assert desk.outcome("t") == Acked()


@pytest.mark.parametrize("sessions", [(0,), (0, 1)])
def test_of_a_silent_userref_what_a_list_shows_besides_is_canceled_too(sessions: tuple[int, ...]) -> None:
    """Another session is no better witness: both may stall before either has told of one order. (Simulation, 9131.)"""
    desk = Desk(*sessions)
    desk.family(O1)
    desk.wait(10)
    desk.cancel("t", userref(7))
    desk.take()
    desk.wait(400)
    listed = desk.call()
    assert listed.form == "open_orders"
    child = desk.last()
    desk.rest_orders(listed, OrderState(O1, "open", userref=7), OrderState(O2, "open", userref=7))
    sibling = desk.last()
    assert [child.target, sibling.target] == [order(O1), order(O2)]
    desk.ack(child)
    assert desk.answers == {}
    desk.ack(sibling)
    assert desk.outcome("t") == Acked()


def test_a_userref_nobody_knows_is_asked_for_through_the_window_and_is_not_open() -> None:
    desk = Desk(0)
    desk.cancel("t", userref(7))
    frames = desk.deny_until_answered("t", desk.nothing_open)
    assert desk.outcome("t") == NotOpen()
    assert len(frames) == 5
    assert desk.pursuits.idle


def test_a_userref_nobody_knows_is_not_open_when_the_list_comes_last() -> None:
    desk = Desk(0)
    desk.refused_with(Fault.NOT_OPEN, "t", userref(7))
    desk.wait(1500)
    desk.reject(desk.last())
    desk.wait(0)
    desk.reject(desk.last())
    assert desk.answers == {}
    desk.rest_orders(desk.call())
    assert desk.outcome("t") == NotOpen()


def test_a_userref_denied_after_its_orders_ended_is_told_how() -> None:
    desk = Desk(0)
    send = desk.asked_family(O1, O2)
    desk.filled(O1)
    desk.filled(O2)
    desk.reject(send)
    desk.wait(1500)
    desk.rest_orders(desk.call())
    assert desk.outcome("t") == Closed("filled")


def test_a_split_family_goes_on_after_what_only_a_list_shows() -> None:
    """Kraken refused one order of a family that no stream knows, and the others were settled long ago."""
    desk = Desk()
    desk.family(O1)
    desk.cancel("t", userref(7))
    desk.rest_refuse(desk.call(), Fault.THROTTLED)
    desk.rest_count(desk.call(), 1)
    assert desk.answers == {}
    desk.rest_orders(desk.call(), OrderState(O2, "open", userref=7))
    call = desk.one_call("cancel", O2)
    desk.rest_count(call, 1)
    assert desk.outcome("t") == Acked()


def test_a_split_family_with_one_order_unsettled_is_unknown_and_told_of_late() -> None:
    desk = Desk(0)
    first, second = desk.split_family(O1, O2)
    desk.ack(first)
    desk.wait(DEADLINE_MS)
    assert desk.outcome("t") == Unknown(("ws",))
    assert desk.lates == []
    desk.ack(second)
    assert [late.settlement.outcome for late in desk.lates] == [Acked()]
    desk.canceled(O2)
    desk.canceled(O1)
    assert len(desk.lates) == 1
    assert desk.pursuits.idle


def test_a_split_family_is_told_of_late_only_when_all_of_it_is() -> None:
    desk = Desk(0)
    desk.family(O1, O2)
    desk.cancel("t", userref(7), deadline_ms=500)
    desk.take()
    desk.wait(500)
    first, second = desk.take()
    assert desk.outcome("t") == Unknown(("ws",))
    desk.ack(first)
    assert desk.lates == []
    desk.canceled(O2)
    assert [late.settlement.outcome for late in desk.lates] == [Acked()]
    desk.ack(second)
    assert len(desk.lates) == 1


def test_a_split_family_whose_orders_found_no_route_is_unknown_because_the_family_had_left() -> None:
    desk = Desk(0)
    desk.family(O1)
    desk.cancel("t", userref(7))
    desk.down(0)
    while (call := desk.maybe_call()) is not None:
        desk.rest_fail(call, left=False)
    desk.wait(DEADLINE_MS)
    assert desk.outcome("t") == Unknown(("ws",))
    assert desk.answers["t"].attempts == 1


def test_a_split_family_with_one_order_accepted_and_no_route_for_another_is_unknown() -> None:
    desk = Desk(0)
    desk.family(O1, O2)
    own = desk.asked("own", order(O1))
    desk.cancel("t", userref(7))
    desk.down(0)
    desk.ack(own)
    while (call := desk.maybe_call()) is not None:
        desk.rest_fail(call, left=False)
    desk.wait(DEADLINE_MS)
    assert desk.outcome("own") == Acked()
    assert desk.outcome("t") == Unknown(("ws",))


def test_a_split_family_refused_for_an_order_after_all_is_unknown_while_the_first_request_may_have_worked() -> None:
    desk = Desk(0)
    desk.family(O1)
    desk.cancel("t", userref(7))
    desk.take()
    desk.wait(400)
    desk.reject(desk.last(), Fault.PERMISSION)
    desk.rest_refuse(desk.call(), Fault.PERMISSION)
    desk.wait(DEADLINE_MS)
    assert desk.outcome("t") == Unknown(("ws",))
    assert desk.answers["t"].error == "EGeneral:Permission denied"


def test_a_split_family_is_proved_for_each_client_when_its_own_window_ends() -> None:
    desk = Desk()
    desk.opened(O1, userref=7)
    desk.cancel("soon", userref(7), proof=True, deadline_ms=800)
    desk.cancel("later", userref(7), proof=True, deadline_ms=1200)
    desk.rest_fail(desk.call(), left=True)
    desk.canceled(O1)
    desk.wait(600)
    desk.rest_orders(next(call for call in iter(desk.call, None) if call.form == "open_orders"))
    assert desk.outcome("soon") == Canceled("0")
    assert desk.outcome("later") is None
    desk.wait(300)
    desk.rest_orders(desk.call())
    assert desk.outcome("later") == Canceled("0")


def test_a_split_family_that_never_was_is_not_open() -> None:
    desk = Desk(0, 1)
    desk.family(O1)
    desk.cancel("t", userref(7))
    desk.take()
    desk.wait(2500)
    desk.cancel("u", userref(7))
    desk.take()
    desk.down(0)
    desk.down(1)
    desk.up(0)
    desk.stream(snapshot=True)
    desk.deny_until_answered(
        "u", lambda call: desk.rest_refuse(call, Fault.NOT_OPEN) if call.form == "query" else desk.nothing_open(call)
    )
    assert desk.outcome("u") == NotOpen()


def test_a_list_asked_for_before_the_family_was_split_concludes_nothing() -> None:
    desk = Desk(0)
    send = desk.asked_family(O1, proof=True)
    desk.ack(send)
    desk.wait(400)
    listed = desk.call()
    desk.reject(send, Fault.THROTTLED)
    assert desk.last().target == order(O1)
    desk.rest_orders(listed)
    assert desk.answers == {}
    desk.wait(DEADLINE_MS)
    assert desk.outcome("t") == Unknown(("ws",))


def test_an_answer_for_a_family_that_was_split_changes_nothing() -> None:
    desk = Desk(0)
    send = desk.asked_family(O1)
    desk.wait(400)
    child = desk.last()
    desk.reject(send, Fault.PERMISSION)
    assert desk.answers == {}
    desk.ack(child)
    assert desk.outcome("t") == Acked()
