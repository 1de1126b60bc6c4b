"""Explores every sequence of events by hand, or hunts the planted mistakes."""

import argparse
import sys
import time
from typing import Final

from .places import PLACES

DEPTH: Final = 3


def _say(text: str) -> None:
    print(text, flush=True)


def _explore(depth: int, venues: tuple[str, ...], processes: int | None) -> int:
    from .search import Found, explore

    began_s = time.monotonic()
    sum_of_all = Found()
    told = 0
    for found in explore(depth, venues, processes):  # type: ignore[arg-type]
        for kind in found.first.keys() - sum_of_all.first.keys():
            _say(found.first[kind])
        sum_of_all.add(found)
        if sum_of_all.sequences - told >= 50_000:
            told = sum_of_all.sequences
            _say(f"{told:,} sequences, {time.monotonic() - began_s:.0f} s, {len(sum_of_all.wrong)} kinds of wrong")
    if sum_of_all.wrong:
        _say(sum_of_all.report())
    _say(
        f"{sum_of_all.sequences:,} sequences of up to {depth} events, {sum_of_all.states:,} states gone on from, "
        f"in {time.monotonic() - began_s:.0f} s: {sum(sum_of_all.wrong.values()):,} wrong"
    )
    return int(bool(sum_of_all.wrong))


def _hunt_one(name: str) -> int:
    from ..simulation.mutants import KILLED, SURVIVED, plant
    from .mistakes import MISTAKES, SHOWS_AT

    plant(name, MISTAKES)
    from .search import hush, sampled

    hush()
    for venue in sorted(PLACES, key=lambda venue: venue != SHOWS_AT.get(name)):
        for every in (400, 20, 1):
            found = sampled(venue, every)
            if found.wrong:
                _say(found.report().splitlines()[0])
                return KILLED
    return SURVIVED


def _mistakes() -> int:
    from ..processes import mistakes as hands
    from ..simulation.mutants import hunt_all
    from .mistakes import MISTAKES

    survivors = [mutant.name for mutant, found in hunt_all(MISTAKES, _say, "tests.explore") if found is None]
    survivors += hands.hunt_all(_say)
    _say(f"{len(MISTAKES) + len(hands.MISTAKES)} planted mistakes, {len(survivors)} not found")
    return int(bool(survivors))


def main() -> int:
    """0 when everything held, 1 when not."""
    asked = argparse.ArgumentParser(prog="python -m tests.explore", description=__doc__)
    asked.add_argument("--depth", type=int, default=DEPTH, help="how many events a sequence has at most")
    asked.add_argument("--venue", action="append", choices=PLACES, help="one venue alone")
    asked.add_argument("--processes", type=int)
    asked.add_argument("--mistakes", action="store_true", help="hunt every planted mistake")
    asked.add_argument("--mutant", help="hunt one, in this process")
    given = asked.parse_args()
    if given.mutant is not None:
        return _hunt_one(given.mutant)
    if given.mistakes:
        return _mistakes()
    return _explore(given.depth, tuple(given.venue or PLACES), given.processes)


if __name__ == "__main__":
    sys.exit(main())
