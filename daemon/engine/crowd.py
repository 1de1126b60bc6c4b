"""Commands by the thousand that share a deadline: when to foresee their answers, so that all are given in time.

An answer is given at its deadline and never before it. What is made ready ahead is the reply as it will be unless
something is heard until then: made only at the deadline, ten thousand of them would take half a second.
"""

from collections.abc import Sequence
from typing import Final

from .instants import MS

CROWD: Final = 500
"""Fewer are answered within 30 ms of their deadline, whatever is done."""

LOOK_NS: Final = 25 * MS
"""Between two looks at all deadlines: one takes 5 ms for 10,000."""

EACH_NS: Final = 80_000
"""What it takes to foresee one answer, with what others want in between."""

SLICE: Final = 128
"""Pursuits that are seen to in one step, 2 to 4 ms of it: a kill is not to wait for more, nor is an ack."""


def may_begin(soonest_ns: int, count: int, now_ns: int) -> bool:
    """Whether `to_begin` may give more than 0 for so many, whose first has this deadline: a look without a sort."""
    return soonest_ns - now_ns - LOOK_NS <= count * EACH_NS


def to_begin(deadlines_ns: Sequence[int], now_ns: int) -> int:
    """How many answers, of the most urgent commands, are to be foreseen from now on; 0 while all can wait.

    deadlines_ns: of all, sorted. The last one is foreseen by its deadline, give or take one look.
    """
    latest_ns = now_ns + LOOK_NS
    begun = 0
    for place, deadline_ns in enumerate(deadlines_ns, 1):
        if not may_begin(deadline_ns, len(deadlines_ns), now_ns):
            break
        if deadline_ns - place * EACH_NS < latest_ns:
            begun = place
    # A few that are due are no crowd: they have their time.
    return begun if begun >= CROWD else 0
