"""What a stream, a list or a query tells of an order, and what follows."""

from canceld.contract.evidence import Fault, OrderState
from canceld.contract.outcomes import Acked, Canceled, Closed, NotOpen, Unknown
from canceld.engine.reactions import SPACE_MS

from ..desk import DEADLINE_MS, O1, O2, O3, Desk, named, order, userref


def test_event_before_ack_is_proof() -> None:
    desk = Desk(0)
    desk.opened(O1)
    send = desk.asked("t", order(O1))
    desk.canceled(O1, "0.25")
    assert desk.outcome("t") == Canceled("0.25")
    assert desk.answers["t"].route == "stream"
    desk.ack(send)
    assert desk.pursuits.counts.repeated_acks == 1
    assert desk.pursuits.idle


def test_proof_waits_for_the_event_after_the_ack() -> None:
    desk = Desk(0)
    desk.opened(O1)
    desk.accepted("t", order(O1), proof=True)
    assert desk.answers == {}
    desk.canceled(O1)
    assert desk.outcome("t") == Canceled("0")


def test_proof_is_queried_when_no_event_comes() -> None:
    desk = Desk(0)
    desk.accepted("t", order(O1), proof=True)
    desk.wait(400)
    call = desk.one_call("query", O1)
    desk.rest_orders(call, OrderState(O1, "canceled", filled_qty="2"))
    assert desk.outcome("t") == Canceled("2")
    assert desk.answers["t"].route == "rest"


def test_an_accepted_order_that_still_rests_is_canceled_again() -> None:
    desk = Desk(0)
    desk.opened(O1)
    desk.accepted("t", order(O1), proof=True)
    desk.wait(400)
    desk.rest_orders(desk.call(), OrderState(O1, "open"))
    desk.ack(desk.last())
    desk.canceled(O1)
    assert desk.outcome("t") == Canceled("0")


def test_an_order_that_appears_late_is_canceled_at_once_by_another_way() -> None:
    desk = Desk(0, 1)
    desk.refused_with(Fault.NOT_OPEN, "t", order(O1))
    desk.wait(20)
    desk.opened(O1)
    again = desk.last()
    assert again.lane == 1
    desk.ack(again)
    assert desk.outcome("t") == Acked()


def test_an_order_that_appears_late_is_canceled_by_the_only_way_as_soon_as_that_may_be_used_again() -> None:
    desk = Desk(0, rest=False)
    desk.refused_with(Fault.NOT_OPEN, "t", order(O1))
    desk.wait(20)
    desk.opened(O1)
    desk.wait(SPACE_MS - 20 - 1)
    assert desk.take() == []
    desk.wait(1)
    desk.ack(desk.last())
    assert desk.outcome("t") == Acked()


def test_an_order_that_appears_late_under_its_client_id_is_canceled_by_its_own() -> None:
    desk = Desk(0, 1)
    send = desk.asked("t", named("slot-1"))
    assert send.target == named("slot-1")
    desk.reject(send)
    desk.opened(O1, cl_ord_id="slot-1")
    again = desk.take()
    assert [s.target for s in again] == [order(O1)]
    desk.cancel("u", named("slot-1"))
    desk.cancel("v", order(O1))
    assert desk.take() == [], "all three are after the same open order"
    desk.canceled(O1)
    assert desk.outcome("v") == Canceled("0")
    assert desk.outcome("t") is None, "that it was this order which bore the name only the ack tells"
    desk.ack(again[0])
    assert desk.outcome("t") == desk.outcome("u") == Canceled("0")
    assert desk.answers["t"].target == named("slot-1")
    assert desk.answers["t"].order_id == O1
    assert desk.pursuits.idle


def test_an_order_that_appears_under_a_denied_userref_is_canceled() -> None:
    desk = Desk(0, 1)
    desk.refused_with(Fault.NOT_OPEN, "t", userref(7))
    desk.opened(O2, userref=8)
    assert desk.take() == []
    desk.opened(O1, userref=7)
    desk.ack(desk.last())
    assert desk.outcome("t") == Acked()


def test_a_closed_state_that_a_query_knows_settles_a_denial() -> None:
    desk = Desk(0)
    desk.opened(O1)
    desk.refused_with(Fault.NOT_OPEN, "t", order(O1))
    desk.rest_orders(desk.call(), OrderState(O1, "filled", filled_qty="5"))
    assert desk.outcome("t") == Closed("filled", "5")
    assert desk.answers["t"].route == "rest"


def test_a_query_that_contradicts_the_denial_does_not_start_a_volley() -> None:
    desk = Desk(0)
    desk.opened(O1)
    desk.cancel("t", order(O1))
    frames = 0
    for _ in range(10):
        frames += desk.deny(lambda call: desk.rest_orders(call, OrderState(O1, "open")))
        desk.wait(4)
    assert frames == 1


def test_a_query_refused_as_wrong_is_no_absence() -> None:
    desk = Desk(0, 1)
    desk.cancel("t", order(O1))
    desk.down(0)
    desk.deny_until_answered("t", lambda call: desk.rest_refuse(call, Fault.INVALID), silent=0)
    assert desk.outcome("t") == Closed(None, None, "unconfirmed")


def test_after_a_lost_attempt_a_query_that_finds_no_such_order_confirms_the_denial() -> None:
    desk = Desk(0, 1)
    desk.cancel("t", order(O1))
    desk.down(0)
    desk.deny_until_answered("t", lambda call: desk.rest_refuse(call, Fault.NOT_OPEN, "EOrder:Invalid order"), silent=0)
    assert desk.outcome("t") == NotOpen()


def test_a_query_answered_after_its_pursuit_is_over_changes_nothing() -> None:
    desk = Desk(0)
    for ticket, target in (("a", order(O1)), ("b", order(O2)), ("c", order(O3))):
        desk.cancel(ticket, target)
    sends = desk.take()
    for send in sends[:2]:
        desk.reject(send)
    both = desk.call()
    desk.reject(sends[2])
    alone = desk.call()
    desk.canceled(O1)
    desk.canceled(O3)
    desk.rest_refuse(both, Fault.NOT_OPEN)
    desk.rest_refuse(alone, Fault.NOT_OPEN)
    assert desk.call().order_ids == (O2,)
    assert desk.maybe_call() is None


def test_an_order_missing_from_a_snapshot_is_asked_about() -> None:
    desk = Desk(0)
    desk.opened(O1)
    desk.wait(3000)
    desk.cancel("t", order(O1), deadline_ms=5000)
    desk.down(0)
    desk.rest_fail(desk.call(), left=True)
    desk.up(0)
    desk.stream(snapshot=True)
    query = desk.call()
    assert query.form == "query"
    desk.rest_orders(query, OrderState(O1, "canceled", filled_qty="1"))
    assert desk.outcome("t") == Canceled("1")


def test_an_order_that_vanishes_while_nobody_pursues_it_is_not_asked_about() -> None:
    desk = Desk(0)
    desk.opened(O1)
    desk.wait(3000)
    desk.down(0)
    desk.up(0)
    desk.stream(snapshot=True)
    assert desk.maybe_call() is None


def test_a_denied_order_that_vanished_is_looked_for_by_name_for_those_who_asked_by_it() -> None:
    desk = Desk(0)
    desk.opened(O1, cl_ord_id="slot-1")
    desk.wait(3000)
    desk.cancel("name", named("slot-1"))
    send = desk.asked("id", order(O1))
    desk.stream(snapshot=True)
    desk.reject(send)
    assert [s.target for s in desk.take()] == [named("slot-1")]
    desk.wait(DEADLINE_MS)
    assert isinstance(desk.outcome("name"), Unknown)


def test_a_denied_order_that_vanishes_last_is_unknown_to_those_who_asked_by_name() -> None:
    desk = Desk(0)
    desk.opened(O1, cl_ord_id="slot-1")
    desk.wait(3000)
    desk.cancel("name", named("slot-1"), deadline_ms=300)
    desk.refused_with(Fault.NOT_OPEN, "id", order(O1), deadline_ms=300)
    desk.rest_fail(desk.call(), left=False)
    desk.wait(50)
    desk.reject(desk.last())
    desk.rest_fail(desk.call(), left=False)
    desk.wait(200)
    desk.reject(desk.last())
    desk.stream(snapshot=True)
    desk.wait(50)
    assert desk.outcome("id") == NotOpen()
    assert isinstance(desk.outcome("name"), Unknown)
