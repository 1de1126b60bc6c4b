"""Several orders in one request, and what one answer for all of them means."""

from canceld.contract.evidence import Fault, OrderState, RestUnreadable
from canceld.contract.outcomes import Acked, Canceled, Closed, Rejected, Unknown
from canceld.engine.calls import Call
from canceld.engine.reactions import SPACE_MS

from ..desk import DEADLINE_MS, O1, O2, O3, Desk, order


def test_a_batch_goes_by_one_call_and_is_answered_one_by_one() -> None:
    desk = Desk(0)
    desk.batch([("a", order(O1)), ("b", order(O2)), ("a2", order(O1))])
    assert desk.take() == []
    call = desk.one_call("batch", O1, O2)
    desk.rest_count(call, 2)
    assert desk.outcome("a") == desk.outcome("b") == desk.outcome("a2") == Acked()
    assert desk.pursuits.idle


def test_a_batch_holds_fifty() -> None:
    desk = Desk()
    ids = [f"O{n:05d}-AAAAA-AAAAAA" for n in range(60)]
    desk.batch([(i, order(i)) for i in ids])
    assert desk.call().order_ids == tuple(ids[:50])
    assert desk.call().order_ids == tuple(ids[50:])


def test_a_batch_that_counts_fewer_than_asked_is_resolved_per_id() -> None:
    desk = Desk()
    desk.batch([("a", order(O1)), ("b", order(O2)), ("c", order(O3))])
    desk.rest_count(desk.call(), 2)
    assert desk.answers == {}
    query = desk.call()
    assert query.order_ids == (O1, O2, O3)
    desk.rest_orders(query, OrderState(O1, "canceled", filled_qty="0"), OrderState(O2, "open"))
    assert desk.outcome("a") == Canceled("0")
    desk.wait(SPACE_MS)
    alone = desk.call()
    assert (alone.form, alone.targets[0]) == ("cancel", order(O2))
    desk.rest_count(alone)
    assert desk.outcome("b") == Acked()
    desk.wait(400)
    alone = desk.call()
    assert alone.targets == (order(O3),)
    desk.rest_refuse(alone, Fault.NOT_OPEN)
    while (call := desk.maybe_call()) is not None:
        desk.rest_refuse(call, Fault.NOT_OPEN)
    assert desk.outcome("c") is None, "it may still appear"


def test_a_batch_that_counts_fewer_than_asked_leaves_a_later_denial_unconfirmed() -> None:
    desk = Desk()
    desk.batch([("a", order(O1)), ("b", order(O2))])
    desk.rest_count(desk.call(), 1)
    while "a" not in desk.answers:
        call = desk.maybe_call()
        if call is not None and call.form == "cancel":
            desk.rest_refuse(call, Fault.NOT_OPEN)
        elif call is not None:
            desk.rest_fail(call, left=True)
        desk.wait(10)
    assert desk.outcome("a") == Closed(None, None, "unconfirmed")


def test_a_batch_spoiled_by_one_bad_id_is_asked_for_singly_and_proves_nothing() -> None:
    desk = Desk()
    desk.batch([("a", order(O1)), ("b", order(O2))])
    desk.rest_refuse(desk.call(), Fault.NOT_OPEN, "EOrder:Invalid order")
    desk.wait(100)
    call: Call | None = desk.call()
    assert call is not None
    assert (call.form, call.targets) == ("cancel", (order(O1),))
    while "a" not in desk.answers:
        if call is not None and call.form == "cancel":
            desk.rest_refuse(call, Fault.NOT_OPEN)
        elif call is not None:
            desk.rest_fail(call, left=False)
        desk.wait(10)
        call = desk.maybe_call()
    assert desk.outcome("a") == Closed(None, None, "unconfirmed"), "the batch may have done it"


def test_a_batch_without_a_readable_answer_is_in_doubt() -> None:
    desk = Desk(0)
    desk.batch([("a", order(O1)), ("b", order(O2))])
    desk.rest(desk.call(), RestUnreadable("HTTP 502"))
    for send in desk.take():
        desk.ack(send)
    assert desk.outcome("a") == desk.outcome("b") == Acked()


def test_a_batch_refused_as_a_whole_goes_elsewhere() -> None:
    desk = Desk(0)
    desk.batch([("a", order(O1)), ("b", order(O2))])
    desk.rest_refuse(desk.call(), Fault.UNAVAILABLE)
    assert [send.target for send in desk.take()] == [order(O1), order(O2)]


def test_a_batch_answered_after_some_were_settled_leaves_those_alone() -> None:
    desk = Desk(0)
    desk.opened(O3)
    desk.batch([("a", order(O1)), ("b", order(O2)), ("c", order(O3))], proof=True)
    call = desk.call()
    desk.wait(400)
    sends = desk.take()
    desk.ack(sends[0])
    desk.canceled(O3)
    desk.rest_count(call, 3)
    assert set(desk.answers) == {"c"}
    desk.canceled(O1)
    desk.canceled(O2)
    assert set(desk.answers) == {"a", "b", "c"}


def test_a_batch_answered_late_tells_late() -> None:
    desk = Desk()
    desk.batch([("a", order(O1)), ("b", order(O2))])
    call = desk.call()
    desk.wait(DEADLINE_MS)
    assert desk.outcome("a") == Unknown(("rest",))
    desk.rest_count(call, 2)
    assert {late.ticket for late in desk.lates} == {"a", "b"}
    desk.batch([("c", order("OX-1")), ("d", order("OX-2"))])
    call = desk.call()
    desk.wait(DEADLINE_MS)
    desk.rest_count(call, 1)
    assert len(desk.lates) == 2


def test_a_batch_that_is_throttled_after_all_is_not_batched_again_at_once() -> None:
    desk = Desk(0)
    desk.cancel("a", order(O1))
    desk.cancel("b", order(O2))
    for send in desk.take():
        desk.reject(send, Fault.THROTTLED)
    desk.rest_refuse(desk.call(), Fault.THROTTLED)
    assert desk.maybe_call() is None
    desk.wait(1000)
    assert len(desk.take()) == 2


def test_where_a_batch_of_one_is_not_served_the_throttle_is_the_answer() -> None:
    desk = Desk(0)
    desk.refused_with(Fault.THROTTLED, "t", order(O1), deadline_ms=900)
    desk.rest_refuse(desk.call(), Fault.INVALID, "EGeneral:Invalid arguments:orders")
    settlement = desk.answers["t"]
    assert (settlement.outcome, settlement.error) == (Rejected("throttled"), "EOrder:Rate limit exceeded")


def test_a_batch_of_one_that_names_no_open_order_is_a_denial_like_any_other() -> None:
    desk = Desk(0)
    desk.refused_with(Fault.THROTTLED, "t", order(O1), deadline_ms=900)
    desk.rest_refuse(desk.call(), Fault.NOT_OPEN)
    query = desk.call()
    assert query.form == "query"
    desk.rest_orders(query, OrderState(O1, "filled", filled_qty="5"))
    assert desk.outcome("t") == Closed("filled", "5")
