"""The record's writer: blocks of notes become chained lines in a file, file follows file, the oldest go.

What waits here is the disk alone: in the scribe's own process each step blocks, in a simulation it takes its turn.
Every step that raises DiskFailed is to be asked again, and goes on where it was.
"""

import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from typing import Any, Final, Protocol, TypeVar

from ..contract.plain_text import BLOT
from ..engine.journal import (
    FILE_BYTES,
    HEAD,
    RECORD_BYTES,
    REDACTED,
    ROOT,
    Chain,
    Entry,
    Head,
    files_among,
    format_head,
    next_file,
    parse_head,
    surplus,
    unpacked_among,
)
from ..engine.journal_check import Resumed, first_of, lines_of, record_in, resume
from ..transport.files import DiskFailed, Diverged
from ..transport.packed import packed_name
from .messages import Alert, News, Told, Written

DIRECTORY: Final = "journal"
"""Where the files are, inside state.dir."""

HEAD_S: Final = 5.0
"""How old the head may be: each costs three syncs, and a start reads what came after it."""

HEAD_BYTES: Final = 64 << 10
OWN: Final = frozenset({"file", "removed", "recovery"})
"""Lines of the writer's own, which no note asked for."""

_BLOT: Final = re.compile(re.escape(BLOT.encode()) + b"{6,}")
"""What is left of a secret, of which none is shorter."""

CHANGED: Final = "the audit journal was changed by somebody else"

T = TypeVar("T")


class Disk(Protocol):
    """What the writer needs of a directory; transport/disk.py says what each call means."""

    def names(self) -> list[str]: ...

    def read_part(self, name: str, offset: int, limit_bytes: int) -> bytes: ...

    def read_part_packed(self, name: str, offset: int, limit_bytes: int) -> bytes: ...

    def stored_bytes(self, name: str) -> int: ...

    def apart(self, look: Callable[[], T], /) -> Awaitable[T]: ...

    def extend(self, name: str, offset: int, data: bytes) -> Awaitable[None]: ...

    def sync(self, name: str) -> Awaitable[None]: ...

    def replace(self, name: str, data: bytes) -> Awaitable[None]: ...

    def remove(self, name: str) -> Awaitable[None]: ...

    def pack(self, name: str) -> Awaitable[None]: ...


class Writer:
    """One record from where it is found. `news` is called with what somebody has to hear."""

    def __init__(
        self, utc_ns: Callable[[], int], monotonic_ns: Callable[[], int], news: Callable[[News], None]
    ) -> None:
        self._utc_ns = utc_ns
        self._monotonic_ns = monotonic_ns
        self._news = news
        self._directory: Disk
        self._chain: Chain | None = None
        self._file = ""
        self._offset = 0
        self._unwritten = bytearray()
        self._number = 0
        # What a scribe before us wrote and could not tell: monotonic ns and kind of each.
        self._before: list[tuple[int, str]] = []
        self._head_due_ns = 0
        self.shed_due = True
        """Whether files may have to go."""
        self.written = Head("", 0, *ROOT)
        """How far the files go; not all of it need be durable."""

    async def open(self, state: Disk, open_directory: Callable[[], Disk], known: Written | None) -> None:
        """Find out where the record goes on. Raises DiskFailed."""

        def look() -> tuple[Disk, Resumed, list[tuple[int, str]]]:
            directory = open_directory()
            head = parse_head(directory.read_part(HEAD, 0, HEAD_BYTES) or None)
            files = files_among(directory.names())
            resumed = resume(files, directory.read_part_packed, head)
            return directory, resumed, [] if known is None else list(_noted(directory, files, known, resumed.link.n))

        self._directory, resumed, self._before = await state.apart(look)
        self._chain = Chain(resumed.link, resumed.kill, unblotted)
        self._file, self._offset = resumed.file or next_file(None), resumed.size
        self.written = Head(self._file, self._offset, *resumed.link, resumed.kill)
        self._number = 0 if known is None else known.number
        self._unwritten.clear()
        if resumed.broken:
            self._unwritten += b"\n"
        if resumed.recovery is not None:
            lost = resumed.recovery.get("lost", 0)
            self._news(Told("audit journal recovered", {"path": self._file, "count": lost}))
            self._add("recovery", resumed.recovery)
            if lost:
                what = f"{lost} lines of the audit journal are gone"
                self._news(Alert("critical", what, "find out who or what removed them; canceld journal --verify"))

    async def write(self, number: int, entries: Sequence[Entry]) -> None:
        """Put this block, which has this number, into the record. Raises DiskFailed."""
        assert self._chain is not None
        if number != self._number:
            if not self._unwritten and self._offset >= FILE_BYTES:
                await self._rotate()
            self._unwritten += self._chain.lines(self._unknown(entries))
            self._number = number
        await self._flush()

    def at(self) -> Written:
        """Where the record ends, for the daemon."""
        return Written(self._number, self.written.file, self.written.size, self.written.n)

    async def sync(self, *, head: bool = False) -> None:
        """Make what is written durable, and now and then the head; `head`: in any case. Raises DiskFailed."""
        written = self.written
        if not written.n:
            return
        await self._directory.sync(written.file)
        now_ns = self._monotonic_ns()
        if head or now_ns >= self._head_due_ns:
            await self._directory.replace(HEAD, format_head(written))
            self._head_due_ns = now_ns + int(HEAD_S * 1e9)

    async def shed(self) -> None:
        """Remove the oldest files where there are too many, each after the record durably says what goes.

        Raises DiskFailed.
        """
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
        self.shed_due = False

    async def pack(self) -> None:
        """Pack the files that are closed, one at a time. One that cannot be packed stays as it is, and is told."""
        directory = self._directory
        try:
            for file in unpacked_among(await directory.apart(directory.names)):
                await directory.pack(file)
        except DiskFailed as failed:
            # The next file that is closed is the next occasion.
            self._news(Told("a closed file of the audit journal is not packed", {"error": str(failed)}))

    # ---------------------------------------------------------------- steps

    def _unknown(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        """Those of the notes that are not in the record yet."""
        known = 0
        while self._before and known < len(entries):
            if self._before[0] != (entries[known][1], entries[known][2]):
                self._before.clear()
                break
            del self._before[0]
            known += 1
        return entries[known:]

    def _add(self, kind: str, fields: dict[str, Any]) -> None:
        """A line of the writer's own."""
        assert self._chain is not None
        self._unwritten += self._chain.lines([(self._utc_ns(), self._monotonic_ns(), kind, fields)])

    async def _flush(self) -> None:
        assert self._chain is not None
        if not self._unwritten:
            return
        try:
            await self._directory.extend(self._file, self._offset, bytes(self._unwritten))
        except Diverged as diverged:
            # The lines in hand go to a file that nobody has touched; `--verify` finds the damage in this one.
            self._news(Alert("critical", CHANGED, f"{diverged}; find out who did it; canceld journal --verify"))
            self._file, self._offset = next_file(self._file), 0
            raise
        self._offset += len(self._unwritten)
        self._unwritten.clear()
        self.written = Head(self._file, self._offset, *self._chain.link, self._chain.kill)

    async def _rotate(self) -> None:
        """Go on in the next file. Its first line tells of a kill that stands, so that no removal loses it."""
        assert self._chain is not None
        await self.sync(head=True)
        before, self._file, self._offset = self._file, next_file(self._file), 0
        self._add("file", {"after": before, "kill": self._chain.kill})
        self.shed_due = True


def unblotted(encoded: bytes) -> bytes:
    """Encoded text that says where secrets stood."""
    return _BLOT.sub(REDACTED.encode(), encoded) if BLOT.encode() in encoded else encoded


def _noted(directory: Disk, files: Sequence[str], known: Written, last: int) -> Iterator[tuple[int, str]]:
    """Which notes the record holds behind the line that the daemon knows of: monotonic ns and kind of each."""
    for file in files:
        if file < known.file:
            continue
        for line in lines_of(directory.read_part_packed, file, known.size if file == known.file else 0):
            record = record_in(line.raw)
            if record is not None and known.n < record["n"] <= last and record["kind"] not in OWN:
                yield record.get("monotonic_ns", 0), record["kind"]
