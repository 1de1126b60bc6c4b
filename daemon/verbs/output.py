"""What verbs print. A verb that acts has acted before it prints: no state of the output is an error to it.

Every text goes through the one door for foreign text. A reader that has gone, a disk that is full, a descriptor that
was closed and a terminal that takes nothing cost the output and nothing else: the exit status tells what happened at
the venue.
"""

import json
import os
import select
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any, Final, TextIO

from ..contract.plain_text import plain, plain_json

NS_PER_MS: Final = 1_000_000

PATIENCE_MS: Final = 2_000
"""The longest that one line waits for a reader that does not read. A pager that is looked at takes what it needs."""

STANDARD_DESCRIPTORS: Final = (0, 1, 2)

_lost: dict[int, OSError | ValueError] = {}
"""By the number of the descriptor: why nothing is written there any more."""


def prepare() -> None:
    """Make the standard streams fit to be written to whatever they are; to be called before anything is opened."""
    _lost.clear()
    for number in STANDARD_DESCRIPTORS:
        try:
            os.fstat(number)
        except OSError:
            # The next file or socket would get the number, and with it what is meant for a terminal.
            with suppress(OSError):
                os.open(os.devnull, os.O_RDWR)
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            # A terminal of another alphabet gets escapes, not an end in the middle of a report.
            reconfigure(errors="backslashreplace")


def say(text: str) -> bool:
    """One line to standard output; whether it is still taken. Never raises."""
    return show(plain(text))


def say_json(message: object) -> bool:
    """One map as one line of JSON; otherwise as `say`."""
    return show(plain_json(json.dumps(message)))


def show(line: str) -> bool:
    """A line that has been through the door; otherwise as `say`."""
    return _write(sys.stdout, 1, line)


def complain(text: object) -> None:
    """One line to standard error. Never raises."""
    _write(sys.stderr, 2, f"canceld: {plain(str(text))}")


def output_lost() -> OSError | ValueError | None:
    """Why standard output takes nothing any more; None while it does."""
    return _lost.get(1)


def at_terminal(*streams: TextIO | None) -> bool:
    """Whether all of these are a terminal. A stream that was closed when the program began is None."""
    try:
        return all(stream is not None and stream.isatty() for stream in streams)
    except ValueError:
        return False


def say_residual(venue: str, ids: Iterable[str]) -> None:
    """A line for each order that rests."""
    for id in ids:
        say(f"{venue} still rests: {id}")


def say_columns(rows: Sequence[Sequence[str]]) -> None:
    """The lines of `in_columns`."""
    for line in in_columns(rows):
        say(line)


def in_columns(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """One line for each row, with the cells of a column below each other; a column of nothing is left out."""
    # Behind the door already here: an escape is wider than what it stands for.
    shown = [[plain(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    for row in shown:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True) if width)
        yield "  ".join(cells).rstrip()


def age_of(age_s: float) -> str:
    """How long ago, in the unit that a person would take: from the second of a unit on."""
    for unit, length_s in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if age_s >= 2 * length_s:
            return f"{age_s // length_s:.0f} {unit}"
    return f"{age_s:.0f} s"


def _write(stream: TextIO | Any, number: int, line: str) -> bool:
    # Python's stream is None where the descriptor was closed when the program began.
    if stream is None or number in _lost:
        return False
    try:
        if not _takes(stream):
            raise TimeoutError("nobody reads it")
        stream.write(f"{line}\n")
        stream.flush()
    except (OSError, ValueError) as error:
        _lost[number] = error
        _end(stream)
        return False
    return True


def _takes(stream: TextIO) -> bool:
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError, AttributeError):
        return True  # in memory
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return bool(poll.poll(PATIENCE_MS))


def _end(stream: TextIO) -> None:
    """What is left in the stream's buffer goes nowhere: the interpreter would try it once more while it ends."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
