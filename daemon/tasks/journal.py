"""The audit record's writer: takes notes in a plain call, and makes them durable without anybody waiting for it.

Encoding, hashing and the disk are the writer's alone. It writes within 50 ms of a note and syncs within a second. A
disk that is full, fails or hangs stops the record and nothing else: notes wait in memory, all but the frames go to the
log as well, an alert says so, what found no room is counted, and the record tells of the gap when it goes on.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Final

import structlog
import trio

from ..engine.journal import (
    FILE_BYTES,
    HEAD,
    RECORD_BYTES,
    ROOT,
    Chain,
    Head,
    files_among,
    format_head,
    next_file,
    parse_head,
    surplus,
    unpacked_among,
)
from ..engine.journal_check import Resumed, first_of, record_in, resume
from ..transport.clock import Clock
from ..transport.disk import Directory, DiskFailed, Diverged
from ..transport.packed import packed_name
from .notes import Alarm, Notes

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

DIRECTORY: Final = "journal"
"""Where the files are, inside state.dir."""

FRAMES: Final = frozenset({"frame_out", "frame_in"})
UNLOGGED: Final = frozenset({"event", "n", "ts", "monotonic_ns", "prev"})
"""Members of a line that mean nothing in the log, or have their own place there."""

FLUSH_S: Final = 0.035
"""How long notes are gathered before they are written: together with the write it stays below 50 ms. Each write costs
a thread its start, which a cancel in the same millisecond feels."""

SYNC_S: Final = 0.5
"""From the first write to the sync: with a disk that takes its time it is still within the second."""

HEAD_S: Final = 5.0
"""How old the head may be: each costs three syncs, and a start reads what came after it."""

GATHER_S: Final = 0.004
"""How long notes wait to become lines while more of them come. All that one write takes, made into lines at its time,
would be a millisecond's work in the way of whatever cancel comes then; and notes that are still in the processor's
cache cost less to read and to free."""

HEAD_BYTES: Final = 64 << 10
SLICE: Final = 16
"""Notes encoded before other tasks get their turn: some 40 us."""

TELL_SLICE: Final = 8
"""Lines told to the log before other tasks get their turn."""

SLICES: Final = 16
"""In so many slices a queue is worked off, as long as they stay short."""

SLICE_LIMIT: Final = 256
"""Notes in the longest slice: about a millisecond, in which a kill would wait. As many as a full round of the gateway
makes, four for each of its cancels, so that the writer keeps up."""

BATCH_BYTES: Final = 256 << 10
"""So many bytes of lines are enough for one write."""

MANY: Final = 512
"""With so many waiting the next write follows at once; fewer are gathered first, since each write costs a thread."""

RETRY_S: Final = 1.0
CLOSE_S: Final = 2.0
"""How long the last lines may take at the end."""

CANNOT_WRITE: Final = "the audit journal cannot be written"
CHANGED: Final = "the audit journal was changed by somebody else"


class Journal(Notes):
    """One record. `note` may be called at any time; `run` writes until it is cancelled, `close` writes the rest."""

    def __init__(
        self, state: Directory, clock: Clock, *, censor: Callable[[bytes], bytes] = lambda encoded: encoded
    ) -> None:
        """state: the directory that `journal/` lies in, which nobody else writes to. censor: as Chain takes it."""
        super().__init__(clock)
        self._state = state
        self._directory = state
        self._censor = censor
        self._alarm: Alarm | None = None
        # Set by the first look at the disk.
        self._chain: Chain | None = None
        self._file = ""
        self._offset = 0
        self._unwritten = bytearray()
        # How many lines that is, and how many of them and of the notes behind them the log has.
        self._lines = 0
        self._logged = 0
        self._shed_due = True
        self._written = Head("", 0, *ROOT)
        self._unsynced = trio.Event()
        self._syncing = trio.Lock()
        self._packable = trio.Event()
        self._head_due_ns = 0
        self._failing: dict[str, str] = {}
        self._failing_since_ns = 0

    def status(self) -> dict[str, Any]:
        """The record for a detailed `status`."""
        shown: dict[str, Any] = {
            "state": "failing" if self._failing else "opening" if self._chain is None else "written",
            "file": self._file,
            "lines": self._written.n,
            "waiting": self._lines + len(self._waiting),
            "dropped": self.dropped,
        }
        if self._failing:
            shown["why"] = next(iter(self._failing.values()))
        return shown

    # ---------------------------------------------------------------- the task

    async def run(self, alarm: Alarm) -> None:
        """Write until cancelled."""
        self._alarm = alarm
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._sync_on, name="journal sync")
            nursery.start_soon(self._pack_on, name="journal packing")
            while True:
                if not self._waiting and not self._unwritten and self._chain is not None:
                    self._asleep = trio.Event()
                    await self._asleep.wait()
                try:
                    await self._gather()
                    await self._write_batch()
                    while len(self._waiting) >= MANY:
                        await self._write_batch()
                except DiskFailed as failed:
                    self._fail("write", failed)
                    await self._tell_log()
                    await trio.sleep(RETRY_S)
                else:
                    self._heal("write")

    async def close(self) -> None:
        """Write and sync what is left, within CLOSE_S. `run` must have ended, and nobody is alerted any more."""
        self._alarm = None
        with trio.move_on_after(CLOSE_S, shield=True) as patience:
            try:
                await self._write_batch()
                while self._waiting:
                    await self._write_batch()
                self._head_due_ns = 0
                await self._sync()
            except DiskFailed as failed:
                self._fail("write", failed)
        if self._waiting or self._unwritten or patience.cancelled_caught:
            with trio.CancelScope(shield=True):
                await self._tell_log()
            left = self._lines + len(self._waiting)
            log.error("the last lines of the audit journal are not on the disk", left=left)

    async def _gather(self) -> None:
        """Make lines of the notes as they come, until the write is due. Raises DiskFailed."""
        due = trio.current_time() + FLUSH_S
        pause_s = GATHER_S
        while len(self._unwritten) < BATCH_BYTES and (left_s := due - trio.current_time()) > 0:
            await trio.sleep(min(pause_s, left_s))
            if not self._waiting:
                # They come singly: the few there may be by then are made at once.
                pause_s = FLUSH_S
            else:
                await self._encode()

    async def _write_batch(self) -> None:
        """What waits, as much as one write takes. Raises DiskFailed; then all of it waits on."""
        await self._encode()
        await self._flush()
        if self._shed_due:
            await self._shed()
        if not self._waiting:
            self._tell_lost()

    async def _open(self) -> None:
        """Find out where the record goes on."""

        def look() -> tuple[Directory, Resumed]:
            directory = self._state.subdirectory(DIRECTORY)
            head = parse_head(directory.read_part(HEAD, 0, HEAD_BYTES) or None)
            return directory, resume(files_among(directory.names()), directory.read_part_packed, head)

        self._directory, resumed = await self._state.apart(look)
        self._chain = Chain(resumed.link, resumed.kill, self._censor)
        self._file, self._offset = resumed.file or next_file(None), resumed.size
        if resumed.broken:
            self._unwritten += b"\n"
        if resumed.recovery is not None:
            log.warning("audit journal recovered", path=self._file, count=resumed.recovery.get("lost", 0))
            self._add("recovery", resumed.recovery)
            if self._alarm is not None and resumed.recovery.get("lost"):
                what = f"{resumed.recovery['lost']} lines of the audit journal are gone"
                self._alarm.alert("critical", what, "find out who or what removed them; canceld journal --verify")

    async def _encode(self) -> None:
        """Make lines of what waits, as many as one write takes, a few at a time. Raises DiskFailed."""
        if self._chain is None:
            await self._open()
        assert self._chain is not None
        if not self._unwritten and self._offset >= FILE_BYTES:
            await self._rotate()
        waiting = self._waiting
        while waiting and len(self._unwritten) < BATCH_BYTES:
            # A flood notes more in a round of the tasks than a slice takes: the longer the queue, the longer the slice.
            count = min(max(SLICE, len(waiting) // SLICES), SLICE_LIMIT, len(waiting))
            self._unwritten += self._chain.lines([waiting.popleft() for _ in range(count)])
            self._lines += count
            if waiting:
                await trio.lowlevel.checkpoint()

    def _add(self, kind: str, fields: dict[str, Any]) -> None:
        """A line of the writer's own, ahead of everything that waits."""
        assert self._chain is not None
        self._unwritten += self._chain.lines([(self._utc_ns(), self._monotonic_ns(), kind, fields)])
        if self._logged > self._lines:
            # It comes before notes that the log has.
            self._logged += 1
        self._lines += 1

    async def _flush(self) -> None:
        assert self._chain is not None
        if not self._unwritten:
            return
        try:
            await self._directory.extend(self._file, self._offset, bytes(self._unwritten))
        except Diverged as diverged:
            # The lines in hand go to a file that nobody has touched; `--verify` finds the damage in this one.
            if self._alarm is not None:
                self._alarm.alert("critical", CHANGED, f"{diverged}; find out who did it; canceld journal --verify")
            self._file, self._offset = next_file(self._file), 0
            raise
        self._offset += len(self._unwritten)
        self._unwritten.clear()
        self._logged = max(0, self._logged - self._lines)
        self._lines = 0
        self._written = Head(self._file, self._offset, *self._chain.link, self._chain.kill)
        self._unsynced.set()

    async def _rotate(self) -> None:
        """Go on in the next file. Its first line tells of a kill that stands, so that no removal loses it."""
        assert self._chain is not None
        self._head_due_ns = 0
        await self._sync()
        before, self._file, self._offset = self._file, next_file(self._file), 0
        self._add("file", {"after": before, "kill": self._chain.kill})
        self._shed_due = True

    async def _shed(self) -> None:
        """Remove the oldest files where there are too many, each after the record durably says what goes."""
        directory = self._directory
        stored = await directory.apart(
            lambda: [(file, directory.stored_bytes(file)) for file in files_among(directory.names())]
        )
        files = [file for file, _ in stored]
        for file, following in zip(surplus(stored, RECORD_BYTES), files[1:], strict=False):
            first = await directory.apart(partial(first_of, directory.read_part_packed, file))
            next_first = await directory.apart(partial(first_of, directory.read_part_packed, following))
            if next_first is not None:
                told = {"file": file, "through": next_first["n"] - 1, "hash": next_first["prev"]}
                if first is not None:
                    told |= {"from": first["n"], "from_ts": first["ts"], "kill": first.get("kill")}
                self._add("removed", told)
                await self._flush()
                await directory.sync(self._file)
            await directory.remove(file)
            await directory.remove(packed_name(file))
        self._shed_due = False
        self._packable.set()

    async def _pack_on(self) -> None:
        """Pack the files that are closed, one at a time. One that cannot be packed stays as it is, and is told."""
        while True:
            await self._packable.wait()
            self._packable = trio.Event()
            try:
                for file in unpacked_among(await self._directory.apart(self._directory.names)):
                    await self._directory.pack(file)
            except DiskFailed as failed:
                # The next file that is closed is the next occasion.
                log.warning("a closed file of the audit journal is not packed", error=str(failed))

    # ---------------------------------------------------------------- durability

    async def _sync_on(self) -> None:
        while True:
            await self._unsynced.wait()
            await trio.sleep(SYNC_S)
            try:
                await self._sync()
            except DiskFailed as failed:
                self._fail("sync", failed)
                await trio.sleep(RETRY_S)
            else:
                self._heal("sync")

    async def _sync(self) -> None:
        """Make what is written durable, and now and then the head. Raises DiskFailed; it is then still due."""
        async with self._syncing:
            written = self._written
            if not written.n:
                return
            self._unsynced = trio.Event()
            try:
                await self._directory.sync(written.file)
                now_ns = self._monotonic_ns()
                if now_ns >= self._head_due_ns:
                    await self._directory.replace(HEAD, format_head(written))
                    self._head_due_ns = now_ns + int(HEAD_S * 1e9)
            except BaseException:
                self._unsynced.set()
                raise

    # ---------------------------------------------------------------- when the disk fails

    def _why_lost(self) -> str:
        return next(iter(self._failing.values()), super()._why_lost())

    def _fail(self, part: str, failed: DiskFailed) -> None:
        if not self._failing:
            self._failing_since_ns = self._monotonic_ns()
            log.error(CANNOT_WRITE, error=str(failed))
        self._failing[part] = failed.detail
        if self._alarm is not None:
            do = f"{failed}; mend the disk; cancels go on, the record is kept in memory and in the log"
            self._alarm.alert("critical", CANNOT_WRITE, do)

    def _heal(self, part: str) -> None:
        if part not in self._failing:
            return
        why = self._failing.pop(part)
        if self._failing:
            return
        self._logged = 0
        lasted_s = (self._monotonic_ns() - self._failing_since_ns) / 1e9
        log.warning("the audit journal is written again", waited_s=lasted_s, dropped=self.dropped)
        self.note("gap", dropped=0, why=f"{part} failed: {why}", lasted_s=lasted_s)
        if self._alarm is not None:
            self._alarm.clear(CANNOT_WRITE)

    async def _tell_log(self) -> None:
        """Put what is not on the disk and no frame into the log too, each once: memory is lost with the process."""
        lines = [line for line in bytes(self._unwritten).split(b"\n") if line]
        while self._logged < len(lines) + len(self._waiting):
            if self._logged < len(lines):
                fields = record_in(lines[self._logged]) or {}
                kind = fields.pop("kind", "line")
            else:
                _, _, kind, fields = self._waiting[self._logged - len(lines)]
            if kind not in FRAMES:
                log.warning(f"journal {kind}", **{name: told for name, told in fields.items() if name not in UNLOGGED})
            self._logged += 1
            if self._logged % TELL_SLICE == 0:
                await trio.lowlevel.checkpoint()
