"""The lines of a picture as a terminal takes them: with rich where it is installed, plainly where it is not."""

from collections.abc import Callable, Sequence
from io import StringIO
from typing import Any, Final

from .view import Line, Style

Painter = Callable[[Sequence[Line], int], list[str]]
"""The lines of a picture, and the terminal's columns; gives a text for each line."""

_CODES: Final[dict[Style, str]] = {
    "plain": "", "bold": "1", "dim": "2", "good": "32", "warn": "33", "bad": "1;31", "title": "1",
}  # fmt: skip

RICH_STYLES: Final[dict[Style, str]] = {
    "plain": "", "bold": "bold", "dim": "bright_black", "good": "green", "warn": "yellow", "bad": "bold red",
    "title": "bold cyan",
}  # fmt: skip


def painter(colours: bool) -> Painter:
    """The best one there is. colours: False for text alone."""
    if not colours:
        return bare
    try:
        import rich  # noqa: F401
    except ImportError:
        return coded
    return _with_rich()


def bare(lines: Sequence[Line], width: int) -> list[str]:
    """Text alone; a title is told by its dashes."""
    return [f"-- {line.text} --"[:width] if line.style == "title" else line.text for line in lines]


def coded(lines: Sequence[Line], width: int) -> list[str]:
    """With a terminal's eight colours."""
    codes = [_CODES[line.style] for line in lines]
    return [f"\x1b[{code}m{line.text}\x1b[0m" if code else line.text for code, line in zip(codes, lines, strict=True)]


def print_with_rich(console: Any, lines: Sequence[Line]) -> None:
    """To a rich.console.Console: each line as it is, each title as a rule across the terminal."""
    from rich.rule import Rule
    from rich.text import Text

    for line in lines:
        style = RICH_STYLES[line.style]
        if line.style == "title":
            console.print(Rule(Text(line.text, style), align="left", style="bright_black"))
        else:
            # As a Text: in a string, brackets from elsewhere would be markup.
            console.print(Text(line.text, style), no_wrap=True, overflow="crop")


def _with_rich() -> Painter:
    from rich.console import Console

    # One for all pictures, as there may be ten a second.
    console = Console(file=StringIO(), force_terminal=True, highlight=False, emoji=False, markup=False)

    def paint(lines: Sequence[Line], width: int) -> list[str]:
        console.file = told = StringIO()
        console.width = width
        print_with_rich(console, lines)
        return told.getvalue().splitlines()

    return paint
