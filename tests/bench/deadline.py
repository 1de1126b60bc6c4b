"""Thousands of commands that share a deadline at a silent venue: how late the last of them is answered, and that none
is answered before its time.
"""

import time
from statistics import median
from typing import Final

from .figures import Row
from .lines import Worker
from .stage import Stage

AHEAD_NS: Final = 4_000_000_000
"""From the first command to the deadline: all of them are in by then, and have been hedged."""

GOAL_MS: Final = 50


def deadline_of_a_crowd(
    stage: Stage, crowd: list[Worker], count: int, repeats: int, *, ahead_ns: int = AHEAD_NS
) -> Row:
    """`count` commands in all, from every process of the crowd; no venue answers any of them.

    Raises RuntimeError when a command is answered otherwise than `unknown`, or before its deadline.
    """
    latest, earliest = [], []
    for _ in range(repeats):
        stage.venue.ask("behave", answers=False, admits=True, hangs=True)
        try:
            due_ns = time.monotonic_ns() + ahead_ns
            for member in crowd:
                member.tell("crowd", due_ns=due_ns, count=count // len(crowd))
            told = [member.hear() for member in crowd]
        finally:
            stage.venue.ask("behave", answers=True, admits=True)
        outcomes = {outcome for _, _, told_outcomes in told for outcome in told_outcomes}
        if outcomes != {"unknown"}:
            raise RuntimeError(f"a crowd at a silent venue was answered {', '.join(sorted(outcomes))}")
        earliest.append(min(early_ms for early_ms, _, _ in told))
        latest.append(max(late_ms for _, late_ms, _ in told))
    if min(earliest) < 0:
        raise RuntimeError(f"a command was answered {-min(earliest):.1f} ms before its deadline")
    return Row.at_most(
        f"{count:,} commands share a deadline at a silent venue: latest reply after it",
        median(latest),
        GOAL_MS,
        " ms",
        details=f" (first {median(earliest):.1f} ms after its own)",
    )
