"""Text folded to a terminal's width: nothing falls off its right edge."""

from collections.abc import Iterator, Sequence
from typing import Final
from unicodedata import east_asian_width

INDENT: Final = 4
"""Of what is continued."""

LEAST_TEXT: Final = 12
"""Columns beside an indent below which indenting costs more than it shows."""

GAP: Final = "  "


def columns(text: str) -> int:
    """How many columns of a terminal a printable text takes. A mark that takes none counts as one: never too few."""
    if text.isascii():
        return len(text)
    return sum(2 if east_asian_width(char) in "WF" else 1 for char in text)


def folded(text: str, width: int) -> Iterator[str]:
    """The text in lines of at most `width` columns, broken between words; a word that is wider is broken anywhere."""
    indent = " " * INDENT if width >= INDENT + LEAST_TEXT else ""
    line = text
    while columns(line) > width:
        most = _fitting(line, width)
        begin = len(line) - len(line.lstrip(" "))
        at = line.rfind(" ", begin, most + 1)
        at = at if at > begin else most
        yield line[:at].rstrip(" ")
        rest = line[at:].lstrip(" ")
        if not rest:
            return
        line = indent + rest
    yield line


def joined(parts: Sequence[str], width: int) -> Iterator[str]:
    """The parts side by side, as many as fit; none is broken that could stand on a line of its own."""
    line = ""
    for part in parts:
        beside = f"{line}{GAP}{part}" if line else part
        if line and columns(beside) > width:
            yield from folded(line, width)
            beside = f"{GAP}{part}"
        line = beside
    yield from folded(line, width)


def _fitting(line: str, width: int) -> int:
    """How many characters from the left fit; at least one, as nothing would come to an end otherwise."""
    taken = 0
    for count, char in enumerate(line):
        taken += columns(char)
        if taken > width:
            return max(count, 1)
    return len(line)
