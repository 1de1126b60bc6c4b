"""How far apart the requests for one order are kept on each lane. Pure.

No chain of answers, looks and refusals can be quicker than this, however it is made. tries: `Pursuit.tries`.
"""

from ..instants import MS
from ..lane import Lane
from ..reactions import PER_SECOND, SPACE_MS

SPACE_NS = SPACE_MS * MS
SECOND_NS = 1000 * MS


def may_leave_ns(tries: tuple[int, ...], lane: Lane) -> int:
    """From when on a request may leave on a lane, whoever wants it to: not soon after another, nor as a fourth one
    within a second. 0 where none has left there."""
    times = _times(tries, lane)
    if not times:
        return 0
    counted = times[-PER_SECOND] + SECOND_NS if len(times) >= PER_SECOND else 0
    return max(times[-1] + SPACE_NS, counted)


def bars(tries: tuple[int, ...], at_ns: int, last_ns: int) -> bool:
    """Whether a request at `at_ns`, where the last one left, would keep one at `last_ns` from leaving there."""
    times = [*_times(tries, tries[-2]), at_ns] if tries else [at_ns]
    return last_ns < at_ns + SPACE_NS or sum(time > last_ns - SECOND_NS for time in times) >= PER_SECOND


def _times(tries: tuple[int, ...], lane: Lane) -> list[int]:
    return [at_ns for on, at_ns in zip(tries[::2], tries[1::2], strict=True) if on == lane]
