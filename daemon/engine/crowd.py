"""Commands by the thousand that share a deadline: when to begin to answer them, so that the last one is in time."""

from collections.abc import Sequence
from typing import Final

from .instants import MS

CROWD: Final = 500
"""Fewer are answered within 30 ms of their deadline, whatever is done."""

LOOK_NS: Final = 25 * MS
"""Between two looks at all deadlines: one takes 5 ms for 10,000."""

EACH_NS: Final = 80_000
"""What one answer takes, from the verdict to the reply and the record, with what others want in between."""

SLICE: Final = 64
"""Pursuits that are seen to in one step, 4 ms of it: a kill is not to wait for more, nor is an ack."""


def to_begin(deadlines_ns: Sequence[int], now_ns: int) -> int:
    """How many commands, the most urgent ones, are to be answered from now on; 0 while all can wait.

    deadlines_ns: of all, sorted. The last answer is due at the deadline, give or take one look.
    """
    latest_ns = now_ns + LOOK_NS
    begun = 0
    for place, deadline_ns in enumerate(deadlines_ns, 1):
        if deadline_ns - latest_ns > len(deadlines_ns) * EACH_NS:
            break
        if deadline_ns - place * EACH_NS < latest_ns:
            begun = place
    # A few that are due are no crowd: they have their time.
    return begun if begun >= CROWD else 0
