"""Reads the audit record back: whether its chain holds, and where it goes on after a crash.

A crash may leave half a line, or after a power cut anything at all, behind the last line that was synced. The next
start leaves those bytes where they are and puts a `recovery` line after them, which tells their number and their hash
and follows the last whole line. That, and nothing else, excuses bytes that are no line of the chain.
"""

from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from typing import Any, Final, NamedTuple

import msgspec

from .journal import ROOT, Head, Link

BLOCK_BYTES: Final = 1 << 20
FAULTS_LIMIT: Final = 100
"""Most faults told of; past so many the record is not to be trusted anyway."""

Read = Callable[[str, int, int], bytes]
"""(file, offset, most bytes) to its content from there; empty at its end."""

_decode: Final = msgspec.json.Decoder().decode


class Line(NamedTuple):
    """One line of a file without its line end; `whole` says whether it had one. `offset` is its first byte's."""

    offset: int
    raw: bytes
    whole: bool


class Fault(NamedTuple):
    """Where the chain does not hold, and what is wrong there. `line` counts from 1."""

    file: str
    line: int
    what: str


class Resumed(NamedTuple):
    """Where the record goes on: the file and its size (None and 0 when there is none), and the last line that counts.

    recovery: what the next line has to tell of, as its fields; None after a stop that left all whole.
    broken: the last byte there is no line end, so one comes first.
    """

    file: str | None
    size: int
    link: Link
    kill: dict[str, Any] | None
    recovery: dict[str, Any] | None
    broken: bool


def record_in(raw: bytes) -> dict[str, Any] | None:
    """A line as a map; None when it is no line of a journal."""
    try:
        record = _decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if not isinstance(record, dict) or type(record.get("n")) is not int:
        return None
    texts = (record.get("prev"), record.get("ts"), record.get("kind"))
    return record if all(isinstance(text, str) for text in texts) else None


def lines_of(read: Read, file: str, offset: int = 0) -> Iterator[Line]:
    """The lines of a file from `offset` on, block by block; a last one without its line end too."""
    rest = b""
    start = offset
    while block := read(file, start + len(rest), BLOCK_BYTES):
        *whole, rest = (rest + block).split(b"\n")
        for raw in whole:
            yield Line(start, raw, True)
            start += len(raw) + 1
    if rest:
        yield Line(start, rest, False)


def first_of(read: Read, file: str) -> dict[str, Any] | None:
    """The first line of a file as a map; None when it is none of ours."""
    first = next(lines_of(read, file), None)
    return None if first is None else record_in(first.raw)


class _Torn:
    """Bytes that are no line of the chain, from where they begin."""

    def __init__(self, line: int, raw: bytes) -> None:
        self.line = line
        self._hash = sha256(raw)
        self._size = len(raw)

    def add(self, raw: bytes) -> None:
        self._hash.update(b"\n")
        self._hash.update(raw)
        self._size += 1 + len(raw)

    def told_by(self, record: dict[str, Any]) -> bool:
        """Whether this line is the recovery that tells of exactly these bytes."""
        told = {"bytes": self._size, "sha256": self._hash.hexdigest()}
        torn = record.get("torn")
        return record["kind"] == "recovery" and isinstance(torn, dict) and told.items() <= torn.items()


class Check:
    """Takes every line of every file, oldest first: `begin` for each file, `take` for each line, `end` after the last.

    head: as it was before the first line was read. What is wrong is in `faults`; `torn` counts what was excused.
    """

    def __init__(self, head: Head | None) -> None:
        self.faults: list[Fault] = []
        self.lines = 0
        self.torn = 0
        self.first: Link | None = None
        self.last: Link | None = None
        self.head = head
        self._file = ""
        self._line = 0
        self._torn: _Torn | None = None
        self._before: tuple[str, int] = ("", 0)
        self._missing_before: tuple[Link, Fault] | None = None

    def begin(self, file: str) -> None:
        """The next file."""
        self._give_up_torn()
        self._file, self._line = file, 0

    def take(self, line: Line) -> dict[str, Any] | None:
        """The next line of the file; as a map when it is one of the journal's, whatever is wrong with its place."""
        self._line += 1
        record = record_in(line.raw) if line.whole else None
        if self._torn is not None:
            if record is None or not self._torn.told_by(record):
                self._torn.add(line.raw)
                return record
            self._torn = None
            self.torn += 1
        elif record is not None and record["kind"] == "recovery" and "torn" in record:
            self._wrong("missing: the torn bytes before it, of which it tells")
        if record is None:
            self._torn = _Torn(self._line, line.raw)
            return None
        self._follow(record, line.raw)
        return record

    def end(self) -> None:
        """There are no more lines."""
        self._give_up_torn()
        if self._missing_before is not None:
            self._fault(self._missing_before[1])
        reached = 0 if self.last is None else self.last.n
        if self.head is not None and self.head.n > reached:
            self._wrong(f"missing: lines {reached + 1}..{self.head.n} were there, the head says, and are not")

    def _follow(self, record: dict[str, Any], raw: bytes) -> None:
        n, prev = record["n"], record["prev"]
        link = Link(n, sha256(raw).hexdigest())
        if self.last is None:
            self.first = link
            if (n - 1, prev) != ROOT:
                what = f"missing: what came before line {n}, and no line says that it was removed"
                self._missing_before = Link(n - 1, prev), Fault(self._file, self._line, what)
        elif n > self.last.n + 1:
            self._wrong(f"missing: lines {self.last.n + 1}..{n - 1} between this one and the one before it")
        elif n <= self.last.n:
            self._wrong(f"out of place: this is line {n}, the one before it is line {self.last.n}")
        elif prev != self.last.hash:
            file, line = self._before
            what = f"changed: the line after it, {self._file}:{self._line}, holds another hash of it"
            self._fault(Fault(file, line, what))
        if self.head is not None and n == self.head.n and link.hash != self.head.hash:
            self._wrong("changed: the head holds another hash of it")
        if record["kind"] == "removed" and self._missing_before is not None:
            if (record.get("through"), record.get("hash")) == self._missing_before[0]:
                self._missing_before = None
        elif record["kind"] == "recovery" and record.get("lost"):
            self._wrong(f"missing: {record['lost']} lines had gone when the daemon started here")
        self.last = link
        self.lines += 1
        self._before = self._file, self._line

    def _give_up_torn(self) -> None:
        if self._torn is not None:
            self._fault(Fault(self._file, self._torn.line, "changed or torn: not a line of the record"))
            self._torn = None

    def _wrong(self, what: str) -> None:
        self._fault(Fault(self._file, self._line, what))

    def _fault(self, fault: Fault) -> None:
        if len(self.faults) < FAULTS_LIMIT:
            self.faults.append(fault)


class _Tail(NamedTuple):
    """The last line that holds, the byte after it, and the kill that stands then.

    open: all that the line lacks is its line end. Nothing of it is lost, so it counts.
    """

    link: Link
    end: int
    kill: dict[str, Any] | None
    open: bool = False


def resume(files: Sequence[str], read: Read, head: Head | None) -> Resumed:
    """Where the record goes on. From the head on when that is where it was, so that a start reads little."""
    if not files:
        gone = None if head is None else {"lost": head.n}
        return Resumed(None, 0, ROOT, None if head is None else head.kill, gone, False)
    newest = files[-1]
    tail, end = None, 0
    if head is not None and head.file == newest and _ends_a_line(read, head):
        tail = _follow_on(read, newest, _Tail(head.link, head.size, head.kill))
    # Where not one line of the newest file holds, the file before it has the last that does.
    for file in reversed(files):
        tail = tail or _follow_on(read, file, None)
        if tail is not None:
            end = tail.end if file == newest else 0
            break
    lacks_end = tail is not None and tail.open and end > 0
    link, kill = (ROOT, None) if tail is None else (tail.link, tail.kill)
    size, torn, broken = _rest(read, newest, end)
    recovery: dict[str, Any] = {} if torn is None else {"torn": torn}
    if head is not None and head.n > link.n:
        recovery["lost"] = head.n - link.n
        kill = head.kill
    return Resumed(newest, size, link, kill, recovery or None, broken or lacks_end)


def _ends_a_line(read: Read, head: Head) -> bool:
    """Whether the head's line is where the head says."""
    from_offset = max(0, head.size - BLOCK_BYTES)
    before = read(head.file, from_offset, head.size - from_offset)
    if len(before) != head.size - from_offset or not before.endswith(b"\n"):
        return False
    return sha256(before[:-1].rpartition(b"\n")[2]).hexdigest() == head.hash


def _follow_on(read: Read, file: str, tail: _Tail | None) -> _Tail | None:
    """The last line that holds, reading on behind `tail`; without one the first line that reads is believed."""
    for line in lines_of(read, file, 0 if tail is None else tail.end):
        if tail is not None and line.offset < tail.end:
            continue  # part of what was excused
        record = record_in(line.raw)
        if record is not None and _follows(record, tail):
            tail = _beyond(record, line, tail)
        elif (skipped := _excused(read, file, line.offset, tail)) is not None:
            tail = skipped
        else:
            break
    return tail


def _excused(read: Read, file: str, offset: int, tail: _Tail | None) -> _Tail | None:
    """The recovery line that tells of the bytes from `offset` on; None when none does."""
    torn: _Torn | None = None
    for line in lines_of(read, file, offset):
        record = record_in(line.raw)
        if torn is None:
            torn = _Torn(0, line.raw)
        elif record is not None and torn.told_by(record) and _follows(record, tail):
            return _beyond(record, line, tail)
        else:
            torn.add(line.raw)
    return None


def _follows(record: dict[str, Any], tail: _Tail | None) -> bool:
    return tail is None or (record["n"] - 1, record["prev"]) == tail.link


def _beyond(record: dict[str, Any], line: Line, tail: _Tail | None) -> _Tail:
    kill = None if tail is None else tail.kill
    if record["kind"] == "kill":
        kill = record
    elif record["kind"] == "file":
        kill = record.get("kill")
    elif record["kind"] == "rearm" and record.get("latched") is False:
        kill = None
    end = line.offset + len(line.raw) + line.whole
    return _Tail(Link(record["n"], sha256(line.raw).hexdigest()), end, kill, not line.whole)


def _rest(read: Read, file: str, offset: int) -> tuple[int, dict[str, Any] | None, bool]:
    """What lies behind the last line that holds: the file's size, what is told of it, and whether it breaks off.

    The line end before the recovery line does not count as part of it, whoever wrote it.
    """
    told, size, last = sha256(), 0, b""
    while block := read(file, offset + size, BLOCK_BYTES):
        # The last byte is held back: it may be the line end that does not count.
        told.update(last + block[:-1])
        last = block[-1:]
        size += len(block)
    if not size:
        return offset, None, False
    broken = last != b"\n"
    if broken:
        told.update(last)
    return offset + size, {"bytes": size if broken else size - 1, "sha256": told.hexdigest()}, broken
