"""Reading, replacing and extending files: the blocking steps, for programs that have no loop and for those that do.

It imports nothing that is slow to import: `panic` waits for it. What the files mean is not known here.
"""

import contextlib
import os
import stat
from pathlib import Path
from typing import Final

READ_STEP_BYTES: Final = 1 << 20  # os.read sets aside what it is asked for, however small the file is
PRIVATE_LIMIT_BYTES: Final = 64 << 10

FILE_MODE: Final = 0o600
NEW: Final = ".new"
"""What the name of a file that is not whole yet ends with."""


class DiskFailed(Exception):
    """The disk, or what lies on it, did not allow what was asked; nothing is promised about `path` now."""

    def __init__(self, path: Path, detail: str) -> None:
        super().__init__(f"{path}: {detail}")
        self.path = path
        self.detail = detail


class Diverged(DiskFailed):
    """The file does not hold what was written to it: somebody else changed, cut or replaced it."""


class TooOpen(Exception):
    """Others than the owner could read or change the file; it must not be used."""

    def __init__(self, path: Path, mode: int) -> None:
        super().__init__(f"{path}: mode {mode:04o} lets others in, 0600 or stricter is needed")
        self.path = path
        self.mode = mode


def read_private(path: Path | str, *, trusted_directory: bool = False) -> bytes:
    """The content of a file that nobody but its owner may read or write.

    trusted_directory: the file lies where systemd puts a service's credentials; there mode 0440 or stricter is fine
    as long as the file belongs to root or to us, since the directory itself is closed to others.
    Raises TooOpen; DiskFailed when it is missing, not a regular file, or larger than PRIVATE_LIMIT_BYTES.
    """
    path = Path(path)
    try:
        content, found = read_regular(path, PRIVATE_LIMIT_BYTES)
    except FileNotFoundError as error:
        raise failed(path, error) from error
    mode = stat.S_IMODE(found.st_mode)
    private = mode & 0o077 == 0
    systemd_made = trusted_directory and mode & ~0o440 == 0 and found.st_uid in (0, os.geteuid())
    if not private and not systemd_made:
        raise TooOpen(path, mode)
    return content


def read_regular(path: Path, limit_bytes: int) -> tuple[bytes, os.stat_result]:
    """Content and status of the very file that was opened. Raises FileNotFoundError, DiskFailed."""
    try:
        # NONBLOCK: a pipe in the file's place must not hang us.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise DiskFailed(path, "is not a regular file")
            parts: list[bytes] = []
            room = limit_bytes + 1
            while room > 0 and (part := os.read(descriptor, min(room, READ_STEP_BYTES))):
                parts.append(part)
                room -= len(part)
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise failed(path, error) from error
    if room <= 0:
        raise DiskFailed(path, f"is larger than {limit_bytes} bytes")
    return b"".join(parts), found


def replace(path: Path, data: bytes) -> None:
    """Make `data` the content of `path`, whole or not at all, durable on return; mode 0600. Raises OSError.

    Root gives the file to the directory's owner: what `panic` writes as root must be readable to the daemon.
    """
    # The pid keeps two processes apart that replace the same file at the same time.
    unfinished = path.with_name(f".{path.name}.{os.getpid()}{NEW}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        with open(os.open(unfinished, flags, FILE_MODE), "wb") as file:
            if os.geteuid() == 0:
                owner = os.stat(path.parent)
                os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(path)
    except OSError:
        with contextlib.suppress(OSError):
            unfinished.unlink()
        raise
    sync_directory(path.parent)


def append(path: Path, data: bytes) -> None:
    """Add `data` to the end of a file, made when it is missing, durable on return. Raises OSError."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(path, flags, FILE_MODE)
    try:
        start = os.fstat(descriptor).st_size
        written = 0
        try:
            while written < len(data):
                written += os.write(descriptor, data[written:])
        except OSError:
            # Full disk: half a record would spoil the next one. Only when nobody else has appended meanwhile.
            if written and os.fstat(descriptor).st_size == start + written:
                os.ftruncate(descriptor, start)
            raise
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)
    if start == 0:
        sync_directory(path.parent)


def read_part(path: Path, offset: int, limit_bytes: int) -> bytes:
    """At most `limit_bytes` of a regular file from `offset` on. Raises OSError, DiskFailed."""
    # NONBLOCK: a pipe in the file's place must not hang us.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise DiskFailed(path, "is not a regular file")
        return os.pread(descriptor, limit_bytes, offset)
    finally:
        os.close(descriptor)


def extend(path: Path, offset: int, data: bytes) -> None:
    """Make a file of `offset` bytes end with `data` behind them, not yet durable. Raises OSError, Diverged."""
    # O_APPEND, so that it also works on a file that the operator made append-only.
    flags = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | (0 if offset else os.O_CREAT)
    try:
        descriptor = os.open(path, flags, FILE_MODE)
    except FileNotFoundError:
        if not offset:
            raise
        raise Diverged(path, "was there and is not: somebody removed it") from None
    try:
        size = os.fstat(descriptor).st_size
        there = os.pread(descriptor, min(size - offset, len(data)), offset) if size > offset else b""
        left = memoryview(left_of(path, there, size, offset, data))
        while left:
            left = left[os.write(descriptor, left) :]
    finally:
        os.close(descriptor)
    if size == 0:
        sync_directory(path.parent)


def left_of(path: Path, there: bytes, size: int, offset: int, data: bytes) -> bytes:
    """What of `data` is not yet in a file of `size` bytes that holds `there` from `offset` on. Raises Diverged."""
    if size < offset:
        raise Diverged(path, f"has {size} bytes and had {offset}: somebody cut or replaced it")
    if size > offset + len(data) or not data.startswith(there):
        raise Diverged(path, f"holds other bytes from {offset} on than were written there")
    return data[len(there) :]


def sync(path: Path) -> None:
    """Make what the file holds durable. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)


def remove(path: Path) -> None:
    """Remove the file durably; nothing happens when there is none. Raises OSError."""
    try:
        path.unlink()
    except FileNotFoundError:
        return
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """A new name, or one that is gone, is durable only when its directory is."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def failed(path: Path, error: OSError) -> DiskFailed:
    """The same as the one exception that callers of this room catch."""
    return DiskFailed(path, error.strerror or str(error))
