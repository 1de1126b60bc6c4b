"""Makes the kill switch and its file agree, on `latched` wherever they differ.

The file `latch` is what a restart finds. It is written behind the first bytes to the venues and for as long as the disk
takes, put back when it vanishes, and latches us when somebody else (`canceld panic`) has written it, or has put there
what is no file. What must never happen here: a switch called durable that a restart would find armed; an operator told
that it is armed while its file is still there.
"""

from collections.abc import Callable, Sequence
from typing import Final

import structlog
import trio

from ..contract.ids import Venue
from ..engine.latch import Latch, Switch, format_latch, parse_latch
from ..transport.clock import Clock
from ..transport.disk import Directory
from ..transport.files import DiskFailed
from .events import Events

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

LATCH_FILE: Final = "latch"

LATCH_LOOK_S: Final = 1.0
"""How often the latch file is compared with the switch: `canceld panic` latches it past us."""

DISK_RETRY_S: Final = 1.0
"""Pause before a latch that could not be stored is stored again."""

UNSTORED: Final = "the kill switch is latched, but a restart would not know it"
UNSEEN: Final = "the latch file cannot be looked for"
"""Alerts."""


class LatchFile:
    """The switch and its file.

    latched: told of a latch that was put there past us; it cancels what that covers. news: looks who can be answered.
    adopted: told before that, for what another program may have changed beside the latch.
    """

    def __init__(
        self,
        directory: Directory,
        venues: Sequence[Venue],
        clock: Clock,
        events: Events,
        *,
        latched: Callable[[Latch], None],
        news: Callable[[], None],
        adopted: Callable[[], None],
    ) -> None:
        """Reads the latch. venues: those that the daemon serves."""
        self._directory = directory
        self._venues = venues
        self._clock = clock
        self._events = events
        self._latched = latched
        self._news = news
        self._adopted = adopted
        self._unstored = trio.Event()
        self.durable = True
        """Whether a restart would find the switch as it is now."""
        self.clearing: Latch | None = None
        """The latch whose file is being removed; until that is gone, nobody is told that the switch is armed."""
        try:
            latch = self._read()
        except DiskFailed as failed:
            latch = _unreadable(failed)
        self.switch = Switch(latch)

    @property
    def standing(self) -> Latch | None:
        """The latch as people are told of it."""
        return self.switch.latch or self.clearing

    def trip(self, latch: Latch) -> None:
        """Latch the switch, and have that stored."""
        self.switch.trip(latch)
        self.durable = False
        self._unstored.set()

    def close(self) -> None:
        """The process ends: a latch that is not stored yet is stored now, for as long as the disk takes."""
        latch = self.switch.latch
        if latch is None or self.durable:
            return
        try:
            self._directory.replace_now(LATCH_FILE, format_latch(latch))
        except DiskFailed as failed:
            log.error("latch not stored", latch=format_latch(latch).decode(), why=failed.detail)

    async def clear(self, latch: Latch, deadline_ns: int) -> str | None:
        """Remove the file of a switch that was re-armed; a file that stays would latch the next start.

        None when it is gone. Else why not: the switch is latched then, as it was or anew.
        """
        try:
            with trio.fail_after(max(deadline_ns - self._clock.monotonic_ns(), 0) / 1e9):
                await self._directory.remove(LATCH_FILE)
        except (DiskFailed, trio.TooSlowError) as failed:
            why = failed.detail if isinstance(failed, DiskFailed) else "the disk has not answered in time"
            self.clearing = None
            # The file may be gone all the same, or go yet: it is written again behind that.
            self.trip(latch)
            return f"the latch file cannot be removed: {why}"
        self.clearing = None
        if self.switch.latch is not None:
            # Pulled again meanwhile: that one stands, and its file is written anew.
            self._unstored.set()
            return "confirm: the switch was pulled again meanwhile"
        self._events.clear(UNSTORED)
        return None

    def start(self, nursery: trio.Nursery) -> None:
        """Have it stored and watched for as long as the nursery lives."""
        nursery.start_soon(self._store, name="latch keeper")
        nursery.start_soon(self._watch, name="latch watch")

    async def _store(self) -> None:
        """Make the latch durable, for as long as it takes."""
        while True:
            await self._unstored.wait()
            self._unstored = trio.Event()
            latch = self.switch.latch
            if latch is None:
                continue
            try:
                await self._directory.replace(LATCH_FILE, format_latch(latch))
            except DiskFailed as failed:
                log.error("latch not stored", latch=format_latch(latch).decode(), why=failed.detail)
                self._events.alert("critical", UNSTORED, f"mend the disk: {failed.detail}")
                await trio.sleep(DISK_RETRY_S)
                self._unstored.set()
                continue
            self._events.clear(UNSTORED)
            self.durable = self.switch.latch is latch
            self._news()

    async def _watch(self) -> None:
        """The latch file is written by `panic` too, and must never be missing while the switch is pulled."""
        while True:
            await trio.sleep(LATCH_LOOK_S)
            if self.clearing is None:
                self.adopt()

    def _read(self) -> Latch | None:
        """What lies at the latch's place; None only for nothing. Raises DiskFailed when not even that can be told."""
        try:
            latch = parse_latch(self._directory.read(LATCH_FILE))
        except DiskFailed as failed:
            if not self._directory.exists(LATCH_FILE):
                return None  # it was there a moment ago
            return _unreadable(failed)
        if latch is None and self._directory.exists(LATCH_FILE):
            return Latch(trigger="unreadable", reason="the latch file leads nowhere")
        return latch

    def adopt(self) -> None:
        """Make the switch and its file agree, on `latched` wherever they differ."""
        try:
            latch = self._read()
        except DiskFailed as failed:
            # Whether anybody has latched us is not known; a disk in trouble is no reason to cancel everything.
            self._events.alert("critical", UNSEEN, f"mend it: {failed.detail}")
            return
        self._events.clear(UNSEEN)
        held = self.switch.latch
        if latch is not None and (held is None or self._wider(latch, held)):
            self._adopted()
            self._latched(latch)
            self.switch.trip(latch)
            log.error("latched from outside", trigger=latch.trigger, reason=latch.reason, who=latch.who)
        elif latch is not None and held is not None and self._wider(held, latch):
            self._unstored.set()
        elif latch is None and held is not None and self.durable:
            self.durable = False
            self._unstored.set()
            self._events.alert(
                "critical", "the latch file vanished while the switch was pulled", "it is put back; see who did it"
            )

    def _wider(self, one: Latch, other: Latch) -> bool:
        """Whether one latch covers venues of ours that the other does not."""
        return any(one.covers(venue) and not other.covers(venue) for venue in self._venues)


def _unreadable(failed: DiskFailed) -> Latch:
    return Latch(trigger="unreadable", reason=f"the latch file cannot be read: {failed.detail}")
