"""What the kernel tells of a process and of this host, for a record that is read long after both are gone.

All of it is read from /proc and /etc. What a process could have written itself, its command line above all, is cut to
its bounds and cleaned of what is no plain text. A sandbox that hides other users' processes (ProtectProc=) leaves
little more than what the socket tells: then nothing is told, and nothing goes wrong.
"""

import hmac
import os
import socket
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, Final

import msgspec
import trio

_READ_BYTES: Final = 4096
"""What is read of any of these files."""

COMMAND_CHARS: Final = 256
NAME_CHARS: Final = 128
"""What is kept of a command line, and of any other text."""

_NOBODY: Final = 2**32 - 1
"""The kernel's login uid of a process that no login stands behind."""

_PATIENCE_S: Final = 1.0
"""The longest that a look takes: the command line of a process that hangs in the kernel may never come."""

_LOOKS: Final = 2
"""Threads that looks may hold, those that hang among them."""

_limiter: Final = trio.CapacityLimiter(_LOOKS)


class Origin(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a process comes from. unit: the cgroup's last name, a service or the scope of a session, as systemd names
    them. login_uid: who logged in, also behind sudo."""

    command: str = ""
    unit: str = ""
    login_uid: int | None = None


async def origin_of(uid: int, pid: int) -> Origin | None:
    """What can be told of this process; None when it has ended, is hidden, or is not this user's: an id used again."""
    with trio.move_on_after(_PATIENCE_S):
        return await trio.to_thread.run_sync(look, uid, pid, abandon_on_cancel=True, limiter=_limiter)
    return None


async def nobody_knows(uid: int, pid: int) -> Origin | None:
    """What a world without processes tells of one."""
    return None


def look(uid: int, pid: int, proc: Path = Path("/proc")) -> Origin | None:
    """The same, at once and for as long as the kernel takes."""
    process = proc / str(pid)
    try:
        found = Origin(_command(process), _unit(process), _login_uid(process))
        # Looked at last: a process that took the id meanwhile would show here.
        return found if os.stat(process).st_uid == uid else None
    except OSError:
        return None


def this_host() -> dict[str, Any]:
    """The host that we run on, and where we come from, for the record's `start` line.

    machine: /etc/machine-id is not to leave the machine as it is (machine-id(5)), so it keys a hash of our name, of
    which 128 bits are told. It tells two hosts of one name apart.
    """
    told: dict[str, Any] = {"host": _plain(socket.gethostname(), NAME_CHARS), "uid": os.getuid(), "pid": os.getpid()}
    with suppress(OSError):
        told["machine"] = hmac.digest(_content(Path("/etc/machine-id")).strip(), b"canceld", "sha256").hex()[:32]
    origin = look(os.getuid(), os.getpid())
    return told if origin is None else told | msgspec.to_builtins(origin)


def installed_commit() -> str | None:
    """The commit that pip has installed from a repository, where it did."""
    try:
        told = msgspec.json.decode(distribution("kraken-canceld").read_text("direct_url.json") or "{}")
        commit: str | None = told.get("vcs_info", {}).get("commit_id")
    except (PackageNotFoundError, msgspec.DecodeError, AttributeError):
        return None
    return commit


def _content(path: Path) -> bytes:
    with path.open("rb", buffering=0) as file:
        return file.read(_READ_BYTES) or b""


def _command(process: Path) -> str:
    return _plain(_content(process / "cmdline").rstrip(b"\0").replace(b"\0", b" "), COMMAND_CHARS)


def _unit(process: Path) -> str:
    for line in _content(process / "cgroup").decode(errors="replace").splitlines():
        # The unified hierarchy, or systemd's own in the old one: "0::/path", "1:name=systemd:/path".
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" or controllers == "name=systemd":
            return _plain(path.rpartition("/")[2], NAME_CHARS)
    return ""


def _login_uid(process: Path) -> int | None:
    try:
        uid = int(_content(process / "loginuid"))
    except (OSError, ValueError):
        # A kernel without audit has no such file.
        return None
    return None if uid == _NOBODY else uid


def _plain(text: str | bytes, chars: int) -> str:
    if isinstance(text, bytes):
        text = text.decode(errors="replace")
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text[:chars])
