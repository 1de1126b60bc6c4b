"""Commands in at the front: who shares what is under way, in which company they leave, and the end of it all."""

from canceld.contract.evidence import CancelAllAck, Fault, OrderState
from canceld.contract.ids import EVERYTHING
from canceld.contract.outcomes import Acked, Canceled, Closed, NotOpen, Refused, Unknown
from canceld.engine.instants import MS

from ..desk import O1, O2, O3, Desk, named, order, userref


def test_one_frame_one_ack_one_answer() -> None:
    desk = Desk(0)
    send = desk.asked("t", order(O1))
    assert (send.lane, send.target) == (0, order(O1))
    assert desk.answers == {}
    desk.now_ms += 10
    desk.ack(send)
    settlement = desk.answers["t"]
    assert settlement.outcome == Acked()
    assert (settlement.route, settlement.attempts, settlement.error) == ("ws", 1, None)
    assert settlement.sent_ns is not None
    assert settlement.answered_ns == settlement.sent_ns + 10_000_000
    assert settlement.order_id == O1
    assert desk.pursuits.idle


def test_several_clients_cost_one_frame_and_get_one_answer_each() -> None:
    desk = Desk(0)
    desk.opened(O1, cl_ord_id="slot-1")
    desk.cancel("a", order(O1))
    desk.cancel("b", order(O1))
    desk.accepted("c", order(O1), proof=True)
    assert desk.outcome("a") == desk.outcome("b") == Acked()
    assert desk.outcome("c") is None
    desk.cancel("d", order(O1))
    assert desk.outcome("d") == Acked()
    desk.canceled(O1, "1.5")
    assert desk.outcome("c") == Canceled("1.5")
    assert desk.take() == []
    assert desk.pursuits.idle


def test_an_order_known_to_have_ended_costs_no_frame() -> None:
    desk = Desk(0)
    desk.opened(O1)
    desk.filled(O1)
    desk.cancel("t", order(O1))
    assert desk.outcome("t") == Closed("filled", "5")
    assert desk.answers["t"].sent_ns is None
    assert desk.take() == []


def test_an_acceptance_that_the_order_stream_belies_is_not_passed_on_to_who_asks_later() -> None:
    desk = Desk(0)
    desk.opened(O1)
    desk.accepted("t", order(O1), proof=True)
    desk.wait(450)
    desk.cancel("u", order(O1))
    assert "u" not in desk.answers
    desk.ack(desk.last())
    assert desk.outcome("u") == Acked()


def test_a_client_that_joins_with_a_shorter_deadline_is_answered_at_its_own() -> None:
    desk = Desk(0)
    desk.cancel("long", order(O1))
    desk.cancel("short", order(O1), deadline_ms=100)
    desk.wait(100)
    assert desk.outcome("short") == Unknown(("ws",))
    desk.ack(desk.last())
    assert desk.outcome("long") == Acked()


def test_a_client_that_joins_while_only_a_query_is_awaited_has_a_window_of_its_own() -> None:
    desk = Desk(0)
    desk.refused_with(Fault.NOT_OPEN, "a", order(O1), deadline_ms=400)
    hanging = desk.call()
    desk.wait(299)
    assert desk.take() == [], "it is looked up before it is repeated"
    desk.wait(1)
    desk.reject(desk.last())
    desk.cancel("b", order(O1), deadline_ms=800)
    desk.rest_refuse(hanging, Fault.NOT_OPEN)
    assert desk.outcome("a") == NotOpen()
    desk.deny_until_answered("b")
    assert desk.outcome("b") == NotOpen()


def test_a_second_client_is_not_answered_with_a_request_that_left_before_it_asked() -> None:
    desk = Desk(0)
    desk.family(O1)
    desk.cancel("a", EVERYTHING)
    desk.cancel("c", userref(7))
    first, third = desk.take()
    desk.opened(O2, userref=7)
    desk.cancel("b", EVERYTHING)
    desk.cancel("d", userref(7))
    second, fourth = desk.take()
    desk.hear(0, CancelAllAck(first.reqid, 1))
    desk.ack(third)
    # The third may have met O2 as well, and the ack may be for that one.
    assert set(desk.answers) == {"a"}
    desk.ack(third)
    assert set(desk.answers) == {"a", "c"}
    desk.hear(0, CancelAllAck(second.reqid, 1))
    desk.ack(fourth)
    desk.ack(fourth)
    assert set(desk.answers) == {"a", "b", "c", "d"}
    assert desk.pursuits.idle


def test_a_second_client_does_not_share_a_family_that_goes_by_a_list_from_before_it_asked() -> None:
    """No request for everything could leave, so a list is asked for; an order is placed, and somebody else asks."""
    desk = Desk()
    desk.opened(O1)
    desk.cancel("a", EVERYTHING)
    while (call := desk.call_soon()).form == "all":
        desk.rest_fail(call, left=False)
    assert call.form == "open_orders"
    desk.opened(O2)
    desk.cancel("b", EVERYTHING)
    desk.rest_orders(call, OrderState(O1, "open"))
    everything = desk.call()
    assert everything.form == "all"
    desk.rest_count(everything, 2)
    assert desk.outcome("b") == Acked()


def test_clients_share_a_family_that_has_not_left_yet() -> None:
    desk = Desk()
    desk.cancel("a", EVERYTHING)
    desk.opened(O1)
    desk.cancel("b", EVERYTHING, proof=True)
    desk.up(0)
    send = desk.last()
    desk.hear(0, CancelAllAck(send.reqid, 1))
    assert desk.outcome("a") == Acked()
    desk.canceled(O1)
    assert desk.outcome("b") == Canceled("0")


def test_what_cannot_go_by_batch_goes_as_it_can() -> None:
    desk = Desk(0)
    desk.opened(O1, cl_ord_id="slot-1")
    desk.opened(O2)
    desk.filled(O2)
    desk.batch([("name", named("slot-1")), ("ended", order(O2)), ("unseen", named("slot-2")), ("ref", userref(7))])
    assert desk.outcome("ended") == Closed("filled", "5")
    assert [send.target for send in desk.take()] == [named("slot-2"), userref(7)]
    assert desk.call().targets[0] == order(O1)


def test_in_maintenance_a_batch_is_held_like_anything_else() -> None:
    desk = Desk(0)
    desk.mode("maintenance")
    desk.batch([("a", order(O1)), ("b", order(O2))])
    assert desk.maybe_call() is None
    desk.mode("online")
    assert len(desk.take()) == 2


def test_giving_up_answers_everybody_with_what_can_honestly_be_said() -> None:
    desk = Desk(0)
    desk.family(O3)
    desk.cancel("sent", order(O1))
    desk.cancel("family", userref(7))
    desk.down(0)
    desk.cancel("unsent", order(O2))
    desk.pursuits.give_up(desk.now_ns)
    desk.carry_out()
    assert desk.outcome("sent") == Unknown(("ws",))
    assert desk.outcome("family") == Unknown(("ws",))
    assert isinstance(desk.outcome("unsent"), Refused)
    assert desk.pursuits.idle
    assert desk.pursuits.active == 0


def test_ten_thousand_clients_of_one_order_are_each_answered() -> None:
    desk = Desk(0)
    for ticket in range(10_000):
        deadline_ns = desk.now_ns + (1 + ticket % 3) * 1000 * MS
        desk.pursuits.submit(ticket, order(O1), ticket % 2 == 1, deadline_ns, desk.now_ns)
    desk.carry_out()
    send = desk.last()
    desk.wait(1000)
    desk.ack(send)
    desk.wait(2000)
    assert len(desk.answers) == 10_000
    assert desk.pursuits.idle
