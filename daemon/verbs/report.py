"""`canceld report`: what happened in a stretch of time, as one HTML file made of the record alone."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..engine.journal import files_among
from ..engine.journal_check import Check, record_in
from ..report.page import page
from ..report.story import Story
from ..settings import BadSettings, read
from ..transport.clock import Clock, rfc3339
from ..transport.disk import Directory, DiskFailed
from ..transport.files import replace
from .exit_status import DONE, NOT_DONE, UNREACHABLE, USAGE
from .journal import DIRECTORY, BadTime, examine, lines, moment
from .output import complain, say, say_json


def report(asked: argparse.Namespace) -> int:
    """Write the file; 1 where the record says nothing of that time or is broken, and then the page says so too."""
    now_ns = Clock().utc_ns()
    try:
        root = Path(read(asked.config).state.dir) / DIRECTORY
        since = moment(asked.since, now_ns)
        until = None if asked.until is None else moment(asked.until, now_ns)
    except (BadSettings, BadTime) as error:
        complain(str(error))
        return USAGE
    try:
        journal = Directory(root)
        if not files_among(journal.names()):
            complain(f"{root}: no journal there")
            return UNREACHABLE
        check, _ = examine(journal)
        story = Story()
        for record in _between(journal, since, until):
            story.take(record)
    except DiskFailed as failed:
        complain(f"no journal to read: {failed}")
        return UNREACHABLE
    story.end()
    if not story.lines:
        complain(f"the record says nothing from {since} to {until or 'now'}; it has lines up to {_last(check)}")
        return NOT_DONE
    verdict = _verdict(check)
    try:
        replace(Path(asked.out), "".join(page(story, verdict=verdict, made=rfc3339(now_ns))).encode())
    except OSError as error:
        complain(f"--out {asked.out}: {error.strerror or error}")
        return USAGE
    if asked.json:
        say_json({"out": asked.out, "lines": story.lines, "record": verdict, "ok": not check.faults})
    else:
        say(f"{asked.out}: {story.lines} lines of the record, which is {verdict}")
    return NOT_DONE if check.faults else DONE


def _between(journal: Directory, since: str, until: str | None) -> Iterator[dict[str, Any]]:
    for _, line in lines(journal, patient=False):
        record = record_in(line.raw) if line.whole else None
        if record is not None and record["ts"] >= since and (until is None or record["ts"] <= until):
            yield record


def _verdict(check: Check) -> str:
    if check.faults:
        first = check.faults[0]
        return f"BROKEN, first in {first.file} line {first.line}: {first.what}"
    return "whole" if check.head is not None else "whole as far as it goes: its head is missing"


def _last(check: Check) -> str:
    return "none" if check.last is None else f"number {check.last.n}"
