"""Queries and lists on their way out: who shares one, and who is asked about alone."""

from canceld.contract.evidence import Fault, Looked, OrderState
from canceld.contract.ids import EVERYTHING
from canceld.contract.outcomes import Closed
from canceld.engine.effects import Look

from ..desk import O1, O2, O3, Desk, order, userref


def relisting(*lanes: int) -> Desk:
    """A desk whose sessions can list anew what is open."""
    desk = Desk(*lanes)
    desk.pursuits.policy = desk.pursuits.policy._replace(relists=True)
    return desk


def test_when_every_route_is_silent_the_orders_state_is_asked_for() -> None:
    desk = Desk(0)
    desk.cancel("t", order(O1))
    desk.wait(400)
    assert desk.call().form == "cancel"
    desk.wait(400)
    query = desk.one_call("query", O1)
    desk.rest_orders(query, OrderState(O1, "filled", filled_qty="5"))
    assert desk.outcome("t") == Closed("filled", "5")


def test_several_queries_share_a_call_and_one_bad_id_is_asked_for_alone() -> None:
    desk = Desk(0)
    for ticket, target in (("a", order(O1)), ("b", order(O2)), ("c", order(O3))):
        desk.cancel(ticket, target)
    for send in desk.take():
        desk.reject(send)
    desk.canceled(O3)
    together = desk.call()
    assert together.order_ids == (O1, O2)
    desk.rest_refuse(together, Fault.NOT_OPEN, "EOrder:Invalid order")
    alone = desk.call()
    assert alone.order_ids == (O1,)
    desk.rest_orders(alone, OrderState(O1, "expired", filled_qty="0"))
    assert desk.outcome("a") == Closed("expired", "0")
    desk.rest_refuse(desk.call(), Fault.NOT_OPEN)
    assert desk.maybe_call() is None


def test_queries_of_orders_and_lists_of_open_orders_do_not_mix() -> None:
    desk = Desk(0)
    for ticket, target in (("a", order(O1)), ("u", userref(7)), ("b", order(O2))):
        desk.cancel(ticket, target)
    for send in desk.take():
        desk.reject(send)
    assert desk.call().order_ids == (O1, O2)
    assert desk.call().targets[0] == userref(7)


def test_a_query_asks_for_fifty() -> None:
    desk = Desk(0)
    ids = [f"O{n:05d}-AAAAA-AAAAAA" for n in range(51)]
    for order_id in ids:
        desk.cancel(order_id, order(order_id))
    for send in desk.take():
        desk.reject(send)
    assert desk.call().order_ids == tuple(ids[:50])
    assert desk.call().order_ids == tuple(ids[50:])


def test_of_a_list_of_everything_a_userref_takes_only_what_bears_it() -> None:
    desk = relisting(0, 1)
    desk.cancel("t", userref(7))
    desk.take()
    desk.down(0)
    desk.rest_fail(desk.call(), left=True)
    [look] = [effect for effect in desk.told if isinstance(effect, Look)]
    assert (look.lane, look.order_id) == (1, None)
    listed = (OrderState(O1, "open", userref=8), OrderState(O2, "open", userref=7), OrderState(O3, "open"))
    desk.hear(1, Looked(look.reqid, listed, True, desk.now_ns))
    assert [send.target for send in desk.take()] == [order(O2)]


def test_while_a_session_lists_anew_its_stream_tells_nobody_how_many_orders_bear_a_userref() -> None:
    """What is placed after the stream was ended, and before it begins anew, is in nobody's count. (Seed 14088.)"""
    desk = relisting(0, 1)
    desk.stream(lane=1, snapshot=True)
    desk.cancel("a", userref(7))
    desk.take()
    desk.down(0)
    desk.rest_fail(desk.call(), left=True)
    [look] = [effect for effect in desk.told if isinstance(effect, Look)]
    # O2 and O3 are placed now, under another userref.
    desk.accepted("t", userref(8))
    assert "t" not in desk.answers, "one was accepted, and nobody knows of how many"
    desk.hear(1, Looked(look.reqid, (OrderState(O3, "open", userref=8),), True, desk.now_ns))
    desk.stream(OrderState(O3, "open", userref=8), lane=1, snapshot=True)
    assert "t" not in desk.answers


def test_families_that_wait_for_a_list_share_one_of_everything() -> None:
    desk = Desk(0)
    desk.cancel("a", userref(7))
    desk.cancel("b", userref(8))
    desk.take()
    desk.down(0)
    call = desk.call()
    assert (call.form, call.targets) == ("open_orders", (EVERYTHING,))
    desk.up(0)
    desk.rest_orders(call, OrderState(O1, "open", userref=8), OrderState(O2, "open"), OrderState(O3, "open", userref=7))
    assert sorted(str(send.target.value) for send in desk.take()) == sorted((O1, O3))


def test_a_refused_list_of_everything_is_asked_for_again_in_a_while() -> None:
    desk = Desk(0)
    desk.cancel("a", userref(7))
    desk.cancel("b", userref(8))
    desk.take()
    desk.down(0)
    desk.rest_refuse(desk.call(), Fault.INVALID)
    assert desk.maybe_call() is None
    desk.wait(400)
    assert desk.call().form == "open_orders"
