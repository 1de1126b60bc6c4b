"""Sets the bench's stage: certificates, the venue, the floors and the real daemon, each a process of its own."""

import base64
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import trustme

from .asker import Asker
from .lines import ROOT, Worker

READY_TIMEOUT_S: Final = 30.0
STOP_TIMEOUT_S: Final = 10.0
LIVE_TIMEOUT_S: Final = 30.0
"""Above the longest pause between two dials of a session that lost its venue for a moment."""

LOOK_S: Final = 0.02
SLOWED: Final = 6
"""By how much a program takes longer to start and to stop that is run through another."""


class NotReady(Exception):
    """A part of the stage did not come up in its time."""


class Daemon:
    """`canceld run` as a service manager starts it: its own process, configuration, credentials and notify socket."""

    def __init__(
        self,
        home: Path,
        port: int,
        ca_file: Path,
        *,
        ws_port: int | None = None,
        gateway: str = "",
        more: str = "",
        through: Sequence[str] = (),
    ) -> None:
        """port, ca_file: of the bare venue, which is its Spot. ws_port: where it looks for sockets instead.

        gateway: further lines of that section. more: further sections. through: a command that runs the program.
        """
        self._through = through
        self.commands = f"ipc://{home}/commands.sock"
        self.control = f"ipc://{home}/control.sock"
        self.config = home / "canceld.toml"
        self._notify = home / "notify.sock"
        self._process: subprocess.Popen[bytes] | None = None
        self._credentials = home / "credentials"
        for directory in (home / "state", self._credentials):
            directory.mkdir(mode=0o700)
        # A key belongs to one daemon of a host, and several of these run side by side.
        self.give_credential("spot.key", f"BENCH{secrets.token_hex(8)}")
        self.give_credential("spot.secret", base64.b64encode(secrets.token_bytes(64)).decode())
        self.config.write_text(f"""
[gateway]
commands = "{self.commands}"
control = "{self.control}"
events = "ipc://{home}/events.sock"
{gateway}

[spot]
ws_url = "wss://localhost:{port if ws_port is None else ws_port}"
rest_url = "https://localhost:{port}"

[state]
dir = "{home}/state"

[tls]
ca_file = "{ca_file}"

[credentials]
dir = "{home}/credentials"
{more}""")

    def give_credential(self, name: str, value: str) -> None:
        """Put one credential file where it looks."""
        file = self._credentials / name
        file.touch(mode=0o600)
        file.write_text(value)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def rss_mib(self) -> float:
        """Resident memory, in MiB."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024

    def start(self) -> float:
        """Start it; seconds from the start of the process to READY. Raises NotReady."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notices:
            self._notify.unlink(missing_ok=True)
            notices.bind(str(self._notify))
            notices.settimeout(READY_TIMEOUT_S * (SLOWED if self._through else 1))
            begun = time.monotonic()
            self._process = subprocess.Popen(
                [*self._through, sys.executable, "-m", "canceld", "run", "--config", str(self.config)],
                cwd=ROOT,
                env={**os.environ, "NOTIFY_SOCKET": str(self._notify)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            try:
                while b"READY=1" not in notices.recv(4096).splitlines():
                    pass
            except TimeoutError:
                raise NotReady("the daemon was not ready in time") from None
            return time.monotonic() - begun

    def stop(self) -> None:
        """End it; calling it on an ended one does nothing."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(STOP_TIMEOUT_S * (SLOWED if self._through else 1))
            finally:
                self._process.kill()
            self._process = None

    def status(self, asker: Asker) -> dict[str, Any]:
        """Its `status` reply."""
        return asker.request({"type": "status", "detail": True})

    def wait_for(self, asker: Asker, live: int) -> None:
        """Return when this many sessions are live. Raises NotReady."""
        until = time.monotonic() + LIVE_TIMEOUT_S
        while time.monotonic() < until:
            sessions = self.status(asker)["venues"]["spot"]["sessions"]
            if sum(session["state"] == "live" for session in sessions) == live:
                return
            time.sleep(LOOK_S)
        raise NotReady(f"not {live} live sessions within {LIVE_TIMEOUT_S} s")


class Stage:
    """Everything that is measured, running."""

    def __init__(self, venue: Worker, ca_file: Path, daemon: Daemon, floors: dict[str, tuple[str, int]]) -> None:
        """floors: endpoint and process id of each relay, by its name in the tables."""
        self.venue = venue
        self.port = int(venue.hello["port"])
        self.ca_file = ca_file
        self.daemon = daemon
        self.floors = floors


@contextmanager
def stage() -> Iterator[Stage]:
    """Venue and floors run inside; the daemon is there to be started. All of them end with the block."""
    with ExitStack() as ending:
        home = Path(ending.enter_context(tempfile.TemporaryDirectory(prefix="canceld-bench-")))
        authority = trustme.CA()
        identity = authority.issue_cert("localhost", "127.0.0.1")
        ca_file, certificate, key = home / "ca.pem", home / "venue.pem", home / "venue.key"
        authority.cert_pem.write_to_path(str(ca_file))
        identity.cert_chain_pems[0].write_to_path(str(certificate))
        identity.private_key_pem.write_to_path(str(key))
        venue = Worker("venue", [str(certificate), str(key)])
        ending.callback(venue.kill)
        floors = {}
        for name, kind in (("floor", "plain"), ("lean floor", "lean"), ("serial floor", "serial")):
            endpoint = f"ipc://{home}/{kind}.sock"
            relay = Worker("relay", [kind, endpoint, str(venue.hello["port"]), str(ca_file)])
            ending.callback(relay.kill)
            floors[name] = endpoint, relay.pid
        place = home / "daemon"
        place.mkdir(mode=0o700)
        daemon = Daemon(place, int(venue.hello["port"]), ca_file)
        ending.callback(daemon.stop)
        yield Stage(venue, ca_file, daemon, floors)
