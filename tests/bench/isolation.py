"""Whether one venue's trouble is felt at another: times of Spot's cancels while Prime and Futures are in trouble.

Two daemons take turns in the same trouble: one serves all three venues, the other Spot alone. So what the trouble costs
the machine, which has few cores, meets both; what is left is what the venues cost each other inside one process. Spot
is the bench's bare venue, the other two are the simulated exchange's. Alone: `python -m tests.bench.isolation`.
"""

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

from .asker import Asker
from .figures import Row, percentile, verdicts
from .lines import Worker
from .measures import FULL, GAP_S, Effort
from .stage import LIVE_TIMEOUT_S, LOOK_S, Daemon, NotReady, Stage, stage

KINDS: Final = {"stall": "stall", "storm": "reconnect storm", "garbage": "flood of garbage"}
TURNS: Final = 3
FELT_S: Final = 0.3
"""Between the first strike of a trouble and the first cancel that is timed."""

SECTIONS: Final = """
[prime]
enabled = true
ws_url = "{prime_ws_url}"

[futures]
enabled = true
rest_url = "{futures_rest_url}"
ws_url = "{futures_ws_url}"
"""


class Side(NamedTuple):
    """One of the two daemons, and who asks it."""

    daemon: Daemon
    asker: Asker


class Sides(NamedTuple):
    """`together` serves all three venues, `alone` Spot only."""

    together: Side
    alone: Side


def isolation(on: Stage, effort: Effort) -> list[Row]:
    """A row for each kind of trouble. Raises NotReady when a venue does not come back from one."""
    asks = effort.asks // 2
    p99: dict[tuple[str, str], list[float]] = defaultdict(list)
    with _sides(on) as (sides, trouble):
        for side in sides:
            side.asker.windowed(effort.asks, 20)
        for turn in range(min(effort.repeats, TURNS)):
            for kind in KINDS:
                p99["quiet", kind].append(_p99_us(sides.together.asker, asks))
                trouble.ask("begin", kind=kind, endpoint=sides.together.daemon.commands)
                time.sleep(FELT_S)
                for name in ("together", "alone") if turn % 2 else ("alone", "together"):
                    p99[name, kind].append(_p99_us(getattr(sides, name).asker, asks))
                trouble.ask("end")
                _await_up(*sides.together)
    rows = []
    for kind, what in KINDS.items():
        together, alone, quiet = (median(p99[name, kind]) for name in ("together", "alone", "quiet"))
        rows.append(
            Row.at_most(
                f"{what} at Prime and Futures: Spot's p99 ÷ that of a daemon with Spot alone",
                together / alone,
                2,
                details=f" ({together:.0f} ÷ {alone:.0f} µs; quiet {quiet:.0f} µs)",
            )
        )
    return rows


def _p99_us(asker: Asker, asks: int) -> float:
    asked = asker.paced(asks, GAP_S)
    if any(one.outcome != "acked" for one in asked):
        raise RuntimeError("a cancel of the bench was not acked")
    return percentile(((one.answered_ns - one.asked_ns) / 1e3 for one in asked), 99)


@contextmanager
def _sides(on: Stage) -> Iterator[tuple[Sides, Worker]]:
    """Both daemons with everything up, and whoever makes the trouble."""
    with ExitStack() as ending:
        home = on.ca_file.parent / "isolation"
        home.mkdir(mode=0o700)
        trouble = Worker("trouble", [str(home / "exchange")])
        ending.callback(trouble.dismiss)
        told = trouble.hello
        roots = home / "roots.pem"
        roots.write_text(on.ca_file.read_text() + Path(told["ca_file"]).read_text())
        sides = []
        for number, (name, more) in enumerate({"together": SECTIONS.format(**told), "alone": ""}.items()):
            place = home / name
            place.mkdir(mode=0o700)
            daemon = Daemon(place, on.port, roots, more=more)
            for venue in ("prime", "futures"):
                for part in ("key", "secret"):
                    daemon.give_credential(f"{venue}.{part}", told["credentials"][venue][part])
            ending.callback(daemon.stop)
            daemon.start()
            asker = Asker(daemon.commands, 900 + number)
            ending.callback(asker.close)
            sides.append(Side(daemon, asker))
            _await_up(*sides[-1])
        yield Sides(*sides), trouble


def _await_up(daemon: Daemon, asker: Asker) -> None:
    until = time.monotonic() + LIVE_TIMEOUT_S
    while time.monotonic() < until:
        if all(venue["state"] == "up" for venue in daemon.status(asker)["venues"].values()):
            return
        time.sleep(LOOK_S)
    raise NotReady(f"not every venue was up within {LIVE_TIMEOUT_S} s")


if __name__ == "__main__":
    with stage() as on:
        print(verdicts(isolation(on, FULL)))
