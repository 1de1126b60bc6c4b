"""One venue's desk: its connections, its REST lane where it has one, and the dispatcher that everything meets in.

How a desk is put together is desks.py's business; this file says what it is while it runs, and how it is shown.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import trio

from ..credentials import Keys
from .connection import Connection
from .dispatcher import Dispatcher
from .feed import Feed
from .prime import PrimeSession
from .rest_lane import RestLane
from .session import Session
from .survey import Survey
from .telemetry import Histogram

FIRST_LOOK_S: Final = 5.0
"""After the start. A session takes a second to come up; ten are promised until an alert about one that does not."""

NEXT_LOOK_S: Final = 1.0
"""From then on, until what was told of is over."""

NO_ANSWER: Final = "nothing has had an answer yet: check network, firewall and URL, and the venue's status page"

KEY_STAGGER_S: Final = 5.0
"""Between two connections that are dialled anew under a new key: one of them carries the cancels meanwhile."""


class KeyHolder(Protocol):
    """Whatever signs for a venue: its keys may be replaced while it runs."""

    keys: Keys


@dataclass(slots=True)
class Desk:
    """One venue: its sessions, its REST lane where it has one, and the dispatcher that everything meets in.

    `feed` is a stream that tells of orders and takes no cancels, `survey` asks for what is open now and then: Futures
    has both.
    """

    dispatcher: Dispatcher
    sessions: Sequence[Session | PrimeSession]
    rest: RestLane | None
    signer: KeyHolder
    round_trips: Histogram
    venue_times: Histogram
    feed: Feed | None = None
    survey: Survey | None = None

    @property
    def connections(self) -> list[Connection]:
        """Every WebSocket of the venue."""
        return [*self.sessions, *([self.feed] if self.feed is not None else [])]

    @property
    def state(self) -> str:
        """`up` with every connection live, `degraded` with fewer ways to cancel, or in maintenance, else `down`."""
        live = len(self.dispatcher.live)
        rest_up = self.rest is not None and self.rest.status()["state"] == "up"
        if not live and not rest_up:
            return "down"
        whole = all(connection.live for connection in self.connections) and (bool(self.sessions) or rest_up)
        return "up" if whole and self.dispatcher.mode != "maintenance" else "degraded"

    def status(self) -> dict[str, Any]:
        """This venue for the `status` reply."""
        return {
            "state": self.state,
            "mode": self.dispatcher.mode,
            "sessions": [connection.status() for connection in self.connections],
            "rest": None if self.rest is None else self.rest.status(),
            "round_trips": self.round_trips.summary(),
            "venue_times": self.venue_times.summary(),
            "open_orders": len(self.dispatcher.resting),
        }

    def line(self) -> str:
        """This venue for the service manager's status line."""
        ways = [f"{connection.name}={connection.state.value}" for connection in self.connections]
        if self.rest is not None:
            ways.append(f"rest={self.rest.status()['state']}")
        return f"{self.dispatcher.venue} {self.state} ({' '.join(ways)})"

    async def run(self) -> None:
        """Keep the connections and the REST lane; ends by cancellation."""
        venue = self.dispatcher.venue
        async with trio.open_nursery() as desk:
            if self.rest is not None:
                desk.start_soon(self.rest.run, name=f"{venue} REST lane")
            for connection in self.connections:
                desk.start_soon(connection.run, name=f"session {connection.name}")
            if self.survey is not None:
                desk.start_soon(self.survey.run, name=f"{venue} survey")
            desk.start_soon(self._tell_a_start_into_a_fault, name=f"{venue} first look")

    async def _tell_a_start_into_a_fault(self) -> None:
        """A session that is lost is told of at once; one that never came up is told of here."""
        await trio.sleep(FIRST_LOOK_S)
        if self.sessions and not self.dispatcher.live:
            told = {f"{one.why_down}{one.mend and f': {one.mend}'}": one.name for one in self.sessions if one.why_down}
            self.dispatcher.outages.no_session("; ".join(f"{name}: {why}" for why, name in told.items()) or NO_ANSWER)
        if self.rest is not None and not self.rest.up:
            self.dispatcher.outages.rest_down(self.rest.status().get("why", NO_ANSWER))
            while True:
                await trio.sleep(NEXT_LOOK_S)
                if self.rest.up:
                    break
            self.dispatcher.outages.rest_is_up()

    def take_keys(self, keys: Keys) -> None:
        """Another key from here on; what can go on with what it has goes on until it needs the new one."""
        self.signer.keys = keys
        if self.rest is not None:
            self.rest.reopen()
        self.dispatcher.key_replaced()
        for connection in self.connections:
            if isinstance(connection, Session):
                connection.renew_token()
            else:
                # The key is asked for at the next dial only, and a way that is down dials anyway.
                connection.redial_in(KEY_STAGGER_S * max(connection.lane, 0))

    def distrust(self, why: str) -> None:
        """Give every connection up for a new one, however alive it looks."""
        if self.rest is not None:
            self.rest.distrust()
        for connection in self.connections:
            connection.redial(why)

    async def tried(self) -> None:
        """Return when every way to the venue had its first try."""
        if self.rest is not None:
            await self.rest.tried.wait()
        for connection in self.connections:
            await connection.tried.wait()
