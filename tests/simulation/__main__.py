"""Runs seeds by hand: one to see it again, many to hunt, every mutant, or all that a release asks for."""

import argparse
import os
import signal
import sys
import time
from collections import Counter
from functools import partial
from typing import Final

from .mutants import KILLED, MUTANTS, SEEDS_LIMIT, SURVIVED, hunt, plant

RELEASE_SEEDS: Final = 20_000
RELEASE_PAIRS: Final = 20
"""In how many seeds of a release run two dangerous rows must have been felt at once."""

SEED_S: Final = 60
"""Seconds that no seed takes, even on a machine that is busy with others."""

DANGEROUS: Final = (1, 2, 3, 4, 5, 6, 7, 8, 14, 15, 20, 22, 24, 26, 27, 28, 30, 32)
"""Rows of the fault catalogue whose pairs are required."""

BEFORE_ANYTHING: Final = frozenset({9, 37})
"""Rows that are a property of a whole run, and strike in the state that it begins in."""


class Tally:
    """What many seeds came to."""

    def __init__(self) -> None:
        self.began_s = time.process_time()
        self.seeds = self.cancels = self.faults = self.crashes = 0
        self.virtual_s = 0.0
        self.failed: list[int] = []
        self.coverage: Counter[tuple[int, str]] = Counter()
        self.pairs: Counter[tuple[int, int]] = Counter()
        self.outcomes: Counter[str] = Counter()

    def run(self, seed: int) -> bool:
        """Run one seed, add it up, and print what failed; whether it held."""
        from .run import simulate

        result = simulate(seed)
        self.seeds += 1
        self.cancels += result.cancels
        self.faults += result.faults
        self.crashes += result.crashes
        self.virtual_s += result.virtual_s
        self.coverage += result.coverage
        self.pairs.update(result.pairs)
        self.outcomes += result.outcomes
        if result.blamed:
            self.failed.append(seed)
            print(result.report(), flush=True)
        return not result.blamed

    def line(self) -> str:
        """The figures on one line."""
        cpu_s = time.process_time() - self.began_s
        return (
            f"{self.seeds} seeds, {len(self.failed)} failed, {self.cancels} cancels, {self.faults} faults, "
            f"{self.crashes} deaths, {self.virtual_s / 3600:.1f} simulated hours in {cpu_s:.0f} CPU-s: "
            f"{self.seeds / cpu_s:.1f} seeds/s, {self.cancels / cpu_s:.0f} cancels/s"
        )

    def table(self) -> str:
        """How often each row of the fault catalogue struck in each state of the daemon."""
        from .troubles import ROWS

        states = sorted({state for _, state in self.coverage})
        lines = ["row fault".ljust(56) + "".join(state.rjust(10) for state in states)]
        for row, name in ROWS.items():
            counts = "".join(str(self.coverage[row, state]).rjust(10) for state in states)
            lines.append(f"{row:3} {name}".ljust(56) + counts)
        told = ", ".join(f"{count} {word}" for word, count in self.outcomes.most_common())
        return "\n".join([*lines, f"outcomes: {told}"])

    def gaps(self) -> list[str]:
        """Cells that stayed empty, and dangerous pairs that were met too seldom."""
        from .troubles import ROWS

        states = ("starting", "idle", "busy", "degraded", "down")
        empty = [
            f"row {row} never struck while {state}"
            for row in ROWS
            for state in states
            if row not in BEFORE_ANYTHING and not self.coverage[row, state]
        ]
        seldom = [
            f"rows {one} and {other} together in {self.pairs[one, other]} seeds only"
            for one in DANGEROUS
            for other in DANGEROUS
            if one < other and self.pairs[one, other] < RELEASE_PAIRS
        ]
        return [*empty, *seldom]


def _seeds(first: int, count: int) -> Tally:
    tally = Tally()
    for seed in range(first, first + count):
        tally.run(seed)
        if tally.seeds % 500 == 0:
            print(tally.line(), flush=True)
    return tally


def _mutants() -> int:
    """Hunt each; how many survived."""
    survivors = 0
    for mutant in MUTANTS:
        found = hunt(mutant)
        survivors += found is None
        print(f"{mutant.name}: {found or 'SURVIVED'}", flush=True)
    print(f"{len(MUTANTS)} mutants, {survivors} survived")
    return survivors


def _hangs(seed: int, *_: object) -> None:
    print(f"seed {seed}: hangs for {SEED_S} s", flush=True)
    os._exit(KILLED)


def _hunt_one(name: str) -> int:
    plant(name)
    from .run import simulate

    for seed in range(1, SEEDS_LIMIT + 1):
        # A mistake that makes a run hang is found, too; the default action of the signal would end us without a word.
        signal.signal(signal.SIGALRM, partial(_hangs, seed))
        signal.alarm(SEED_S)
        result = simulate(seed)
        signal.alarm(0)
        if result.blamed:
            print(f"seed {seed}: {result.blamed[0][0]}"[:300].replace("\n", " "))
            return KILLED
    return SURVIVED


def main() -> int:
    """0 when everything held, 1 when not."""
    asked = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    asked.add_argument("--seed", type=int, help="replay one seed and show its trace")
    asked.add_argument("--first", type=int, default=1, help="the first of --count seeds")
    asked.add_argument("--count", type=int, default=100)
    asked.add_argument("--mutants", action="store_true", help="hunt every planted mistake")
    asked.add_argument("--mutant", help="hunt one, in this process")
    asked.add_argument("--release", action="store_true", help=f"{RELEASE_SEEDS} seeds and every mutant")
    given = asked.parse_args()
    if given.mutant is not None:
        return _hunt_one(given.mutant)
    if given.mutants:
        return int(_mutants() > 0)
    if given.seed is not None:
        from .run import simulate

        result = simulate(given.seed)
        print("\n".join(result.lines))
        print(result.report() if result.blamed else f"seed {given.seed} holds; digest {result.digest}")
        return int(bool(result.blamed))
    tally = _seeds(given.first, RELEASE_SEEDS if given.release else given.count)
    print(tally.table())
    print(tally.line())
    failed = bool(tally.failed)
    if given.release:
        gaps = tally.gaps()
        print("\n".join(gaps) or "no gap in the coverage")
        failed = failed or bool(gaps) or _mutants() > 0
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
