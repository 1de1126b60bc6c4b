"""The files of one directory for a program without an event loop: each call blocks for as long as the disk takes.

The names are those of `Directory`, and what waits there may be awaited here as well, so that one program runs on both.
"""

import fcntl
import os
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final, TypeVar

from .. import files
from ..files import FILE_MODE, failed
from ..owners import make_own_directory
from ..packed import DAMAGED, PackingFailed, Unpacker, pack, packed_name

T = TypeVar("T")

_DIRECTORY_MODE: Final = 0o700


def run(steps: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that only awaits what never waits: the calls of a `PlainDirectory`."""
    try:
        steps.send(None)
    except StopIteration as ended:
        result: T = ended.value
        return result
    raise RuntimeError("it waits for something")


class PlainDirectory:
    """Files directly inside `root`. Every call raises DiskFailed and means what `Directory` says."""

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)
        self._unpacker = Unpacker()

    def subdirectory(self, name: str) -> "PlainDirectory":
        """A directory in this one, made when it is missing."""
        path = self.root / name
        try:
            if make_own_directory(path, _DIRECTORY_MODE):
                files.sync_directory(self.root)
        except OSError as error:
            raise failed(path, error) from error
        return PlainDirectory(path)

    def names(self) -> list[str]:
        try:
            return sorted(name for name in os.listdir(self.root) if not name.startswith("."))
        except OSError as error:
            raise failed(self.root, error) from error

    def read_part(self, name: str, offset: int, limit_bytes: int) -> bytes:
        path = self.root / name
        try:
            return files.read_part(path, offset, limit_bytes)
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise failed(path, error) from error

    def read_part_packed(self, name: str, offset: int, limit_bytes: int) -> bytes:
        if part := self.read_part(name, offset, limit_bytes):
            return part
        path = self.root / packed_name(name)
        try:
            return self._unpacker.read_part(path, offset, limit_bytes)
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise failed(path, error) from error

    def stored_bytes(self, name: str) -> int:
        for path in (self.root / name, self.root / packed_name(name)):
            try:
                if size := path.stat().st_size:
                    return size
            except FileNotFoundError:
                pass
            except OSError as error:
                raise failed(path, error) from error
        return 0

    async def apart(self, look: Callable[[], T]) -> T:
        return look()

    async def extend(self, name: str, offset: int, data: bytes) -> None:
        self._try(name, lambda path: files.extend(path, offset, data))

    async def sync(self, name: str) -> None:
        self._try(name, files.sync)

    async def replace(self, name: str, data: bytes) -> None:
        self._try(name, lambda path: files.replace(path, data))

    async def remove(self, name: str) -> None:
        self._try(name, files.remove)

    async def pack(self, name: str) -> None:
        path = self.root / name
        try:
            pack(path, lambda: False)
        except (PackingFailed, *DAMAGED):
            raise files.DiskFailed(path, "reads back differently when it is packed") from None
        except OSError as error:
            raise failed(path, error) from error

    def lock(self, name: str) -> bool:
        """Hold the file until this process ends, however it ends; False while another process holds it."""
        path = self.root / name
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, FILE_MODE)
        except OSError as error:
            raise failed(path, error) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        except OSError as error:
            os.close(descriptor)
            raise failed(path, error) from error
        return True

    def _try(self, name: str, call: Callable[[Path], None]) -> None:
        path = self.root / name
        try:
            call(path)
        except OSError as error:
            raise failed(path, error) from error
