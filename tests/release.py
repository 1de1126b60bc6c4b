"""`python -m tests.release`: everything that a release is tried with beyond a commit, and its report as Markdown.

Seeds by the thousand, whole days, every planted mistake, every sequence of three events before and after a kill, ten
million inputs for the parsers. The exit status is 1 when anything did not hold, and each failure is printed with the
command that shows it again.
"""

import argparse
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from typing import Final

from tests.simulation.day import Day, simulate_day
from tests.simulation.mutants import MUTANTS, hunt_all
from tests.simulation.tally import Tally, run_all

HOUSE: Final = Path(__file__).parents[1]

SEEDS: Final = 20_000
CANCELS: Final = 5_000_000
FAULTS: Final = 300_000
HOURS: Final = 500
PAIRS: Final = 20
"""What a release is tried with at least; in how many seeds each two dangerous faults are felt at once. Source: the
reliability goals of this project."""

DAYS: Final = 20
"""Whole days, one after each way to draw the venues."""


def _say(text: str) -> None:
    print(text, flush=True)


def _days(count: int) -> list[Day]:
    days = []
    with get_context("spawn").Pool(maxtasksperchild=1) as processes:
        for day in processes.imap(simulate_day, range(count)):
            _say(day.line())
            if day.result.blamed:
                _say(day.result.report())
            days.append(day)
    return days


def _revision() -> str:
    done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=HOUSE, capture_output=True, text=True)
    return done.stdout.strip() or "not under version control"


def _short_of(tally: Tally, days: list[Day], seeds: int) -> list[str]:
    """What a release asks for and this run does not have."""
    hours = (tally.virtual_s + sum(day.result.virtual_s for day in days)) / 3600
    wanted = (("seeds", tally.seeds, SEEDS), ("cancels", tally.cancels, CANCELS), ("faults", tally.faults, FAULTS))
    short = [f"{had:,} {what} of {least:,}" for what, had, least in wanted if had < least]
    if hours < HOURS:
        short.append(f"{hours:.0f} simulated hours of {HOURS}")
    return short + tally.empty() + tally.rare(PAIRS)


def _report(tally: Tally, days: list[Day], found: list[tuple[str, str | None]]) -> str:
    hours = (tally.virtual_s + sum(day.result.virtual_s for day in days)) / 3600
    survivors = [name for name, how in found if how is None]
    times = tally.virtual_s / tally.cpu_s
    day_cancels, day_faults = (sum(getattr(day.result, what) for day in days) for what in ("cancels", "faults"))
    rows: list[tuple[str, str]] = [
        ("seeds", f"{tally.seeds:,}, of which {len(tally.failed)} failed"),
        ("cancels, faults", f"{tally.cancels + day_cancels:,}, {tally.faults + day_faults:,}"),
        ("deaths and restarts of the daemon", f"{tally.crashes:,}"),
        ("simulated hours", f"{hours:,.0f}, of which {24 * len(days)} in {len(days)} whole days"),
        ("days at whose end something had grown", str(sum(day.grew for day in days))),
        ("two dangerous faults at once, rarest pair", f"in {tally.rarest} seeds"),
        ("planted mistakes", f"{len(found)}, of which {len(survivors)} survived"),
        ("processor time of the seeds", f"{tally.cpu_s / 60:.0f} minutes, {times:.0f} times real time"),
    ]
    head = f"{datetime.now(UTC):%Y-%m-%d}, revision {_revision()}\n\n| what | figure |\n| --- | --- |"
    lines = "\n".join(f"| {what} | {figure} |" for what, figure in rows)
    return f"{head}\n{lines}\n\n{tally.table()}\n\nOutcomes told: {tally.told()}."


def _simulated(seeds: int, days: int, tell: Callable[[str], None]) -> bool:
    tally = run_all(range(1, seeds + 1), tell)
    done = _days(days)
    found = [(mutant.name, how) for mutant, how in hunt_all(MUTANTS, tell)]
    short = _short_of(tally, done, seeds)
    tell(f"\n{_report(tally, done, found)}\n")
    tell("\n".join(short) or "nothing is short of what a release asks for")
    held = not (tally.failed or short or any(day.result.blamed or day.grew for day in done))
    return held and all(how is not None for _, how in found)


def main() -> int:
    """0 when everything held."""
    asked = argparse.ArgumentParser(prog="python -m tests.release", description=__doc__)
    asked.add_argument("--seeds", type=int, default=SEEDS)
    asked.add_argument("--days", type=int, default=DAYS)
    given = asked.parse_args()
    held = _simulated(given.seeds, given.days, _say)
    others = (["tests.explore"], ["tests.explore", "--mistakes"], ["tests.fuzz", "--release"])
    statuses = [subprocess.run([sys.executable, "-m", *other], cwd=HOUSE).returncode for other in others]
    return int(not held or any(statuses))


if __name__ == "__main__":
    sys.exit(main())
