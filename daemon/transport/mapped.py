"""A file of fixed size as memory: what is stored in it outlives the process, however that ends, without a system call.

The kernel writes it to disk when it likes: a power cut may lose or tear what was stored last. What the bytes mean is
not known here.
"""

import mmap
import os
import stat
from pathlib import Path
from typing import Final, Protocol

from .files import FILE_MODE, NEW, DiskFailed, failed, sync_directory

MAPPED_LIMIT_BYTES: Final = 64 << 20


class Memory(Protocol):
    """Bytes that are stored by slices of their own length: `memory[at : at + 4] = four_bytes`."""

    def __setitem__(self, place: slice, content: bytes, /) -> None: ...


def map_file(path: Path, size_bytes: int, beginning: bytes) -> mmap.mmap:
    """The file as memory of exactly `size_bytes`; a missing one is made: `beginning`, then zeros, mode 0600.

    Every block of it is set aside on the disk beforehand: a store that found the disk full would end the process.
    Raises DiskFailed, also for a file of another size, which is left as it is.
    """
    if not len(beginning) <= size_bytes <= MAPPED_LIMIT_BYTES:
        raise ValueError(f"{size_bytes} bytes are not between its beginning and {MAPPED_LIMIT_BYTES}")
    try:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError:
            _make(path, size_bytes, beginning)
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise DiskFailed(path, "is not a regular file")
            if found.st_size != size_bytes:
                raise DiskFailed(path, f"has {found.st_size} bytes and not {size_bytes}")
            # Also of a file that was there: a copy may have come back from a backup with holes.
            os.posix_fallocate(descriptor, 0, size_bytes)
            return mmap.mmap(descriptor, size_bytes)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise failed(path, error) from error


def _make(path: Path, size_bytes: int, beginning: bytes) -> None:
    """Under another name first, so that a crash or a full disk leaves no file of another size behind."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}{NEW}")
    flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(unfinished, flags, FILE_MODE)
    try:
        try:
            os.posix_fallocate(descriptor, 0, size_bytes)
            os.pwrite(descriptor, beginning, 0)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        unfinished.rename(path)
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)
