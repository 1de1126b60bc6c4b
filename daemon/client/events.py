"""What the event socket tells, typed, and with what was missed. No socket, no clock."""

from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches
from typing import Any, Final

import msgspec

from ..contract.frames import UnreadableReply, read_outcome, read_target
from ..contract.ids import VENUES, CommandID, Target, Venue
from ..contract.outcomes import Outcome
from .results import ReplyMap

OF_A_VENUE: Final = ("outcome", "late", "session", "order", "deadman")
OF_ALL: Final = ("kill", "lease", "alert")


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One event. `body` is the map as received, with whatever is not a member here.

    ts: RFC 3339 UTC. monotonic_ns: CLOCK_MONOTONIC of this machine.
    missed: how many events of this topic were lost right before this one, because this program did not read or was not
    connected; 0 for the first one that is heard. None when that cannot be told: the daemon was started anew in between.
    Nothing brings them back: ask for what matters (`status`, the same command id again).
    """

    topic: str
    ts: str
    monotonic_ns: int
    missed: int | None
    body: ReplyMap


class Settled(Event, frozen=True, kw_only=True):
    """Topic `outcome.<venue>`: a command, anybody's, was answered so."""

    venue: Venue
    id: CommandID | None
    outcome: Outcome
    target: Target | None
    order_id: str | None


class Late(Settled, frozen=True, kw_only=True):
    """Topic `late.<venue>`: what a command came to that had been answered `unknown`. Its reply stays as it was."""


class OrderEnded(Event, frozen=True, kw_only=True):
    """Topic `order.<venue>`: an order ended, whoever ended it. `state`: filled, canceled, expired."""

    venue: Venue
    order_id: str
    state: str
    cl_ord_id: str | None
    userref: int | None
    symbol: str | None
    filled_qty: str | None


class SessionChanged(Event, frozen=True, kw_only=True):
    """Topic `session.<venue>`: a connection to the venue changed its state."""

    venue: Venue
    name: str
    state: str
    why: str | None


class KillEvent(Event, frozen=True, kw_only=True):
    """Topic `kill`: the switch was pulled, came further or was re-armed; `state` says which."""

    state: str


class LeaseEvent(Event, frozen=True, kw_only=True):
    """Topic `lease`: taken, changed, given back, restored, expired or carried out; `state` says which."""

    strategy: str
    state: str


class DeadmanEvent(Event, frozen=True, kw_only=True):
    """Topic `deadman.<venue>`: something happened to the venue's own timer; `state` says what."""

    state: str


class Alert(Event, frozen=True, kw_only=True):
    """Topic `alert`: something for a person to act on."""

    severity: str
    what: str
    do: str


def check_topics(topics: Iterable[str]) -> tuple[str, ...]:
    """The topics to subscribe to, all of them when none is named. Raises ValueError, with the nearest that there is.

    One of a venue (`late.spot`) or of every venue (`late`).
    """
    known = [*OF_ALL, *OF_A_VENUE, *(f"{topic}.{venue}" for topic in OF_A_VENUE for venue in VENUES)]
    wanted = tuple(topics)
    for topic in wanted:
        if topic not in known:
            near = get_close_matches(topic, known, 1)
            hint = f", did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"no topic {topic!r}{hint}; there are {', '.join((*OF_ALL, *OF_A_VENUE))}")
    return wanted or ("",)


_TYPES: Final[dict[str, type[Event]]] = {
    "outcome": Settled,
    "late": Late,
    "order": OrderEnded,
    "session": SessionChanged,
    "kill": KillEvent,
    "lease": LeaseEvent,
    "deadman": DeadmanEvent,
    "alert": Alert,
}

_MADE: Final[dict[str, Callable[[ReplyMap], Any]]] = {"outcome": read_outcome, "target": read_target}
"""Members that are made of the whole body; any other is the member of the same name, None where there is none."""


class Gaps:
    """Counts what is missing between the events of one subscription, topic by topic."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[int, int]] = {}

    def before(self, topic: str, body: ReplyMap) -> int | None:
        """How many events of the topic are missing before this one; None when that cannot be told."""
        seq, started_ns = body.get("seq"), body.get("started_ns")
        if not isinstance(seq, int) or not isinstance(started_ns, int):
            return None
        before = self._last.get(topic)
        self._last[topic] = (started_ns, seq)
        if before is None:
            return 0
        return max(0, seq - before[1] - 1) if before[0] == started_ns else None


class EventReader:
    """Reads the messages of one subscription, and counts what is missing between them.

    unreadable: messages that are no events. They are left out.
    """

    def __init__(self) -> None:
        self.unreadable = 0
        self._gaps = Gaps()

    def read(self, frames: Sequence[bytes]) -> Event | None:
        """One message, frames `[topic, body]`; None when it is no event. A topic that is not known comes as `Event`."""
        try:
            topic, body = frames[0].decode(), msgspec.json.decode(frames[1], type=dict[str, Any])
            ts, monotonic_ns = str(body["ts"]), int(body["monotonic_ns"])
        except (LookupError, TypeError, ValueError, RecursionError, msgspec.DecodeError):
            self.unreadable += 1
            return None
        missed = self._gaps.before(topic, body)
        kind = _TYPES.get(topic.partition(".")[0], Event)
        own = kind.__struct_fields__[len(Event.__struct_fields__) :]
        try:
            read = {name: _MADE[name](body) if name in _MADE else body.get(name) for name in own}
        except (UnreadableReply, TypeError):
            kind, read = Event, {}
        return kind(topic=topic, ts=ts, monotonic_ns=monotonic_ns, missed=missed, body=body, **read)
