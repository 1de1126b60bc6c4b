"""Runs seeds by hand: one to see it again, many to look for trouble, or every planted mistake."""

import argparse
import os
import signal
import sys
from functools import partial
from typing import Final

from .mutants import KILLED, MUTANTS, SEEDS_LIMIT, SURVIVED, hunt_all, plant

SEED_S: Final = 60
"""Seconds that no seed takes, even on a machine that is busy with others."""


def _say(text: str) -> None:
    print(text, flush=True)


def _show(seed: int, *, brief: bool) -> int:
    from .run import simulate

    result = simulate(seed, brief=brief, digested=True)
    _say("\n".join(result.lines))
    _say(result.report() if result.blamed else f"seed {seed} holds; digest {result.digest}")
    return int(bool(result.blamed))


def _digests(seeds: range, *, brief: bool) -> int:
    from .run import simulate

    for seed in seeds:
        _say(f"{seed} {simulate(seed, brief=brief, digested=True).digest}")
    return 0


def _many(seeds: range, *, brief: bool) -> int:
    from .cells import table
    from .tally import run_all

    tally = run_all(seeds, _say, brief=brief)
    _say(f"{tally.table()}\n\n{table(tally.cells)}\n\noutcomes: {tally.told()}\n{tally.line()}")
    return int(bool(tally.failed))


def _mutants() -> int:
    survivors = [mutant.name for mutant, found in hunt_all(MUTANTS, _say) if found is None]
    _say(f"{len(MUTANTS)} mutants, {len(survivors)} survived")
    return int(bool(survivors))


def _hangs(seed: int, *_: object) -> None:
    _say(f"seed {seed}: hangs for {SEED_S} s")
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
            _say(f"seed {seed}: {result.blamed[0][0]}"[:300].replace("\n", " "))
            return KILLED
    return SURVIVED


def main() -> int:
    """0 when everything held, 1 when not."""
    asked = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    asked.add_argument("--seed", type=int, help="replay one seed and show its trace")
    asked.add_argument("--first", type=int, default=1, help="the first of --count seeds")
    asked.add_argument("--count", type=int, default=100)
    asked.add_argument("--brief", action="store_true", help="by the cheaper plans that each commit is tried with")
    asked.add_argument("--digests", action="store_true", help="print what must be the same in every process")
    asked.add_argument("--mutants", action="store_true", help="hunt every planted mistake")
    asked.add_argument("--mutant", help="hunt one, in this process")
    given = asked.parse_args()
    seeds = range(given.first, given.first + given.count)
    if given.mutant is not None:
        return _hunt_one(given.mutant)
    if given.mutants:
        return _mutants()
    if given.seed is not None:
        return _show(given.seed, brief=given.brief)
    return (_digests if given.digests else _many)(seeds, brief=given.brief)


if __name__ == "__main__":
    sys.exit(main())
