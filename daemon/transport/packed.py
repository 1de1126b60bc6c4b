"""Files that are only read any more, packed with gzip, and read as if they were not.

Packing takes a while and a thread of its own, with pauses, so that it never has a core for long: whoever waits for the
interpreter or for the disk meanwhile waits for one piece of it at the most.
"""

import contextlib
import gzip
import io
import os
import stat
import threading
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

from .files import FILE_MODE, NEW, sync_directory

SUFFIX: Final = ".gz"
PIECE_BYTES: Final = 128 << 10
PAUSE_S: Final = 0.01
"""A piece takes some 2 ms, so that packing has a sixth of a core."""

LEVEL: Final = 1
"""The fastest: a record becomes a quarter. The highest would save a tenth more for eight times the work."""

DAMAGED: Final = (EOFError, zlib.error, gzip.BadGzipFile)


class PackingFailed(Exception):
    """What was packed does not read as what it was made of; the file is left as it was."""


def packed_name(name: str) -> str:
    """What a file is called once it is packed."""
    return name + SUFFIX


def pack(path: Path, given_up: Callable[[], bool]) -> bool:
    """Put a packed file in the place of this one, durably. False where there is none, or where it was given up.

    The packed one has its name, read back and compared, before the other loses it. Raises OSError, PackingFailed.
    """
    unfinished = path.with_name(f".{path.name}.{os.getpid()}{NEW}")
    try:
        source = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return False
    try:
        if not stat.S_ISREG(os.fstat(source).st_mode):
            return False
        flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
        with open(os.open(unfinished, flags, FILE_MODE), "w+b") as file:
            crc, size = 0, 0
            with gzip.GzipFile(filename="", fileobj=file, mode="wb", compresslevel=LEVEL, mtime=0) as packing:
                while piece := os.read(source, PIECE_BYTES):
                    if given_up():
                        return False
                    crc, size = zlib.crc32(piece, crc), size + len(piece)
                    packing.write(piece)
                    time.sleep(PAUSE_S)
            file.flush()
            os.fsync(file.fileno())
            file.seek(0)
            found, length = 0, 0
            with gzip.GzipFile(fileobj=file, mode="rb") as unpacking:
                while piece := unpacking.read(PIECE_BYTES):
                    if given_up():
                        return False
                    found, length = zlib.crc32(piece, found), length + len(piece)
                    time.sleep(PAUSE_S)
            if (found, length) != (crc, size):
                raise PackingFailed
        if not path.exists():
            # Removed meanwhile, as too old: it must not come back.
            return False
        unfinished.rename(path.with_name(packed_name(path.name)))
        sync_directory(path.parent)
        path.unlink()
        sync_directory(path.parent)
        return True
    finally:
        os.close(source)
        with contextlib.suppress(OSError):
            unfinished.unlink(missing_ok=True)


class Unpacker:
    """Reads parts of packed files. The one that was read last stays open: who reads on need not begin anew."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._file: gzip.GzipFile | None = None
        self._turn = threading.Lock()

    def read_part(self, path: Path, offset: int, limit_bytes: int) -> bytes:
        """At most so much of what was packed, from there on. A damaged file ends where it is damaged.

        Raises FileNotFoundError, OSError.
        """
        with self._turn:
            if path != self._path or self._file is None:
                self._open(path)
            assert self._file is not None
            try:
                self._file.seek(offset)
                return self._file.read(limit_bytes)
            except DAMAGED:
                return self._whole_part(path, offset, limit_bytes)

    def _open(self, path: Path) -> None:
        self.close()
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError(0, "is not a regular file")
        self._file = gzip.GzipFile(fileobj=io.BufferedReader(io.FileIO(descriptor)), mode="rb")
        self._path = path

    def _whole_part(self, path: Path, offset: int, limit_bytes: int) -> bytes:
        """What can still be read there, a piece at a time."""
        self._open(path)
        assert self._file is not None
        found = b""
        with contextlib.suppress(*DAMAGED):
            self._file.seek(offset)
            while len(found) < limit_bytes and (piece := self._file.read1(min(4096, limit_bytes - len(found)))):
                found += piece
        self.close()
        return found

    def close(self) -> None:
        """Let go of the file."""
        file, self._file, self._path = self._file, None, None
        if file is not None:
            file.close()
