"""Small durable files in one directory: atomic replace, append with fdatasync, a single-instance lock.

Anything that can block on the disk has an async form that runs in a thread under a time limit, so that a disk that
hangs cannot hang the loop. What the files mean is not known here.
"""

import contextlib
import fcntl
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple, Self, TypeVar

import trio

from . import files
from .files import FILE_MODE, NEW, failed, read_regular, replace, sync_directory
from .files import DiskFailed as DiskFailed  # what every caller of Directory must catch
from .files import Diverged as Diverged
from .mapped import Memory, map_file
from .owners import fault_of, make_own_directory
from .packed import DAMAGED, PackingFailed, Unpacker, pack, packed_name

DISK_TIMEOUT_S: Final = 5.0  # real disks take 1 to 50 ms; past this the disk hangs and the caller must know
DISK_THREADS_LIMIT: Final = 4
PACK_S: Final = 120.0  # of one file; with its pauses a large one takes some 15 s
READ_LIMIT_BYTES: Final = 64 << 20
WRITE_LIMIT_BYTES: Final = 16 << 20  # of one replace or one append
PID_LIMIT_BYTES: Final = 32

_DIRECTORY_MODE: Final = 0o700

T = TypeVar("T")


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


class Identity(NamedTuple):
    """What tells one thing from any other that lay at the same name, and whose it is. changed_ns: UTC."""

    device: int
    inode: int
    changed_ns: int
    uid: int


class Directory:
    """Files directly inside `root`, which must exist or be made by `make`.

    Names are plain file names. Of two writes to this directory that overlap, the one asked for first happens first,
    also when the first was given up because the disk hung.
    """

    def __init__(self, root: Path | str, *, timeout_s: float = DISK_TIMEOUT_S) -> None:
        self.root = Path(root)
        self._timeout_s = timeout_s
        self._threads = trio.CapacityLimiter(DISK_THREADS_LIMIT)
        self._packing = trio.CapacityLimiter(1)
        self._unpacker = Unpacker()
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
        """Raises DiskFailed unless `root` is a directory that we may write to and nobody else can change or replace.

        Also removes the unfinished files that crashed processes left behind.
        """
        try:
            found = self.root.stat()
            if not stat.S_ISDIR(found.st_mode):
                raise DiskFailed(self.root, "is not a directory")
            if (fault := fault_of(self.root)) is not None:
                raise DiskFailed(self.root, fault)
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
            made = make_own_directory(path, _DIRECTORY_MODE)
        except OSError as error:
            raise failed(path, error) from error
        if made:
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

    def identity(self, name: str) -> Identity | None:
        """What tells the thing that lies at `name`, whatever it is, from any other that lay or will lie there.

        None when nothing lies there. Raises DiskFailed when that cannot be told.
        """
        path = self._path(name)
        try:
            found = path.lstat()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise failed(path, error) from error
        return Identity(found.st_dev, found.st_ino, found.st_mtime_ns, found.st_uid)

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
            return files.read_part(path, offset, limit_bytes)
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise failed(path, error) from error

    def read_part_packed(self, name: str, offset: int, limit_bytes: int) -> bytes:
        """As `read_part`, also where the file was packed. Where a packed one is damaged it ends."""
        if part := self.read_part(name, offset, limit_bytes):
            return part
        path = self._path(packed_name(name))
        try:
            return self._unpacker.read_part(path, offset, limit_bytes)
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise failed(path, error) from error

    async def pack(self, name: str) -> None:
        """Pack a file that nobody writes to any more, in a thread, within PACK_S. Raises DiskFailed."""
        path, attempt = self._path(name), _Attempt()
        try:
            with trio.fail_after(PACK_S):
                await trio.to_thread.run_sync(
                    pack, path, lambda: attempt.abandoned, abandon_on_cancel=True, limiter=self._packing
                )
        except trio.TooSlowError:
            raise DiskFailed(path, f"was not packed within {PACK_S} s") from None
        except (PackingFailed, *DAMAGED):
            raise DiskFailed(path, "reads back differently when it is packed") from None
        except OSError as error:
            raise failed(path, error) from error
        finally:
            attempt.abandoned = True

    def stored_bytes(self, name: str) -> int:
        """What the file takes, packed or not; 0 where there is none. Raises DiskFailed."""
        return self.size(name) or self.size(packed_name(name)) or 0

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
        check_size(data)
        self._locked(self._replacing, path, _Attempt(), lambda: replace(path, data))

    async def replace(self, name: str, data: bytes) -> None:
        """Make `data` the content of `name`, whole or not at all, durable on return; mode 0600.

        Raises DiskFailed. After a timeout the old or the new content may be there, but never over that of a later
        replace. A cancelled caller leaves the same doubt.
        """
        path = self._path(name)
        check_size(data)
        await self._in_thread(self._replace_turn, self._replacing, path, lambda: replace(path, data))

    def append_now(self, name: str, data: bytes) -> None:
        """As `append`, in this thread and as long as the disk takes."""
        path = self._path(name)
        check_size(data)
        self._locked(self._appending, path, _Attempt(), lambda: files.append(path, data))

    async def append(self, name: str, data: bytes) -> None:
        """Add `data` to the end of `name`, durable on return; the file is made, with mode 0600, when it is missing.

        Raises DiskFailed. On a full disk what had been written of `data` is taken back.
        """
        path = self._path(name)
        check_size(data)
        await self._in_thread(self._append_turn, self._appending, path, lambda: files.append(path, data))

    async def extend(self, name: str, offset: int, data: bytes) -> None:
        """Make the file, which had `offset` bytes, end with `data` behind them; durable only after `sync`.

        To be asked again with the same data, or more behind it, after it failed: what an earlier try has written is
        kept and not written twice. Raises Diverged when the file is shorter than that or holds other bytes there,
        DiskFailed.
        """
        path = self._path(name)
        check_size(data)
        await self._in_thread(self._append_turn, self._appending, path, lambda: files.extend(path, offset, data))

    async def sync(self, name: str) -> None:
        """Make what the file holds now durable. Does not wait for writes under way. Raises DiskFailed."""
        path = self._path(name)
        await self._in_thread(self._sync_turn, self._syncing, path, lambda: files.sync(path))

    def map(self, name: str, size_bytes: int, beginning: bytes) -> Memory:
        """The file `name` as memory that outlives the process; see `mapped.map_file`. Raises DiskFailed."""
        return map_file(self._path(name), size_bytes, beginning)

    def remove_now(self, name: str) -> None:
        """Remove the file durably; nothing happens when there is none. Raises DiskFailed."""
        path = self._path(name)
        self._locked(self._replacing, path, _Attempt(), lambda: files.remove(path))

    async def remove(self, name: str) -> None:
        """As `remove_now`, in a thread and within the time limit."""
        path = self._path(name)
        await self._in_thread(self._replace_turn, self._replacing, path, lambda: files.remove(path))

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

    async def _in_thread(self, turn: trio.Lock, lock: threading.Lock, path: Path, write: Callable[[], None]) -> None:
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


def check_size(data: bytes) -> None:
    """Raises ValueError for more than one write may have."""
    if len(data) > WRITE_LIMIT_BYTES:
        raise ValueError(f"{len(data)} bytes are more than one write may have ({WRITE_LIMIT_BYTES})")
