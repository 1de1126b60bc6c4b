"""The audit record's near end: takes notes in a plain call, and has them written down without anybody waiting for it.

Every 20 ms what was noted goes to the scribe as one block, without the secrets that are known: `scribe/` makes lines
of it, chains and syncs them, in a process of its own. It writes within 50 ms of a note and syncs within a second. A
disk that is full, fails or hangs, and a scribe that ends, stop the record and nothing else: notes wait in memory, all
but the frames go to the log as well, an alert says so, what found no room is counted, and the record tells of the gap
when it goes on. A block is kept until the scribe tells that it is written; another scribe is handed it again.
"""

from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any, Final, NamedTuple

import structlog
import trio

from ..engine.journal import Entry, spoken
from ..scribe.in_place import InPlace
from ..scribe.messages import (
    Alert,
    Begin,
    Block,
    Failed,
    Healed,
    News,
    Stream,
    Told,
    Written,
    framed,
    news_in,
    order_in,
    pack,
    packed_block,
)
from ..transport.clock import Clock
from ..transport.disk import Directory
from ..transport.scribe import Scribe, ScribeFailed
from .notes import Alarm, Notes

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

FRAMES: Final = frozenset({"frame_out", "frame_in"})
BLOCK_S: Final = 0.02
"""How long notes are gathered before they are handed on: with the write it stays below 50 ms."""

SLICE: Final = 256
"""Notes in one block: a kill that comes while it is packed waits for some 50 us."""

WINDOW_BYTES: Final = 8 << 20
"""Blocks that are kept until they are known to be written: some 50,000 notes, packed a third of what they take as they
wait. The pipe has the first of them, so that a scribe that waited for a core finds enough to do when it has one."""

HANG_S: Final = 6.0
"""How long a block may take to be written before the disk is said to hang: longer than the disk's own time limit."""

RETRY_S: Final = 1.0
TELL_SLICE: Final = 8
"""Notes told to the log before other tasks get their turn."""

CLOSE_S: Final = 2.0
"""How long the last lines may take at the end."""

CANNOT_WRITE: Final = "the audit journal cannot be written"


class _Sent(NamedTuple):
    """A block that is not known to be written."""

    number: int
    message: bytes
    notes: int
    at_s: float


class Journal(Notes):
    """One record. `note` may be called at any time; `run` has notes written until it is cancelled, `close` the rest."""

    def __init__(
        self,
        state: Directory,
        clock: Clock,
        *,
        censor: Callable[[bytes], bytes] = lambda packed: packed,
        scribe: Scribe | None = None,
    ) -> None:
        """state: the directory that `journal/` lies in, which nobody else writes to. censor: takes known secrets out
        of a block and leaves its length. scribe: who writes; without one it is done in this process.
        """
        super().__init__(clock)
        self._censor = censor
        self._scribe: Scribe = InPlace(state, clock) if scribe is None else scribe
        self._alarm: Alarm | None = None
        self._number = 0
        self._sent: deque[_Sent] = deque()
        self._sent_bytes = 0
        # How many of the notes in them and of those that wait the log has.
        self._logged = 0
        self._heard = Stream()
        self._at: Written | None = None
        # Whether there is a scribe that was handed all of `_sent`.
        self._is_served = False
        self._room = trio.Event()
        self._busy = trio.Event()
        self._failing: dict[str, str] = {}
        self._failing_since_ns = 0

    def status(self) -> dict[str, Any]:
        """The record for a detailed `status`."""
        at = self._at
        shown: dict[str, Any] = {
            "state": "failing" if self._failing else "opening" if at is None else "written",
            "file": "" if at is None else at.file,
            "lines": 0 if at is None else at.n,
            "waiting": self._count() + len(self._waiting),
            "dropped": self.dropped,
        }
        if self._failing:
            shown["why"] = next(iter(self._failing.values()))
        return shown

    # ---------------------------------------------------------------- the tasks

    async def run(self, alarm: Alarm) -> None:
        """Have notes written until cancelled."""
        self._alarm = alarm
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._feed, name="journal notes")
            nursery.start_soon(self._look, name="journal patience")
            while True:
                if await self._start():
                    async with trio.open_nursery() as life:
                        life.start_soon(self._scribe.pump, name="journal scribe")
                        await self._hear()
                        life.cancel_scope.cancel()
                    self._is_served = False
                    self._fail("scribe", self._scribe.why, self._scribe.why)
                await trio.sleep(RETRY_S)

    async def _start(self) -> bool:
        """Start a scribe and hand it again what the last one has not told of; whether that went well."""
        self._heard = Stream()
        try:
            await self._scribe.start(framed(pack(Begin(self._at))))
        except ScribeFailed as failed:
            self._fail("scribe", str(failed), str(failed))
            return False
        for sent in self._sent:
            self._scribe.put(sent.message)
        self._is_served = True
        return True

    async def close(self) -> None:
        """Have what is left written and synced, within CLOSE_S. `run` must have ended; nobody is alerted any more."""
        self._alarm = None
        with trio.move_on_after(CLOSE_S, shield=True):
            if self._is_served or await self._start():
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._scribe.pump, name="journal scribe")
                    nursery.start_soon(self._feed_last, name="journal notes")
                    await self._hear()
                    nursery.cancel_scope.cancel()
        if left := self._count() + len(self._waiting):
            with trio.CancelScope(shield=True):
                await self._tell_log()
            log.error("the last lines of the audit journal are not on the disk", left=left)

    async def _feed(self) -> None:
        while True:
            if not self._waiting:
                self._asleep = trio.Event()
                await self._asleep.wait()
            await trio.sleep(BLOCK_S)
            await self._hand_on()

    async def _feed_last(self) -> None:
        await self._hand_on()
        self._scribe.finish()

    async def _hand_on(self) -> None:
        """All that waits, a few at a time."""
        while self._waiting:
            if self._sent_bytes >= WINDOW_BYTES:
                self._room = trio.Event()
                await self._room.wait()
            waiting = self._waiting
            entries = [waiting.popleft() for _ in range(min(SLICE, len(waiting)))]
            self._number += 1
            message = framed(self._censor(packed_block(self._number, entries)))
            self._sent.append(_Sent(self._number, message, len(entries), trio.current_time()))
            self._sent_bytes += len(message)
            if self._is_served:
                self._scribe.put(message)
            self._busy.set()
            if not waiting:
                self._tell_lost()
            await trio.lowlevel.checkpoint()

    async def _hear(self) -> None:
        """Take in what the scribe tells until it ends."""
        data = b""
        while True:
            for message in self._heard.take(data):
                await self._take(news_in(message))
            data = await self._scribe.news()
            if not data:
                return

    async def _take(self, news: News) -> None:
        match news:
            case Written():
                self._written(news)
            case Failed(part, text, detail):
                self._fail(part, text, detail)
                await self._tell_log()
            case Healed(part):
                self._heal(part)
            case Alert(severity, what, do):
                if self._alarm is not None:
                    self._alarm.alert(severity, what, do)
            case Told(event, fields):
                log.warning(event, **fields)

    def _written(self, at: Written) -> None:
        self._at = at
        was_sent = len(self._sent)
        while self._sent and self._sent[0].number <= at.number:
            sent = self._sent.popleft()
            self._sent_bytes -= len(sent.message)
            self._logged = max(0, self._logged - sent.notes)
        if self._sent_bytes < WINDOW_BYTES:
            self._room.set()
        if not self._sent or len(self._sent) < was_sent:
            for part in ("scribe", "open", "write"):
                self._heal(part)

    # ---------------------------------------------------------------- when the disk or the scribe fails

    async def _look(self) -> None:
        """See, while something is under way, whether it takes too long."""
        while True:
            if not self._sent and not self._failing:
                self._busy = trio.Event()
                await self._busy.wait()
            await trio.sleep(RETRY_S)
            if self._sent and not self._failing and trio.current_time() - self._sent[0].at_s > HANG_S:
                why = f"nothing was written for {HANG_S:.0f} s"
                self._fail("write", why, why)
            if self._failing:
                await self._tell_log()

    def _why_lost(self) -> str:
        return next(iter(self._failing.values()), super()._why_lost())

    def _fail(self, part: str, text: str, detail: str) -> None:
        if not self._failing:
            self._failing_since_ns = self._monotonic_ns()
            log.error(CANNOT_WRITE, error=text)
        self._failing[part] = detail
        self._busy.set()
        if self._alarm is not None:
            do = f"{text}; mend the disk; cancels go on, the record is kept in memory and in the log"
            self._alarm.alert("critical", CANNOT_WRITE, do)

    def _heal(self, part: str) -> None:
        if part not in self._failing:
            return
        why = self._failing.pop(part)
        if self._failing:
            return
        lasted_s = (self._monotonic_ns() - self._failing_since_ns) / 1e9
        log.warning("the audit journal is written again", waited_s=lasted_s, dropped=self.dropped)
        self.note("gap", dropped=0, why=f"{part} failed: {why}", lasted_s=lasted_s)
        if self._alarm is not None:
            self._alarm.clear(CANNOT_WRITE)

    async def _tell_log(self) -> None:
        """Put what is not on the disk and no frame into the log too, each once: memory is lost with the process."""
        while entries := self._unlogged():
            for _, _, kind, fields in entries:
                if kind not in FRAMES:
                    shown = {name: value for name, value in spoken(fields).items() if name != "event"}
                    log.warning(f"journal {kind}", **shown)
            self._logged += len(entries)
            await trio.lowlevel.checkpoint()

    def _unlogged(self) -> Sequence[Entry]:
        """The next notes that the log is to have, a few."""
        at = self._logged
        for sent in self._sent:
            if at < sent.notes:
                [message] = Stream().take(sent.message)
                block = order_in(message)
                assert isinstance(block, Block)
                return block.entries[at : at + TELL_SLICE]
            at -= sent.notes
        return list(islice(self._waiting, at, at + TELL_SLICE))

    def _count(self) -> int:
        """Notes handed on and not known to be written."""
        return sum(sent.notes for sent in self._sent)
