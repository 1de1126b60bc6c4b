"""`python -m tests.bench`: the daemon beside a hand-written relay and other clients, on one server in one run.

Parties take turns, round after round, so that a slow moment of the machine meets all of them; what is compared is the
medians over the rounds. It measures, it does not judge: the exit status is 0 whatever the figures are.
"""

import argparse
import gc
from collections.abc import Callable
from contextlib import ExitStack
from typing import Final

from . import measures
from .asker import Asker
from .figures import Rounds, Row, machine, percentile, table, verdicts
from .isolation import isolation
from .kill import kill_under_load
from .lines import Worker
from .measures import CROWD, FULL, QUICK, Effort, Library
from .panic import panic
from .stage import Stage, stage
from .urgent import urgent

WINDOWS: Final = (20, 200)


def run(effort: Effort, tell: Callable[[str], None]) -> None:
    """Measure everything and tell the tables."""
    # The bench's own garbage collection would be measured with the rest.
    gc.disable()
    with ExitStack() as ending:
        on = ending.enter_context(stage())

        def worker(module: str, *arguments: str) -> Worker:
            started = Worker(module, arguments)
            ending.callback(started.kill)
            return started

        rows = [measures.start_up(on, effort)]
        rival = worker("rivals", "ccxt", str(on.port), str(on.ca_file))
        crowds = {
            name: [worker("asker", endpoint, str(base + number)) for number in range(CROWD)]
            for name, endpoint, base in (("floor", on.floors["floor"][0], 100), ("daemon", on.daemon.commands, 200))
        }
        asker = Asker(on.daemon.commands, 2)
        askers = {name: Asker(endpoint, 3 + n) for n, (name, (endpoint, _)) in enumerate(on.floors.items())}
        askers["daemon"] = asker
        on.daemon.wait_for(asker, 2)
        asker.windowed(effort.stream // 4, 20)
        rounds, tails = _alternate(on, effort, askers, crowds, rival)
        rows = _compared(rounds, tails) + rows
        rows.append(measures.status_process(on, effort))
        rows.append(measures.hot_neighbour(asker, crowds["daemon"][0], effort))
        rows.append(measures.hedge(on, asker, effort))
        rows.append(measures.socket_killed(on, asker, effort))
        rows.append(measures.rest_fallback(on, asker, worker("rivals", "httpx", str(on.port), str(on.ca_file)), effort))
        rows.append(urgent(on, effort))
        rows += isolation(on, effort)
        rows += kill_under_load(on, effort)
        rows.append(panic(effort))
        rows += measures.memory(on, asker, effort)
        tell(f"{machine()}; {effort.rounds} alternating rounds of {effort.asks} single cancels\n")
        tell(_absolute(rounds) + "\n")
        tell(verdicts(rows))


def _alternate(
    on: Stage, effort: Effort, askers: dict[str, Asker], crowds: dict[str, list[Worker]], rival: Worker
) -> tuple[Rounds, dict[str, list[float]]]:
    """Every party's turn in every round; the figures, and every ask → answer time for the far tail."""
    rounds = Rounds()
    tails: dict[str, list[float]] = {}
    pids = {name: pid for name, (_, pid) in on.floors.items()} | {"daemon": on.daemon.pid}
    for _ in range(effort.rounds):
        for name, asker in askers.items():
            tails.setdefault(name, []).extend(measures.one_at_a_time(on, rounds, name, asker, effort.asks))
            for window in WINDOWS:
                measures.stream(rounds, name, asker, effort.stream, window, pids[name])
            if name in crowds:
                measures.burst(on, rounds, name, crowds[name], effort.burst)
        if "missing" not in rival.hello:
            library = Library(rival)
            tails.setdefault("ccxt", []).extend(measures.one_at_a_time(on, rounds, "ccxt", library, effort.asks))
            for window in WINDOWS:
                measures.stream(rounds, "ccxt", library, effort.stream // 2, window, None)
            measures.library_burst(on, rounds, "ccxt", rival, effort.burst)
    return rounds, tails


def _compared(rounds: Rounds, tails: dict[str, list[float]]) -> list[Row]:
    """The goals that compare parties."""
    rows = [
        Row.at_most(f"{text}, daemon ÷ floor", rounds.ratio(figure, "daemon", "floor"), goal)
        for text, figure, goal in (
            ("wire p50", "wire p50", 1.20),
            ("wire p99", "wire p99", 1.5),
            ("ask → answer p50", "answer p50", 1.30),
        )
    ]
    rows += [
        Row(f"{text}, daemon ÷ lean floor", "", f"{rounds.ratio(figure, 'daemon', 'lean floor'):.2f}", None)
        for text, figure in (("wire p50", "wire p50"), ("ask → answer p50", "answer p50"))
    ]
    rate = Row.at_least("cancels/s at 20 in flight, daemon ÷ floor", rounds.ratio("rate 20", "daemon", "floor"), 1.4)
    tail, last = "ask → answer p99.9, daemon ÷ ccxt.pro in process", "burst of 1,000: last frame, daemon ÷ ccxt.pro"
    if not rounds.has("ccxt", "wire p50"):
        missing = "ccxt is not installed"
        return [*rows, Row.left_out(tail, "≤ 2", missing), rate, Row.left_out(last, "≤ 1.2", missing)]
    far = percentile(tails["daemon"], 99.9) / percentile(tails["ccxt"], 99.9)
    return [*rows, Row.at_most(tail, far, 2), rate, Row.at_most(last, rounds.ratio("burst", "daemon", "ccxt"), 1.2)]


def _absolute(rounds: Rounds) -> str:
    """Every party's own figures."""
    parties = [party for party in ("lean floor", "floor", "daemon", "ccxt") if rounds.has(party, "wire p50")]
    lines = []
    for text, figures, shape in (
        ("wire p50 / p99 / p99.9, µs", ("wire p50", "wire p99", "wire p99.9"), "{:.0f}"),
        ("ask → answer p50 / p99 / p99.9, µs", ("answer p50", "answer p99", "answer p99.9"), "{:.0f}"),
        ("cancels/s, 20 / 200 in flight", ("rate 20", "rate 200"), "{:,.0f}"),
        ("processor µs per cancel, 20 / 200 in flight", ("cpu 20", "cpu 200"), "{:.0f}"),
        (f"burst, {CROWD} processes (ccxt: one), last frame, ms", ("burst",), "{:.0f}"),
    ):
        cells = [
            " / ".join(shape.format(rounds.figure(party, figure)) for figure in figures if rounds.has(party, figure))
            for party in parties
        ]
        lines.append([text, *cells])
    names = {"ccxt": "ccxt.pro in process"}
    return table(["", *(names.get(party, party) for party in parties)], lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few seconds: whether it runs, not how fast")
    parser.add_argument("--rounds", type=int, default=FULL.rounds, metavar="N")
    parser.add_argument("--soak", type=int, default=FULL.soak, metavar="N", help="cancels of the memory measure")
    options = parser.parse_args()
    run(QUICK if options.quick else FULL._replace(rounds=options.rounds, soak=options.soak), print)


if __name__ == "__main__":
    main()
