"""The file `kill` in the state directory: whoever may create it pulls the switch.

Every distinct file counts, told by its place on the disk and its time, so that one which is written over another, or
which could not be removed, hides none. Whatever lies there counts: a directory, a pipe, a dangling link, a file that
nobody may read. It is removed once the latch is stored, and the switch is not re-armed while one is there.
"""

from collections.abc import Callable
from typing import Final

import trio

from ..engine.latch import Trigger
from ..transport.clock import rfc3339
from ..transport.disk import Directory, Identity
from ..transport.files import DiskFailed
from .events import Events

TRIGGER_FILE: Final = "kill"

TRIGGER_LOOK_S: Final = 0.1
"""How often it is looked for."""

REMOVE_PAUSE_S: Final = 1.0
"""Least pause before a file that stayed is removed again."""

REASON_BYTES: Final = 512
"""What is read of it as the reason."""

UNSEEN: Final = "the kill trigger file cannot be looked for"
STAYS: Final = "the kill trigger file stays"
"""Alerts."""


class TriggerFile:
    """Watches for the file and takes it away.

    adopt: takes over a latch that somebody stored past us. pull: latches, for this reason and by whom. stored: whether
    the switch is latched and a restart would know it.
    """

    def __init__(
        self,
        directory: Directory,
        events: Events,
        *,
        adopt: Callable[[], None],
        pull: Callable[[Trigger, str, str], None],
        stored: Callable[[], bool],
    ) -> None:
        self._directory = directory
        self._events = events
        self._adopt = adopt
        self._pull = pull
        self._stored = stored
        self._pulled: Identity | None = None
        self._remove_at = 0.0

    def forbids_rearm(self) -> str | None:
        """Why the switch must not be re-armed now; None when no trigger is there."""
        path = self._directory.root / TRIGGER_FILE
        try:
            if self._directory.identity(TRIGGER_FILE) is None:
                return None
        except DiskFailed as failed:
            return f"the kill trigger file {path} cannot be looked for: {failed.detail}"
        return f"the kill trigger file {path} is there, and would pull the switch again: remove it"

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            try:
                there = self._directory.identity(TRIGGER_FILE)
            except DiskFailed as failed:
                # Whether anybody asks for a kill is not known; a disk in trouble is no reason to cancel everything.
                self._events.alert("critical", UNSEEN, f"mend it: {failed.detail}")
            else:
                self._events.clear(UNSEEN)
                await self._heed(there)
            await trio.sleep(TRIGGER_LOOK_S)

    async def _heed(self, there: Identity | None) -> None:
        """Three cases. 1 nothing is there: the next file is a new one, also where somebody brings the last one back.
        2 a file that has not pulled yet. 3 one that has, and is removed once the latch is stored."""
        if there is None:
            self._pulled = None
        elif there != self._pulled:
            self._pulled = there
            # `panic` leaves both files: what is in the latch is the cause then.
            self._adopt()
            self._pull("file", self._reason(), _whose(there))
        elif self._stored() and trio.current_time() >= self._remove_at:
            await self._remove()

    def _reason(self) -> str:
        try:
            written = self._directory.read_part(TRIGGER_FILE, 0, REASON_BYTES)
        except DiskFailed as failed:
            return f"the file {TRIGGER_FILE}, which cannot be read: {failed.detail}"
        return written.decode(errors="replace").strip() or f"the file {TRIGGER_FILE}"

    async def _remove(self) -> None:
        try:
            await self._directory.remove(TRIGGER_FILE)
        except DiskFailed as failed:
            path = self._directory.root / TRIGGER_FILE
            self._events.alert(
                "warning", STAYS, f"remove {path}: no re-arm while it is there, and a restart pulls it: {failed.detail}"
            )
            self._remove_at = trio.current_time() + REMOVE_PAUSE_S
        else:
            self._events.clear(STAYS)


def _whose(there: Identity) -> str:
    """Who left it, as far as the kernel tells: whose it is and since when, not which process wrote it."""
    try:
        return f"uid {there.uid}, written {rfc3339(there.changed_ns)}"
    except (ValueError, OverflowError, OSError):
        # Whoever writes a file may give it any time, also one that no calendar has.
        return f"uid {there.uid}"
