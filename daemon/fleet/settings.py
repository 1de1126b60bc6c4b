"""The [fleet] table, checked and with its secrets read: what a program beside the daemon needs to reach the bus."""

import socket
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from ..settings import BadSettings, Fleet, Settings, read
from ..transport.files import DiskFailed, TooOpen, read_private

LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
NAME_CHARS: Final = 64


class Secret(NamedTuple):
    """What proves who we are on the bus: the text of a creds file, or an nkey's seed. Neither is ever shown."""

    kind: str
    text: str

    def __repr__(self) -> str:
        return f"Secret({self.kind})"


class FleetSettings(NamedTuple):
    """The daemon's settings, its [fleet] table with all defaults filled in, and what proves who we are."""

    daemon: Settings
    fleet: Fleet
    host: str
    secret: Secret | None


def read_fleet(config: str, credentials_dir: str | None, servers: tuple[str, ...] = ()) -> FleetSettings:
    """The settings in this file. servers: instead of those that it names. Raises BadSettings."""
    settings = read(config)
    fleet = settings.fleet
    for url in servers or fleet.servers:
        _check_server(config, url)
    if not (servers or fleet.servers):
        raise BadSettings(f"{config}: fleet.servers: names no server, expected like tls://bus.example:4222")
    if fleet.creds and fleet.nkey:
        raise BadSettings(f"{config}: fleet.creds and fleet.nkey: name one of the two")
    directory = settings.credentials.dir or credentials_dir or str(Path(config).parent / "credentials")
    secret = None
    if named := fleet.creds or fleet.nkey:
        secret = Secret("creds" if fleet.creds else "nkey", read_secret(directory, named, credentials_dir is not None))
    elif any(urlsplit(url).hostname not in LOOPBACK for url in servers or fleet.servers):
        raise BadSettings(f"{config}: fleet.creds: needed for a server that is not on this host; or fleet.nkey")
    return FleetSettings(settings, fleet, host_of(config, fleet), secret)


def host_of(config: str, fleet: Fleet) -> str:
    """This host's name in the fleet: as configured, else its own, in which dots become dashes. Raises BadSettings."""
    name = fleet.host or socket.gethostname().replace(".", "-")
    if not 0 < len(name) <= NAME_CHARS or not all(c.isascii() and (c.isalnum() or c in "_-") for c in name):
        raise BadSettings(f"{config}: fleet.host: {name!r}, expected 1..{NAME_CHARS} letters, digits, _ or -")
    return name


def read_secret(directory: str, named: str, by_systemd: bool) -> str:
    """The text of a file of secrets: a path, or a name in the directory of credentials. Raises BadSettings."""
    path = Path(directory) / named
    try:
        return read_private(path, trusted_directory=by_systemd).decode("ascii").strip()
    except (DiskFailed, TooOpen) as error:
        raise BadSettings(str(error)) from None
    except UnicodeDecodeError:
        raise BadSettings(f"{path}: holds no creds and no seed, expected text") from None


def _check_server(config: str, url: str) -> None:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if host is None or port is None or parts.scheme not in ("tls", "nats") or parts.username is not None:
        raise BadSettings(f"{config}: fleet.servers: {url!r}, expected like tls://bus.example:4222, without a user")
    if parts.scheme == "nats" and host not in LOOPBACK:
        raise BadSettings(f"{config}: fleet.servers: {url}: nats:// is for this host alone, use tls://{host}:{port}")
