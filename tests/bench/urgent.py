"""An urgent cancel at a venue whose socket answers late: it is answered as fast as by the faster way alone.

Two daemons take turns at one venue: one that finds no socket, so that REST is all it has, and one that cancels
urgently over a socket which answers 200 ms late, with REST beside it. Alone: `python -m tests.bench.urgent`.
"""

import socket
from contextlib import ExitStack
from statistics import median
from typing import Final

from .asker import Asker
from .figures import Row, machine, percentile, verdicts
from .measures import FULL, GAP_S, Effort, answer_us, must_be_acked
from .stage import Daemon, Stage, stage

LATE_S: Final = 0.2
"""How late the venue's sockets answer."""

TURN: Final = 20
"""Cancels of one daemon before it is the other's turn."""

GOAL: Final = 1.1


def urgent(on: Stage, effort: Effort) -> Row:
    """Ask → answer of urgent cancels, beside that of the faster way alone."""
    with ExitStack() as ending:
        home = on.ca_file.parent / "urgent"
        home.mkdir(mode=0o700)
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            closed = int(nobody.getsockname()[1])
        askers = []
        for number, (name, ws_port, live) in enumerate((("both", None, 2), ("alone", closed, 0))):
            place = home / name
            place.mkdir(mode=0o700)
            daemon = Daemon(place, on.port, on.ca_file, ws_port=ws_port)
            ending.callback(daemon.stop)
            daemon.start()
            asker = Asker(daemon.commands, 960 + number)
            ending.callback(asker.close)
            daemon.wait_for(asker, live)
            asker.windowed(effort.stream // 4, 20)
            askers.append(asker)
        on.venue.ask("behave", answers=True, admits=True, late_s=LATE_S)
        figures: tuple[list[float], list[float]] = ([], [])
        try:
            for _ in range(max(effort.asks // TURN, 1)):
                for urgently, asker, taken in zip((True, False), askers, figures, strict=True):
                    asked = asker.paced(TURN, GAP_S, urgent=urgently)
                    must_be_acked(asked)
                    taken += answer_us(asked)
        finally:
            on.venue.ask("behave", answers=True, admits=True)
    both_us, alone_us = map(median, figures)
    return Row.at_most(
        f"urgent, socket {LATE_S * 1e3:.0f} ms late: ask → answer p50 ÷ REST alone",
        both_us / alone_us,
        GOAL,
        details=f" ({both_us:.0f} ÷ {alone_us:.0f} µs; p99 {percentile(figures[0], 99) / 1e3:.1f} ms)",
    )


def main() -> None:
    with stage() as on:
        print(f"{machine()}\n\n{verdicts([urgent(on, FULL)])}")


if __name__ == "__main__":
    main()
