"""Single cancels with turns taken per cancel: whatever slows the machine for a moment meets every party alike.

In blocks of hundreds the same daemon was 1.4 to 2.4 times as slow as the floor within an hour. Each turn is one cancel
of every party, in random order. How far apart a party's own cancels are is told beside the figures, since code and data
go cold in between. Alone: `python -m tests.bench.turns`.
"""

import itertools
import random
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from statistics import median
from typing import Final, NamedTuple

from .asker import Asked, Asker
from .figures import Row, machine, percentile, table, verdicts
from .lines import Worker
from .measures import FULL, Effort, Library, Timed, answer_us, must_be_acked
from .stage import Stage, stage

GAPS_S: Final = (0.005, 0.001)
"""Between two cancels of one party: strategies are seconds apart, and so it gets colder yet."""

WARM_UP: Final = 100
SEED: Final = 1

FLOORS: Final = {"floor": 0.0, "serial floor": 0.1}
"""What the goals are over each of them: one at a time the serial one is the harder."""

WIRE_GOALS: Final = {0.005: 1.10, 0.001: 1.25}
ANSWER_GOALS: Final = {0.005: 1.15, 0.001: 1.35}
TOLD: Final = (10, 50, 95, 99, 99.9)
SHOWN: Final = {"ccxt": "ccxt.pro in process"}

TAIL_GOAL: Final = 1.5
FAR_TAIL_GOAL: Final = 2.0


class Times(NamedTuple):
    """Of one party at one gap, µs; and how far apart its cancels really were."""

    wire: list[float]
    answer: list[float]
    apart_us: float


def turns(
    on: Stage, everybody: Mapping[str, Timed], count: int, *, always: Sequence[str] = (*FLOORS, "daemon")
) -> dict[float, dict[str, Times]]:
    """`count` cancels of each party at each gap; where that is short, of those alone who are named here."""
    rng = random.Random(SEED)
    found = {}
    for gap_s in GAPS_S:
        close = gap_s < GAPS_S[0]
        parties = {name: party for name, party in everybody.items() if not close or name in always}
        pause_s = _pause(parties, gap_s)
        on.venue.ask("record")
        asked: dict[str, list[Asked]] = {name: [] for name in parties}
        order = list(parties)
        for _ in range(count):
            rng.shuffle(order)
            for name in order:
                asked[name] += parties[name].paced(1, 0.0)
                time.sleep(pause_s)
        arrived = dict(on.venue.ask("recorded"))
        found[gap_s] = {name: _times(cancels, arrived) for name, cancels in asked.items()}
    return found


def _pause(parties: Mapping[str, Timed], gap_s: float) -> float:
    """After each cancel, so that a party's own are `gap_s` apart: what the others take is a part of it."""
    begun = time.monotonic()
    for _ in range(WARM_UP):
        for party in parties.values():
            must_be_acked(party.paced(1, 0.0))
    taken_s = (time.monotonic() - begun) / WARM_UP
    return max(gap_s - taken_s, 0.0) / len(parties)


def _times(asked: list[Asked], arrived: Mapping[str, int]) -> Times:
    must_be_acked(asked)
    apart = [(after.asked_ns - before.asked_ns) / 1e3 for before, after in itertools.pairwise(asked)]
    wire = [(arrived[one.order_id] - one.asked_ns) / 1e3 for one in asked]
    return Times(wire, answer_us(asked), median(apart))


def compared(found: Mapping[float, Mapping[str, Times]]) -> list[Row]:
    """The goals over both floors, and over a client library in its caller's own process."""
    rows = []
    for gap_s, parties in found.items():
        ours = parties["daemon"]
        at = f", {gap_s * 1e3:g} ms apart"
        for name, more in FLOORS.items():
            theirs = parties[name]
            for what, mine, its, goal in (
                ("wire", ours.wire, theirs.wire, WIRE_GOALS[gap_s]),
                ("ask → answer", ours.answer, theirs.answer, ANSWER_GOALS[gap_s]),
            ):
                rows.append(_ratio(f"{what} p50{at}, daemon ÷ {name}", mine, its, 50, goal + more))
            rows += [
                _ratio(f"wire p{percent}{at}, daemon ÷ {name}", ours.wire, theirs.wire, percent, TAIL_GOAL)
                for percent in (95, 99)
            ]
    name = "ask → answer p99.9, 5 ms apart, daemon ÷ ccxt.pro in process"
    cold = found[GAPS_S[0]]
    if "ccxt" not in cold:
        return [*rows, Row.left_out(name, f"≤ {FAR_TAIL_GOAL:g}", "ccxt is not installed")]
    return [*rows, _ratio(name, cold["daemon"].answer, cold["ccxt"].answer, 99.9, FAR_TAIL_GOAL)]


def _ratio(measure: str, ours: list[float], theirs: list[float], percent: float, goal: float) -> Row:
    mine, its = percentile(ours, percent), percentile(theirs, percent)
    return Row.at_most(measure, mine / its, round(goal, 2), details=f" ({mine:.0f} ÷ {its:.0f} µs)")


def absolute(found: Mapping[float, Mapping[str, Times]]) -> str:
    """Every party's own figures."""
    names = list(next(iter(found.values())))
    lines = []
    for gap_s, parties in found.items():
        apart = median(one.apart_us for one in parties.values()) / 1e3
        at = f"{gap_s * 1e3:g} ms apart (really {apart:.1f})"
        for text, pick in (("wire", 0), ("ask → answer", 1)):
            told = {name: [percentile(one[pick], percent) for percent in TOLD] for name, one in parties.items()}
            cells = [" / ".join(f"{value:.0f}" for value in told.get(name, ())) for name in names]
            lines.append([f"{at}: {text} {' / '.join(f'p{percent:g}' for percent in TOLD)}, µs", *cells])
    return table(["", *(SHOWN.get(name, name) for name in names)], lines)


def main(effort: Effort = FULL) -> None:
    with ExitStack() as ending:
        on = ending.enter_context(stage())
        on.daemon.start()
        parties: dict[str, Timed] = {name: Asker(on.floors[name][0], 3 + number) for number, name in enumerate(FLOORS)}
        asker = parties["daemon"] = Asker(on.daemon.commands, 2)
        on.daemon.wait_for(asker, 2)
        rival = Worker("rivals", ("ccxt", str(on.port), str(on.ca_file)))
        ending.callback(rival.kill)
        if "missing" not in rival.hello:
            parties["ccxt"] = Library(rival)
        found = turns(on, parties, effort.turns)
        print(f"{machine()}; {effort.turns} cancels of each party\n\n{absolute(found)}\n\n{verdicts(compared(found))}")


if __name__ == "__main__":
    main()
