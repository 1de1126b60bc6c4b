"""The telling: line by line with the time, and a table at the end."""

import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import IO, Any, Final

from ..client.results import CancelResult
from ..contract.ids import Venue

HEAD: Final = ("what happened", "venue", "asked", "told the strategy", "answered by", "slowest", "resting")

KEYS: Final = ("what", "venue", "asked", "outcomes", "routes", "slowest", "resting")

NS_PER_MS: Final = 1_000_000


class Story:
    """Tells what happens as it happens, and keeps the rows of the final table. as_json: a map a line, each row too."""

    def __init__(self, out: IO[str], *, as_json: bool = False) -> None:
        self._out = out
        self._as_json = as_json
        self._start = time.monotonic()
        self._rows: list[tuple[str, ...]] = []

    def tell(self, text: str) -> None:
        """One line, with the seconds since the start."""
        at_s = time.monotonic() - self._start
        line = json.dumps({"at_s": round(at_s, 2), "told": text}) if self._as_json else f"{at_s:6.2f}s  {text}"
        print(line, file=self._out, flush=True)

    def row(self, what: str, venue: Venue, asked: str, told: str, by: str, slowest: str, resting: int) -> None:
        """One row of the table; `resting` is the exchange's own word."""
        self._rows.append((what, venue, asked, told, by, slowest, str(resting)))

    def table(self) -> None:
        """The rows, aligned."""
        if self._as_json:
            for row in self._rows:
                print(json.dumps(dict(zip(KEYS, row, strict=True))), file=self._out)
            self._out.flush()
            return
        print(file=self._out)
        rows = [HEAD, *self._rows]
        widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
        for number, row in enumerate(rows):
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            print("  ".join(cells).rstrip(), file=self._out)
            if number == 0:
                print("  ".join("-" * width for width in widths), file=self._out)
        print(file=self._out, flush=True)

    def end(self, *, good: bool) -> None:
        """The verdict on the whole."""
        if self._as_json:
            line = json.dumps({"good": good})
        elif good:
            line = "Every command got exactly one answer, and the exchange's book agrees with all of them."
        else:
            line = "A chapter did not end as it should have: see the last column, and the lines above the table."
        print(line, file=self._out, flush=True)


def counted(things: Mapping[Any, int]) -> str:
    """`7 canceled, 3 acked`: the most frequent first."""
    return ", ".join(f"{count} {name}" for name, count in Counter(things).most_common())


def slowest(results: Sequence[CancelResult]) -> str:
    """The longest time from the command to the answer that settled it."""
    took = [r.answered_ns - r.received_ns for r in results if r.answered_ns is not None and r.received_ns is not None]
    return f"{max(took) / NS_PER_MS:.1f} ms" if took else "-"
