"""What each drop-in of systemd/dedicated-host brings: a daemon with it beside one without, and beside the floor.

`python -m tests.bench.dedicated`. Needs root. All take turns per cancel; then one client asks as fast as it can, and
what another feels is told of each daemon.
"""

import gc
from contextlib import ExitStack
from statistics import median
from typing import Final, NamedTuple

from .asker import Asker
from .figures import machine, percentile, table
from .lines import Worker
from .measures import GAP_S, HOT_WINDOW, Timed, answer_us
from .stage import Daemon, Stage, stage
from .turns import FLOORS, GAPS_S, turns

CANCELS: Final = 1500
HOT_TURNS: Final = 5
HOT_ASKS: Final = 300


class DropIn(NamedTuple):
    """What a drop-in does, without a service manager."""

    through: tuple[str, ...]
    gateway: str = ""


DROP_INS: Final = {
    "nice.conf": DropIn(("nice", "-n", "-10")),
    # Not bound to a core: of two, the second is needed by libzmq and by everybody else.
    "pinned.conf, busy_poll": DropIn(("env",), "busy_poll = true"),
    "fifo.conf": DropIn(("chrt", "-f", "-R", "10")),
    # No drop-in, and there to be compared with them: what the walks bring.
    "keep_warm_ms = 0": DropIn(("env",), "keep_warm_ms = 0"),
}


def rows(on: Stage, number: int, name: str) -> list[list[str]]:
    """Of one drop-in: ratios over both floors, without it and with it."""
    told = []
    with ExitStack() as ending:
        home = on.ca_file.parent / f"dedicated-{number}"
        home.mkdir(mode=0o700)
        how = DROP_INS[name]
        other = Daemon(home, on.port, on.ca_file, through=how.through, gateway=how.gateway)
        ending.callback(other.stop)
        other.start()
        parties: dict[str, Timed] = {
            floor: Asker(on.floors[floor][0], 300 + number * 10 + n) for n, floor in enumerate(FLOORS)
        }
        without = parties["daemon"] = Asker(on.daemon.commands, 305 + number * 10)
        having = parties["daemon with it"] = Asker(other.commands, 306 + number * 10)
        on.daemon.wait_for(without, 2)
        other.wait_for(having, 2)
        for asker in (without, having):
            asker.windowed(2000, 20)
        found = turns(on, parties, CANCELS, always=tuple(parties))
        for gap_s in GAPS_S:
            for floor in FLOORS:
                cells = []
                for what in ("wire", "answer"):
                    for percent in (50, 99):
                        base = percentile(getattr(found[gap_s][floor], what), percent)
                        pair = [
                            percentile(getattr(found[gap_s][party], what), percent) / base
                            for party in ("daemon", "daemon with it")
                        ]
                        cells.append(" → ".join(f"{ratio:.2f}" for ratio in pair))
                told.append([f"{name}, {gap_s * 1e3:g} ms apart, ÷ {floor}", *cells])
        told.append(
            [
                f"{name}, beside a hot client, p99 ms",
                "",
                "",
                "",
                _beside_a_hot_client(ending, on, other, without, having),
            ]
        )
    return told


def _beside_a_hot_client(ending: ExitStack, on: Stage, other: Daemon, without: Asker, having: Asker) -> str:
    p99: tuple[list[float], list[float]] = ([], [])
    hot = [Worker("asker", (daemon.commands, str(400 + n))) for n, daemon in enumerate((on.daemon, other))]
    for worker in hot:
        ending.callback(worker.kill)
    for _ in range(HOT_TURNS):
        for asker, worker, taken in zip((without, having), hot, p99, strict=True):
            worker.tell("hammer", duration_s=1.5, window=HOT_WINDOW)
            taken.append(percentile(answer_us(asker.paced(HOT_ASKS, GAP_S)), 99) / 1e3)
            worker.hear()
    return " → ".join(f"{median(taken):.1f}" for taken in p99)


def main() -> None:
    gc.disable()
    told = []
    for number, name in enumerate(DROP_INS):
        with stage() as on:
            on.daemon.start()
            told += rows(on, number, name)
    print(f"{machine()}; {CANCELS} cancels of each\n")
    print(table(["without it → with it", "wire p50", "wire p99", "answer p50", "answer p99"], told))


if __name__ == "__main__":
    main()
