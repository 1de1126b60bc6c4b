"""Notes for the audit record, from the call to the writer: a bounded queue that counts what it had no room for.

A note costs its caller about a microsecond. Which lines they become, and when, is journal.py's.
"""

from collections import deque
from typing import Any, Final, Protocol

import trio

from ..engine.journal import Entry
from ..transport.clock import Clock

QUEUE_LIMIT: Final = 32_768
"""Most notes that wait to become lines: a second of full speed. While the disk fails they are the record's memory, some
30 MiB."""

QUEUE_RESERVE: Final = 1_024
"""Room beyond it for what must not be lost among a flood of frames."""

RESERVED: Final = frozenset({"kill", "rearm", "start", "stop", "alert", "session", "gap"})


class Alarm(Protocol):
    """Whom to tell that the record fails: the events."""

    def alert(self, severity: str, what: str, do: str) -> None: ...

    def clear(self, what: str) -> None: ...


class Notes:
    """What was noted and is no line yet, oldest first."""

    def __init__(self, clock: Clock) -> None:
        self.dropped = 0
        """Notes that found no room, in all."""
        self._utc_ns = clock.utc_ns
        self._monotonic_ns = clock.monotonic_ns
        self._waiting: deque[Entry] = deque()
        # How many of them the record has not told of.
        self._lost = 0
        # While the writer has nothing to do.
        self._asleep: trio.Event | None = None

    def note(self, kind: str, /, **fields: Any) -> None:
        """Record an event. Costs about a microsecond; nothing is encoded, hashed or written before others had a turn.

        fields: plain values that nobody changes any more; frames as `frame`, cut with `clipped`.
        """
        waiting = self._waiting
        if self._lost or len(waiting) >= QUEUE_LIMIT:
            self._note_crowded(kind, fields)
        else:
            waiting.append((self._utc_ns(), self._monotonic_ns(), kind, fields))
        if self._asleep is not None:
            self._asleep.set()
            self._asleep = None

    def _note_crowded(self, kind: str, fields: dict[str, Any]) -> None:
        room = QUEUE_LIMIT - len(self._waiting)
        if room > 0:
            self._tell_lost()
        elif kind not in RESERVED or room <= -QUEUE_RESERVE:
            self._lost += 1
            self.dropped += 1
            return
        self._waiting.append((self._utc_ns(), self._monotonic_ns(), kind, fields))

    def _tell_lost(self) -> None:
        """Say in the record how many notes are missing at this place."""
        if self._lost:
            fields = {"dropped": self._lost, "why": self._why_lost()}
            self._lost = 0
            self._waiting.append((self._utc_ns(), self._monotonic_ns(), "gap", fields))

    def _why_lost(self) -> str:
        return "more was noted than could be written"
