"""One outcome per command, and no order believed dead that is alive."""

from daemon.contract.evidence import CancelAck, Fault, OrderState
from daemon.contract.outcomes import Acked, Canceled, Closed, Refused, Unknown

from .model import DEADLINE_MS, Desk, order, userref

O1, O2, O3 = "OAAAAA-AAAAA-AAAAAA", "OBBBBB-BBBBB-BBBBBB", "OCCCCC-CCCCC-CCCCCC"


# ---------------------------------------------------------------- the plain path


def test_one_frame_one_ack_one_answer() -> None:
    desk = Desk(0)
    desk.cancel("t", order(O1))
    send = desk.last()
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
    desk.cancel("c", order(O1), proof=True)
    send = desk.last()
    desk.ack(send)
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


def test_event_before_ack_is_proof() -> None:
    desk = Desk(0)
    desk.opened(O1)
    desk.cancel("t", order(O1))
    send = desk.last()
    desk.canceled(O1, "0.25")
    assert desk.outcome("t") == Canceled("0.25")
    assert desk.answers["t"].route == "stream"
    desk.ack(send)
    assert desk.pursuits.counts.repeated_acks == 1
    assert desk.pursuits.idle


def test_proof_waits_for_the_event_after_the_ack() -> None:
    desk = Desk(0)
    desk.opened(O1)
    desk.cancel("t", order(O1), proof=True)
    desk.ack(desk.last())
    assert desk.answers == {}
    desk.canceled(O1)
    assert desk.outcome("t") == Canceled("0")


def test_proof_is_queried_when_no_event_comes() -> None:
    desk = Desk(0)
    desk.cancel("t", order(O1), proof=True)
    desk.ack(desk.last())
    desk.wait(400)
    call = desk.call()
    assert (call.form, call.order_ids) == ("query", (O1,))
    desk.rest_orders(call, OrderState(O1, "canceled", filled_qty="2"))
    assert desk.outcome("t") == Canceled("2")
    assert desk.answers["t"].route == "rest"


def test_an_ack_for_a_foreign_reqid_changes_nothing_but_a_counter() -> None:
    desk = Desk(0)
    desk.cancel("t", order(O1))
    desk.hear(0, CancelAck(desk.last().reqid + 999))  # type: ignore[arg-type]
    assert desk.answers == {}
    assert desk.pursuits.counts.stray_acks == 1


# ---------------------------------------------------------------- REST that cannot be reached


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
    assert desk.outcome("t") == Refused("no_route", "no spot session is up, and REST: connection refused")
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




# ---------------------------------------------------------------- one plan: active session, other session, REST


def test_a_lost_socket_moves_everything_it_had_in_flight_in_the_same_step() -> None:
    desk = Desk(0, 1)
    for ticket, target in (("a", order(O1)), ("b", order(O2))):
        desk.cancel(ticket, target)
    assert {send.lane for send in desk.take()} == {0}
    desk.down(0)
    moved = desk.take()
    assert [(send.lane, send.target) for send in moved] == [(1, order(O1)), (1, order(O2))]
    desk.down(1)
    call = desk.call()
    assert (call.form, call.order_ids) == ("batch", (O1, O2))
    desk.rest_count(call, 2)
    assert desk.outcome("a") == desk.outcome("b") == Acked()
    assert desk.answers["a"].route == "rest"
    assert desk.answers["a"].attempts == 3
    assert desk.pursuits.idle


def test_silence_starts_the_next_route_beside_the_first() -> None:
    desk = Desk(0, 1)
    desk.cancel("t", order(O1))
    first = desk.last()
    desk.wait(399)
    assert desk.take() == []
    desk.wait(1)
    assert desk.last().lane == 1
    assert desk.pursuits.counts.hedged == 1
    desk.ack(first)
    assert desk.outcome("t") == Acked()
    assert desk.pursuits.idle


def test_silence_on_every_session_reaches_rest() -> None:
    desk = Desk(0, 1)
    desk.cancel("t", order(O1))
    desk.wait(800)
    call = desk.call()
    assert (call.form, call.target) == ("cancel", order(O1))
    desk.rest_count(call)
    assert desk.answers["t"].route == "rest"
    assert desk.answers["t"].attempts == 3


def test_when_every_route_is_silent_the_orders_state_is_asked_for() -> None:
    desk = Desk(0)
    desk.cancel("t", order(O1))
    desk.wait(400)
    assert desk.call().form == "cancel"
    desk.wait(400)
    query = desk.call()
    assert (query.form, query.order_ids) == ("query", (O1,))
    desk.rest_orders(query, OrderState(O1, "filled", filled_qty="5"))
    assert desk.outcome("t") == Closed("filled", "5")


def test_a_route_that_fails_beside_a_silent_one_is_tried_again() -> None:
    desk = Desk(0)
    desk.cancel("t", order(O1))
    desk.wait(400)
    desk.rest_fail(desk.call(), left=True)
    desk.wait(100)
    desk.rest_count(desk.call())
    assert desk.outcome("t") == Acked()


def test_a_throttled_hedge_is_repeated_although_the_first_session_stays_silent() -> None:
    desk = Desk(0, 1)
    desk.cancel("t", order(O1))
    desk.wait(400)
    desk.reject(desk.take()[1], Fault.THROTTLED, "EOrder:Rate limit exceeded")
    desk.wait(1000)
    again = desk.last()
    assert again.lane == 1
    desk.ack(again)
    assert desk.outcome("t") == Acked()


def test_a_session_that_comes_up_takes_what_no_route_would_take() -> None:
    desk = Desk()
    desk.cancel("t", order(O1))
    desk.up(0)
    assert desk.last().target == order(O1)
    assert desk.maybe_call() is None, "it was taken back from the REST queue"


def test_a_session_that_comes_up_hedges_what_every_other_route_left_in_silence() -> None:
    desk = Desk()
    desk.cancel("t", order(O1))
    desk.call()
    desk.wait(450)
    assert desk.take() == []
    desk.up(0)
    desk.ack(desk.last())
    assert desk.outcome("t") == Acked()


def test_a_session_that_comes_up_does_not_hurry_what_was_throttled() -> None:
    desk = Desk(0)
    desk.cancel("t", order(O1))
    desk.reject(desk.last(), Fault.THROTTLED, "EOrder:Rate limit exceeded")
    desk.wait(10)
    desk.up(1)
    assert desk.take() == []


def test_nothing_that_could_be_sent_is_refused_with_a_reason() -> None:
    desk = Desk()
    desk.cancel("t", order(O1), deadline_ms=300)
    desk.wait(300)
    assert desk.outcome("t") == Refused("no_route", "no spot session is up, and REST was not reached yet")
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


def test_the_preferred_session_is_used_first() -> None:
    desk = Desk(0, 1)
    desk.pursuits.prefer(1)
    assert desk.pursuits.live == (1, 0)
    desk.cancel("t", order(O1))
    assert desk.last().lane == 1
    desk.pursuits.prefer(7)
    assert desk.pursuits.live == (1, 0)


# ---------------------------------------------------------------- a userref leaves once


def test_a_userref_is_not_repeated_by_a_token_that_comes_while_another_session_has_it() -> None:
    desk = Desk(0, 1)
    desk.cancel("t", userref(7))
    desk.reject(desk.last(), Fault.STALE_TOKEN, "ESession:Invalid session")
    desk.wait(400)
    assert desk.last().lane == 1
    desk.renewed(0)
    assert desk.take() == []


def test_a_userref_on_its_way_is_not_repeated_from_the_rest_queue() -> None:
    desk = Desk(0)
    desk.cancel("t", order(O2))
    desk.reject(desk.last(), Fault.ROUTE_BUSY, "Exceeded msg rate")
    desk.wait(700)
    desk.cancel("u", userref(7))
    desk.wait(400)
    assert desk.last().target == userref(7), "the session is open again and REST has not taken it yet"
    calls = []
    while (call := desk.maybe_call()) is not None:
        calls.append((call.form, call.target))
    assert ("cancel", userref(7)) not in calls


def test_a_userref_that_may_have_left_is_unknown_when_nobody_knows_what_it_meant() -> None:
    desk = Desk(0, 1)
    desk.cancel("t", userref(7))
    desk.take()
    desk.down(0)
    assert desk.take() == []
    desk.rest_orders(desk.call())
    desk.wait(DEADLINE_MS)
    assert desk.outcome("t") == Unknown(("ws",))


# ---------------------------------------------------------------- maintenance


def test_in_maintenance_a_cancel_is_held_and_leaves_the_moment_it_ends() -> None:
    desk = Desk(0)
    desk.mode("maintenance")
    desk.cancel("t", order(O1))
    assert desk.take() == []
    desk.up(1)
    assert desk.take() == []
    desk.mode("cancel_only")
    desk.ack(desk.last())
    assert desk.outcome("t") == Acked()
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


def test_when_the_last_session_is_lost_in_maintenance_the_routes_are_asked() -> None:
    desk = Desk(0)
    desk.mode("maintenance")
    desk.cancel("t", order(O1))
    desk.down(0)
    assert desk.pursuits.mode == "unknown"
    desk.rest_count(desk.call())
    assert desk.outcome("t") == Acked()


def test_what_is_lost_in_maintenance_is_held_too() -> None:
    desk = Desk(0, 1)
    desk.cancel("t", order(O1))
    desk.take()
    desk.mode("maintenance")
    desk.down(0)
    desk.wait(500)
    assert desk.take() == []
    desk.mode("online")
    assert desk.last().lane == 1
