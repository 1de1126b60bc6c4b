"""`python -m tests.fuzz`: the parsers under many more mutants than a test run has time for, and a report.

`--release` is ten million over all of them, from a number that is drawn and printed; the exit status is 1 when a parser
did not stand an input, which is printed with it.
"""

import argparse
import os
import secrets
import sys
from concurrent.futures import ProcessPoolExecutor
from typing import Final

from .attack import Finding, Told, attack, number_of_the_day
from .surfaces import surfaces

RELEASE_INPUTS: Final = 10_000_000
QUICK_INPUTS: Final = 200_000


def _attack(place: int, inputs: int, number: int) -> Told | str:
    """In a process of its own: the surface's place, since parsers do not travel."""
    try:
        return attack(surfaces()[place], inputs, number)
    except Finding as finding:
        return str(finding)


def _row(told: Told) -> str:
    read = told.inputs - told.refused
    kinds = ", ".join(f"{kind.__name__} {times:,}" for kind, times in told.kinds.most_common())
    us = told.took_s / told.inputs * 1e6
    return f"| {told.surface} | {told.inputs:,} | {read:,} | {told.refused:,} | {us:.1f} | {kinds} |"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--release", action="store_true", help=f"{RELEASE_INPUTS:,} inputs, from a number drawn")
    parser.add_argument("--inputs", type=int, metavar="N", help="so many for each parser")
    parser.add_argument("--number", type=int, metavar="N", help="where the mutants come from; printed by every run")
    parser.add_argument("--only", default="", metavar="TEXT", help="parsers with this in their name")
    options = parser.parse_args()
    places = [place for place, surface in enumerate(surfaces()) if options.only in surface.name]
    if not places:
        parser.error(f"no parser has {options.only!r} in its name")
    drawn = secrets.randbits(32) if options.release else number_of_the_day()
    number = drawn if options.number is None else options.number
    inputs = options.inputs or (-(-RELEASE_INPUTS // len(places)) if options.release else QUICK_INPUTS)
    print(f"{inputs:,} mutants for each of {len(places)} parsers, from --number {number}", flush=True)
    with ProcessPoolExecutor(os.cpu_count()) as processes:
        done = list(processes.map(_attack, places, [inputs] * len(places), [number] * len(places)))
    findings = [one for one in done if isinstance(one, str)]
    told = [one for one in done if isinstance(one, Told)]
    print("\n| parser | inputs | read | refused by the declared error | µs each | read as |\n|---|---|---|---|---|---|")
    print("\n".join(map(_row, told)))
    inputs_told, took_s = sum(one.inputs for one in told), sum(one.took_s for one in told)
    print(f"\n{inputs_told:,} inputs, {took_s:.0f} s of processor time, {len(findings)} not stood")
    for finding in findings:
        print(finding)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
