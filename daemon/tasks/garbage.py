"""When garbage is looked for: at moments with nothing in flight, and never for long.

What a cancel leaves behind is freed by counting references, so that a look finds nothing of it. Connections and errors
leave objects that hold each other, some twenty each: those are what a look is for.
"""

from collections.abc import Callable
from typing import Any, Final

import trio

from ..engine.instants import MS
from ..transport.clock import Clock
from ..transport.collector import Collector
from .events import Events

LOOK_S: Final = 1.0
"""Least time between two looks."""

WORTH: Final = 2_000
"""Objects made since the last look that are worth the next: it takes 0.1 ms for them."""

EACH: Final = 10
"""Objects that a cancel leaves in the tables. They take the places of older ones, so that `made` does not show them."""

MANY: Final = 10_000
"""Objects that take longer than 1 ms to look at. What a busy time left in the tables is more: it is left out of all
looks from then on, unseen."""

OVERDUE: Final = 1_000_000
"""Objects left out or not looked at after which one look is taken at all there is, since tables are not so large: it
takes 0.1 to 1 s, and memory is bounded."""

IDLE_NS: Final = 60_000 * MS
"""Nobody has cancelled for so long when that look is taken, as far as memory allows."""

LONG_NS: Final = 2 * MS
"""A look that took longer found many objects alive: the next ones leave those out."""

HOUR_NS: Final = 3_600_000 * MS
MUCH: Final = 100_000
"""Objects found within an hour that a person is told of. Connections that are lost as fast as they may be dialled
leave 20,000; anything that every cancel leaves comes to more."""

_WHAT: Final = "cyclic garbage appears"


class Garbage:
    """The looks for garbage, and what they found."""

    def __init__(
        self,
        collector: Collector,
        in_flight: Callable[[], int],
        answered: Callable[[], int],
        took_ns: Callable[[], int],
        clock: Clock,
        events: Events,
    ) -> None:
        """in_flight, answered: how many commands have no reply yet, and had one. took_ns: when the last cancel came."""
        self._collector = collector
        self._in_flight = in_flight
        self._answered = answered
        self._took_ns = took_ns
        self._clock = clock
        self._events = events
        self._looks = 0
        self._spared = 0
        self._seen = 0
        self._found = 0
        self._longest_ns = 0
        self._hour_ns = clock.monotonic_ns()
        self._hour_found = 0

    def status(self) -> dict[str, Any]:
        """What a detailed `status` tells of the looks."""
        return {"looks": self._looks, "found": self._found, "longest_us": self._longest_ns // 1_000}

    async def run(self) -> None:
        """Look for ever; ends by cancellation."""
        while True:
            await trio.sleep(LOOK_S)
            made = self._collector.made
            idle_ns = self._clock.monotonic_ns() - self._took_ns()
            if made >= OVERDUE or (self._spared >= OVERDUE and idle_ns >= IDLE_NS):
                self._spared = 0
                self._look(self._collector.look_at_all)
            elif self._in_flight() or made < WORTH:
                continue
            elif made + EACH * (self._answered() - self._seen) < MANY:
                self._look(self._collector.look)
            else:
                self._spared += made
                self._collector.spare()
                self._seen = self._answered()

    def _look(self, look: Callable[[], int]) -> None:
        now_ns, began_ns = self._clock.monotonic_ns(), self._clock.thread_ns()
        found = look()
        took_ns = self._clock.thread_ns() - began_ns
        if took_ns > LONG_NS or look == self._collector.look_at_all:
            self._collector.spare()
            self._seen = self._answered()
        self._looks += 1
        self._found += found
        self._longest_ns = max(self._longest_ns, took_ns)
        if now_ns - self._hour_ns >= HOUR_NS:
            self._hour_ns, self._hour_found = now_ns, 0
        self._hour_found += found
        if self._hour_found >= MUCH:
            do = f"{self._hour_found} objects within an hour: cancels go on, pauses come more often; report it"
            self._events.alert("warning", _WHAT, do)
