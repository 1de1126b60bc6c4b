"""`canceld demo`: the real daemon and a simulated Kraken, and a strategy that cancels orders while things go wrong.

Three processes as in service: the exchange behind TLS, the daemon, and this one as the strategy over ZeroMQ. What rests
is always asked of the exchange's book. Needs no keys, no configuration and no network; leaves nothing behind.
"""

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from ..client.blocking import Client
from ..client.requests import DaemonUnreachable
from .chapters import CHAPTERS, Stage
from .exchange import Exchange
from .story import Story

START_S: Final = 15.0
STOP_S: Final = 10.0
LOOK_S: Final = 0.02

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


class DemoFailed(Exception):
    """Something the demo needs did not happen; one line for people."""


def main(argv: Sequence[str]) -> int:
    """Exit status 0 when every chapter ended as told, 1 when one did not, 3 when a process did not come up.

    2 for bad usage, and where the extra [sim] is not installed.
    """
    parser = argparse.ArgumentParser(
        prog="canceld demo", description="Watch canceld cancel orders while things break.", allow_abbrev=False
    )
    parser.add_argument("--json", action="store_true", help="print JSON, a line for each thing told and each row")
    asked = parser.parse_args(argv)
    # Asked here and not left to the exchange's process: its complaint would come with one of ours on top.
    if find_spec("trustme") is None:
        print("canceld demo: needs the simulated exchange; pip install 'kraken-canceld[sim]'", file=sys.stderr)
        return 2
    story = Story(sys.stdout, as_json=asked.json)
    # A stop from outside unwinds like a Ctrl-C does, so that no process and no file is left behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with tempfile.TemporaryDirectory(prefix="canceld-demo-") as home:
            return _tell(story, Path(home))
    except (DemoFailed, DaemonUnreachable, OSError) as error:
        print(f"canceld demo: {error}", file=sys.stderr)
        return 3


def _tell(story: Story, home: Path) -> int:
    log = home / "daemon.log"
    with _process(["sim", "--dir", str(home / "sim")], stdout=subprocess.PIPE) as sim:
        assert sim.stdout is not None
        told = json.loads(sim.stdout.readline() or "{}")
        if not told:
            raise DemoFailed("the simulated exchange did not start")
        story.tell(f"a simulated Kraken listens at {told['spot_rest_url']}: TLS, and signatures are checked")
        config = home / "canceld.toml"
        config.write_text(CONFIG.format(home=home, **told))
        asked_at = time.monotonic()
        with (
            log.open("w") as lines,
            _process(["run", "--config", str(config)], stderr=lines) as daemon,
            Client(f"ipc://{home}/commands.sock", strategy="demo") as strategy,
            Client(f"ipc://{home}/control.sock") as operator,
        ):
            _await_serving(strategy, daemon, log)
            took_s = time.monotonic() - asked_at
            story.tell(f"canceld runs as process {daemon.pid}: Spot, Prime and Futures are up after {took_s:.2f} s")
            stage = Stage(story, Exchange(told), strategy, operator)
            good = [chapter(stage) for chapter in CHAPTERS]
            story.tell("SIGTERM: canceld answers what is in flight and closes its sessions")
            daemon.send_signal(signal.SIGTERM)
            status = daemon.wait(STOP_S)
            story.tell(f"canceld ended with status {status}")
            good.append(status == 0)
    story.table()
    story.end(good=all(good))
    return 0 if all(good) else 1


@contextmanager
def _process(arguments: list[str], **streams: Any) -> Iterator[subprocess.Popen[str]]:
    """A verb of ours as a process of its own, ended with the block."""
    process = subprocess.Popen([sys.executable, "-m", "daemon", *arguments], text=True, **streams)
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


def _await_serving(strategy: Client, daemon: subprocess.Popen[str], log: Path) -> None:
    """Wait until the daemon serves with every connection live."""
    give_up = time.monotonic() + START_S
    while time.monotonic() < give_up:
        if daemon.poll() is not None:
            last = log.read_text().strip().rpartition("\n")[2]
            raise DemoFailed(f"canceld ended with status {daemon.returncode}: {last}")
        try:
            status = strategy.status(deadline_ms=200)
        except DaemonUnreachable:
            continue
        if status["state"] == "serving" and all(venue["state"] == "up" for venue in status["venues"].values()):
            return
        time.sleep(LOOK_S)
    raise DemoFailed(f"canceld did not come up in {START_S:.0f} s")
