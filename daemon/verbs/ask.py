"""Asking a running daemon: which socket, one client for one verb, and the exit status when nobody answers.

Nothing here may import trio or structlog: an operator who kills waits for this process to start.
"""

import argparse
import errno
import os
import stat
import time
from collections.abc import Callable, Sequence
from typing import Final, Literal

from ..client import CONTROL_ENDPOINT, Client, CommandRefused, DaemonUnreachable
from ..client.requests import COMMANDS_ENDPOINT
from .exit_status import NOT_DONE, UNREACHABLE
from .output import complain, say_json

CONNECT_TIMEOUT_MS: Final = 1500
"""Long enough for a daemon that is just being restarted, short enough for an operator who must reach for `panic`."""

LOOK_S: Final = 0.02
"""How often is looked whether a socket file is there yet."""

Door = Literal["commands", "control", "events"]

EVENTS_ENDPOINT: Final = "ipc:///run/canceld/events.sock"

DEFAULT_CONFIG: Final = "/etc/canceld/canceld.toml"
"""Where README's installation has the configuration."""

_DEFAULTS: Final[dict[Door, str]] = {
    "commands": COMMANDS_ENDPOINT,
    "control": CONTROL_ENDPOINT,
    "events": EVENTS_ENDPOINT,
}

OPERATORS: Final[tuple[Door, ...]] = ("control", "commands")
"""The control socket serves operators alone. Whoever may not open it is served at the strategies' door."""

CONTROL_ONLY: Final[tuple[Door, ...]] = ("control",)


class UsageFault(Exception):
    """The command line or the configuration cannot be used; the text is one line."""


class NoDoor(Exception):
    """No socket of the daemon can be opened; the text says why, in one line."""


def run(verb: Callable[[argparse.Namespace, Client], int], doors: Sequence[Door], asked: argparse.Namespace) -> int:
    """Run one verb at the first of its sockets that this user may open; gives the exit status. Raises UsageFault.

    When the daemon does not answer, a line says what to do instead where the verb has one (`asked.otherwise`).
    """
    endpoint = ""
    try:
        endpoint = _open_door([endpoint_of(asked, door) for door in doors])
        with Client(endpoint, connect_timeout_ms=CONNECT_TIMEOUT_MS, strategy="canceld") as client:
            return verb(asked, client)
    except NoDoor as error:
        return _unreachable(str(error), asked)
    except DaemonUnreachable as error:
        return _unreachable(str(error), asked)
    except CommandRefused as error:
        if asked.json:
            say_json(error.reply)
        complain(error)
        return NOT_DONE
    except ValueError as error:
        raise UsageFault(str(error)) from None


def _unreachable(why: str, asked: argparse.Namespace) -> int:
    complain(why)
    otherwise: Callable[[argparse.Namespace], str] | None = getattr(asked, "otherwise", None)
    if otherwise is not None:
        complain(otherwise(asked))
    return UNREACHABLE


def endpoint_of(asked: argparse.Namespace, door: Door) -> str:
    """Where one of the daemon's sockets is, as the command line tells. Raises UsageFault."""
    if asked.endpoint is not None:
        return str(asked.endpoint)
    if asked.config is not None:
        # Late: reading TOML costs as much as the rest of the start, and most calls need none of it.
        from .readable import read_what_can_be

        found = getattr(asked, "configuration", None)
        if found is None:
            found = asked.configuration = read_what_can_be(asked.config)
            if found.missing:
                raise UsageFault(found.remarks[0])
            # A daemon that runs was started before somebody broke the file: its sockets are where they were.
            for remark in found.remarks:
                complain(remark)
        return str(getattr(found.settings.gateway, door))
    return _DEFAULTS[door]


def _open_door(endpoints: Sequence[str]) -> str:
    """The first endpoint that this user may open, waited for while a daemon may be starting. Raises NoDoor.

    Three cases. 1. A socket file that may be opened: that one. 2. Socket files, none of which may be opened: refused
    at once. 3. No socket file: it is waited for as long as a connection would be, then it is said that none is there.
    """
    by_s = time.monotonic() + CONNECT_TIMEOUT_MS / 1000
    while True:
        faults = [_fault_of(endpoint) for endpoint in endpoints]
        for endpoint, fault in zip(endpoints, faults, strict=True):
            if fault is None:
                return endpoint
        if errno.EACCES in faults:
            shut = endpoints[len(faults) - 1 - faults[::-1].index(errno.EACCES)]
            raise NoDoor(_refusal(shut))
        if time.monotonic() >= by_s:
            raise NoDoor(f"no daemon at {endpoints[0]}: nothing left this process{_why_absent(endpoints[0])}")
        time.sleep(LOOK_S)


def _fault_of(endpoint: str) -> int | None:
    """ENOENT or EACCES for an endpoint that cannot be opened; None where nothing stands in the way."""
    path = endpoint.removeprefix("ipc://")
    if path == endpoint:
        return None  # libzmq says what is wrong with it
    try:
        os.stat(path)
    except PermissionError:
        return errno.EACCES
    except OSError:
        return errno.ENOENT
    return None if os.access(path, os.W_OK) else errno.EACCES


def _refusal(endpoint: str) -> str:
    """Why this user may not, and who may."""
    path = endpoint.removeprefix("ipc://")
    user = _name("pwd", os.getuid())
    try:
        found = os.stat(path)
    except OSError:
        return f"user {user} may not enter the directory of {path}; run this as root, or as a user who may"
    owner, group = _name("pwd", found.st_uid), _name("grp", found.st_gid)
    # The group's right to write is what opens a socket to its members.
    if found.st_mode & stat.S_IWGRP:
        mend = f"as a member of group {group} (who joins it has to log in anew), or as root"
    else:
        mend = f"as user {owner}, or as root"
    return f"user {user} may not open {path}, which belongs to user {owner}, group {group}; run this {mend}"


def _name(database: Literal["pwd", "grp"], number: int) -> str:
    """A user's or group's name; its number where it has none."""
    # Late: only those who are refused need it.
    import grp
    import pwd

    try:
        return pwd.getpwuid(number).pw_name if database == "pwd" else grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)


def _why_absent(endpoint: str) -> str:
    path = endpoint.removeprefix("ipc://")
    if path == endpoint:
        return ""
    fault = _fault_of(endpoint)
    if fault == errno.ENOENT:
        return "; there is no such socket file, is it running?"
    if fault == errno.EACCES:
        return f"; {_refusal(endpoint)}"
    return "; the socket file is there, but nobody answers at it"
