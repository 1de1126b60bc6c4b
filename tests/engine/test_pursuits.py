"""One outcome per command, and no order believed dead that is alive."""

from daemon.contract.evidence import CancelAck, OrderState
from daemon.contract.outcomes import Acked, Canceled, Closed, Refused

from .model import DEADLINE_MS, Desk, order

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


