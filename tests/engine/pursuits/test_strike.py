"""A kill's cancel of one order leaves at once, whatever the pursuit of that order waits for."""

from collections.abc import Callable

import pytest

from canceld.contract.evidence import CancelAck, Fault, OrderState
from canceld.contract.outcomes import Canceled, Closed
from canceld.engine.effects import Send
from canceld.engine.instants import MS
from canceld.engine.lane import Lane

from ..desk import HEDGE_MS, Desk, order
from .test_at_prime import O1, O2, SYMBOL, PrimeDesk


class Told:
    """Who is told of requests that left past the pursuit."""

    def __init__(self) -> None:
        self.answered: list[Lane] = []
        self.failed: list[str] = []

    def fired_answered(self, lane: Lane, count: int | None, now_ns: int) -> None:
        self.answered.append(lane)

    def fired_failed(self, lane: Lane, why: str, now_ns: int, fault: Fault | None = None) -> None:
        self.failed.append(why)


def strike(desk: Desk, told: Told | None = None, order_id: str = O1) -> list[Send]:
    """What leaves for a kill."""
    desk.pursuits.strike(object(), order_id, told or Told(), desk.now_ns + 1000 * MS, desk.now_ns)
    desk.carry_out()
    return desk.take()


def throttled(desk: PrimeDesk) -> None:
    desk.refused_with(Fault.THROTTLED, "t", order(O1))


def held(desk: PrimeDesk) -> None:
    desk.mode("maintenance")
    desk.cancel("t", order(O1))


def closed(desk: PrimeDesk) -> None:
    desk.down(1)
    desk.rests(O2)
    desk.refused_with(Fault.LOCKOUT, "other", order(O2))
    desk.cancel("t", order(O1))


def silent(desk: PrimeDesk) -> None:
    desk.asked("t", order(O1))


@pytest.mark.parametrize("waits", [throttled, held, closed, silent])
def test_whatever_the_pursuit_waits_for(waits: Callable[[PrimeDesk], None]) -> None:
    desk = PrimeDesk(0, 1)
    desk.rests(O1)
    waits(desk)
    assert desk.take() == []
    told = Told()
    struck = strike(desk, told)
    assert {(send.target, send.symbol) for send in struck} == {(order(O1), SYMBOL)}
    assert {send.lane for send in struck} <= set(desk.pursuits.live)
    desk.hear(struck[0].lane, CancelAck(struck[0].reqid, O1, event_id="e-9"))
    assert told.answered == [struck[0].lane]
    desk.canceled(O1)
    assert desk.outcome("t") in (Canceled("0"), Closed("canceled", "0"))


def test_where_nothing_is_under_way_the_pursuit_sends_it_and_nothing_else_does() -> None:
    desk = PrimeDesk(0, 1)
    desk.rests(O1)
    [send] = strike(desk)
    assert send.lane == 0


def test_what_was_silent_on_one_session_goes_by_the_other() -> None:
    desk = PrimeDesk(0, 1)
    desk.rests(O1)
    strike(desk)
    assert strike(desk) == [], "once in a step is enough"
    desk.now_ms += 1
    assert [send.lane for send in strike(desk)] == [1]
    desk.wait(HEDGE_MS)
    desk.take()
    assert [send.lane for send in strike(desk)] == [0, 1], "both owe an answer, so both are written to again"


def test_an_order_that_has_ended_costs_nothing() -> None:
    desk = PrimeDesk(0, 1)
    desk.rests(O1)
    desk.canceled(O1)
    assert strike(desk) == []


def test_without_its_symbol_nothing_can_leave() -> None:
    desk = PrimeDesk(0)
    desk.stream(OrderState(O1, "open"))
    assert strike(desk) == []


def test_without_a_session_it_goes_by_rest_as_any_other() -> None:
    desk = Desk()
    assert strike(desk) == []
    assert desk.call().targets == (order(O1),)
