"""Who could put another file, or another directory, in the place of ours."""

import os
import stat
from pathlib import Path
from typing import Final

from .files import DiskFailed

ROOT: Final = 0
_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH
_UID_MAP: Final = Path("/proc/self/uid_map")
_OVERFLOW_UID: Final = Path("/proc/sys/kernel/overflowuid")
_ALL_UIDS: Final = ["0", "0", "4294967295"]


def fault_of(directory: Path) -> str | None:
    """Why a state directory cannot be trusted, with what mends it; None where only we and root can change it.

    It may belong to us or to root, as may every directory above it, and nobody else may write to any of them. Above it
    a sticky directory, as /tmp is one, may be everybody's: what lies there only its owner can replace; and one may be
    our own group's, as every directory is where each user has a group and the umask is 002. Raises OSError.
    """
    ours = {ROOT, os.geteuid(), *_unmapped()}
    given, real = Path(os.path.abspath(directory)), Path(os.path.realpath(directory))
    for path in dict.fromkeys((real, *real.parents, *given.parents)):
        found = path.stat()
        mode = stat.S_IMODE(found.st_mode)
        named = "" if path == real else f"{path} "
        if found.st_uid not in ours:
            return f"{named}belongs to uid {found.st_uid}, who could replace what is in it: chown it"
        if path != real and (mode & stat.S_ISVTX or (found.st_gid == os.getegid() and not mode & stat.S_IWOTH)):
            continue
        if mode & _OTHERS_WRITE:
            whom = "everybody" if mode & stat.S_IWOTH else f"group {found.st_gid}"
            return f"{named}mode {mode:04o} lets {whom} write: chmod go-w {path}"
    return None


def make_own_directory(path: Path, mode: int) -> bool:
    """Make a directory inside one of ours when it is missing; whether it was. Raises DiskFailed for what lies there
    instead, a link out of ours among it, and for one that others can change; OSError."""
    try:
        path.mkdir(mode)
    except FileExistsError:
        if not stat.S_ISDIR(path.lstat().st_mode):
            raise DiskFailed(path, "is not a directory: move it away") from None
        if (fault := fault_of(path)) is not None:
            raise DiskFailed(path, fault) from None
        return False
    return True


def _unmapped() -> set[int]:
    """What an owner looks like who has no number in our user namespace, as the host's root in a container."""
    try:
        if _UID_MAP.read_text().split() == _ALL_UIDS:
            return set()
        return {int(_OVERFLOW_UID.read_text())}
    except (OSError, ValueError):
        return set()
