"""The one door for text that others wrote: a reason, an order's name, a venue's error, an alert that quotes them.

Printed as it came, such a text commands the terminal of whoever reads it: it moves the cursor, paints over lines,
rings, or turns the direction of writing so that `flat` is read where `residual` stands. Behind this door it is one
line that only shows.
"""

from typing import Final

BLOT: Final = "\x7f"
"""What stands for each byte of a secret where a text must keep its length. Both JSON and msgpack leave it as it is."""


def plain(text: str) -> str:
    """The text as one line of printable characters: every other character is shown by its escape, as `\\x1b`.

    Printable text is given back as it is, in any script. What is shown as an escape: control characters (C0 and C1,
    line breaks among them), characters that format (marks of direction, joiners of no width), halves of characters as
    they come from bytes that are no UTF-8, and characters that no standard assigns.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def plain_json(text: str) -> str:
    """JSON text that means the same and only shows: what `plain` escapes stands as `\\u001b` in its strings.

    Line breaks stay: in JSON they only stand between members.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(char if char.isprintable() or char == "\n" else _in_json(char) for char in text)


def _in_json(char: str) -> str:
    units = char.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
