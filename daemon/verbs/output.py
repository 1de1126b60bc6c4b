"""What verbs print: lines in columns, JSON, and one line of complaint."""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from ..client.results import ReplyMap

NS_PER_MS: Final = 1_000_000


def complain(text: str) -> None:
    """One line to stderr."""
    print(f"canceld: {text}", file=sys.stderr)


def print_json(message: ReplyMap) -> None:
    """One map as one line of JSON."""
    print(json.dumps(message))


def print_residual(venue: str, ids: Iterable[str]) -> None:
    """A line for each order that rests."""
    for id in ids:
        print(f"{venue} still rests: {id}")


def print_columns(rows: Sequence[Sequence[str]]) -> None:
    """The lines of `in_columns`."""
    for line in in_columns(rows):
        print(line)


def in_columns(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """One line for each row, with the cells of a column below each other; a column of nothing is left out."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True) if width)
        yield "  ".join(cells).rstrip()
