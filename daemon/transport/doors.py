"""Where newcomers come in: the file of a socket, kept where they look for it, and shut while descriptors are short."""

import contextlib
import enum
import os
import stat
from collections.abc import Callable
from typing import Final, NamedTuple

import zmq

from .endpoints import IPC, BindFailed, bind_again

SPARE_SHARE_OF_LAST: Final = 4  # the door that closes last does so with this part of those left
AGAIN_S: Final = 1.0
AGAIN_LIMIT_S: Final = 60.0
"""Least time between two bindings of one socket, doubled each time: every one leaves a listener behind, and with it a
descriptor, since closing the old one would end the connections that came in by it."""

QUIET_S: Final = 600.0
"""After so long without trouble the least time is the first one again."""

_ASIDE: Final = ".shut"  # added to the name of a socket file while newcomers are turned away


class Fault(enum.Enum):
    """What has become of a socket file; the value continues the sentence "the socket file …"."""

    REMOVED = "was removed"
    TAKEN = "was replaced by another socket"
    OBSTRUCTED = "was replaced by something that is no socket"
    MODE = "has another mode than the configuration says"
    FLOODED = "is gone for a while, with every connection to it"


class DoorNews(NamedTuple):
    """Newcomers could not come in at `path`, or others than those who may. mended: it is as it should be again."""

    path: str
    fault: Fault
    mended: bool
    detail: str


class Door:
    """The file of one socket.

    Unbinding would end the connections of those who are in. Taking the name away touches nobody: libzmq listens on, and
    whoever connects finds no such file until it is put back. A file that somebody else took away is gone for good: the
    socket is bound a second time then, and those who are in stay.
    """

    def __init__(
        self,
        socket: "zmq.Socket[bytes]",
        endpoint: str,
        mode: int,
        *,
        closes_last: bool,
        bound_again: Callable[[], None],
    ) -> None:
        """bound_again: told after libzmq was called, which may have swallowed the news of a message."""
        self.is_shut = False
        self._share = SPARE_SHARE_OF_LAST if closes_last else 1
        self._socket = socket
        self._endpoint = endpoint
        self._mode = mode
        self._bound_again = bound_again
        self._path = endpoint.removeprefix(IPC)
        self._aside = f"{self._path}{_ASIDE}"
        # As long as libzmq listens the kernel keeps the file's inode, also when its name is gone: no other file can
        # bear the same number.
        self._inode = _inode_of(os.lstat(self._path))
        self._told: DoorNews | None = None
        self._bound_s = float("-inf")
        self._pause_s = AGAIN_S

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

    def look(self, now_s: float) -> DoorNews | None:
        """Look at the file, and mend what is wrong with it. What changed since the last look; None when nothing did.

        now_s: any clock that only goes forward.
        """
        if self.closed or self.is_shut:
            return None
        try:
            found = os.lstat(self._path)
        except OSError:
            return self._bind_again(Fault.REMOVED, now_s)
        if not stat.S_ISSOCK(found.st_mode):
            # Somebody's file, maybe a precious one: only they may remove it.
            return self._tell(Fault.OBSTRUCTED, mended=False, detail="")
        if _inode_of(found) != self._inode:
            return self._bind_again(Fault.TAKEN, now_s)
        mode = stat.S_IMODE(found.st_mode)
        if mode != self._mode:
            return self._set_mode(mode)
        before, self._told = self._told, None
        return None if before is None else before._replace(mended=True, detail="")

    def _bind_again(self, fault: Fault, now_s: float) -> DoorNews | None:
        if now_s - self._bound_s < self._pause_s:
            return self._tell(fault, mended=False, detail="again: it will be bound anew within a minute")
        try:
            bind_again(self._socket, self._endpoint, self._mode)
            inode = _inode_of(os.lstat(self._path))
        except (BindFailed, OSError) as error:
            return self._tell(fault, mended=False, detail=getattr(error, "detail", str(error)))
        finally:
            self._bound_again()
        self._pause_s = AGAIN_S if now_s - self._bound_s > QUIET_S else min(AGAIN_LIMIT_S, 2 * self._pause_s)
        self._bound_s = now_s
        self._inode = inode
        return self._tell(fault, mended=True, detail="")

    def _set_mode(self, found: int) -> DoorNews | None:
        detail = f"{found:04o} instead of {self._mode:04o}"
        try:
            os.chmod(self._path, self._mode)
        except OSError as error:
            return self._tell(Fault.MODE, mended=False, detail=f"{detail}, {error.strerror}")
        return self._tell(Fault.MODE, mended=True, detail=detail)

    def _tell(self, fault: Fault, *, mended: bool, detail: str) -> DoorNews | None:
        news = DoorNews(self._path, fault, mended, detail)
        if news == self._told:
            return None
        self._told = None if mended else news
        return news


def _inode_of(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino
