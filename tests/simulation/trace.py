"""The record of one run: what happened, when, in one line each, and a digest that tells two runs apart."""

from collections.abc import Iterable
from hashlib import sha256
from typing import Final

import trio

SHOWN: Final = 60
"""Most lines of a failing run that are shown."""


class Trace:
    """Lines of `seconds kind what`, in the sequence of events."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def add(self, kind: str, what: object = "") -> None:
        """Note one event, now."""
        self.lines.append(f"{trio.current_time():.6f} {kind} {what}")

    def digest(self, further: Iterable[bytes]) -> str:
        """SHA-256 over every line and over whatever else must be the same in two runs of a seed."""
        whole = sha256("\n".join(self.lines).encode())
        for part in further:
            whole.update(part)
        return whole.hexdigest()

    def about(self, names: Iterable[str]) -> list[str]:
        """The last lines that name one of these, with what went wrong around them; without names, the last lines."""
        wanted = [name for name in names if name]
        if not wanted:
            return self.lines[-SHOWN:]
        kinds = (" fault ", " crash ", " stop ", " start ", " pause ", " down ")
        return [
            line for line in self.lines if any(name in line for name in wanted) or any(kind in line for kind in kinds)
        ][-SHOWN:]
