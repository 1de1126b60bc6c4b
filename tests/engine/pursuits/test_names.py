"""Client order ids are given again: a name outlives the order that bore it."""

import pytest

from canceld.contract.evidence import Fault, OrderState
from canceld.contract.outcomes import Acked, Canceled, Closed, Unknown
from canceld.engine.reactions import SPACE_MS

from ..desk import DEADLINE_MS, O1, O2, Desk, named, order


def test_a_name_whose_bearer_filled_meanwhile_is_asked_for_by_name() -> None:
    desk = Desk(0)
    desk.opened(O1, cl_ord_id="slot-1")
    desk.cancel("name", named("slot-1"))
    desk.cancel("id", order(O1))
    desk.take()
    desk.filled(O1)
    assert desk.outcome("id") == Closed("filled", "5")
    assert "name" not in desk.answers, "a newer order may bear the name"
    send = desk.last()
    assert send.target == named("slot-1")
    desk.reject(send)
    assert desk.outcome("name") == Closed("filled", "5")
    assert desk.answers["name"].attempts == 2
    assert desk.pursuits.idle


def test_the_next_bearer_of_a_name_is_canceled() -> None:
    desk = Desk(0)
    desk.asked_bearer("t")
    desk.filled(O1)
    send = desk.last()
    desk.opened(O2, cl_ord_id="slot-1")
    desk.cancel("u", named("slot-1"))
    desk.ack(send)
    assert desk.outcome("t") == desk.outcome("u") == Acked()
    assert desk.take() == []


def test_a_next_bearer_that_is_known_already_is_canceled_by_its_id() -> None:
    desk = Desk(0)
    desk.asked_bearer("t")
    desk.opened(O2, cl_ord_id="slot-1")
    desk.filled(O1)
    send = desk.last()
    assert send.target == order(O2)
    desk.ack(send)
    assert desk.outcome("t") == Acked()


def test_a_next_bearer_that_is_being_canceled_already_is_joined() -> None:
    desk = Desk(0)
    desk.opened(O1, cl_ord_id="slot-1")
    desk.cancel("t", named("slot-1"))
    desk.opened(O2, cl_ord_id="slot-1")
    desk.cancel("u", order(O2))
    send = desk.take()[1]
    desk.filled(O1)
    assert desk.take() == []
    desk.ack(send)
    assert desk.outcome("t") == desk.outcome("u") == Acked()


def test_a_name_whose_bearer_ended_before_is_closed_by_one_denial() -> None:
    desk = Desk(0)
    desk.opened(O1, cl_ord_id="slot-1")
    desk.filled(O1)
    desk.refused_with(Fault.NOT_OPEN, "t", named("slot-1"))
    assert desk.outcome("t") == Closed("filled", "5")


def test_a_name_whose_bearer_ended_before_is_unconfirmed_after_a_lost_attempt() -> None:
    desk = Desk(0, 1)
    desk.opened(O1, cl_ord_id="slot-1")
    desk.filled(O1)
    desk.cancel("t", named("slot-1"))
    desk.take()
    desk.down(0)
    desk.reject(desk.last())
    assert desk.outcome("t") == Closed(None, None, "unconfirmed")


def test_a_name_whose_bearer_was_canceled_waits_for_the_ack_that_says_it_was_us() -> None:
    desk = Desk(0)
    desk.opened(O1, cl_ord_id="slot-1")
    desk.cancel("ack", named("slot-1"))
    send = desk.asked("proof", named("slot-1"), proof=True)
    desk.canceled(O1, "1")
    assert desk.answers == {}
    desk.ack(send)
    assert desk.outcome("ack") == desk.outcome("proof") == Canceled("1")
    assert desk.take() == []
    assert desk.pursuits.idle


def test_a_name_whose_bearer_had_been_canceled_before_is_asked_for_by_name() -> None:
    desk = Desk(0)
    send = desk.asked_bearer("t")
    desk.canceled(O1, "1")
    desk.reject(send)
    assert desk.answers == {}
    by_name = desk.last()
    assert by_name.target == named("slot-1")
    desk.ack(by_name)
    assert desk.outcome("t") == Acked(), "a newer order bore the name"


@pytest.mark.parametrize("trouble", ["silence", "loss"])
def test_a_name_whose_bearer_was_canceled_without_an_ack_is_looked_up_by_name(trouble: str) -> None:
    desk = Desk(0, 1)
    desk.asked_bearer("t")
    desk.canceled(O1, "1")
    desk.down(0) if trouble == "loss" else desk.wait(400)
    by_name = desk.last()
    assert by_name.target == named("slot-1")
    desk.reject(by_name)
    assert desk.outcome("t") == Canceled("1")


@pytest.mark.parametrize("deadline_ms", [300, 500])
def test_a_name_whose_bearer_was_canceled_without_an_ack_is_unknown_at_the_deadline(deadline_ms: float) -> None:
    desk = Desk(0)
    desk.opened(O1, cl_ord_id="slot-1")
    desk.cancel("t", named("slot-1"), deadline_ms=deadline_ms)
    desk.canceled(O1, "1")
    desk.wait(deadline_ms)
    assert desk.outcome("t") == Unknown(("ws",))


def test_a_name_refused_after_its_bearer_was_canceled_is_looked_up_by_name() -> None:
    desk = Desk(0, 1)
    send = desk.asked_bearer("t")
    desk.canceled(O1, "1")
    desk.reject(send, Fault.PERMISSION)
    by_name = desk.last()
    assert by_name.target == named("slot-1")
    desk.reject(by_name)
    assert desk.outcome("t") == Canceled("1"), "a refusal is not a denial: the order may have been ended by us"


@pytest.mark.parametrize("event_first", [False, True])
def test_a_client_who_asks_by_name_after_the_request_left_is_not_told_by_what_that_one_did(event_first: bool) -> None:
    desk = Desk(0)
    send = desk.asked_bearer("first", proof=True)
    desk.wait(5)
    desk.cancel("same", named("slot-1"), proof=True)
    desk.wait(10)
    desk.cancel("later", named("slot-1"), proof=True)
    assert desk.take() == []
    if event_first:
        desk.canceled(O1, "1")
        desk.ack(send)
    else:
        desk.ack(send)
        desk.canceled(O1, "1")
    assert desk.outcome("first") == desk.outcome("same") == Canceled("1")
    by_name = desk.last()
    assert by_name.target == named("slot-1")
    desk.reject(by_name)
    assert desk.outcome("later") in (Canceled("1"), Closed("canceled", "1"))


def test_a_client_who_asks_by_name_after_the_order_was_accepted_goes_by_the_name() -> None:
    desk = Desk(0)
    desk.opened(O1, cl_ord_id="slot-1")
    desk.accepted("a", named("slot-1"), proof=True)
    desk.accepted("b", named("slot-1"))
    assert desk.outcome("b") == Acked()
    assert "a" not in desk.answers


def test_who_asked_by_a_name_never_seen_after_the_accepted_request_had_left_goes_by_it_again() -> None:
    desk = Desk(0)
    send = desk.asked("first", named("slot-1"))
    desk.wait(SPACE_MS)
    desk.cancel("later", named("slot-1"))
    desk.stream(OrderState(O1, "canceled", cl_ord_id="slot-1", filled_qty="1"))
    desk.ack(send)
    assert desk.outcome("first") == Canceled("1")
    again = desk.last()
    assert again.target == named("slot-1")
    desk.ack(again)
    assert desk.outcome("later") == Acked()


def test_an_ack_that_names_the_ended_order_does_not_speak_for_who_asked_later() -> None:
    desk = Desk(0)
    send = desk.asked_bearer("first")
    desk.wait(20)
    desk.cancel("later", named("slot-1"))
    desk.canceled(O1, "1")
    desk.ack(send, O1)
    assert desk.outcome("first") == Canceled("1")
    assert desk.outcome("later") is None
    assert desk.last().target == named("slot-1")


def test_a_batch_that_did_not_cancel_the_bearer_of_a_name_sends_it_on_by_name() -> None:
    desk = Desk(0)
    desk.opened(O1, cl_ord_id="slot-1")
    desk.batch([("t", named("slot-1")), ("u", order(O2))])
    call = desk.call()
    desk.canceled(O1)
    desk.rest_count(call, 1)
    assert [send.target for send in desk.take()] == [named("slot-1")]


def test_a_name_never_seen_that_ends_is_told_so_by_the_next_denial() -> None:
    desk = Desk(0)
    send = desk.asked("t", named("slot-1"))
    desk.stream(OrderState(O1, "filled", cl_ord_id="slot-1", filled_qty="5"))
    assert desk.answers == {}
    desk.reject(send)
    assert desk.outcome("t") == Closed("filled", "5")


def test_a_name_never_seen_and_canceled_goes_on_by_the_next_route_when_it_is_refused() -> None:
    desk = Desk(0, 1)
    send = desk.asked("t", named("slot-1"))
    desk.stream(OrderState(O1, "canceled", cl_ord_id="slot-1", filled_qty="1"))
    desk.reject(send, Fault.PERMISSION)
    other = desk.last()
    assert (other.lane, other.target) == (1, named("slot-1"))
    desk.ack(other)
    assert desk.outcome("t") == Acked()


def test_a_name_denied_before_its_end_was_heard_is_told_it_then() -> None:
    desk = Desk(0)
    desk.refused_with(Fault.NOT_OPEN, "t", named("slot-1"))
    desk.stream(OrderState(O1, "canceled", cl_ord_id="slot-1", filled_qty="5"))
    assert desk.outcome("t") == Closed("canceled", "5")


def test_an_order_that_appears_after_a_name_was_accepted_is_left_alone() -> None:
    desk = Desk(0)
    desk.accepted("t", named("slot-1"), proof=True)
    desk.opened(O2, cl_ord_id="slot-1")
    desk.wait(DEADLINE_MS)
    assert desk.take() == []
    assert desk.outcome("t") == Unknown(("ws",))


def test_a_name_and_its_order_pursued_apart_end_together() -> None:
    desk = Desk(0, 1)
    desk.cancel("name", named("slot-1"))
    desk.cancel("id", order(O1))
    name_send = desk.take()[0]
    desk.reject(name_send)
    desk.opened(O1, cl_ord_id="slot-1")
    again = desk.last()
    assert again.target == named("slot-1")
    desk.stream(OrderState(O1, "canceled", filled_qty="0"))
    assert desk.outcome("id") == Canceled("0")
    desk.reject(again)
    assert desk.outcome("name") == Closed("canceled", "0")


def test_a_deadline_goes_with_the_client_who_goes_on_by_name() -> None:
    desk = Desk(0)
    desk.opened(O1, cl_ord_id="slot-1")
    desk.wait(3000)
    desk.cancel("patient", order(O1), deadline_ms=5000)
    send = desk.asked("hasty", named("slot-1"), deadline_ms=1000)
    desk.stream(snapshot=True)
    desk.reject(send)
    desk.wait(1001)
    assert desk.answers.keys() == {"hasty"}
    desk.wait(4000)
    assert desk.answers.keys() == {"patient", "hasty"}


def test_who_goes_on_by_name_takes_a_short_deadline_along() -> None:
    desk = Desk(0)
    desk.opened(O1, cl_ord_id="slot-1")
    desk.wait(3000)
    desk.cancel("name", named("slot-1"), deadline_ms=300)
    send = desk.asked("id", order(O1), deadline_ms=2000)
    desk.stream(snapshot=True)
    desk.reject(send)
    desk.wait(300)
    assert isinstance(desk.outcome("name"), Unknown)
    assert desk.outcome("id") is None
    desk.canceled(O1, "1")
    assert desk.outcome("id") == Canceled("1")
