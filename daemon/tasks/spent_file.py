"""Keeps `dials` in the state directory: what this process and those before it spent of the venues' budgets."""

from typing import Final

import structlog

from ..engine.spent import HEADER, RECORD_BYTES, BadSpent, Kind, Spent, read
from ..transport.clock import Clock
from ..transport.disk import Directory, DiskFailed
from .events import Events

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

DIALS_FILE: Final = "dials"
UNKEPT: Final = "the times of the last dials are not kept"


class SpentFile:
    """The file, read once and written to from then on. What is wrong with it never keeps the daemon from starting."""

    def __init__(self, directory: Directory, clock: Clock, events: Events) -> None:
        self._clock = clock
        self._found: dict[Kind, list[int]] = {}
        try:
            content = directory.read(DIALS_FILE)
            next_slot = 0
            if content is not None:
                self._found, next_slot = read(content)
            self._spent = Spent(directory.map(DIALS_FILE, RECORD_BYTES, HEADER), next_slot)
        except (DiskFailed, BadSpent) as bad:
            self._spent = Spent(None)
            told = bad.detail if isinstance(bad, DiskFailed) else str(bad)
            mend = "mend it or move it away; a crash loop could get this address banned"
            do = f"{DIALS_FILE} in state.dir {told}: {mend}"
            log.error(UNKEPT, why=told)
            events.alert("warning", UNKEPT, do)

    def note(self, kind: Kind) -> None:
        """It happens now."""
        self._spent.note(kind, self._clock.utc_ns())

    def take_back(self, kind: Kind) -> None:
        """The newest of this kind did not happen after all."""
        self._spent.take_back(kind)

    def before(self, kind: Kind, within_ns: int) -> list[int]:
        """When it happened before this process began, on the monotonic clock, oldest first.

        What lies in the future was noted before the clock was set back: it counts as of now, for want of a better time.
        """
        ahead_ns = self._clock.utc_ns() - self._clock.monotonic_ns()
        now_ns = self._clock.monotonic_ns()
        times_ns = [min(utc_ns - ahead_ns, now_ns) for utc_ns in self._found.get(kind, ())]
        return [at_ns for at_ns in times_ns if at_ns > now_ns - within_ns]
