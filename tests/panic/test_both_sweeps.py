"""The daemon's sweep and panic's own, before the same venue.

They are two programs on purpose, so that one can be believed when the other is not. Here each sweeps a book that
answers by the same script: cancels refused, taken without an answer, or taken but for one order; looks without an
answer, looks that leave an order out, orders placed between two looks. What they conclude is compared, and the book
has the last word.
"""

import heapq
from collections.abc import Sequence
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canceld.contract.evidence import OrderState
from canceld.engine.instants import MS
from canceld.engine.lane import REST
from canceld.engine.sweep import CancelOne, FireAll, Look, Sweep
from canceld.panic.report import Failed, Report
from canceld.panic.sweep import sweep as sweep_of_panic

from .scripts import Clock

CancelAnswer = Literal["taken", "refused", "taken, answer lost", "taken but for one"]
LookAnswer = Literal["told", "no answer", "one left out", "told, then an order is placed"]
Conclusion = tuple[str, set[str]]

WITHIN_S = 60
CALL_NS = 10 * MS


class Book:
    """A venue's book. The n-th cancel and the n-th look are answered by the script, later ones as its last says."""

    def __init__(self, cancels: Sequence[CancelAnswer], looks: Sequence[LookAnswer]) -> None:
        self.rests = {f"O-{number}": 0 for number in range(3)}
        """Order ids, and how many looks could have shown each."""
        self._cancels = list(cancels)
        self._looks = list(looks)
        self._left_out = False
        self._placed = 0

    def cancel_all(self) -> bool:
        """Whether the venue answered that it took it."""
        answer = self._cancels.pop(0) if len(self._cancels) > 1 else self._cancels[0]
        if answer != "refused":
            for order_id in list(self.rests)[answer == "taken but for one" :]:
                del self.rests[order_id]
        return answer in ("taken", "taken but for one")

    def cancel_one(self, order_id: str) -> None:
        if self._cancels[0] != "refused":
            self.rests.pop(order_id, None)

    def look(self) -> list[str] | None:
        """The list of open orders, None when there is no answer."""
        answer = self._looks.pop(0) if len(self._looks) > 1 else self._looks[0]
        # One look may lack an order that has just been placed. That two do is what no sweep can see.
        self._left_out = answer == "one left out" and not self._left_out
        shown = list(self.rests)[self._left_out :]
        for order_id in self.rests:
            self.rests[order_id] += 1
        if answer == "told, then an order is placed":
            self._placed += 1
            self.rests[f"P-{self._placed}"] = 0
        return None if answer == "no answer" else shown


def by_the_daemon(book: Book) -> Conclusion:
    """What engine/sweep.py concludes within the time, with REST as the only way."""
    due: list[tuple[int, int, Any]] = []
    now_ns, count = 0, 0
    sweep = Sweep("spot", mass=True, rest=True, live=(), known={}, now_ns=0)
    while now_ns < WITHIN_S * 1000 * MS and sweep.state(now_ns) != "flat":
        effects, sweep.effects = sweep.effects, []
        for effect in effects:
            count += 1
            heapq.heappush(due, (now_ns + CALL_NS, count, effect))
        now_ns = min(sweep.wake_ns, due[0][0] if due else sweep.wake_ns)
        if not due or due[0][0] > now_ns:
            sweep.on_time(now_ns)
            continue
        match heapq.heappop(due)[2]:
            case FireAll(lane=lane):
                assert lane == REST
                if book.cancel_all():
                    sweep.fired_answered(lane, None, now_ns)
                else:
                    sweep.fired_failed(lane, "refused", now_ns)
            case CancelOne(order_id=order_id):
                book.cancel_one(order_id)
            case Look(number=number):
                shown = book.look()
                if shown is None:
                    sweep.look_failed(number, "no answer", now_ns)
                else:
                    sweep.look_answered(number, shown, now_ns)
            case _:
                pass  # alerts, and that it is flat
    return sweep.state(now_ns), set(sweep.status(now_ns)["residual"])


def by_panic(book: Book) -> Conclusion:
    """What panic/sweep.py concludes within the time."""

    class OneWay:
        def cancel(self, resting: Sequence[OrderState], by_s: float) -> None:
            accepted = book.cancel_all()
            for order in resting:
                book.cancel_one(order.order_id)
            if not accepted:
                raise Failed("refused")

        def look(self, by_s: float) -> Sequence[OrderState]:
            shown = book.look()
            if shown is None:
                raise Failed("no answer")
            return [OrderState(order_id, "open") for order_id in shown]

    report, clock = Report(), Clock()
    sweep_of_panic(OneWay(), report, clock.now + WITHIN_S, now_s=clock.now_s, pause=clock.pause)
    return report.state, set(report.residual)


cancels = st.lists(st.sampled_from(("taken", "refused", "taken, answer lost", "taken but for one")), max_size=5)
looks = st.lists(st.sampled_from(("told", "no answer", "one left out", "told, then an order is placed")), max_size=6)


@given(cancels=cancels, looks=looks)
def test_a_venue_that_comes_round_is_flat_for_both(cancels: list[CancelAnswer], looks: list[LookAnswer]) -> None:
    for conclude in (by_the_daemon, by_panic):
        book = Book([*cancels, "taken"], [*looks, "told"])
        assert conclude(book) == ("flat", set())
        # An order placed at the very end is nobody's fault; one that two looks could have shown would be.
        assert all(looks_since < 2 for looks_since in book.rests.values())


@pytest.mark.parametrize(
    ("cancels", "looks", "concluded"),
    [
        (["refused"], ["told"], ("residual", {"O-0", "O-1", "O-2"})),
        (["taken"], ["no answer"], ("unreachable", set())),
        (["refused"], ["no answer"], ("unreachable", set())),
        (["taken"], ["told, then an order is placed"], None),
    ],
)
def test_a_venue_that_stays_as_it_is_is_flat_for_neither(
    cancels: list[CancelAnswer], looks: list[LookAnswer], concluded: Conclusion | None
) -> None:
    for conclude in (by_the_daemon, by_panic):
        found = conclude(Book(cancels, looks))
        assert found[0] != "flat"
        assert concluded is None or found == concluded
