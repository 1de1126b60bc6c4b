"""`canceld check`: what `canceld run` would do with a configuration, found out without a network or a socket.

What `--online` asks the venues is in checks/.
"""

import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, assert_never

from ..contract.ids import Venue
from ..credentials import DIRECTORY_VARIABLE, BadCredentials, Credentials, load
from ..settings import BadSettings, Settings, read


class CheckFailed(Exception):
    """The daemon would not start; the text is one line that names the key or file and the mend."""


class Checked(NamedTuple):
    """A configuration that the daemon would start with. `shown` is what would run, as a map that holds no secret."""

    settings: Settings
    credentials: Credentials
    shown: dict[str, Any]


def check(path: str, environ: Mapping[str, str]) -> Checked:
    """Read everything that `canceld run` would. Raises CheckFailed."""
    try:
        settings = read(path)
        credentials = load(settings, environ)
    except (BadSettings, BadCredentials) as error:
        raise CheckFailed(str(error)) from None
    _check_files(settings)
    return Checked(settings, credentials, _shown(path, settings, environ))


def _shown(path: str, settings: Settings, environ: Mapping[str, str]) -> dict[str, Any]:
    gateway = settings.gateway
    return {
        "config": path,
        "venues": {venue: _venue(settings, venue) for venue in settings.venues},
        "gateway": {
            "commands": gateway.commands,
            "control": gateway.control,
            "events": gateway.events,
            "deadline_ms": gateway.deadline_ms,
        },
        "deadman": {"spot": settings.deadman.spot, "futures": settings.deadman.futures},
        "state_dir": settings.state.dir,
        "credentials_dir": settings.credentials.dir or environ[DIRECTORY_VARIABLE],
        "extra_trust_root": settings.tls.ca_file or None,
        "log": {"level": settings.log.level, "format": settings.log.format},
    }


def _venue(settings: Settings, venue: Venue) -> dict[str, Any]:
    match venue:
        case "spot":
            spot = settings.spot
            return {
                "routes": _routes("WebSocket", spot.sessions, "REST"),
                "keys": ["spot"],
                "protocol": spot.protocol,
                "ws_url": spot.ws_url,
                "rest_url": spot.rest_url,
                "sessions": spot.sessions,
                "hedge_after_ms": spot.hedge_after_ms,
            }
        case "prime":
            prime = settings.prime
            return {
                # Its REST cannot cancel.
                "routes": _routes("WebSocket", prime.sessions),
                "keys": ["prime"],
                "ws_url": prime.ws_url,
                "sessions": prime.sessions,
                "hedge_after_ms": prime.hedge_after_ms,
            }
        case "futures":
            futures = settings.futures
            unified = bool(futures.uws_url)
            return {
                "routes": ["Unified WebSocket", "another session", "REST"] if unified else ["REST"],
                "keys": ["futures", "spot"] if unified else ["futures"],
                "rest_url": futures.rest_url,
                "ws_url": futures.ws_url,
                "uws_url": futures.uws_url or None,
                "hedge_after_ms": futures.hedge_after_ms,
            }
        case _:
            assert_never(venue)


def _routes(socket: str, sessions: int, *others: str) -> list[str]:
    """The ways a cancel goes, first to last."""
    return [socket, *(["another session"] if sessions > 1 else []), *others]


def _check_files(settings: Settings) -> None:
    ca_file = settings.tls.ca_file
    if ca_file and not Path(ca_file).is_file():
        raise CheckFailed(f"tls.ca_file: {ca_file}: there is no such file")
    try:
        found = Path(settings.state.dir).stat()
    except FileNotFoundError:
        # `run` makes the directory itself, but not what it lies in.
        if not Path(settings.state.dir).parent.is_dir():
            raise CheckFailed(f"state.dir: {settings.state.dir}: there is no directory to make it in") from None
        return
    except OSError as error:
        raise CheckFailed(f"state.dir: {settings.state.dir}: {error.strerror}") from None
    if not stat.S_ISDIR(found.st_mode):
        raise CheckFailed(f"state.dir: {settings.state.dir}: is not a directory")
