"""What a cancel takes the daemon's main thread in instructions of the processor, counted by callgrind.

A figure without noise: it moves with the code and the interpreter, and with nothing else. Alone:
`python -m tests.bench.instructions`.
"""

import re
import shutil
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from .asker import Asker
from .figures import Row, machine, verdicts
from .measures import FULL, Effort
from .stage import Daemon, Stage, stage

CANCELS: Final = 2_000
IN_FLIGHT: Final = 20
GOAL_K: Final = 300.0
NAME: Final = f"main-thread instructions per cancel, {IN_FLIGHT} in flight"
CONTROL_S: Final = 60.0


def instructions(on: Stage, effort: Effort) -> Row:
    """The row; a figure only where valgrind is installed, and not in brief: a daemon takes a minute there."""
    if shutil.which("valgrind") is None:
        return Row.left_out(NAME, f"≤ {GOAL_K:g} k", "valgrind is not installed")
    if effort.repeats == 1:
        return Row.left_out(NAME, f"≤ {GOAL_K:g} k", "not in brief")
    with ExitStack() as ending:
        home = on.ca_file.parent / "instructions"
        home.mkdir(mode=0o700)
        counts = home / "counts"
        through = ("valgrind", "-q", "--tool=callgrind", "--instr-atstart=no", "--separate-threads=yes")
        daemon = Daemon(
            home,
            on.port,
            on.ca_file,
            # Walks would be counted with the cancels.
            gateway="keep_warm_ms = 0",
            through=(*through, f"--callgrind-out-file={counts}"),
        )
        ending.callback(daemon.stop)
        daemon.start()
        asker = Asker(daemon.commands, 970)
        ending.callback(asker.close)
        daemon.wait_for(asker, 2)
        asker.windowed(CANCELS, IN_FLIGHT)
        _control(daemon, "on")
        asker.windowed(CANCELS, IN_FLIGHT)
        _control(daemon, "off")
        daemon.stop()
        found = re.search(r"^totals: (\d+)", _of_the_main_thread(counts), re.MULTILINE)
    assert found is not None, "callgrind told no sum"
    return Row.at_most(NAME, int(found[1]) / CANCELS / 1000, GOAL_K, " k")


def _control(daemon: Daemon, switch: str) -> None:
    subprocess.run(
        ["callgrind_control", "-i", switch, str(daemon.pid)], check=True, capture_output=True, timeout=CONTROL_S
    )


def _of_the_main_thread(counts: Path) -> str:
    return counts.with_name(f"{counts.name}-01").read_text()


if __name__ == "__main__":
    with stage() as on:
        print(f"{machine()}\n\n{verdicts([instructions(on, FULL)])}")
