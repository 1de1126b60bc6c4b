"""What people are told of a venue that cannot be reached by one of its ways, in words that are true of all of them."""

from collections.abc import Callable

from ..contract.ids import Venue
from .events import Events


class Outages:
    """The alerts of one venue's ways. rest_up: whether its REST lane is up, once it is known that it has one."""

    def __init__(self, venue: Venue, events: Events) -> None:
        self.rest_up: Callable[[], bool] | None = None
        self._venue = venue
        self._events = events
        self._no_session = f"{venue} has no live WebSocket session"
        self._no_feed = f"{venue} has no live order feed"
        self._no_rest = f"{venue} REST is not up"

    def session_up(self) -> None:
        """A session can take cancels."""
        self._events.clear(self._no_session)

    def no_session(self, why: str = "status tells why each is down") -> None:
        """No session is live."""
        if self.rest_up is None:
            what_now = "it takes no cancels until one is back"
        elif self.rest_up():
            what_now = "cancels go by REST alone"
        else:
            what_now = "REST cannot be reached either, so that no cancel can leave"
        self._events.alert("critical", self._no_session, f"{what_now}; {why}")

    def rest_down(self, why: str) -> None:
        """REST, which is behind the sessions or the only way, is not up some time after the start."""
        do = f"{why}; cancels have no second way until it answers, and `canceld check --online` says what to mend"
        self._events.alert("warning", self._no_rest, do)

    def rest_is_up(self) -> None:
        """A call by REST could leave now."""
        self._events.clear(self._no_rest)

    def feed_up(self) -> None:
        """The stream that only tells of orders is on."""
        self._events.clear(self._no_feed)

    def feed_down(self) -> None:
        """The stream that only tells of orders is lost: proof has to be asked for."""
        self._events.alert("warning", self._no_feed, "cancels go on, proof comes by REST; status tells why it is down")
