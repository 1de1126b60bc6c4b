"""A directory in memory that keeps the promises of disk.py, with its crashes and its faults, and without threads."""

import gzip
import mmap
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import trio

from ..disk import DISK_TIMEOUT_S, READ_LIMIT_BYTES, AlreadyLocked, Directory, Identity, Lock, check_size
from ..files import DiskFailed, Diverged, left_of
from ..mapped import Memory
from ..packed import packed_name

T = TypeVar("T")


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
        self._shown: dict[str, int] = {}  # which of all changes the last one of each file was
        self._changes = 0
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

    def identity(self, name: str) -> Identity | None:
        return Identity(0, 0, self._shown.get(name, 0), 0) if self.exists(name) else None

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

    def read_part_packed(self, name: str, offset: int, limit_bytes: int) -> bytes:
        if name in self._seen:
            return self.read_part(name, offset, limit_bytes)
        packed = bytes(self._seen.get(packed_name(name), b""))
        return gzip.decompress(packed)[offset : offset + limit_bytes] if packed else b""

    async def pack(self, name: str) -> None:
        await trio.lowlevel.checkpoint()
        if name in self._seen:
            await self.replace(packed_name(name), gzip.compress(bytes(self._seen[name]), 1, mtime=0))
            await self.remove(name)

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
        left = left_of(self._path(name), bytes(content[offset:]), len(content), offset, data)
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
        check_size(data)
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
        check_size(data)
        if self.faults.detail is not None:
            raise DiskFailed(path, self.faults.detail)

    def _show(self, name: str, content: bytes | None) -> None:
        if content is None:
            self._seen.pop(name, None)
        else:
            self._seen[name] = content
            self._changes += 1
            self._shown[name] = self._changes

    def _settle(self, name: str) -> None:
        if name in self._seen:
            self._durable[name] = bytes(self._seen[name])
        else:
            self._durable.pop(name, None)


@lru_cache(maxsize=4)
def _blank(beginning: bytes, size_bytes: int) -> bytes:
    """A file of so many bytes that nothing was stored in, the same object each time."""
    return beginning.ljust(size_bytes, b"\0")
