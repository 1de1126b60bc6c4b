"""The telling: line by line with the time, and a table at the end."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import IO, Any, Final

from ..client.results import CancelResult
from ..contract.ids import Venue

HEAD: Final = ("what happened", "venue", "asked", "told the strategy", "answered by", "slowest", "resting")

NS_PER_MS: Final = 1_000_000


class Story:
    """Tells what happens as it happens, and keeps the rows of the final table."""

    def __init__(self, out: IO[str]) -> None:
        self._out = out
        self._start = time.monotonic()
        self._rows: list[tuple[str, ...]] = []

    def tell(self, text: str) -> None:
        """One line, with the seconds since the start."""
        print(f"{time.monotonic() - self._start:6.2f}s  {text}", file=self._out, flush=True)

    def row(self, what: str, venue: Venue, asked: str, told: str, by: str, slowest: str, resting: int) -> None:
        """One row of the table; `resting` is the exchange's own word."""
        self._rows.append((what, venue, asked, told, by, slowest, str(resting)))

    def table(self) -> None:
        """The rows, aligned."""
        rows = [HEAD, *self._rows]
        widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
        for number, row in enumerate(rows):
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            print("  ".join(cells).rstrip(), file=self._out)
            if number == 0:
                print("  ".join("-" * width for width in widths), file=self._out)
        self._out.flush()


def counted(things: Mapping[Any, int]) -> str:
    """`7 canceled, 3 acked`: the most frequent first."""
    return ", ".join(f"{count} {name}" for name, count in Counter(things).most_common())


def slowest(results: Sequence[CancelResult]) -> str:
    """The longest time from the command to the answer that settled it."""
    took = [r.answered_ns - r.received_ns for r in results if r.answered_ns is not None and r.received_ns is not None]
    return f"{max(took) / NS_PER_MS:.1f} ms" if took else "-"
