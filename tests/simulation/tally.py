"""What many seeds came to, on as many processors as there are: figures, and which faults met which state."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing import get_context
from typing import Final

from .cells import Cells
from .run import Result, simulate
from .troubles import ELSEWHERE, ROWS

BLOCK: Final = 25
BLOCKS: Final = 8
"""Seeds handed to a process at once, and after how often it is replaced: what is left in its memory goes with it."""

STATES: Final = ("starting", "idle", "busy", "degraded", "down")
"""States of the daemon in which every fault must have struck. What else there is (latched, draining, gone) is told."""

BEFORE_ANYTHING: Final = frozenset({9, 37})
"""Rows that are a property of a whole run, and strike in the state that it begins in."""

DANGEROUS: Final = (1, 2, 3, 4, 5, 6, 7, 8, 14, 15, 20, 22, 24, 26, 27, 28, 30, 32)
"""Rows of the fault catalogue whose pairs are required."""


class Tally:
    """The sum of many runs."""

    def __init__(self) -> None:
        self.seeds = self.cancels = self.faults = self.crashes = 0
        self.virtual_s = self.cpu_s = 0.0
        self.failed: list[str] = []
        self.coverage: Counter[tuple[int, str]] = Counter()
        self.pairs: Counter[tuple[int, int]] = Counter()
        self.outcomes: Counter[str] = Counter()
        self.cells: Cells = Counter()

    def add(self, result: Result, cpu_s: float) -> None:
        """One more run, and what it cost."""
        self.seeds += 1
        self.cancels += result.cancels
        self.faults += result.faults
        self.crashes += result.crashes
        self.virtual_s += result.virtual_s
        self.cpu_s += cpu_s
        self.coverage += result.coverage
        self.pairs.update(result.pairs)
        self.outcomes += result.outcomes
        self.cells += result.cells
        if result.blamed:
            self.failed.append(result.report())

    def line(self) -> str:
        """The figures on one line."""
        return (
            f"{self.seeds:,} seeds, {len(self.failed)} failed; {self.cancels:,} cancels, {self.faults:,} faults, "
            f"{self.crashes:,} deaths of the daemon, {self.virtual_s / 3600:.1f} simulated hours in "
            f"{self.cpu_s / 60:.2f} CPU-minutes: {self.virtual_s / self.cpu_s:.0f} times real time"
        )

    def told(self) -> str:
        """How often each outcome was told."""
        return ", ".join(f"{count:,} {word}" for word, count in self.outcomes.most_common())

    def table(self) -> str:
        """How often each row of the fault catalogue struck in each state of the daemon, as Markdown."""
        states = [*STATES, *sorted({state for _, state in self.coverage} - {*STATES})]
        lines = [f"| row | fault | {' | '.join(states)} |", f"| --- | --- |{' --- |' * len(states)}"]
        for row, name in ROWS.items():
            counts = [f"{self.coverage[row, state]:,}" for state in states]
            if row in BEFORE_ANYTHING:
                counts = [f"{sum(self.coverage[row, state] for state in states):,} runs", *[""] * (len(states) - 1)]
            lines.append(f"| {row} | {name} | {' | '.join(counts)} |")
        lines += [f"| {row} | {name} | {where} |{' |' * (len(states) - 1)}" for row, (name, where) in ELSEWHERE.items()]
        return "\n".join(lines)

    def empty(self) -> list[str]:
        """Required cells of the table that stayed empty."""
        return [
            f"row {row} ({name}) never struck while {state}"
            for row, name in ROWS.items()
            for state in STATES
            if row not in BEFORE_ANYTHING and not self.coverage[row, state]
        ]

    def rare(self, seeds: int) -> list[str]:
        """Pairs of dangerous rows that were felt at once in fewer seeds than so many."""
        return [
            f"rows {one} and {other} were felt together in {self.pairs[one, other]} seeds only"
            for one in DANGEROUS
            for other in DANGEROUS
            if one < other and self.pairs[one, other] < seeds
        ]

    @property
    def rarest(self) -> int:
        """In how many seeds that pair of dangerous rows was felt which was felt least often."""
        return min(self.pairs[one, other] for one in DANGEROUS for other in DANGEROUS if one < other)


def run_block(seeds: range, *, brief: bool = False) -> list[tuple[Result, float]]:
    """Run seeds one after the other, each with the processor seconds it took; traces of good runs are let go."""
    done = []
    for seed in seeds:
        began_s = time.process_time()
        result = simulate(seed, brief=brief)
        cpu_s = time.process_time() - began_s
        if not result.blamed:
            result.lines.clear()
        done.append((result, cpu_s))
    return done


def run_all(seeds: range, tell: Callable[[str], None], *, brief: bool = False) -> Tally:
    """Run seeds on every processor. tell: is given what failed as it fails, and the figures now and then."""
    tally = Tally()
    for result, cpu_s in _spread(seeds, brief):
        tally.add(result, cpu_s)
        if result.blamed:
            tell(result.report())
        if tally.seeds % 1000 == 0:
            tell(tally.line())
    return tally


def _spread(seeds: range, brief: bool) -> Iterator[tuple[Result, float]]:
    blocks = [seeds[at : at + BLOCK] for at in range(0, len(seeds), BLOCK)]
    # A forked process would have the parent's modules as they were changed by whatever ran in it before. It is a Pool,
    # since ProcessPoolExecutor deadlocks when it replaces its processes (CPython issue 115634).
    with get_context("spawn").Pool(maxtasksperchild=BLOCKS) as processes:
        for done in processes.imap(partial(run_block, brief=brief), blocks):
            yield from done
