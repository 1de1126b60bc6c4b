"""The venue said no: every row of the table of reactions."""

import pytest

from canceld.contract.evidence import Fault, OrderState
from canceld.contract.ids import EVERYTHING
from canceld.contract.outcomes import Acked, Canceled, Refused, RejectClass, Rejected, Unknown
from canceld.engine.effects import Redial, RenewToken
from canceld.engine.reactions import ATTEMPT_LIMIT, SPACE_MS

from ..desk import DEADLINE_MS, O1, O2, O3, Desk, named, order, userref


def test_stale_token_gets_a_new_token_and_one_more_try_in_the_same_command() -> None:
    desk = Desk(0)
    desk.cancel("a", order(O1))
    desk.cancel("b", order(O2))
    for send in desk.take():
        desk.reject(send, Fault.STALE_TOKEN)
    assert desk.told == [RenewToken(0)]
    desk.cancel("c", order(O3))
    assert desk.take() == [], "nobody uses a session whose token is dead"
    desk.renewed(0)
    desk.wait(SPACE_MS)
    again = desk.take()
    assert [send.target for send in again] == [order(O1), order(O2)]
    for send in again:
        desk.ack(send)
    assert desk.outcome("a") == desk.outcome("b") == Acked()


def test_a_token_that_is_refused_again_sends_the_order_elsewhere_and_redials() -> None:
    desk = Desk(0, 1)
    desk.refused_with(Fault.STALE_TOKEN, "t", order(O1))
    desk.renewed(0)
    desk.wait(SPACE_MS)
    desk.reject(desk.last(), Fault.STALE_TOKEN)
    assert desk.told == [RenewToken(0), Redial(0, "ESession:Invalid session")]
    other = desk.last()
    assert other.lane == 1
    desk.reject(other, Fault.STALE_TOKEN)
    assert desk.told[-1] == RenewToken(1), "the other session has a token of its own"
    desk.renewed(1)
    desk.wait(SPACE_MS)
    desk.ack(desk.last())
    assert desk.outcome("t") == Acked()


def test_refusals_of_a_burst_that_left_before_the_new_token_cost_no_further_token() -> None:
    desk = Desk(0)
    desk.cancel("a", order(O1))
    desk.cancel("b", order(O2))
    first, second = desk.take()
    desk.reject(first, Fault.STALE_TOKEN)
    desk.renewed(0)
    desk.wait(SPACE_MS)
    assert desk.last().target == order(O1)
    desk.reject(second, Fault.STALE_TOKEN)
    assert desk.last().target == order(O2)
    assert desk.told == [RenewToken(0)]


def test_a_refusal_elsewhere_is_not_the_answer_while_a_token_is_awaited() -> None:
    desk = Desk(0)
    desk.refused_with(Fault.STALE_TOKEN, "t", order(O1))
    desk.wait(400)
    desk.rest_refuse(desk.call(), Fault.PERMISSION)
    assert desk.answers == {}
    desk.renewed(0)
    desk.ack(desk.last())
    assert desk.outcome("t") == Acked()


def test_a_dead_token_on_rest_makes_no_sense_and_goes_elsewhere() -> None:
    desk = Desk()
    desk.cancel("t", order(O1))
    desk.rest_refuse(desk.call(), Fault.STALE_TOKEN)
    assert desk.outcome("t") == Rejected("auth")
    assert desk.told == []


@pytest.mark.parametrize(("fault", "pause_ms"), [(Fault.THROTTLED, 1000), (Fault.TRANSIENT, 200)])
def test_the_same_again_after_a_pause(fault: Fault, pause_ms: int) -> None:
    desk = Desk(0, 1)
    desk.refused_with(fault, "t", order(O1), error="later")
    desk.wait(pause_ms - 1)
    assert desk.take() == []
    desk.wait(1)
    again = desk.last()
    assert again.lane == 0
    desk.ack(again)
    assert desk.outcome("t") == Acked()


@pytest.mark.parametrize("fault", [Fault.ROUTE_BUSY, Fault.UNAVAILABLE])
def test_another_route_at_once_and_this_one_again_after_a_pause(fault: Fault) -> None:
    desk = Desk(0)
    desk.refused_with(fault, "t", order(O1), error="busy")
    desk.rest_refuse(desk.call(), fault, "busy too")
    assert desk.answers == {}
    desk.wait(1000)
    desk.ack(desk.last())
    assert desk.outcome("t") == Acked()


@pytest.mark.parametrize(
    ("fault", "reject_class"),
    [
        (Fault.STALE_NONCE, "auth"),
        (Fault.CREDENTIALS, "auth"),
        (Fault.LOCKOUT, "auth"),
        (Fault.PERMISSION, "permission"),
        (Fault.INVALID, "invalid"),
    ],
)
def test_each_other_route_once_and_then_the_refusal_is_the_answer(fault: Fault, reject_class: RejectClass) -> None:
    desk = Desk(0, 1)
    desk.cancel("t", order(O1))
    for lane in (0, 1):
        send = desk.last()
        assert send.lane == lane
        desk.reject(send, fault, "no")
    desk.rest_refuse(desk.call(), fault, "no, never")
    settlement = desk.answers["t"]
    assert settlement.outcome == Rejected(reject_class)
    assert (settlement.error, settlement.route, settlement.attempts) == ("no, never", "rest", 3)
    assert desk.pursuits.idle


def test_an_unlisted_refusal_concludes_nothing() -> None:
    desk = Desk(0)
    desk.refused_with(Fault.UNLISTED, "t", order(O1))
    desk.rest_refuse(desk.call(), Fault.UNLISTED)
    assert desk.answers == {}
    query = desk.call()
    assert query.form == "query"
    desk.rest_orders(query, OrderState(O1, "canceled", filled_qty="0"))
    assert desk.outcome("t") == Canceled("0")


def test_an_unlisted_refusal_to_the_deadline_is_unknown() -> None:
    desk = Desk(0)
    desk.refused_with(Fault.UNLISTED, "t", named("slot-1"))
    desk.rest_refuse(desk.call(), Fault.UNLISTED)
    desk.wait(DEADLINE_MS)
    assert desk.outcome("t") == Unknown(("ws", "rest"))


def test_a_throttle_that_outlasts_the_deadline_is_the_answer() -> None:
    desk = Desk(0)
    desk.refused_with(Fault.THROTTLED, "t", order(O1), deadline_ms=500)
    desk.rest_refuse(desk.call(), Fault.THROTTLED)
    settlement = desk.answers["t"]
    assert (settlement.outcome, settlement.error) == (Rejected("throttled"), "EOrder:Rate limit exceeded")


def test_a_transient_refusal_at_the_deadline_is_unknown() -> None:
    desk = Desk(0)
    desk.refused_with(Fault.TRANSIENT, "t", order(O1), deadline_ms=150)
    desk.wait(150)
    assert desk.outcome("t") == Unknown(("ws",))


def test_a_route_that_was_refused_and_one_that_cannot_be_reached_are_the_refusal_at_the_deadline() -> None:
    desk = Desk(0)
    desk.refused_with(Fault.PERMISSION, "t", order(O1))
    for _ in range(20):
        while (call := desk.maybe_call()) is not None:
            desk.rest_fail(call, left=False)
        desk.wait(100)
    assert desk.outcome("t") == Rejected("permission")


def test_a_locked_out_rest_lane_is_left_alone_and_not_reopened_by_a_milder_refusal() -> None:
    desk = Desk(0)
    desk.cancel("a", order(O1))
    desk.cancel("b", named("slot-1"))
    desk.wait(400)
    first, second = desk.call(), desk.call()
    desk.rest_refuse(first, Fault.LOCKOUT)
    desk.rest_refuse(second, Fault.ROUTE_BUSY)
    desk.wait(1000)
    desk.down(0)
    assert desk.maybe_call() is None


def test_what_a_refused_key_has_closed_is_closed_to_the_new_too() -> None:
    desk = Desk(0, rest=False)
    send = desk.asked("old", order(O1))
    busy = desk.asked("busy", order(O3))
    desk.reject(send, Fault.LOCKOUT)
    desk.reject(busy, Fault.ROUTE_BUSY, "Exceeded msg rate")
    desk.wait(100)
    desk.cancel("new", order(O2))
    desk.wait(DEADLINE_MS)
    assert desk.outcome("new") == Refused("no_route", "no spot session takes it")


def test_a_cancel_all_that_every_route_refuses_is_rejected() -> None:
    desk = Desk(0)
    desk.opened(O1)
    desk.refused_with(Fault.NOT_OPEN, "t", EVERYTHING)
    desk.rest_refuse(desk.call(), Fault.PERMISSION)
    settlement = desk.answers["t"]
    assert (settlement.outcome, settlement.residual) == (Rejected("permission"), (O1,))


@pytest.mark.parametrize(
    "fault", [Fault.ROUTE_BUSY, Fault.STALE_NONCE, Fault.CREDENTIALS, Fault.LOCKOUT, Fault.PERMISSION, Fault.INVALID]
)
def test_a_userref_turned_away_as_a_whole_takes_another_route_as_it_is(fault: Fault) -> None:
    desk = Desk(0, 1)
    desk.family(O1, O2)
    desk.refused_with(fault, "t", userref(7), error="turned away")
    again = desk.last()
    assert (again.lane, again.target) == (1, userref(7))


@pytest.mark.parametrize("fault", [Fault.THROTTLED, Fault.UNAVAILABLE, Fault.TRANSIENT, Fault.UNLISTED])
def test_a_userref_refused_for_perhaps_one_of_its_orders_is_never_repeated(fault: Fault) -> None:
    desk = Desk(0, 1)
    desk.refused_with(fault, "t", userref(7), error="perhaps of one order")
    assert desk.take() == []
    listed = desk.call()
    assert (listed.form, listed.targets[0]) == ("open_orders", userref(7))
    desk.rest_orders(listed, OrderState(O1, "open", userref=7))
    desk.ack(desk.last())
    assert desk.outcome("t") == Acked()


def test_an_earlier_denial_does_not_outlive_a_throttle() -> None:
    desk = Desk(0)
    desk.cancel("t", userref(7), deadline_ms=2000)
    for _ in range(20):
        desk.deny()
        desk.wait(80)
    desk.opened(O1, userref=7)
    desk.reject(desk.last(), Fault.THROTTLED)
    desk.wait(1000)
    settlement = desk.answers["t"]
    assert (settlement.outcome, settlement.error) == (Unknown(("ws",)), "EOrder:Rate limit exceeded")


def test_two_throttled_orders_go_as_one_batch() -> None:
    desk = Desk(0)
    desk.cancel("a", order(O1))
    desk.cancel("b", order(O2))
    first, second = desk.take()
    desk.reject(first, Fault.THROTTLED)
    assert desk.maybe_call() is None
    desk.reject(second, Fault.THROTTLED)
    call = desk.one_call("batch", O1, O2)
    desk.rest_count(call, 2)
    assert desk.outcome("a") == desk.outcome("b") == Acked()
    assert desk.pursuits.idle


def test_a_throttled_order_that_is_queued_for_rest_already_is_batched_once() -> None:
    desk = Desk(0)
    first = desk.asked("a", order(O1))
    desk.wait(400)
    desk.reject(first, Fault.THROTTLED)
    desk.refused_with(Fault.THROTTLED, "b", order(O2))
    assert desk.call().order_ids == (O1, O2)
    assert desk.maybe_call() is None


def test_a_throttled_order_that_was_settled_meanwhile_is_not_batched() -> None:
    desk = Desk(0)
    desk.cancel("a", order(O1))
    desk.cancel("b", order(O2))
    first, second = desk.take()
    desk.reject(first, Fault.THROTTLED)
    desk.canceled(O1)
    desk.reject(second, Fault.THROTTLED)
    assert desk.maybe_call() is None


def test_a_throttled_order_at_its_most_attempts_is_not_batched() -> None:
    desk = Desk(0)
    desk.cancel("t", order(O1), deadline_ms=60_000)
    requests = 0
    for _ in range(50):
        for send in desk.take():
            requests += 1
            desk.reject(send, Fault.THROTTLED)
        call = desk.maybe_call()
        if call is None:
            desk.wait(1000)
        elif call.form == "batch":
            requests += 1
            desk.rest_count(call, 0)
        else:
            desk.rest_orders(call, OrderState(O1, "open"))
    assert requests == ATTEMPT_LIMIT


def test_a_lone_throttled_order_waits_a_moment_for_company_and_then_goes_as_a_batch_of_one() -> None:
    desk = Desk(0)
    desk.refused_with(Fault.THROTTLED, "t", order(O1))
    assert desk.maybe_call() is None
    desk.wait(1000)
    desk.reject(desk.last(), Fault.THROTTLED)
    call = desk.one_call("batch", O1)
    desk.rest_count(call, 1)
    assert desk.outcome("t") == Acked()
    assert desk.pursuits.idle


def test_a_lone_throttled_order_without_a_moment_to_spare_goes_as_a_batch_of_one_at_once() -> None:
    desk = Desk(0)
    desk.refused_with(Fault.THROTTLED, "t", order(O1), deadline_ms=900)
    call = desk.one_call("batch", O1)
    desk.rest_count(call, 1)
    assert desk.outcome("t") == Acked()
