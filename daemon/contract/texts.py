"""Other people's text, made fit to be stored, logged and shown: it commands no terminal and turns no writing round."""

import re
from typing import Final

REPLACEMENT: Final = "\ufffd"

REASON_BYTES: Final = 4 * 1024
"""What is kept of a reason: some hundred lines of a screen."""

_BLANKS: Final = re.compile(r"[\t\n\v\f\r\x85\u2028\u2029]+")

_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def cleaned(text: str | bytes, limit: int) -> str:
    """A line of printable text with at most `limit` bytes of UTF-8. Never raises.

    Bytes are UTF-8, or Latin-1 where they are not; so are those that Python keeps of a command line as half
    characters. Line breaks become spaces, everything that is unfit a replacement character.
    """
    if isinstance(text, bytes):
        text = _decoded(text[: 2 * limit])
    else:
        text = text[: 2 * limit]
        if _SURROGATE.search(text):
            text = _from_command_line(text)
    text = _BLANKS.sub(" ", text).strip()
    if not text.isprintable():
        text = "".join(map(_fit, text))
    # A character that the cut goes through is left out.
    return text.encode()[:limit].decode(errors="ignore").rstrip()


def _fit(char: str) -> str:
    """Itself where it shows; control, format, half and unassigned characters are replaced."""
    return char if char.isprintable() else " " if char.isspace() else REPLACEMENT


def _decoded(text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        # Cut off in the middle of its last character it is still UTF-8.
        return text[: error.start].decode() if error.end == len(text) and error.start else text.decode("latin-1")


def _from_command_line(text: str) -> str:
    try:
        return _decoded(text.encode(errors="surrogateescape"))
    except UnicodeEncodeError:
        return text
