"""`python -m tests.bench`: the daemon beside hand-written relays and other clients, on one server in one run.

Single cancels are asked for in turns (`turns.py`), streams and bursts in alternating rounds, so that a slow moment of
the machine meets every party. Each goal stands beside its figure. It measures, it does not judge: the exit status is 0
whatever the figures are.
"""

import argparse
import gc
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Final

from . import measures, turns
from .asker import Asker
from .deadline import AHEAD_NS, deadline_of_a_crowd
from .figures import Rounds, Row, lines_of, machine, table, verdicts
from .instructions import instructions
from .isolation import isolation
from .kill import kill_under_load
from .lines import Worker
from .measures import CROWD, FULL, QUICK, Effort, Library, Timed
from .panic import panic
from .stage import NotReady, Stage, stage
from .urgent import urgent

WINDOWS: Final = (20, 200)

SHARING: Final = 10_000
"""Commands with one deadline."""


def run(effort: Effort, tell: Callable[[str], None]) -> None:
    """Measure everything and tell the tables."""
    # The bench's own garbage collection would be measured with the rest.
    gc.disable()
    brief = effort.repeats == 1
    with ExitStack() as ending:
        on = ending.enter_context(stage())

        def worker(module: str, *arguments: str) -> Worker:
            started = Worker(module, arguments)
            ending.callback(started.kill)
            return started

        start_up = measures.start_up(on, effort)
        rival = worker("rivals", "ccxt", str(on.port), str(on.ca_file))
        crowds = {
            name: [worker("asker", endpoint, str(base + number)) for number in range(2 if brief else CROWD)]
            for name, endpoint, base in (("floor", on.floors["floor"][0], 100), ("daemon", on.daemon.commands, 200))
        }
        asker = Asker(on.daemon.commands, 2)
        askers = {name: Asker(endpoint, 3 + n) for n, (name, (endpoint, _)) in enumerate(on.floors.items())}
        askers["daemon"] = asker
        on.daemon.wait_for(asker, 2)
        asker.windowed(effort.stream // 4, 20)
        parties: dict[str, Timed] = {name: askers[name] for name in (*turns.FLOORS, "daemon")}
        if "missing" not in rival.hello:
            parties["ccxt"] = Library(rival)
        tell(
            f"{machine()}; {effort.turns} single cancels of each party, {effort.rounds} rounds of streams and bursts\n"
        )
        single = turns.turns(on, parties, effort.turns)
        tell(turns.absolute(single) + "\n")
        rounds = _alternate(on, effort, askers, crowds, rival)
        tell(_absolute(rounds) + "\n")
        tell(verdicts([*turns.compared(single), *_compared(rounds), start_up]))
        hot = {name: crowd[0] for name, crowd in crowds.items()}
        httpx = worker("rivals", "httpx", str(on.port), str(on.ca_file))
        sharing, ahead_ns = (SHARING // 50, AHEAD_NS // 4) if brief else (SHARING, AHEAD_NS)
        several = min(effort.repeats, 3)
        measured: dict[str, Callable[[], Row | list[Row]]] = {
            "instructions": lambda: instructions(on, effort),
            "hot client": lambda: measures.hot_neighbour(askers, hot, effort),
            "hedge": lambda: measures.hedge(on, asker, effort),
            "socket killed": lambda: measures.socket_killed(on, asker, effort),
            "deadline": lambda: deadline_of_a_crowd(on, crowds["daemon"], sharing, several, ahead_ns=ahead_ns),
            "REST": lambda: measures.rest_fallback(on, asker, httpx, effort),
            "urgent": lambda: urgent(on, effort),
            "isolation": lambda: isolation(on, effort),
            "kill": lambda: kill_under_load(on, effort),
            "panic": lambda: panic(effort),
            "status": lambda: measures.status_process(on, effort),
            "memory": lambda: measures.memory(on, asker, effort),
        }
        for name, measure in measured.items():
            try:
                rows = measure()
            except (RuntimeError, NotReady) as failed:
                # A machine too busy for one of them: the others are worth their time all the same.
                rows = Row.left_out(name, "", f"not measured: {failed}")
            tell(lines_of(rows if isinstance(rows, list) else [rows]))


def _alternate(
    on: Stage, effort: Effort, askers: dict[str, Asker], crowds: dict[str, list[Worker]], rival: Worker
) -> Rounds:
    """Every party's streams and bursts, in every round."""
    rounds = Rounds()
    pids = {name: pid for name, (_, pid) in on.floors.items()} | {"daemon": on.daemon.pid}
    for _ in range(effort.rounds):
        for window in WINDOWS:
            for name, asker in askers.items():
                measures.stream(rounds, name, asker, effort.stream, window, pids[name])
            if "missing" not in rival.hello:
                measures.stream(rounds, "ccxt", Library(rival), effort.stream // 2, window, None)
        for name, crowd in crowds.items():
            measures.burst(on, rounds, name, crowd, effort.burst)
        if "missing" not in rival.hello:
            measures.library_burst(on, rounds, "ccxt", rival, effort.burst)
    return rounds


def _compared(rounds: Rounds) -> list[Row]:
    """The goals that compare streams and bursts."""
    rows = [
        Row.at_least(
            f"cancels/s at {window} in flight, daemon ÷ {to}", rounds.ratio(f"rate {window}", "daemon", to), goal
        )
        for window, to, goal in ((200, "floor", 1.1), (20, "floor", 0.8), (20, "serial floor", 1.4))
    ]
    last = "burst of 1,000: last frame, daemon ÷ ccxt.pro"
    if not rounds.has("ccxt", "burst"):
        return [*rows, Row.left_out(last, "≤ 1.2", "ccxt is not installed")]
    return [*rows, Row.at_most(last, rounds.ratio("burst", "daemon", "ccxt"), 1.2)]


def _absolute(rounds: Rounds) -> str:
    """Every party's own figures."""
    parties = [
        name for name in ("floor", "lean floor", "serial floor", "daemon", "ccxt") if rounds.has(name, "rate 20")
    ]
    lines = []
    for text, figures, shape in (
        ("cancels/s, 20 / 200 in flight", ("rate 20", "rate 200"), "{:,.0f}"),
        ("processor µs per cancel, 20 / 200 in flight", ("cpu 20", "cpu 200"), "{:.0f}"),
        (f"burst, {CROWD} processes (ccxt: one), last frame, ms", ("burst",), "{:.0f}"),
    ):
        cells = [
            " / ".join(shape.format(rounds.figure(party, figure)) for figure in figures if rounds.has(party, figure))
            for party in parties
        ]
        lines.append([text, *cells])
    return table(["", *(turns.SHOWN.get(party, party) for party in parties)], lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few seconds: whether it runs, not how fast")
    parser.add_argument("--rounds", type=int, default=FULL.rounds, metavar="N")
    parser.add_argument("--soak", type=int, default=FULL.soak, metavar="N", help="cancels of the memory measure")
    options = parser.parse_args()
    run(QUICK if options.quick else FULL._replace(rounds=options.rounds, soak=options.soak), partial(print, flush=True))


if __name__ == "__main__":
    main()
