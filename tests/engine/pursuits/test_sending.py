"""Which way next: a second one beside a silent one, another one after a lost one, and any one after a pause."""

from canceld.contract.evidence import Fault
from canceld.contract.outcomes import Acked, Unknown
from canceld.engine.reactions import ATTEMPT_LIMIT

from ..desk import O1, O2, Desk, named, order


def test_silence_starts_the_next_route_beside_the_first() -> None:
    desk = Desk(0, 1)
    first = desk.asked("t", order(O1))
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
    assert (call.form, call.targets) == ("cancel", (order(O1),))
    desk.rest_count(call)
    assert desk.answers["t"].route == "rest"
    assert desk.answers["t"].attempts == 3


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
    desk.reject(desk.take()[1], Fault.THROTTLED)
    desk.wait(1000)
    again = desk.last()
    assert again.lane == 1
    desk.ack(again)
    assert desk.outcome("t") == Acked()


def test_a_budget_that_others_spent_refuses_nobody_who_is_new() -> None:
    """Many orders that the venue turns away for want of points take whatever comes back of them, and every route is
    closed again and again. A cancel that has not left at all goes all the same, by the first of them, rather than come
    to `no_route`; the one that was turned away waits for its route to reopen."""
    desk = Desk(0, rest=False)
    desk.refused_with(Fault.ROUTE_BUSY, "old", order(O1), error="apiLimitExceeded")
    desk.wait(500)
    assert desk.take() == []
    desk.accepted("new", order(O2))
    assert desk.outcome("new") == Acked()


def test_a_cancel_waits_in_the_queue_of_rest_while_its_budget_is_spent() -> None:
    desk = Desk()
    desk.cancel("a", named("slot-1"))
    desk.rest_refuse(desk.call(), Fault.ROUTE_BUSY)
    desk.wait(500)
    desk.cancel("b", named("slot-2"))
    assert desk.maybe_call() is None
    desk.wait(500)
    assert desk.call().targets == (named("slot-2"),), "before who was turned away, whose pause is over as well"


def test_an_order_has_a_most_of_attempts() -> None:
    desk = Desk(0, rest=False)
    desk.cancel("t", order(O1), deadline_ms=60_000)
    desk.opened(O1)
    frames = 0
    for _ in range(600):
        frames += desk.deny()
        desk.wait(100)
    assert frames == ATTEMPT_LIMIT
    assert desk.outcome("t") == Unknown(("ws",))
