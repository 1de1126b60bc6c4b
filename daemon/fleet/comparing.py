"""The record on a host beside what was shipped of it: which lines differ, and which are missing on either side.

The stream's lines were written down elsewhere when they were new, so where the two differ it is the host's that was
changed afterwards, or lost.
"""

from typing import Final, NamedTuple

LIMIT: Final = 100
"""Most differences told of; all are counted."""


class Local(NamedTuple):
    """A line of the record on the host: number, hash, and where it lies, counted from 1."""

    n: int
    hash: str
    file: str
    line: int


class Comparison:
    """Takes the stream's lines, all of them, and then the host's, all of them, oldest first."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        self.wrong = 0
        self.same = 0
        self.unshipped = 0
        self.earlier = 0
        self._stream: dict[int, list[bytes]] = {}
        self._stream_first, self._stream_last = 0, 0
        self._local_first: int | None = None
        self._local_last = 0
        self._place = ("", 0)

    def stream(self, n: int, hash: str) -> None:
        """A line of the stream. After lines were lost on a host, numbers come again."""
        self._stream.setdefault(n, []).append(bytes.fromhex(hash))
        self._stream_first = min(self._stream_first or n, n)
        self._stream_last = max(self._stream_last, n)

    def local(self, line: Local) -> None:
        """A line of the record on this host."""
        if self._local_first is None:
            self._local_first = line.n
        shipped = self._stream.pop(line.n, None)
        if shipped is None:
            if line.n > self._stream_last:
                self.unshipped += 1
            elif line.n < self._stream_first:
                self.earlier += 1
            else:
                self._fault(
                    f"{line.file}:{line.line}: line {line.n} was never shipped, lines behind it were: put in later"
                )
        elif bytes.fromhex(line.hash) not in shipped:
            self._fault(f"{line.file}:{line.line}: changed: line {line.n} was another when it was shipped")
        else:
            self.same += 1
            if len(shipped) > 1:
                self._fault(
                    f"{line.file}:{line.line}: line {line.n} was shipped in another form before: lost, and begun anew"
                )
        self._local_last = max(self._local_last, line.n)
        self._place = line.file, line.line

    def end(self) -> None:
        """There are no more lines."""
        first = self._local_first
        gone = sorted(n for n in self._stream if first is None or n > first)
        begin = None
        for place, n in enumerate(gone):
            begin = n if begin is None else begin
            if place + 1 == len(gone) or gone[place + 1] != n + 1:
                file, line = self._place
                where = f"{file}:{line}: behind it is " if begin > self._local_last else ""
                self._fault(f"{where}missing: lines {begin}..{n} were shipped and are not in the record here")
                begin = None

    def _fault(self, text: str) -> None:
        self.wrong += 1
        if len(self.faults) < LIMIT:
            self.faults.append(text)
