"""What is concluded from the record of one pursuit."""

import pytest

from canceld.contract.evidence import OrderState
from canceld.contract.ids import EVERYTHING, Reqid
from canceld.contract.outcomes import (
    Acked,
    Canceled,
    Closed,
    NotOpen,
    Outcome,
    Refused,
    Rejected,
    Settlement,
    Unknown,
)
from canceld.engine.inflight import Attempt
from canceld.engine.lane import REST
from canceld.engine.pursuits.family import Family
from canceld.engine.pursuits.pursuit import SAME_TIME_NS, Pursuit, Waiter, ending, meant_newer
from canceld.engine.resting import Resting, Row

from ..desk import named, order, userref


def row(status: str) -> Row:
    ended = Resting(10).apply(OrderState("O-1", status, filled_qty="1"), 0)  # type: ignore[arg-type]
    assert ended is not None
    return ended


def pursuit() -> Pursuit:
    return Pursuit(order("O-1"), Waiter("t", order("O-1"), False, 2000, 0))


def family(*order_ids: str) -> Family:
    one = Family(userref(7), Waiter("t", userref(7), False, 2000, 0))
    one.mean(order_ids)
    return one


def told(outcome: Outcome) -> Settlement:
    return Settlement(venue="spot", target=EVERYTHING, outcome=outcome)


def test_a_canceled_order_is_canceled_for_whoever_sent_something_and_closed_for_whoever_did_not() -> None:
    one = pursuit()
    assert ending(one, row("canceled")) == Closed("canceled", "1")
    one.first_sent_ns = 5
    assert ending(one, row("canceled")) == Canceled("1")
    assert ending(one, row("filled")) == Closed("filled", "1")


def test_an_order_whose_family_was_asked_for_may_have_been_canceled_by_that() -> None:
    one = pursuit()
    one.ambiguous = True
    assert ending(one, row("canceled")) == Canceled("1")


def test_attempts_and_routes_are_those_that_may_have_left() -> None:
    one = pursuit()
    assert (one.attempts, one.routes) == (0, ())
    one.sent = (0, 1, REST, 0)
    assert (one.attempts, one.routes) == (4, ("ws", "rest"))


@pytest.mark.parametrize(
    ("outcomes", "combined"),
    [
        ([Acked(), None], Unknown(("ws",))),
        ([Acked(), Unknown(("rest",))], Unknown(("ws",))),
        ([Acked(), Refused("no_route", "")], Unknown(("ws",))),
        ([Acked(), Rejected("permission"), NotOpen()], Rejected("permission")),
        ([Canceled("1"), Acked()], Acked()),
        ([Closed("filled", "5"), Canceled("1")], Canceled()),
        ([Canceled("1")], Canceled("1")),
        ([NotOpen(), Closed("filled", "5")], Closed("filled", "5")),
        ([NotOpen()], NotOpen()),
    ],
)
def test_a_family_is_what_holds_for_all_of_its_orders(outcomes: list[Outcome | None], combined: Outcome) -> None:
    one = family()
    one.sent = (0,)
    one.children = {str(n): None if outcome is None else told(outcome) for n, outcome in enumerate(outcomes)}
    assert one.combined() == combined


def test_as_many_acks_are_needed_as_orders_may_still_give_one() -> None:
    one = family("O-1", "O-2", "O-3")
    one.oks = 2
    assert not one.complete
    one.otherwise = 1
    assert one.complete
    unknown = family()
    assert not unknown.complete
    unknown.oks = 1
    assert unknown.complete


def test_a_family_ends_canceled_unless_all_of_it_ended_otherwise() -> None:
    resting = Resting(10)
    resting.apply(OrderState("O-1", "filled", filled_qty="5"), 0)
    one = family("O-1", "O-2")
    one.left = set()
    one.otherwise = 1
    assert one.ending(resting) == Canceled()
    one.otherwise = 2
    assert one.ending(resting) == Closed("filled")
    alone = family("O-1")
    alone.left = set()
    alone.otherwise = 1
    assert alone.ending(resting) == Closed("filled", "5")
    assert family("O-9").ending(resting) == Canceled()


def test_only_by_name_and_only_long_after_the_request_can_a_newer_order_be_meant() -> None:
    attempt = Attempt(Reqid(1), pursuit(), 0, 100)
    for target, later_ns, newer in (
        (named("a"), SAME_TIME_NS + 1, True),
        (named("a"), SAME_TIME_NS, False),
        (order("O-1"), SAME_TIME_NS + 1, False),
    ):
        assert meant_newer(Waiter("t", target, False, 10**12, 100 + later_ns), attempt) == newer
