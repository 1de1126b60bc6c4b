"""A stand of our own: the simulated exchange and a daemon that trades there, in a scratch directory, each a process."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from ..client.blocking import Client
from ..client.requests import DaemonUnreachable

START_S: Final = 15.0
STOP_S: Final = 10.0
LOOK_S: Final = 0.02

NEEDS: Final = "needs the simulated exchange; pip install 'kraken-canceld[sim]'"

CONFIG: Final = """\
[gateway]
commands = "ipc://{home}/commands.sock"
control = "ipc://{home}/control.sock"
events = "ipc://{home}/events.sock"
[spot]
ws_url = "{spot_ws_url}"
rest_url = "{spot_rest_url}"
[prime]
enabled = true
ws_url = "{prime_ws_url}"
[futures]
enabled = true
rest_url = "{futures_rest_url}"
ws_url = "{futures_ws_url}"
[state]
dir = "{home}"
[tls]
ca_file = "{ca_file}"
[credentials]
dir = "{credentials_dir}"
[log]
level = "info"
"""


class StandFailed(Exception):
    """A process did not come up; one line for people."""


def installed() -> bool:
    """Whether the simulated exchange has what it needs. Asked before its process complains beside us."""
    return find_spec("trustme") is not None


@contextmanager
def simulated_kraken(home: Path) -> Iterator[Mapping[str, Any]]:
    """The exchange, until the block ends; what it printed when it began to listen. Raises StandFailed."""
    with process(["sim", "--dir", str(home / "sim")], stdout=subprocess.PIPE) as sim:
        assert sim.stdout is not None
        told: dict[str, Any] = json.loads(sim.stdout.readline() or "{}")
        if not told:
            raise StandFailed("the simulated exchange did not start")
        yield told


@contextmanager
def daemon_of(home: Path, told: Mapping[str, Any]) -> Iterator[subprocess.Popen[str]]:
    """A daemon at that exchange, started and not awaited, until the block ends. `home` holds its sockets and log."""
    config = home / "canceld.toml"
    config.write_text(CONFIG.format(home=home, **told))
    with (
        _log_of(home).open("w") as lines,
        process(["run", "--config", str(config)], stderr=lines) as daemon,
    ):
        yield daemon


@contextmanager
def process(arguments: list[str], **streams: Any) -> Iterator[subprocess.Popen[str]]:
    """A verb of ours as a process of its own, ended with the block."""
    process = subprocess.Popen([sys.executable, "-m", "canceld", *arguments], text=True, **streams)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def await_serving(strategy: Client, daemon: subprocess.Popen[str], home: Path) -> None:
    """Wait until the daemon serves with every connection live. Raises StandFailed."""
    give_up = time.monotonic() + START_S
    while time.monotonic() < give_up:
        if daemon.poll() is not None:
            last = _log_of(home).read_text().strip().rpartition("\n")[2]
            raise StandFailed(f"canceld ended with status {daemon.returncode}: {last}")
        try:
            status = strategy.status(deadline_ms=200)
        except DaemonUnreachable:
            continue
        if status["state"] == "serving" and all(venue["state"] == "up" for venue in status["venues"].values()):
            return
        time.sleep(LOOK_S)
    raise StandFailed(f"canceld did not come up in {START_S:.0f} s")


def _log_of(home: Path) -> Path:
    return home / "daemon.log"
