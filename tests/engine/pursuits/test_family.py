"""A cancel of everything: one frame, its count, and what is left."""

from canceld.contract.evidence import CancelAllAck, OrderState
from canceld.contract.ids import EVERYTHING
from canceld.contract.outcomes import Acked, Canceled

from ..desk import O1, O2, Desk, order


def test_everything_is_canceled_by_one_frame_and_told_with_count_and_residual() -> None:
    desk = Desk(0)
    desk.opened(O1)
    desk.opened(O2)
    send = desk.asked("ack", EVERYTHING)
    desk.hear(0, CancelAllAck(send.reqid, 2))
    settlement = desk.answers["ack"]
    assert (settlement.outcome, settlement.count, settlement.residual) == (Acked(), 2, ())
    desk.cancel("proof", EVERYTHING, proof=True)
    desk.hear(0, CancelAllAck(desk.last().reqid, 2))
    desk.canceled(O1)
    desk.canceled(O2)
    settlement = desk.answers["proof"]
    assert (settlement.outcome, settlement.count, settlement.residual) == (Canceled(), 2, ())


def test_an_accepted_cancel_of_everything_that_counts_too_few_names_what_is_not_known_to_be_gone() -> None:
    desk = Desk(0)
    desk.opened(O1)
    desk.opened(O2)
    desk.cancel("ack", EVERYTHING)
    desk.canceled(O1)
    desk.hear(0, CancelAllAck(desk.last().reqid, 1))
    settlement = desk.answers["ack"]
    assert (settlement.outcome, settlement.count, settlement.residual) == (Acked(), 1, (O2,))


def test_everything_with_proof_and_nothing_known_is_proved_by_a_list_of_open_orders() -> None:
    desk = Desk(0)
    desk.cancel("t", EVERYTHING, proof=True)
    desk.hear(0, CancelAllAck(desk.last().reqid, 0))
    desk.rest_orders(desk.call(), OrderState(O1, "open"))
    assert desk.answers == {}
    desk.wait(400)
    desk.rest_orders(desk.call())
    assert desk.outcome("t") == Canceled()


def test_when_no_route_takes_cancel_all_each_known_order_is_canceled_by_its_own_id() -> None:
    desk = Desk(0)
    desk.opened(O1)
    desk.cancel("t", EVERYTHING)
    desk.take()
    desk.wait(400)
    desk.call()
    desk.wait(400)
    listed = desk.call()
    assert (listed.form, listed.targets[0]) == ("open_orders", EVERYTHING)
    desk.rest_orders(listed, OrderState(O1, "open"), OrderState(O2, "open"))
    assert [send.target for send in desk.sent] == [order(O1), order(O2)]
    for send in desk.take():
        desk.ack(send)
    assert desk.outcome("t") == Acked()
