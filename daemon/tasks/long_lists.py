"""What people are told of a venue whose lists of open orders are long, or slow to take in."""

from typing import Final

from ..contract.ids import Venue
from ..transport.clock import Clock
from .events import Events

MANY: Final = 10_000
"""Orders in a list that somebody is to hear of; a session of 2,000 quotes on each of four venues is far from it."""

SLOW_NS: Final = 1_000_000_000
"""The same for the time that a list takes, from when it was received until all of it was taken in."""


class LongLists:
    """The one alert of a venue: raised by a list that has many orders or takes long, gone with the next that does not.

    begun_ns: when a list was received, on the monotonic clock. count: how many of its orders were taken in by now.
    """

    def __init__(self, venue: Venue, events: Events, clock: Clock) -> None:
        self._what = f"{venue} lists very many open orders, or lists them slowly"
        self._events = events
        self._clock = clock
        self._raised = False

    def taking(self, count: int, begun_ns: int) -> None:
        """A list is being taken in."""
        if not self._raised and self._is_long(count, begun_ns):
            self._raise(f"{count:,} orders were taken in after {self._seconds(begun_ns):.1f} s, and more are to come")

    def took(self, count: int, begun_ns: int) -> None:
        """A list was taken in, and holds all that is open."""
        if self._is_long(count, begun_ns):
            self._raise(f"{count:,} orders took {self._seconds(begun_ns):.1f} s to be taken in")
        elif self._raised:
            self._raised = False
            self._events.clear(self._what)

    def _is_long(self, count: int, begun_ns: int) -> bool:
        return count >= MANY or self._clock.monotonic_ns() - begun_ns >= SLOW_NS

    def _seconds(self, begun_ns: int) -> float:
        return (self._clock.monotonic_ns() - begun_ns) / 1e9

    def _raise(self, found: str) -> None:
        self._raised = True
        do = "cancels and kills go on meanwhile, while proof, `flat` and a new session wait for it; keep fewer open"
        self._events.alert("warning", self._what, f"{found}; {do}")
