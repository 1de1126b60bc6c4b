"""Small durable files in one directory: atomic replace, append with fdatasync, a single-instance lock.

Anything that can block on the disk has an async form that runs in a thread under a time limit, so that a disk that
hangs cannot hang the loop. What the files mean is not known here.
"""

import contextlib
import fcntl
import mmap
import os
import stat
import threading
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Final, Self, TypeVar

import trio

from .files import FILE_MODE, NEW, failed, read_regular, replace, sync_directory
from .files import DiskFailed as DiskFailed  # what every caller of Directory must catch
from .mapped import Memory, map_file

DISK_TIMEOUT_S: Final = 5.0  # real disks take 1 to 50 ms; past this the disk hangs and the caller must know
DISK_THREADS_LIMIT: Final = 4
READ_LIMIT_BYTES: Final = 64 << 20
WRITE_LIMIT_BYTES: Final = 16 << 20  # of one replace or one append
PID_LIMIT_BYTES: Final = 32

_DIRECTORY_MODE: Final = 0o700

T = TypeVar("T")


class Diverged(DiskFailed):
    """The file does not hold what was written to it: somebody else changed, cut or replaced it."""


class AlreadyLocked(Exception):
    """Another process holds the lock; `pid_text` is what it wrote into the file, for people only, maybe empty."""

    def __init__(self, path: Path, pid_text: str) -> None:
        super().__init__(f"{path}: held by process {pid_text or 'unknown'}")
        self.path = path
        self.pid_text = pid_text


class Lock:
    """An exclusive lock held by this process until `release` or the end of the process, however it ends."""

    def __init__(self, release: Callable[[], None]) -> None:
        self._release: Callable[[], None] | None = release

    def release(self) -> None:
        """Give the lock back; calling it again does nothing."""
        release, self._release = self._release, None
        if release is not None:
            release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


class _Attempt:
    """One write that runs in a thread; `abandoned` once nobody waits for it any more."""

    __slots__ = ("abandoned",)

    def __init__(self) -> None:
        self.abandoned = False


class Directory:
    """Files directly inside `root`, which must exist or be made by `make`.

    Names are plain file names. Of two writes to this directory that overlap, the one asked for first happens first,
    also when the first was given up because the disk hung.
    """

    def __init__(self, root: Path | str, *, timeout_s: float = DISK_TIMEOUT_S) -> None:
        self.root = Path(root)
        self._timeout_s = timeout_s
        self._threads = trio.CapacityLimiter(DISK_THREADS_LIMIT)
        # The trio locks keep the order of the callers. The thread locks keep it even behind a write that was given up
        # and whose thread still hangs in the kernel.
        self._replace_turn, self._append_turn, self._sync_turn = trio.Lock(), trio.Lock(), trio.Lock()
        self._replacing, self._appending, self._syncing = threading.Lock(), threading.Lock(), threading.Lock()

    def make(self, mode: int) -> bool:
        """Make `root` with `mode` when it is missing; whether it was. Its parent must exist. Raises DiskFailed."""
        try:
            self.root.mkdir(mode)
        except FileExistsError:
            return False
        except OSError as error:
            raise failed(self.root, error) from error
        return True

    def check(self) -> None:
        """Raises DiskFailed unless `root` is a directory that we may write to and strangers may not.

        Also removes the unfinished files that crashed processes left behind.
        """
        try:
            found = self.root.stat()
            if not stat.S_ISDIR(found.st_mode):
                raise DiskFailed(self.root, "is not a directory")
            if found.st_mode & stat.S_IWOTH:
                raise DiskFailed(self.root, f"mode {stat.S_IMODE(found.st_mode):04o} lets everybody write")
            if not os.access(self.root, os.R_OK | os.W_OK | os.X_OK, effective_ids=True):
                raise DiskFailed(self.root, "this user may not read and write there")
            for leftover in self.root.glob(f".*{NEW}"):
                writer = leftover.name.removesuffix(NEW).rpartition(".")[2]
                if not Path("/proc", writer).exists():
                    leftover.unlink(missing_ok=True)
        except OSError as error:
            raise failed(self.root, error) from error

    def subdirectory(self, name: str) -> "Directory":
        """The directory `name` inside this one, made with mode 0700, durably, when it is missing."""
        path = self._path(name)
        try:
            path.mkdir(_DIRECTORY_MODE)
        except FileExistsError:
            if not path.is_dir():
                raise DiskFailed(path, "is not a directory") from None
        except OSError as error:
            raise failed(path, error) from error
        else:
            self._locked(self._replacing, self.root, _Attempt(), lambda: sync_directory(self.root))
        return Directory(path, timeout_s=self._timeout_s)

    def names(self) -> list[str]:
        """The names of the files here, sorted, without those that begin with a dot. Raises DiskFailed."""
        try:
            return sorted(name for name in os.listdir(self.root) if not name.startswith("."))
        except OSError as error:
            raise failed(self.root, error) from error

    def exists(self, name: str) -> bool:
        """Whether anything lies at `name`, whatever it is. Raises DiskFailed when that cannot be told."""
        path = self._path(name)
        try:
            path.lstat()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise failed(path, error) from error
        return True

    def size(self, name: str) -> int | None:
        """Size in bytes; None when there is no such file. Raises DiskFailed."""
        path = self._path(name)
        try:
            return path.stat().st_size
        except FileNotFoundError:
            return None
        except OSError as error:
            raise failed(path, error) from error

    def read(self, name: str, *, limit_bytes: int = READ_LIMIT_BYTES) -> bytes | None:
        """The file's content; None when there is no such file.

        Raises DiskFailed for everything else: not readable, not a regular file, larger than `limit_bytes`.
        """
        try:
            return read_regular(self._path(name), limit_bytes)[0]
        except FileNotFoundError:
            return None

    def read_part(self, name: str, offset: int, limit_bytes: int) -> bytes:
        """At most `limit_bytes` of the file from `offset` on; empty at its end and where there is no such file.

        Raises DiskFailed, also for what is not a regular file.
        """
        path = self._path(name)
        try:
            return _read_part(path, offset, limit_bytes)
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise failed(path, error) from error

    async def apart(self, look: Callable[[], T]) -> T:
        """Run `look`, some plain calls of this class, in a thread and within the time limit. Raises DiskFailed."""
        try:
            with trio.fail_after(self._timeout_s):
                return await trio.to_thread.run_sync(look, abandon_on_cancel=True, limiter=self._threads)
        except trio.TooSlowError:
            raise DiskFailed(self.root, f"the disk has not answered within {self._timeout_s} s") from None

    def replace_now(self, name: str, data: bytes) -> None:
        """As `replace`, in this thread and as long as the disk takes: for start-up and one-shot programs."""
        path = self._path(name)
        _check_size(data)
        self._locked(self._replacing, path, _Attempt(), lambda: replace(path, data))

    async def replace(self, name: str, data: bytes) -> None:
        """Make `data` the content of `name`, whole or not at all, durable on return; mode 0600.

        Raises DiskFailed. After a timeout the old or the new content may be there, but never over that of a later
        replace. A cancelled caller leaves the same doubt.
        """
        path = self._path(name)
        _check_size(data)
        await self._in_thread(self._replace_turn, self._replacing, path, lambda: replace(path, data))

    def append_now(self, name: str, data: bytes) -> None:
        """As `append`, in this thread and as long as the disk takes."""
        path = self._path(name)
        _check_size(data)
        self._locked(self._appending, path, _Attempt(), lambda: _append(path, data))

    async def append(self, name: str, data: bytes) -> None:
        """Add `data` to the end of `name`, durable on return; the file is made, with mode 0600, when it is missing.

        Raises DiskFailed. On a full disk what had been written of `data` is taken back.
        """
        path = self._path(name)
        _check_size(data)
        await self._in_thread(self._append_turn, self._appending, path, lambda: _append(path, data))

    async def extend(self, name: str, offset: int, data: bytes) -> None:
        """Make the file, which had `offset` bytes, end with `data` behind them; durable only after `sync`.

        To be asked again with the same data, or more behind it, after it failed: what an earlier try has written is
        kept and not written twice. Raises Diverged when the file is shorter than that or holds other bytes there,
        DiskFailed.
        """
        path = self._path(name)
        _check_size(data)
        await self._in_thread(self._append_turn, self._appending, path, lambda: _extend(path, offset, data))

    async def sync(self, name: str) -> None:
        """Make what the file holds now durable. Does not wait for writes under way. Raises DiskFailed."""
        path = self._path(name)
        await self._in_thread(self._sync_turn, self._syncing, path, lambda: _sync(path))

    def map(self, name: str, size_bytes: int, beginning: bytes) -> Memory:
        """The file `name` as memory that outlives the process; see `mapped.map_file`. Raises DiskFailed."""
        return map_file(self._path(name), size_bytes, beginning)

    def remove_now(self, name: str) -> None:
        """Remove the file durably; nothing happens when there is none. Raises DiskFailed."""
        path = self._path(name)
        self._locked(self._replacing, path, _Attempt(), lambda: _remove(path))

    async def remove(self, name: str) -> None:
        """As `remove_now`, in a thread and within the time limit."""
        path = self._path(name)
        await self._in_thread(self._replace_turn, self._replacing, path, lambda: _remove(path))

    def lock(self, name: str) -> Lock:
        """Take the exclusive lock on the file `name`, without waiting; the file then holds our pid.

        The kernel frees it when the process ends, so a crash leaves nothing to clean up. The file itself stays:
        removing it would let two processes hold locks on two files of the same name.
        Raises AlreadyLocked when another process (or another call here) holds it, DiskFailed.
        """
        path = self._path(name)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, FILE_MODE)
        except OSError as error:
            raise failed(path, error) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with open(descriptor, "rb") as file:
                pid_text = file.read(PID_LIMIT_BYTES).decode("ascii", "replace").strip()
            raise AlreadyLocked(path, pid_text) from None
        except OSError as error:
            os.close(descriptor)
            raise failed(path, error) from error
        # A full disk takes no pid. The pid is for people; the lock is what counts, and it is held.
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)
        return Lock(lambda: os.close(descriptor))

    def _path(self, name: str) -> Path:
        if not name or name.startswith(".") or "/" in name or "\0" in name:
            raise ValueError(f"not a plain file name: {name!r}")
        return self.root / name

    def _locked(self, lock: threading.Lock, path: Path, attempt: _Attempt, write: Callable[[], None]) -> None:
        if not lock.acquire(timeout=self._timeout_s):
            raise DiskFailed(path, f"an earlier write has not ended within {self._timeout_s} s")
        try:
            # Given up while it waited for its turn: a later write may have been made since.
            if not attempt.abandoned:
                write()
        except OSError as error:
            raise failed(path, error) from error
        finally:
            lock.release()

    async def _in_thread(
        self, turn: trio.Lock, lock: threading.Lock, path: Path, write: Callable[[], None]
    ) -> None:
        attempt = _Attempt()
        try:
            with trio.fail_after(self._timeout_s):
                async with turn:
                    await trio.to_thread.run_sync(
                        self._locked, lock, path, attempt, write, abandon_on_cancel=True, limiter=self._threads
                    )
        except trio.TooSlowError:
            raise DiskFailed(path, f"the disk has not answered within {self._timeout_s} s") from None
        finally:
            attempt.abandoned = True


class DiskFaults:
    """What goes wrong with a simulated disk; shared by a `MemoryDirectory` and its subdirectories."""

    def __init__(self) -> None:
        self.detail: str | None = None  # set: every write raises DiskFailed with this text
        self.hangs = False  # async writes begin, show to readers, and are never synced
        self.sync_s = 0.0  # how long an async write takes to become durable
        self.room_bytes: int | None = None  # set: what `extend` may write before the disk is full


class MemoryDirectory(Directory):
    """Keeps the promises of `Directory` in memory, without threads, for simulations.

    The crash model: readers see a write at once, as through the page cache, but only what was synced, which an async
    write is when it returns, survives `crash`. A test keeps the object and hands it to the next life of the process.
    """

    def __init__(self, root: Path | str = "/memory", *, timeout_s: float = DISK_TIMEOUT_S) -> None:
        super().__init__(root, timeout_s=timeout_s)
        self.faults = DiskFaults()
        self._seen: dict[str, bytes | bytearray] = {}  # what only ever grows is not made anew each time
        self._durable: dict[str, bytes] = {}
        self._children: dict[str, MemoryDirectory] = {}
        self._locks: dict[str, object] = {}
        self._mapped: dict[str, mmap.mmap] = {}
        self._life = object()  # another one after each crash

    def crash(self, *, power_lost: bool = True) -> None:
        """End the process's life: locks are free, writes under way never finish.

        power_lost: the machine went with it and only what was synced is left; else the page cache is kept, as after
        kill -9. Of a mapped file nothing is synced that was stored in its memory.
        """
        self._life = object()
        for name, memory in self._mapped.items():
            self._show(name, bytes(memory))
        # Whoever still holds that memory is dead, and what is stored in it from here on is nobody's.
        self._mapped.clear()
        self._locks.clear()
        # Whoever waited for a turn died with the process.
        self._replace_turn, self._append_turn, self._sync_turn = trio.Lock(), trio.Lock(), trio.Lock()
        if power_lost:
            self._seen = dict(self._durable)
        else:
            self._durable = {name: bytes(content) for name, content in self._seen.items()}
        for child in self._children.values():
            child.crash(power_lost=power_lost)

    def make(self, mode: int) -> bool:
        return False

    def check(self) -> None:
        pass

    def subdirectory(self, name: str) -> "MemoryDirectory":
        path = self._path(name)
        if name not in self._children:
            self._children[name] = MemoryDirectory(path, timeout_s=self._timeout_s)
            self._children[name].faults = self.faults
        return self._children[name]

    def names(self) -> list[str]:
        return sorted(self._seen.keys() | self._children.keys())

    def exists(self, name: str) -> bool:
        self._path(name)
        return name in self._seen or name in self._children

    def size(self, name: str) -> int | None:
        self._path(name)
        return len(self._seen[name]) if name in self._seen else None

    def read(self, name: str, *, limit_bytes: int = READ_LIMIT_BYTES) -> bytes | None:
        path = self._path(name)
        content = bytes(self._mapped[name]) if name in self._mapped else self._seen.get(name)
        if content is not None and len(content) > limit_bytes:
            raise DiskFailed(path, f"is larger than {limit_bytes} bytes")
        return None if content is None else bytes(content)

    def read_part(self, name: str, offset: int, limit_bytes: int) -> bytes:
        self._path(name)
        return bytes(self._seen.get(name, b"")[offset : offset + limit_bytes])

    async def apart(self, look: Callable[[], T]) -> T:
        await trio.lowlevel.checkpoint()
        return look()

    def replace_now(self, name: str, data: bytes) -> None:
        self._begin(name, data)
        self._show(name, data)
        self._settle(name)

    async def replace(self, name: str, data: bytes) -> None:
        await self._write(self._replace_turn, name, data, lambda: data)

    def append_now(self, name: str, data: bytes) -> None:
        self._begin(name, data)
        self._show(name, bytes(self._seen.get(name, b"")) + data)
        self._settle(name)

    async def append(self, name: str, data: bytes) -> None:
        await self._write(self._append_turn, name, data, lambda: bytes(self._seen.get(name, b"")) + data)

    async def extend(self, name: str, offset: int, data: bytes) -> None:
        self._begin(name, data)
        await trio.lowlevel.checkpoint()
        if self.faults.hangs:
            await trio.sleep(self._timeout_s)
            raise DiskFailed(self._path(name), f"the disk has not answered within {self._timeout_s} s")
        if offset and name not in self._seen:
            raise Diverged(self._path(name), "was there and is not: somebody removed it")
        content = self._seen.get(name, b"")
        left = _left_of(self._path(name), bytes(content[offset:]), len(content), offset, data)
        room = self.faults.room_bytes
        fits = left if room is None else left[:room]
        if not isinstance(content, bytearray):
            content = self._seen[name] = bytearray(content)
        content += fits
        if room is not None:
            self.faults.room_bytes = room - len(fits)
        if len(fits) < len(left):
            raise DiskFailed(self._path(name), "No space left on device")

    async def sync(self, name: str) -> None:
        self._begin(name, b"")
        life = self._life
        content = bytes(self._seen[name]) if name in self._seen else None
        if self.faults.hangs:
            await trio.sleep(self._timeout_s)
            raise DiskFailed(self._path(name), f"the disk has not answered within {self._timeout_s} s")
        await trio.sleep(self.faults.sync_s)
        if life is self._life and content is not None:
            self._durable[name] = content

    def map(self, name: str, size_bytes: int, beginning: bytes) -> Memory:
        path = self._path(name)
        if name not in self._seen:
            self._begin(name, b"")
            if self.faults.room_bytes is not None and self.faults.room_bytes < size_bytes:
                raise DiskFailed(path, "No space left on device")
            self._show(name, _blank(beginning, size_bytes))
            self._settle(name)
        content = self._mapped.get(name, self._seen[name])
        if len(content) != size_bytes:
            raise DiskFailed(path, f"has {len(content)} bytes and not {size_bytes}")
        memory = self._mapped[name] = mmap.mmap(-1, size_bytes)
        if content is _blank(beginning, size_bytes):
            # Pages that nobody has written to cost nothing.
            memory[: len(beginning)] = beginning
        else:
            memory[:] = content
        return memory

    def remove_now(self, name: str) -> None:
        self._begin(name, b"")
        self._show(name, None)
        self._settle(name)

    async def remove(self, name: str) -> None:
        await self._write(self._replace_turn, name, b"", lambda: None)

    def lock(self, name: str) -> Lock:
        path = self._path(name)
        if name in self._locks:
            raise AlreadyLocked(path, "simulated")
        mine = self._locks[name] = object()

        def release() -> None:
            if self._locks.get(name) is mine:
                del self._locks[name]

        return Lock(release)

    async def _write(self, turn: trio.Lock, name: str, data: bytes, content: Callable[[], bytes | None]) -> None:
        path = self._path(name)
        _check_size(data)
        life = self._life
        try:
            with trio.fail_after(self._timeout_s):
                async with turn:
                    self._begin(name, data)
                    if life is self._life:
                        self._show(name, content())
                    if self.faults.hangs:
                        await trio.sleep_forever()
                    await trio.sleep(self.faults.sync_s)
        except trio.TooSlowError:
            raise DiskFailed(path, f"the disk has not answered within {self._timeout_s} s") from None
        if life is self._life:
            self._settle(name)

    def _begin(self, name: str, data: bytes) -> None:
        path = self._path(name)
        _check_size(data)
        if self.faults.detail is not None:
            raise DiskFailed(path, self.faults.detail)

    def _show(self, name: str, content: bytes | None) -> None:
        if content is None:
            self._seen.pop(name, None)
        else:
            self._seen[name] = content

    def _settle(self, name: str) -> None:
        if name in self._seen:
            self._durable[name] = bytes(self._seen[name])
        else:
            self._durable.pop(name, None)


def _append(path: Path, data: bytes) -> None:
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


def _read_part(path: Path, offset: int, limit_bytes: int) -> bytes:
    # NONBLOCK: a pipe in the file's place must not hang us.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise DiskFailed(path, "is not a regular file")
        return os.pread(descriptor, limit_bytes, offset)
    finally:
        os.close(descriptor)


def _extend(path: Path, offset: int, data: bytes) -> None:
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
        left = memoryview(_left_of(path, there, size, offset, data))
        while left:
            left = left[os.write(descriptor, left) :]
    finally:
        os.close(descriptor)
    if size == 0:
        sync_directory(path.parent)


@lru_cache(maxsize=4)
def _blank(beginning: bytes, size_bytes: int) -> bytes:
    """A file of so many bytes that nothing was stored in, the same object each time."""
    return beginning.ljust(size_bytes, b"\0")


def _left_of(path: Path, there: bytes, size: int, offset: int, data: bytes) -> bytes:
    """What of `data` is not yet in a file of `size` bytes that holds `there` from `offset` on. Raises Diverged."""
    if size < offset:
        raise Diverged(path, f"has {size} bytes and had {offset}: somebody cut or replaced it")
    if size > offset + len(data) or not data.startswith(there):
        raise Diverged(path, f"holds other bytes from {offset} on than were written there")
    return data[len(there) :]


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    try:
        path.unlink()
    except FileNotFoundError:
        return
    sync_directory(path.parent)


def _check_size(data: bytes) -> None:
    if len(data) > WRITE_LIMIT_BYTES:
        raise ValueError(f"{len(data)} bytes are more than one write may have ({WRITE_LIMIT_BYTES})")
