"""Orders whose cancel may have left before the process began: asked about first, and cancelled where they rest."""

import pytest

from canceld.contract.evidence import Fault, OrderState
from canceld.contract.outcomes import Canceled, Closed, NotOpen, Outcome, Refused
from canceld.engine.instants import MS

from ..desk import DEADLINE_MS, HEDGE_MS, Desk, order

O1 = "OAAAAA-AAAAA-AAAAAA"


def resume(desk: Desk, order_id: str = O1) -> None:
    desk.pursuits.resume("t", order_id, desk.now_ns + DEADLINE_MS * MS, desk.now_ns)
    desk.carry_out()


def test_its_state_is_asked_for_before_anything_is_sent() -> None:
    desk = Desk(0)
    resume(desk)
    desk.one_call("query", O1)
    assert desk.take() == []


@pytest.mark.parametrize(
    ("state", "outcome"),
    [
        # What canceled it may have been the request that nobody remembers.
        (OrderState(O1, "canceled", filled_qty="2"), Canceled("2")),
        (OrderState(O1, "filled", filled_qty="5"), Closed("filled", "5")),
    ],
    ids=["canceled", "filled"],
)
@pytest.mark.parametrize("known", ["by a query", "by the stream", "by the stream before"])
def test_what_has_ended_costs_no_cancel(state: OrderState, outcome: Outcome, known: str) -> None:
    desk = Desk(0)
    if known == "by the stream before":
        desk.stream(state)
    resume(desk)
    if known == "by a query":
        desk.rest_orders(desk.call(), state)
    elif known == "by the stream":
        desk.stream(state)
    assert desk.outcome("t") == outcome
    assert desk.take() == []
    assert desk.answers["t"].attempts == 0


def test_what_rests_is_canceled_and_proved() -> None:
    desk = Desk(0)
    resume(desk)
    desk.rest_orders(desk.call(), OrderState(O1, "open"))
    desk.ack(desk.last())
    assert desk.answers == {}
    desk.canceled(O1)
    assert desk.outcome("t") == Canceled("0")


def test_what_the_stream_shows_open_is_canceled_at_once() -> None:
    desk = Desk(0)
    desk.opened(O1)
    resume(desk)
    assert desk.last().target == order(O1)
    assert desk.maybe_call() is None


def test_silence_about_its_state_does_not_hold_the_cancel_back_for_long() -> None:
    desk = Desk(0)
    resume(desk)
    desk.call()
    desk.wait(HEDGE_MS - 1)
    assert desk.take() == []
    desk.wait(2)
    assert desk.last().target == order(O1)


def test_an_order_that_neither_query_nor_cancel_finds_is_not_open() -> None:
    desk = Desk(0)
    resume(desk)
    desk.deny_until_answered("t", lambda call: desk.rest_refuse(call, Fault.NOT_OPEN, "EOrder:Invalid order"))
    assert desk.outcome("t") == NotOpen()


def test_without_any_way_to_the_venue_nothing_is_concluded() -> None:
    desk = Desk()
    resume(desk)
    while (call := desk.maybe_call()) is not None:
        desk.rest_fail(call, left=False)
    desk.wait(DEADLINE_MS + 1)
    assert isinstance(desk.outcome("t"), Refused)


def test_it_joins_whoever_goes_after_the_order_already() -> None:
    desk = Desk(0)
    desk.cancel("client", order(O1), proof=True)
    send = desk.last()
    resume(desk)
    assert desk.take() == []
    desk.ack(send)
    desk.canceled(O1)
    assert desk.outcome("client") == desk.outcome("t") == Canceled("0")
