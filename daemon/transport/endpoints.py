"""Addresses of local sockets: which are offered, and files that have their mode from the first moment."""

import errno
import os
import stat
from pathlib import Path
from typing import Final

import zmq

IPC_PATH_LIMIT_BYTES: Final = 107  # sun_path holds 108 with its final NUL
IPC: Final = "ipc://"
_INPROC: Final = "inproc://"


class BindFailed(Exception):
    """The endpoint could not be opened; `detail` says what an operator can do about it."""

    def __init__(self, endpoint: str, detail: str) -> None:
        super().__init__(f"{endpoint}: {detail}")
        self.endpoint = endpoint
        self.detail = detail


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


def bind(socket: "zmq.Socket[bytes]", endpoint: str, mode: int) -> None:
    """Bind, or close the socket and raise BindFailed."""
    try:
        bind_again(socket, endpoint, mode)
    except BindFailed:
        socket.close()
        raise


def bind_again(socket: "zmq.Socket[bytes]", endpoint: str, mode: int) -> None:
    """Bind, also a socket that is bound already: libzmq then listens in both places. Raises BindFailed."""
    try:
        if endpoint.startswith(IPC):
            _bind_ipc(socket, endpoint, Path(endpoint.removeprefix(IPC)), mode)
        else:
            socket.bind(endpoint)
    except zmq.ZMQError as error:
        raise BindFailed(endpoint, os.strerror(error.errno or 0)) from error


def _bind_ipc(socket: "zmq.Socket[bytes]", endpoint: str, path: Path, mode: int) -> None:
    # os.path answers False where pathlib raises: a directory we may not look into is reported like a missing one.
    if not os.path.isdir(path.parent):
        raise BindFailed(endpoint, f"the directory {path.parent} does not exist or may not be entered")
    if os.path.lexists(path) and not stat.S_ISSOCK(os.lstat(path).st_mode):
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
