"""Cancel, look, and again, until two looks in a row show that nothing rests. No venue's language is known here."""

import time
from collections.abc import Callable, Sequence
from typing import Final, Protocol, TypeVar

from ..contract.evidence import OrderState
from .report import Failed, Report

LOOKS: Final = 2
"""Looks in a row that must show nothing. One could have been answered before an order on its way had arrived."""

LOOK_GAP_S: Final = 0.25
"""Between two looks, so that an order sent before the first one is in the second."""

PAUSE_FIRST_S: Final = 0.1
PAUSE_LIMIT_S: Final = 1.0
"""Between two rounds while something rests or a step failed: doubled from the first to the limit."""

STEP_TIMEOUT_S: Final = 5.0
"""The longest that one step waits for the venue: a busy one takes seconds, a lost answer must be asked for again."""

REFUSALS: Final = 3
"""Rounds in which the venue may refuse the key. More could lock it out, and the daemon's own cancels with it."""

T = TypeVar("T")


class Route(Protocol):
    """A way to cancel everything at one venue, and to see what rests. Both raise Failed."""

    def cancel(self, resting: Sequence[OrderState], by_s: float) -> None:
        """Cancel everything. resting: what the last look showed; empty before the first."""

    def look(self, by_s: float) -> Sequence[OrderState]:
        """Every order that rests, asked of the venue anew."""


def sweep(
    route: Route,
    report: Report,
    by_s: float,
    *,
    now_s: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Cancel and look until the venue is proved flat, until `by_s` (monotonic seconds), or until it refuses the key."""
    began_s = now_s()
    resting: Sequence[OrderState] = ()
    empty_looks = refusals = 0
    pause_s = PAUSE_FIRST_S
    named = False
    while True:
        hopeless = False
        if not empty_looks:
            try:
                route.cancel(resting, min(by_s, now_s() + STEP_TIMEOUT_S))
            except Failed as failed:
                report.why, hopeless = str(failed), failed.hopeless
        try:
            resting = route.look(min(by_s, now_s() + STEP_TIMEOUT_S))
        except Failed as failed:
            report.why, hopeless = str(failed), hopeless or failed.hopeless
            empty_looks = 0
        else:
            report.residual = tuple(order.order_id for order in resting)
            report.state = "residual" if resting else "unreachable"
            empty_looks = 0 if resting else empty_looks + 1
        if empty_looks == LOOKS:
            report.state, report.why = "flat", None
            break
        refusals += hopeless
        wait_s = LOOK_GAP_S if empty_looks else pause_s
        if resting and not named:
            # The first that is known by name: where a venue takes nothing else, no cancel has left before.
            named, wait_s = True, 0.0
        elif not empty_looks:
            pause_s = min(2 * pause_s, PAUSE_LIMIT_S)
        if refusals == REFUSALS or now_s() + wait_s >= by_s:
            break
        pause(wait_s)
    report.took_s = now_s() - began_s


class FirstThatWorks:
    """Several routes to one venue: the one in front is used; when it fails the next one takes its place."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self._routes = list(routes)

    def cancel(self, resting: Sequence[OrderState], by_s: float) -> None:
        self._try(lambda route, by_s: route.cancel(resting, by_s), by_s)

    def look(self, by_s: float) -> Sequence[OrderState]:
        return self._try(lambda route, by_s: route.look(by_s), by_s)

    def _try(self, step: Callable[[Route, float], T], by_s: float) -> T:
        failures: list[Failed] = []
        for left in range(len(self._routes), 0, -1):
            # An equal share of the time for each: one that is silent must not use up that of the others.
            now_s = time.monotonic()
            try:
                return step(self._routes[0], now_s + (by_s - now_s) / left)
            except Failed as failed:
                failures.append(failed)
                self._routes.append(self._routes.pop(0))
        raise Failed("; ".join(map(str, failures)), hopeless=all(failed.hopeless for failed in failures))
