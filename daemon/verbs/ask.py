"""Asking a running daemon: which socket, one client for one verb, and the exit status when nobody answers.

Nothing here may import trio or structlog: an operator who kills waits for this process to start.
"""

import argparse
from collections.abc import Callable
from typing import Final, Literal

from ..client import CONTROL_ENDPOINT, Client, CommandRefused, DaemonUnreachable
from ..client.requests import COMMANDS_ENDPOINT
from .exit_status import NOT_DONE, UNREACHABLE
from .output import complain, print_json

CONNECT_TIMEOUT_MS: Final = 1500
"""Long enough for a daemon that is just being restarted, short enough for an operator who must reach for `panic`."""

Door = Literal["commands", "control", "events"]

EVENTS_ENDPOINT: Final = "ipc:///run/canceld/events.sock"

_DEFAULTS: Final[dict[Door, str]] = {
    "commands": COMMANDS_ENDPOINT,
    "control": CONTROL_ENDPOINT,
    "events": EVENTS_ENDPOINT,
}


class UsageFault(Exception):
    """The command line or the configuration cannot be used; the text is one line."""


def run(verb: Callable[[argparse.Namespace, Client], int], door: Door, asked: argparse.Namespace) -> int:
    """Run one verb on the socket it belongs to; gives the exit status. Raises UsageFault."""
    endpoint = endpoint_of(asked, door)
    try:
        client = Client(endpoint, connect_timeout_ms=CONNECT_TIMEOUT_MS, strategy="canceld")
    except ValueError as error:
        raise UsageFault(str(error)) from None
    try:
        with client:
            return verb(asked, client)
    except DaemonUnreachable as error:
        complain(str(error))
        return UNREACHABLE
    except CommandRefused as error:
        if asked.json:
            print_json(error.reply)
        complain(str(error))
        return NOT_DONE
    except ValueError as error:
        raise UsageFault(str(error)) from None


def endpoint_of(asked: argparse.Namespace, door: Door) -> str:
    """Where the daemon's socket is, as the command line tells. Raises UsageFault."""
    if asked.endpoint is not None:
        return str(asked.endpoint)
    if asked.config is not None:
        # Late: reading TOML costs as much as the rest of the start, and most calls need none of it.
        from ..settings import BadSettings, read

        try:
            gateway = read(asked.config).gateway
        except BadSettings as error:
            raise UsageFault(str(error)) from None
        return str(getattr(gateway, door))
    return _DEFAULTS[door]
