"""An urgent cancel at a venue whose socket answers late: it is answered as fast as by the faster way alone.

Both are measured in turns on the same daemon: REST alone, with no socket to be had, and urgent cancels over a socket
that answers 200 ms late with REST beside it. Alone: `python -m tests.bench.urgent`.
"""

from contextlib import ExitStack
from statistics import median
from typing import Final

from .asker import Asker
from .figures import Row, machine, percentile, verdicts
from .measures import FULL, Effort, answer_us, must_be_acked
from .stage import Stage, stage

LATE_S: Final = 0.2
"""How late the venue's sockets answer."""

APART_S: Final = 0.002
"""Between an answer and the next cancel: the late answers of earlier ones are not to be what is measured."""

TURNS: Final = 2
"""Each ends every session twice over, and a daemon's budget of dials bears few of those."""

GOAL: Final = 1.1


def urgent(on: Stage, asker: Asker, effort: Effort) -> Row:
    """Ask → answer of urgent cancels, beside that of the faster way alone: the median of the turns' ratios."""
    count = max(effort.asks // 3, 10)
    rounds: list[tuple[float, float]] = []
    far_us: list[float] = []
    for _ in range(min(effort.rounds, TURNS)):
        on.venue.ask("behave", answers=True, admits=False)
        on.venue.ask("kill_sockets", every=True)
        on.daemon.wait_for(asker, 0)
        try:
            alone = _answered(asker, count)
        finally:
            on.venue.ask("behave", answers=True, admits=True)
        on.daemon.wait_for(asker, 2)
        on.venue.ask("behave", answers=True, admits=True, late_s=LATE_S)
        try:
            both = _answered(asker, count, urgent=True)
        finally:
            on.venue.ask("behave", answers=True, admits=True)
        rounds.append((median(both), median(alone)))
        far_us += both
    ratio = median(ours_us / alone_us for ours_us, alone_us in rounds)
    ours_us, alone_us = (median(figures) for figures in zip(*rounds, strict=True))
    return Row.at_most(
        f"urgent, socket {LATE_S * 1e3:.0f} ms late: ask → answer p50 ÷ REST alone",
        ratio,
        GOAL,
        details=f" ({ours_us:.0f} ÷ {alone_us:.0f} µs; p99 {percentile(far_us, 99) / 1e3:.1f} ms)",
    )


def _answered(asker: Asker, count: int, *, urgent: bool = False) -> list[float]:
    """Microseconds from asking to the answer, one cancel after the other; the first few warm the way up."""
    asker.paced(3, APART_S, urgent=urgent)
    asked = asker.paced(count, APART_S, urgent=urgent)
    must_be_acked(asked)
    return answer_us(asked)


def main() -> None:
    with ExitStack() as ending:
        on = ending.enter_context(stage())
        on.daemon.start()
        asker = Asker(on.daemon.commands, 2)
        ending.callback(asker.close)
        on.daemon.wait_for(asker, 2)
        asker.windowed(2000, 20)
        print(f"{machine()}\n\n{verdicts([urgent(on, asker, FULL)])}")


if __name__ == "__main__":
    main()
