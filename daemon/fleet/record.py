"""The record on this host, as a shipper reads it: from any line on, and on with what is written."""

from collections.abc import Iterator
from hashlib import sha256
from typing import Final, NamedTuple

from ..engine.journal import Link, files_among
from ..engine.journal_check import first_of, lines_of, record_in
from ..transport.disk import Directory
from .shipping import Shipped

DIRECTORY: Final = "journal"


class Read(NamedTuple):
    """A whole line as it lies there; `shipped` is None where it is none of the record's. prev: what it names."""

    shipped: Shipped | None
    prev: str


class Cut(Exception):
    """A file has become shorter than it was when it was read."""


class Record:
    """Reads on from where it stands. Raises DiskFailed."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._file = ""
        self._offset = 0
        self._line = 0

    def files(self) -> list[str]:
        """Its files, oldest first."""
        return files_among(self._directory.names())

    def range(self) -> tuple[int, int] | None:
        """The numbers of its first and its last line; None for an empty one."""
        numbers = [record["n"] for file in self.files() if (record := first_of(self._directory.read_part_packed, file))]
        last = None
        for line in lines_of(self._directory.read_part_packed, self.files()[-1]) if numbers else ():
            record = record_in(line.raw) if line.whole else None
            last = last if record is None else record["n"]
        return None if not numbers else (numbers[0], max(numbers[-1], last or 0))

    def rewind(self) -> None:
        """Stand before the oldest line."""
        self._file, self._offset, self._line = "", 0, 0

    def seek(self, link: Link) -> bool:
        """Stand behind this very line; False, and nowhere in particular, where the record does not hold it."""
        for file in reversed(self.files()):
            first = first_of(self._directory.read_part_packed, file)
            if first is None or first["n"] > link.n:
                continue
            self._file, self._offset, self._line = file, 0, 0
            for one in self._here():
                if one.shipped is not None and one.shipped.link == link:
                    return True
            # An older file can have the number too: after lines were lost they are counted anew.
        return False

    def links(self, least: int) -> dict[int, set[str]]:
        """The hashes of the lines from this number on, by number."""
        found: dict[int, set[str]] = {}
        files = self.files()
        firsts = [first_of(self._directory.read_part_packed, file) for file in files]
        begin = max((place for place, one in enumerate(firsts) if one is not None and one["n"] <= least), default=0)
        for file in files[begin:]:
            for line in lines_of(self._directory.read_part_packed, file):
                record = record_in(line.raw) if line.whole else None
                if record is not None and record["n"] >= least:
                    found.setdefault(record["n"], set()).add(sha256(line.raw).hexdigest())
        return found

    def read_on(self) -> Iterator[Read]:
        """The whole lines from here to the present end. Raises Cut."""
        if not self._file or self._file not in self.files():
            following = [file for file in self.files() if file > self._file]
            if not following:
                return
            self._file, self._offset, self._line = following[0], 0, 0
        size = self._directory.size(self._file)
        if size is not None and size < self._offset:
            raise Cut
        while True:
            later = [file for file in self.files() if file > self._file]
            # Only what is read after it has a follower is all of a file.
            yield from self._here()
            if not later:
                return
            self._file, self._offset, self._line = later[0], 0, 0

    def _here(self) -> Iterator[Read]:
        for line in lines_of(self._directory.read_part_packed, self._file, self._offset):
            if not line.whole:
                return
            self._offset = line.offset + len(line.raw) + 1
            self._line += 1
            record = record_in(line.raw)
            if record is None:
                yield Read(None, "")
            else:
                link = Link(record["n"], sha256(line.raw).hexdigest())
                yield Read(Shipped(link, line.raw, self._file, self._line), record["prev"])
