"""`canceld journal`: reads, filters and verifies the audit record, also while a daemon writes it.

Only what is on the disk is read, line by line; nothing is written and no daemon is asked.
"""

import argparse
import json
import re
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from ..contract.plain_text import plain, plain_json
from ..engine.journal import HEAD, RECORD_BYTES, files_among, parse_head, unpacked_among
from ..engine.journal_check import Check, Line, first_of, lines_of, record_in
from ..settings import BadSettings, read
from ..transport.clock import Clock, rfc3339
from ..transport.disk import Directory, DiskFailed
from .exit_status import DONE, NOT_DONE, UNREACHABLE, USAGE
from .output import complain, say, say_json, show

DIRECTORY: Final = "journal"
HEAD_BYTES: Final = 64 << 10
LOOKS: Final = 10
LOOK_S: Final = 0.1
"""A writer in the middle of a line has ended it long before this many looks; else the line is torn."""

FOLLOW_S: Final = 0.2
"""The writer writes every 50 ms; whoever watches it needs no more."""

REQUESTS_LIMIT: Final = 100_000
"""Most requests remembered whose answers belong to an order that was asked for."""

RECENT_FILES: Final = 8
"""Closed files that tell the present rate: some million cancels."""

DAY_S: Final = 86_400

_AGO: Final = re.compile(r"(\d{1,6})([smhd])\Z")
_AGO_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_REQID: Final = re.compile(r'"req_?id":(\d+)')
_OWN: Final = frozenset({"n", "ts", "kind", "prev"})
_FRAMES: Final = frozenset({"frame_out", "frame_in"})
_NAMES: Final = ("order_id", "cl_ord_id", "userref")


class BadTime(Exception):
    """A text that names no moment; the text says which are taken."""


class _Gone(Exception):
    """A file was removed while it was read: the oldest gives way when a new one is begun."""


def run(asked: argparse.Namespace) -> int:
    """Print what was asked for; gives the exit status."""
    try:
        directory = Directory(read(asked.config).state.dir)
        now_ns = Clock().utc_ns()
        wanted = _Wanted(
            since=None if asked.since is None else moment(asked.since, now_ns),
            until=None if asked.until is None else moment(asked.until, now_ns),
            order=asked.order,
            strategy=asked.strategy,
            outcome=asked.outcome,
            id=asked.id,
            kinds=asked.kinds,
            venue=asked.venue,
            who=asked.who,
            # Programs choose for themselves; people ask first what was decided.
            frames=asked.frames or asked.json,
        )
    except (BadSettings, BadTime) as error:
        return _complain(error, USAGE)
    if asked.verify and (wanted.narrows or asked.follow or asked.last is not None):
        return _complain("--verify looks at every line; leave the filters out", USAGE)
    try:
        # Not `subdirectory`, which would make it.
        journal = Directory(directory.root / DIRECTORY)
        if not files_among(journal.names()):
            return _complain(f"{journal.root}: no journal there", UNREACHABLE)
        if asked.verify:
            return _verify(journal, asked.json)
        return _show(journal, wanted, asked.json, asked.last, asked.follow)
    except DiskFailed as failed:
        return _complain(f"no journal to read: {failed}", UNREACHABLE)


def moment(text: str, now_ns: int) -> str:
    """A moment as the journal writes it: of RFC 3339 text (UTC where it says nothing), a date, or `15m` for ago.

    Raises BadTime.
    """
    if ago := _AGO.match(text):
        past = timedelta(**{_AGO_UNITS[ago[2]]: int(ago[1])})
        return rfc3339(max(0, now_ns - int(past.total_seconds()) * 1_000_000_000))
    try:
        found = datetime.fromisoformat(text)
        told = found if found.tzinfo is not None else found.replace(tzinfo=UTC)
        utc = told.astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadTime(f"{text!r}: expected 2026-01-31, 2026-01-31T12:00:00Z or 15m (s, m, h, d ago)") from None
    return utc.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


class _Wanted:
    """The filters; a record has to pass all that were given."""

    def __init__(
        self,
        since: str | None,
        until: str | None,
        order: str | None,
        strategy: str | None,
        outcome: str | None,
        id: str | None,
        kinds: Sequence[str] | None,
        venue: str | None,
        who: str | None,
        frames: bool,
    ) -> None:
        """kinds: any of them. frames: with those lines that no other filter asks for; an order's and a kind's are."""
        self._since = since
        self._until = until
        self._order = order
        self._named = None if order is None else re.compile(rf"(?<![\w-]){re.escape(order)}(?![\w-])")
        self._strategy = strategy
        self._outcome = outcome
        self._id = id
        self._kinds = None if kinds is None else frozenset(kinds)
        self._venue = venue
        self._who = who
        self._frames = frames or self._kinds is not None
        self._requests: dict[str, None] = {}

    @property
    def narrows(self) -> bool:
        """Whether any filter was given."""
        given = (
            self._since, self._until, self._order, self._strategy, self._outcome, self._id, self._kinds, self._venue,
            self._who,
        )  # fmt: skip
        return any(value is not None for value in given)

    def passes(self, record: dict[str, Any]) -> bool:
        """Whether the record is wanted."""
        ts = record["ts"]
        return (
            (self._since is None or ts >= self._since)
            and (self._until is None or ts <= self._until)
            and (self._strategy is None or record.get("strategy") == self._strategy)
            and (self._outcome is None or record.get("outcome") == self._outcome)
            and (self._id is None or str(record.get("id")) == self._id)
            and (self._kinds is None or record["kind"] in self._kinds)
            and (self._venue is None or _is_of(record, self._venue))
            and (self._who is None or _was_by(record, self._who))
            # Frames are looked into although they are left out: they pair requests with orders.
            and (self._order is None or self._is_about(record))
            and (self._frames or record["kind"] not in _FRAMES)
        )

    def _is_about(self, record: dict[str, Any]) -> bool:
        """Whether it names the order: as a field, in a list of orders, in a frame, or by answering such a frame."""
        assert self._order is not None and self._named is not None  # noqa: PT018 - they come together
        if record["kind"] in _FRAMES:
            frame = str(record.get("frame", ""))
            request = _request_of(record, frame)
            if self._named.search(frame) or self._named.search(str(record.get("asked", ""))):
                if request is not None and len(self._requests) < REQUESTS_LIMIT:
                    self._requests[request] = None
                return True
            # Answers of some dialects name the request only.
            return request in self._requests
        if any(str(record.get(name)) == self._order for name in _NAMES if name in record):
            return True
        listed = [one for name in ("orders", "residual") for one in _list(record.get(name))]
        return any(self._order in map(str, one.values() if isinstance(one, dict) else [one]) for one in listed)


def _is_of(record: dict[str, Any], venue: str) -> bool:
    """Whether it is about the venue: by its name, its session's name, or as one of several."""
    if record.get("venue") == venue:
        return True
    if str(record.get("session", "")).partition("-")[0].partition(" ")[0] == venue:
        return True
    several = record.get("venues")
    return isinstance(several, list | dict) and venue in several


def _was_by(record: dict[str, Any], who: str) -> bool:
    """Whether somebody's number is this, or what is known of whoever asked holds these words."""
    if any(str(record.get(number)) == who for number in ("uid", "pid") if number in record):
        return True
    # The record that tells of somebody tells it in many members: command line, unit, session, login.
    told = record.values() if record["kind"] == "who" else (record.get("who", ""),)
    return any(who in str(value) for value in told)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _request_of(record: dict[str, Any], frame: str) -> str | None:
    """What pairs a request with its answer: the call's number on REST, the request id elsewhere."""
    if "call" in record:
        return f"{record.get('session')} {record['call']}"
    reqid = _REQID.search(frame)
    return None if reqid is None else reqid[1]


class _Place:
    """How far the record was read, and which time it covers."""

    def __init__(self) -> None:
        self.file = ""
        self.offset = 0
        self.first = self.last = ""

    def take(self, file: str, line: Line) -> dict[str, Any] | None:
        """The record that stands there; None, and a complaint, where there is none."""
        self.file, self.offset = file, line.offset + len(line.raw) + 1
        record = record_in(line.raw)
        if record is None:
            complain(f"{file}: a line that is no record; see --verify")
            return None
        self.first, self.last = self.first or record["ts"], record["ts"]
        return record


def _show(journal: Directory, wanted: _Wanted, as_json: bool, last: int | None, follow: bool) -> int:
    """Print what is wanted: all of it or the last lines, and with `follow` what is written from then on."""
    place = _Place()
    found = _wanted_of(lines(journal, patient=False), wanted, as_json, place)
    count = 0
    for text in found if last is None else deque(found, last):
        if not show(text):
            return NOT_DONE
        count += 1
    if follow:
        try:
            for text in _wanted_of(_written_after(journal, place), wanted, as_json, place):
                if not show(text):
                    return NOT_DONE
        except KeyboardInterrupt:
            return DONE
    if count or not wanted.narrows:
        return DONE
    complain(f"nothing in the record matches; it goes from {plain(place.first)} to {plain(place.last)}")
    return NOT_DONE


def _wanted_of(found: Iterable[tuple[str, Line]], wanted: _Wanted, as_json: bool, place: _Place) -> Iterator[str]:
    for file, line in found:
        if not line.whole:
            continue  # just being written, or cut off by a crash
        record = place.take(file, line)
        if record is not None and wanted.passes(record):
            yield plain_json(line.raw.decode()) if as_json else told(record)


def _written_after(journal: Directory, place: _Place) -> Iterator[tuple[str, Line]]:
    """What is written from now on, until somebody stops us. A line that is just being written is waited for."""
    while True:
        for file in files_among(journal.names()):
            if file < place.file:
                continue
            for line in lines_of(journal.read_part_packed, file, place.offset if file == place.file else 0):
                if line.whole:
                    yield file, line
        time.sleep(FOLLOW_S)


def told(record: dict[str, Any]) -> str:
    """A record as a line for people: without its place in the chain and the times that only machines compare."""
    shown = " ".join(
        f"{plain(str(name))}={_value(value)}"
        for name, value in record.items()
        if name not in _OWN and not str(name).endswith("_ns")
    )
    return f"{plain(record['ts'])} {plain(record['kind']):<9} {shown}".rstrip()


def _value(value: Any) -> str:
    if isinstance(value, str):
        return plain(value)
    return plain(json.dumps(value, ensure_ascii=True))


def examine(journal: Directory) -> tuple[Check, list[str]]:
    """The whole chain checked, and the names of its files. A writer that has just begun has a second for its head."""
    for _ in range(2 * LOOKS):
        if journal.exists(HEAD):
            break
        time.sleep(LOOK_S)
    while True:
        head = parse_head(journal.read_part(HEAD, 0, HEAD_BYTES) or None)
        check = Check(head)
        files: dict[str, None] = {}
        try:
            for file, line in lines(journal, patient=True):
                if file not in files:
                    files[file] = None
                    check.begin(file)
                check.take(line)
        except _Gone:
            continue
        check.end()
        return check, list(files)


def holds_days(journal: Directory) -> float | None:
    """How many days the record holds before its oldest file goes, at the rate of its newest; None: it is too young."""
    names = journal.names()
    files = files_among(names)[-RECENT_FILES - 1 :]
    if unpacked_among(names):
        return None
    times = [first["ts"] for file in files if (first := first_of(journal.read_part_packed, file)) is not None]
    if len(times) < 2 or len(times) != len(files):
        return None
    began, ended = (datetime.fromisoformat(ts) for ts in (times[0], times[-1]))
    # Of the one that is written to nobody knows yet what it takes packed.
    stored = sum(journal.stored_bytes(file) for file in files[:-1])
    took_days = (ended - began).total_seconds() / DAY_S
    return RECORD_BYTES / stored * took_days if stored and took_days > 0 else None


def _verify(journal: Directory, as_json: bool) -> int:
    check, files = examine(journal)
    days = holds_days(journal)
    first, last = (0 if link is None else link.n for link in (check.first, check.last))
    if as_json:
        faults = [{"file": fault.file, "line": fault.line, "what": fault.what} for fault in check.faults]
        headed = check.head is not None
        found = {"ok": headed and not faults, "head": headed, "files": len(files), "lines": check.lines}
        found |= {"first": first, "last": last}
        holds = {} if days is None else {"holds_days": round(days, 2)}
        say_json({**found, "torn": check.torn, "faults": faults, **holds})
    else:
        for fault in check.faults:
            say(f"{journal.root / fault.file}:{fault.line}: {fault.what}")
        verdict = "BROKEN" if check.faults else "whole" if check.head is not None else "NOT PROVED"
        torn = f", {check.torn} torn by crashes and told of" if check.torn else ""
        say(f"{verdict}: {check.lines} lines, {first}..{last}, in {len(files)} files{torn}")
        if days is not None:
            say(f"it holds {days:.1f} days at the present rate")
        if check.head is None:
            say("there is no head: lines cut off at the end would not be missed")
    return NOT_DONE if check.faults or check.head is None else DONE


def lines(journal: Directory, *, patient: bool) -> Iterator[tuple[str, Line]]:
    """Every line of every file, oldest first. patient: the last one is waited for when it is being written.

    Files that are begun meanwhile are read too. Raises _Gone when one was removed while it was read.
    """
    done = ""
    while following := [file for file in files_among(journal.names()) if file > done]:
        done, offset = following[0], 0
        newest = len(following) == 1
        for line in _lines_of(journal, done, 0, patient and newest):
            offset = line.offset + len(line.raw) + 1
            yield done, line
        if newest and files_among(journal.names())[-1:] > [done]:
            # It was ended meanwhile; only now that it is followed are its lines all there.
            yield from ((done, line) for line in _lines_of(journal, done, offset, False))
        if patient and done not in files_among(journal.names()):
            raise _Gone


def _lines_of(journal: Directory, file: str, offset: int, patient: bool) -> Iterator[Line]:
    for look in range(LOOKS):
        for line in lines_of(journal.read_part_packed, file, offset):
            if not line.whole and patient and look < LOOKS - 1:
                break
            offset = line.offset + len(line.raw) + 1
            yield line
        else:
            return
        time.sleep(LOOK_S)


def _complain(error: object, status: int) -> int:
    complain(error)
    return status
