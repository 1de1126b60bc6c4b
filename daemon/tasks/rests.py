"""The answer to `what_rests`: a page of the book, at once, or after a look at every venue."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from ..contract.evidence import RestAnswer, RestOrders
from ..contract.ids import Venue
from ..contract.selectors import Selector
from ..engine.calls import Call
from ..engine.instants import FAR_NS
from ..engine.rests import Cursor, format_cursor
from ..transport.clock import rfc3339
from .dispatcher import Dispatcher
from .scoping import Scoping
from .tickets import Asked

UNSEEN: Final = "no stream tells of this venue's orders now, so this is what was known: ask with fresh: true"


class _Look:
    """One venue's look: `asked_ns` once it was answered, `why` once it failed."""

    def __init__(self, page: "FreshPage") -> None:
        self._page = page
        self.asked_ns: int | None = None
        self.why: str | None = None

    @property
    def over(self) -> bool:
        return self.asked_ns is not None or self.why is not None

    def call_answered(self, call: Call, answer: RestAnswer, now_ns: int) -> None:
        if isinstance(answer, RestOrders):
            self.asked_ns = call.asked_ns
        else:
            self.why = str(getattr(answer, "error", None) or getattr(answer, "why", "no list"))
        self._page.looked(now_ns)

    def call_failed(self, call: Call, left: bool, why: str, now_ns: int) -> None:
        self.why = why
        self._page.looked(now_ns)


class FreshPage:
    """One `what_rests`. Answered when every venue has been looked at, or at the deadline as it stands."""

    def __init__(
        self,
        asked: Asked,
        scoping: Scoping,
        desks: Mapping[Venue, Dispatcher],
        scope: Sequence[Selector] | None,
        after: Cursor | None,
        deadline_ns: int,
    ) -> None:
        self._asked = asked
        self._scoping = scoping
        self._desks = desks
        self._scope = scope
        self._after = after
        self._looks: dict[Venue, _Look] = {}
        self._done = False
        self.wake_ns = deadline_ns

    def begin(self, now_ns: int, *, fresh: bool) -> None:
        """Answer now, or (fresh) look at every venue that the scope is about."""
        if fresh:
            venues = list(self._desks) if self._scope is None else self._scoping.venues(self._scope)
            self._looks = {venue: _Look(self) for venue in venues}
            self._scoping.await_until(self)
            for venue, look in self._looks.items():
                self._desks[venue].request("open_orders", look, urgent=False)
        self.looked(now_ns)

    def looked(self, now_ns: int) -> None:
        """A look is over: with the last one the answer is due."""
        if not self._done and all(look.over for look in self._looks.values()):
            self._answer(now_ns)

    def on_time(self, now_ns: int) -> None:
        """The deadline has come."""
        if not self._done:
            self._answer(now_ns)

    def _answer(self, now_ns: int) -> None:
        self._done = True
        self.wake_ns = FAR_NS
        self._scoping.await_no_more(self)
        told = self._scoping.page(self._scope, self._after, now_ns)
        venues = {
            venue: {
                "orders": told.orders[venue],
                "count": told.counts[venue],
                "unsure": told.unsure[venue],
                **self._as_of(venue, now_ns),
            }
            for venue in self._desks
        }
        reply: dict[str, Any] = {"type": "rests", "id": self._asked.id, "venues": venues}
        if told.after is not None:
            reply["after"] = format_cursor(told.after)
        self._asked.answer(reply)

    def _as_of(self, venue: Venue, now_ns: int) -> dict[str, Any]:
        """Since when this is known, and by whom."""
        look = self._looks.get(venue)
        told: dict[str, Any] = {}
        if look is not None and look.asked_ns is None:
            told["error"] = look.why or "no list came before the deadline"
        if look is not None and look.asked_ns is not None:
            told |= {"by": "list", "as_of": self._text(look.asked_ns, now_ns), "as_of_ns": look.asked_ns}
        elif self._streamed(venue):
            told |= {"by": "stream", "as_of": self._text(now_ns, now_ns), "as_of_ns": now_ns}
        else:
            told = {"by": "none", "error": UNSEEN} | told
        return told

    def _streamed(self, venue: Venue) -> bool:
        """Whether a stream tells what is open. Prime marks no end of what was open before: a live session has to do."""
        desk = self._desks[venue]
        return desk.witnessed or (not desk.policy.rest and bool(desk.live))

    def _text(self, instant_ns: int, now_ns: int) -> str:
        return rfc3339(self._scoping.clock.utc_ns() - (now_ns - instant_ns))
