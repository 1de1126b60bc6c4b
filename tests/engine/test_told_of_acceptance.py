"""What the venue tells beside its acceptance reaches the reply: that it is not final yet, how many were canceled."""

from canceld.contract.evidence import OrderState, RestCanceled
from canceld.contract.frames import outcome_map
from canceld.contract.outcomes import Acked

from .model import Desk, order, userref

O1 = "OAAAAA-AAAAA-AAAAAA"


def test_a_cancel_that_is_pending_is_told_so() -> None:
    for pending in (True, False):
        desk = Desk()
        desk.cancel("t", order(O1))
        desk.rest(desk.call(), RestCanceled(1, pending=pending))
        settlement = desk.answers["t"]
        assert settlement.outcome == Acked()
        assert outcome_map("t", 1, settlement).get("pending", False) is pending


def test_proof_is_pending_no_more() -> None:
    desk = Desk()
    desk.cancel("t", order(O1), proof=True)
    desk.rest(desk.call(), RestCanceled(1, pending=True))
    desk.stream(OrderState(O1, "canceled", filled_qty="0"))
    assert "pending" not in outcome_map("t", 1, desk.answers["t"])


def test_a_userref_tells_how_many_orders_were_canceled() -> None:
    desk = Desk(0)
    desk.opened(O1, userref=7)
    desk.down(0)
    desk.cancel("t", userref(7))
    desk.rest(desk.call(), RestCanceled(1, pending=True))
    desk.nothing_rests()
    message = outcome_map("t", 1, desk.answers["t"])
    assert message["outcome"] in ("acked", "canceled", "closed")
    assert message["count"] == 1
