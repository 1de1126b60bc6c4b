"""`canceld demo`: the real daemon and a simulated Kraken, and a strategy that cancels orders while things go wrong.

Three processes as in service: the exchange behind TLS, the daemon, and this one as the strategy over ZeroMQ. What rests
is always asked of the exchange's book. Needs no keys, no configuration and no network; leaves nothing behind.
"""

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from ..client.blocking import Client
from ..client.requests import DaemonUnreachable
from .chapters import CHAPTERS, Stage
from .exchange import Exchange
from .stand import NEEDS, STOP_S, StandFailed, await_serving, daemon_of, installed, simulated_kraken
from .story import Story


def main(argv: Sequence[str]) -> int:
    """Exit status 0 when every chapter ended as told, 1 when one did not, 3 when a process did not come up.

    2 for bad usage, and where the extra [sim] is not installed.
    """
    parser = argparse.ArgumentParser(
        prog="canceld demo", description="Watch canceld cancel orders while things break.", allow_abbrev=False
    )
    parser.add_argument("--json", action="store_true", help="print JSON, a line for each thing told and each row")
    asked = parser.parse_args(argv)
    if not installed():
        print(f"canceld demo: {NEEDS}", file=sys.stderr)
        return 2
    story = Story(sys.stdout, as_json=asked.json)
    # A stop from outside unwinds like a Ctrl-C does, so that no process and no file is left behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with tempfile.TemporaryDirectory(prefix="canceld-demo-") as home:
            return _tell(story, Path(home))
    except (StandFailed, DaemonUnreachable, OSError) as error:
        print(f"canceld demo: {error}", file=sys.stderr)
        return 3


def _tell(story: Story, home: Path) -> int:
    with simulated_kraken(home) as told:
        story.tell(f"a simulated Kraken listens at {told['spot_rest_url']}: TLS, and signatures are checked")
        asked_at = time.monotonic()
        with (
            daemon_of(home, told) as daemon,
            Client(f"ipc://{home}/commands.sock", strategy="demo") as strategy,
            Client(f"ipc://{home}/control.sock") as operator,
        ):
            await_serving(strategy, daemon, home)
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
