"""One process of this host at a time may call something its own, whatever user, directory or sandbox it runs in.

A claim is a listening Unix socket with an abstract name: it needs no directory that all could write to, reaches out of
a service's private /tmp, and is gone with the process that held it, however that ended. It does not reach out of a
network namespace: a container with a network of its own claims for itself alone.
"""

import errno
import os
import socket
import struct
from typing import Final, NamedTuple, Protocol

_LATE_S: Final = 0.2
"""The longest that the kernel may take to name the holder of a claim."""

_BACKLOG: Final = 4096
"""Nobody takes these connections: each stands for one process that asked who the holder is."""

_ROOT: Final = 0

_CREDENTIALS: Final = struct.Struct("iII")
"""struct ucred: pid, uid, gid."""


class Holder(NamedTuple):
    """Who holds a claim, as the kernel tells: nothing that the holder says of itself."""

    uid: int
    pid: int

    @property
    def is_peer(self) -> bool:
        """Whether it runs as this user or as root, who could end this process anyway; root takes everybody for one.

        The names of claims are seen by every user of this host, so that anybody may hold one once it is free.
        """
        return os.geteuid() in (_ROOT, self.uid) or self.uid == _ROOT


class Held(Exception):
    """Somebody else holds the claim; `holder` is None where the kernel does not tell who."""

    def __init__(self, holder: Holder | None) -> None:
        super().__init__("nobody can tell whose" if holder is None else f"uid {holder.uid} pid {holder.pid}")
        self.holder = holder


class Claim(Protocol):
    """Something that is ours until it is released."""

    def release(self) -> None:
        """Let go of it."""
        ...


class _Unclaimed:
    def release(self) -> None:
        """There is nothing to release."""


UNCLAIMED: Final[Claim] = _Unclaimed()
"""Where a world has no claims, or the kernel allows none: nothing is kept from anybody."""


class _Bound:
    def __init__(self, name: bytes) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.bind(name)
            self._socket.listen(_BACKLOG)
        except OSError:
            self._socket.close()
            raise

    def release(self) -> None:
        self._socket.close()


def claim(name: str) -> Claim:
    """Call `name` our own. Raises Held; where the kernel has no such sockets, or forbids them, nothing is claimed."""
    address = b"\0canceld/" + name.encode()
    try:
        return _Bound(address)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            return UNCLAIMED
    raise Held(_holder(address))


def _holder(address: bytes) -> Holder | None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.settimeout(_LATE_S)
        try:
            asking.connect(address)
            told = asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        except OSError:
            return None
    pid, uid, _ = _CREDENTIALS.unpack(told)
    return Holder(uid, pid)
