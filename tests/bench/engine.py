"""`python -m tests.bench.engine --against CHECKOUT`: what a submit and an ack cost here and in another checkout.

Two processes take turns, block after block, so that a slow moment of the machine meets both; compared are the medians
of all cancels of each. It measures, and does not judge.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Final

HERE: Final = Path(__file__).resolve().parents[2]
CANCELS: Final = 20_000
BLOCK: Final = 500
SETTLE: Final = 2_000
"""Cancels before the first that counts."""


class Turns:
    """The engine of one checkout in a process of its own. Ended by leaving the block."""

    def __init__(self, checkout: Path, scratch: Path) -> None:
        scratch.mkdir()
        # The folder is called daemon/, and imported as `canceld`.
        (scratch / "canceld").symlink_to(checkout.resolve() / "daemon")
        self.submits: list[int] = []
        self.acks: list[int] = []
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("engine_turns.py"))],
            env={"PYTHONPATH": str(scratch), "PATH": ""},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> "Turns":
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()

    def block(self, cancels: int, *, counts: bool = True) -> None:
        """Let it have a turn."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{cancels}\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"the engine's process ended with status {self._process.wait()}")
        submits, acks = json.loads(line)
        if counts:
            self.submits += submits
            self.acks += acks


def compared(here: Turns, there: Turns) -> list[str]:
    """A line each for submit and ack: nanoseconds there, here, and the change."""
    lines = []
    for what, new, old in (("submit", here.submits, there.submits), ("ack", here.acks, there.acks)):
        new_ns, old_ns = median(new), median(old)
        lines.append(f"{what:6}  there {old_ns:6.0f} ns  here {new_ns:6.0f} ns  {100 * (new_ns / old_ns - 1):+.1f} %")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.engine", description=__doc__.splitlines()[0])
    parser.add_argument("--against", type=Path, required=True, metavar="CHECKOUT", help="the project as it was before")
    parser.add_argument("--cancels", type=int, default=CANCELS, metavar="N", help="of each side (default: %(default)s)")
    given = parser.parse_args()
    if not (given.against / "daemon" / "engine").is_dir():
        parser.error(f"--against: {given.against} is no checkout of this project: it has no daemon/engine")
    with ExitStack() as ending:
        scratch = Path(ending.enter_context(tempfile.TemporaryDirectory(prefix="canceld-engine-")))
        here = ending.enter_context(Turns(HERE, scratch / "here"))
        there = ending.enter_context(Turns(given.against, scratch / "there"))
        for side in (here, there):
            side.block(SETTLE, counts=False)
        block = min(BLOCK, given.cancels)
        for turn in range(given.cancels // block):
            for side in (here, there) if turn % 2 else (there, here):
                side.block(block)
        print("\n".join(compared(here, there)))


if __name__ == "__main__":
    main()
