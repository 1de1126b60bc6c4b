"""Where local peers come in: socket files that are made with their mode, told apart, and shut for a while."""

import contextlib
import errno
import os
import stat
from pathlib import Path
from typing import Final

import zmq

IPC_PATH_LIMIT_BYTES: Final = 107  # sun_path holds 108 with its final NUL
SPARE_SHARE_OF_LAST: Final = 4  # the door that closes last does so with this part of those left
IPC: Final = "ipc://"
_ASIDE: Final = ".shut"  # added to the name of a socket file while newcomers are turned away
_INPROC: Final = "inproc://"


class BindFailed(Exception):
    """The endpoint could not be opened; `detail` says what an operator can do about it."""

    def __init__(self, endpoint: str, detail: str) -> None:
        super().__init__(f"{endpoint}: {detail}")
        self.endpoint = endpoint
        self.detail = detail


class Door:
    """Where newcomers to one socket come in: the name of its file.

    Unbinding would end the connections of those who are in. Taking the name away touches nobody: libzmq listens on, and
    whoever connects finds no such file until it is put back.
    """

    def __init__(self, socket: "zmq.Socket[bytes]", endpoint: str, closes_last: bool) -> None:
        self.is_shut = False
        self._share = SPARE_SHARE_OF_LAST if closes_last else 1
        self._socket = socket
        self._path = endpoint.removeprefix(IPC)
        self._aside = f"{self._path}{_ASIDE}"

    @property
    def closed(self) -> bool:
        return bool(self._socket.closed)

    def heed(self, left: int, spare: int) -> None:
        """Shut with fewer descriptors left than are to be spared, and open with some more. spare: for most doors."""
        spare //= self._share
        if not self.is_shut and left < spare:
            self.shut()
        elif self.is_shut and left > spare + spare // 8:
            self.open()

    def shut(self) -> None:
        """Let nobody in any more; those who wait in line already come in."""
        self.is_shut = True
        with contextlib.suppress(OSError):
            os.rename(self._path, self._aside)

    def open(self) -> None:
        """Let newcomers in again. Of a socket that was closed meanwhile the file is removed, as libzmq would have."""
        self.is_shut = False
        with contextlib.suppress(OSError):
            if self.closed:
                os.unlink(self._aside)
            elif not os.path.lexists(self._path):
                # Else somebody has put a socket of their own in its place.
                os.rename(self._aside, self._path)


def check_endpoint(endpoint: str) -> None:
    """Raises ValueError, with a line for the operator, unless `endpoint` is one that we offer.

    Offered: ipc:// with a file path, whose permissions the kernel enforces; and inproc://, which no other process can
    reach. Every other transport lets in whoever can connect.
    """
    if endpoint.startswith(_INPROC) and len(endpoint) > len(_INPROC):
        return
    if not endpoint.startswith(IPC):
        raise ValueError(f"{endpoint}: only ipc:// endpoints are offered, they alone are guarded by file permissions")
    path = endpoint.removeprefix(IPC)
    if path.startswith("@"):
        raise ValueError(f"{endpoint}: abstract sockets ignore file permissions, name a path")
    if not path or path == "*" or "\0" in path:
        raise ValueError(f"{endpoint}: name the path of the socket file")
    size = len(os.fsencode(path))
    if size > IPC_PATH_LIMIT_BYTES:
        raise ValueError(f"{endpoint}: the path has {size} bytes, the kernel takes {IPC_PATH_LIMIT_BYTES}")


def socket_inode(path: str | Path) -> tuple[int, int, int] | None:
    """Which socket file lies at `path`: (device, inode, change time in ns), or None when there is no socket.

    Another process that binds there puts its own file in the place; a different answer means that the address was
    taken over and the first owner is deaf. The change time is needed since file systems reuse inode numbers.
    """
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return (found.st_dev, found.st_ino, found.st_ctime_ns) if stat.S_ISSOCK(found.st_mode) else None


def bind(socket: "zmq.Socket[bytes]", endpoint: str, mode: int) -> None:
    """Bind, or close the socket and raise BindFailed."""
    try:
        if endpoint.startswith(IPC):
            _bind_ipc(socket, endpoint, Path(endpoint.removeprefix(IPC)), mode)
        else:
            socket.bind(endpoint)
    except zmq.ZMQError as error:
        socket.close()
        raise BindFailed(endpoint, os.strerror(error.errno or 0)) from error
    except BindFailed:
        socket.close()
        raise


def _bind_ipc(socket: "zmq.Socket[bytes]", endpoint: str, path: Path, mode: int) -> None:
    # os.path answers False where pathlib raises: a directory we may not look into is reported like a missing one.
    if not os.path.isdir(path.parent):
        raise BindFailed(endpoint, f"the directory {path.parent} does not exist or may not be entered")
    if os.path.lexists(path) and socket_inode(path) is None:
        raise BindFailed(endpoint, "a file that is no socket lies there; libzmq would delete it")
    # chmod after the bind would leave a moment with the wrong mode. libzmq creates the file in this thread; a file
    # that another thread makes meanwhile can only come out stricter, since all of ours name their own mode.
    umask_before = os.umask(0o777 & ~mode)
    try:
        socket.bind(endpoint)
    except zmq.ZMQError as error:
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.EADDRINUSE):
            detail = f"not allowed to create the socket file ({os.strerror(error.errno)})"
            raise BindFailed(endpoint, detail) from error
        raise
    finally:
        os.umask(umask_before)
    found = stat.S_IMODE(path.lstat().st_mode)
    if found != mode:
        raise BindFailed(endpoint, f"the socket file has mode {found:04o} instead of {mode:04o}")
