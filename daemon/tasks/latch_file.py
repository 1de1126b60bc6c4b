"""Makes the kill switch and its files agree, on `latched` wherever they differ.

The file `latch` is what a restart finds. It is written behind the first bytes to the venues and for as long as the disk
takes, put back when it vanishes, and latches us when somebody else (`canceld panic`) has written it. The file `kill` is
a trigger: whoever may create it pulls the switch. What must never happen here: a switch called durable that a restart
would find armed; an operator told that it is armed while its file is still there.
"""

from collections.abc import Callable, Sequence
from typing import Final

import structlog
import trio

from ..contract.ids import Venue
from ..engine.latch import Latch, Switch, Trigger, format_latch, parse_latch
from ..transport.clock import Clock
from ..transport.disk import Directory
from ..transport.files import DiskFailed
from .events import Events

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

LATCH_FILE: Final = "latch"
TRIGGER_FILE: Final = "kill"
"""The switch's state, and the file whose appearance pulls it."""

TRIGGER_LOOK_S: Final = 0.1
"""How often the trigger file is looked for."""

LATCH_LOOK_S: Final = 1.0
"""How often the latch file is compared with the switch: `canceld panic` latches it past us."""

DISK_RETRY_S: Final = 1.0
"""Pause before a latch that could not be stored is stored again."""

UNSTORED: Final = "the kill switch is latched, but a restart would not know it"
"""An alert."""

REASON_BYTES: Final = 512
"""What is read of the trigger file as the reason."""


class LatchFile:
    """The switch and its files.

    sweep: cancels what a latch covers. pull: latches for a trigger. news: looks who can be answered now.
    """

    def __init__(
        self,
        directory: Directory,
        venues: Sequence[Venue],
        clock: Clock,
        events: Events,
        *,
        sweep: Callable[[Latch], None],
        pull: Callable[[Trigger, str], None],
        news: Callable[[], None],
    ) -> None:
        """Reads the latch. venues: those that the daemon serves."""
        self._directory = directory
        self._venues = venues
        self._clock = clock
        self._events = events
        self._sweep = sweep
        self._pull = pull
        self._news = news
        self._unstored = trio.Event()
        self.durable = True
        """Whether a restart would find the switch as it is now."""
        self.clearing: Latch | None = None
        """The latch whose file is being removed; until that is gone, nobody is told that the switch is armed."""
        try:
            latch = parse_latch(directory.read(LATCH_FILE))
        except DiskFailed as failed:
            latch = Latch(trigger="unreadable", reason=f"the latch file cannot be read: {failed.detail}")
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
        nursery.start_soon(self._watch_trigger, name="kill trigger")
        nursery.start_soon(self._watch_latch, name="latch watch")

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
            await self._remove_trigger()
            self._news()

    async def _remove_trigger(self) -> None:
        try:
            if self._directory.exists(TRIGGER_FILE):
                await self._directory.remove(TRIGGER_FILE)
        except DiskFailed as failed:
            self._events.alert("warning", "the kill trigger file stays", f"remove it: {failed.detail}")

    async def _watch_trigger(self) -> None:
        """Pull when the trigger file is there, once for a file that cannot be removed."""
        pulled = False
        while True:
            there = self._trigger()
            if there is not None and not pulled:
                # `panic` leaves both files: what is in the latch is the cause then.
                self._adopt()
                self._pull("file", there)
            pulled = there is not None
            await trio.sleep(TRIGGER_LOOK_S)

    def _trigger(self) -> str | None:
        """The reason in the trigger file; None when there is no such file."""
        try:
            if not self._directory.exists(TRIGGER_FILE):
                return None
        except DiskFailed as failed:
            # Whether anybody asks for a kill is not known; a disk in trouble is no reason to cancel everything.
            self._events.alert("critical", "the kill trigger file cannot be looked for", f"mend it: {failed.detail}")
            return None
        try:
            written = self._directory.read(TRIGGER_FILE) or b""
        except DiskFailed as failed:
            return f"the file {TRIGGER_FILE}, which cannot be read: {failed.detail}"
        return written[:REASON_BYTES].decode(errors="replace").strip() or f"the file {TRIGGER_FILE}"

    async def _watch_latch(self) -> None:
        """The latch file is written by `panic` too, and must never be missing while the switch is pulled."""
        while True:
            await trio.sleep(LATCH_LOOK_S)
            if self.clearing is None:
                self._adopt()

    def _adopt(self) -> None:
        """Make the switch and its file agree, on `latched` wherever they differ."""
        try:
            latch = parse_latch(self._directory.read(LATCH_FILE))
        except DiskFailed:
            return
        held = self.switch.latch
        if latch is not None and (held is None or self._wider(latch, held)):
            self._sweep(latch)
            self.switch.trip(latch)
            log.error("latched from outside", trigger=latch.trigger, reason=latch.reason, who=latch.who)
            told = {"state": "latched", "trigger": latch.trigger, "reason": latch.reason, "who": latch.who}
            self._events.kill(told)
            self._events.alert("critical", "the kill switch is latched", f"{latch.trigger}: {latch.reason}")
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
