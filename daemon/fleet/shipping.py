"""Which line of the record goes next, so that each goes once and none is passed over.

Lines are followed by the chain, never by their place in a file: the next one names its number and the hash of the one
before it. What does not follow is held back until a line that does shows that it was torn by a crash, or until it has
waited for long enough: then the chain is broken, which is told, and what there is goes all the same, since evidence of
a break is evidence. Times are monotonic nanoseconds.
"""

from typing import Final, NamedTuple

from ..engine.journal import Link
from ..engine.journal_check import record_in

ASTRAY_NS: Final = 5 * 10**9
"""How long a line that does not follow waits. A daemon that starts again has told of torn bytes long before."""

ASTRAY_LIMIT: Final = 10_000
"""Most lines held back; with more the chain is broken, no matter how long they have waited."""


class Shipped(NamedTuple):
    """A line for the sink. link: its own number and hash. line: of its file, from 1."""

    link: Link
    raw: bytes
    file: str
    line: int


class Break(NamedTuple):
    """For an alert: where the chain does not hold, and what is wrong."""

    file: str
    line: int
    what: str


def link_of(raw: bytes, hash: str) -> Link | None:
    """The place in the chain of a line with this hash; None for what is no line of a record."""
    record = record_in(raw)
    return None if record is None else Link(record["n"], hash)


class Shipping:
    """Takes the lines behind the last one that is in the sink, oldest first; what goes is in `ready`."""

    def __init__(self, last: Link | None) -> None:
        """last: None where nothing was shipped yet: then whichever line comes first is taken."""
        self.last = last
        self.ready: list[Shipped] = []
        self.breaks: list[Break] = []
        self._astray: list[Shipped] = []
        self._prevs: dict[str, str] = {}
        self._since_ns = 0

    @property
    def astray(self) -> bool:
        """Whether lines are held back."""
        return bool(self._astray)

    def take(self, line: Shipped | None, prev: str, now_ns: int) -> None:
        """The next line of the record; None for bytes that are none. prev: the hash that it names."""
        if line is None:
            return
        if self._follows(line.link, prev):
            # Whatever did not follow was torn: this line, behind it, does.
            self._astray.clear()
            self._go(line)
            return
        if not self._astray:
            self._since_ns = now_ns
        self._astray.append(line)
        self._prevs[line.link.hash] = prev
        self.on_time(now_ns)

    def on_time(self, now_ns: int) -> None:
        """To be called now and then."""
        while self._astray and (now_ns - self._since_ns >= ASTRAY_NS or len(self._astray) >= ASTRAY_LIMIT):
            first, *others = self._astray
            before = "the first line" if self.last is None else f"line {self.last.n}, the last that was shipped"
            self.breaks.append(Break(first.file, first.line, f"line {first.link.n} does not follow {before}"))
            prevs, self._astray, self._prevs = self._prevs, [], {}
            self._go(first)
            for one in others:
                self.take(one, prevs[one.link.hash], now_ns)

    def _follows(self, link: Link, prev: str) -> bool:
        return self.last is None or (link.n == self.last.n + 1 and prev == self.last.hash)

    def _go(self, line: Shipped) -> None:
        self.last = line.link
        self.ready.append(line)
