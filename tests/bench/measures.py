"""What is measured, one function per figure or family of figures. Times of different processes share one clock.

*wire* is the time from the caller's clock when it asks to the venue's clock when it has the frame.
"""

import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from os import sysconf
from pathlib import Path
from statistics import median
from typing import Any, Final, NamedTuple, Protocol

from .asker import Asked, Asker
from .figures import Rounds, Row, percentile
from .lines import ROOT, Worker
from .stage import LOOK_S, NotReady, Stage

GAP_S: Final = 0.001
"""Between an answer and the next cancel, where cancels are asked for one at a time."""

CROWD: Final = 8
HOT_WINDOW: Final = 20
"""In flight for the client that asks as fast as it can."""

HEDGE_AFTER_MS: Final = 400
"""The default of spot.hedge_after_ms, which the bench leaves as it is."""

SILENT_DEADLINE_MS: Final = 700
"""Of cancels that nobody answers: after the hedge, before a third route."""

FULL_AFTER_SHARE: Final = 10
"""Steps in which the tables are filled: what the bench itself has ready for a step takes memory of the machine."""

_TICK_S: Final = 1 / sysconf("SC_CLK_TCK")


class Effort(NamedTuple):
    """How much is done."""

    rounds: int
    asks: int
    stream: int
    burst: int
    repeats: int
    hedges: int
    killed_in_flight: int
    hot_s: float
    soak: int
    turns: int
    kills: int


FULL: Final = Effort(5, 1000, 8000, 1000, 5, 100, 100, 2.0, 1_000_000, 3000, 100)
QUICK: Final = Effort(1, 30, 300, 80, 1, 5, 20, 0.2, 1000, 30, 4)


class Timed(Protocol):
    """What a paced party hands back."""

    def paced(self, count: int, gap_s: float) -> list[Asked]: ...

    def windowed(self, count: int, window: int) -> float: ...


class Library:
    """A rival's process as a party."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    def paced(self, count: int, gap_s: float) -> list[Asked]:
        asked = self._worker.ask("paced", count=count, gap_s=gap_s)
        return [Asked(order_id, asked_ns, answered_ns, "acked") for order_id, asked_ns, answered_ns in asked]

    def windowed(self, count: int, window: int) -> float:
        return float(self._worker.ask("windowed", count=count, window=window))


def stream(rounds: Rounds, name: str, party: Timed, count: int, window: int, pid: int | None) -> None:
    """One round of `window` in flight: cancels per second, and what they cost the process `pid`."""
    before_s = 0.0 if pid is None else _cpu_s(pid)
    taken_s = party.windowed(count, window)
    rounds.add(name, f"rate {window}", count / taken_s)
    if pid is not None:
        rounds.add(name, f"cpu {window}", (_cpu_s(pid) - before_s) / count * 1e6)


def burst(stage: Stage, rounds: Rounds, name: str, crowd: list[Worker], count: int) -> None:
    """One burst from all processes at the same moment: ms until the venue has the last frame."""
    stage.venue.ask("record")
    at_ns = time.monotonic_ns() + 50_000_000
    for member in crowd:
        member.tell("burst", at_ns=at_ns, count=count // len(crowd))
    for member in crowd:
        must_be_acked(Asked(*one) for one in member.hear())
    arrived = stage.venue.ask("recorded")
    assert len(arrived) == count // len(crowd) * len(crowd)
    rounds.add(name, "burst", (max(ns for _, ns in arrived) - at_ns) / 1e6)


def library_burst(stage: Stage, rounds: Rounds, name: str, library: Worker, count: int) -> None:
    """The same from one process that holds its own socket."""
    stage.venue.ask("record")
    begun_ns = library.ask("burst", count=count)
    rounds.add(name, "burst", (max(ns for _, ns in stage.venue.ask("recorded")) - begun_ns) / 1e6)


def hedge(stage: Stage, asker: Asker, effort: Effort) -> Row:
    """Silent venue: how much later than hedge_after_ms the second route has its frame."""
    stage.daemon.wait_for(asker, 2)
    stage.venue.ask("behave", answers=False, admits=True)
    stage.venue.ask("record")
    asker.collect(asker.send(effort.hedges, 0.005, deadline_ms=SILENT_DEADLINE_MS))
    arrivals: dict[str, list[int]] = defaultdict(list)
    for order_id, ns in stage.venue.ask("recorded"):
        arrivals[order_id].append(ns)
    stage.venue.ask("behave", answers=True, admits=True)
    if any(len(times) < 2 for times in arrivals.values()):
        raise RuntimeError("a silent cancel was not hedged")
    late_ms = [(times[1] - times[0]) / 1e6 - HEDGE_AFTER_MS for times in arrivals.values()]
    return Row.at_most(
        "silent venue: hedge later than hedge_after_ms, p99",
        percentile(late_ms, 99),
        2,
        " ms",
        details=f" (p50 {percentile(late_ms, 50):.2f} ms)",
    )


def socket_killed(stage: Stage, asker: Asker, effort: Effort) -> Row:
    """The active socket dies with cancels unanswered: from its death to the final reply of each."""
    count = effort.killed_in_flight
    worst_ms, typical_ms = [], []
    for _ in range(effort.repeats):
        stage.daemon.wait_for(asker, 2)
        stage.venue.ask("behave", answers=False, admits=True)
        stage.venue.ask("record")
        sent = asker.send(count)
        _wait_until(lambda: stage.venue.ask("arrived") == count, "the venue did not get every cancel")
        stage.venue.ask("behave", answers=True, admits=True)
        killed_ns = stage.venue.ask("kill_sockets", every=False)
        asked = asker.collect(sent)
        must_be_acked(asked)
        again = {order_id for order_id, ns in stage.venue.ask("recorded") if ns > killed_ns}
        if again != {one.order_id for one in asked}:
            raise RuntimeError("a cancel was answered without reaching the venue a second time")
        late_ms = [(one.answered_ns - killed_ns) / 1e6 for one in asked]
        worst_ms.append(percentile(late_ms, 99))
        typical_ms.append(percentile(late_ms, 50))
    return Row.at_most(
        f"socket killed with {count} in flight: every reply final, p99",
        median(worst_ms),
        50,
        " ms",
        details=f" (p50 {median(typical_ms):.1f} ms)",
    )


def rest_fallback(stage: Stage, asker: Asker, httpx: Worker, effort: Effort) -> Row:
    """No socket to be had: ask → answer through the warm REST lane, beside httpx on the same server."""
    name = "REST fallback, warm, ask → answer p50 ÷ httpx"
    stage.venue.ask("behave", answers=True, admits=False)
    stage.venue.ask("kill_sockets", every=True)
    stage.daemon.wait_for(asker, 0)
    try:
        asker.paced(3, GAP_S)
        ours = asker.paced(effort.asks // 3, GAP_S)
        must_be_acked(ours)
        theirs = None if "missing" in httpx.hello else Library(httpx).paced(effort.asks // 3, GAP_S)
    finally:
        stage.venue.ask("behave", answers=True, admits=True)
    ours_us = median(answer_us(ours))
    stage.daemon.wait_for(asker, 2)
    if theirs is None:
        return Row.left_out(name, "≤ 0.5", f"{ours_us:.0f} µs; {httpx.hello['missing']}")
    theirs_us = median(answer_us(theirs))
    return Row.at_most(name, ours_us / theirs_us, 0.5, details=f" ({ours_us:.0f} ÷ {theirs_us:.0f} µs)")


def hot_neighbour(askers: Mapping[str, Asker], hot: Mapping[str, Worker], effort: Effort) -> Row:
    """How many times as long another client's p99 is while one asks as fast as it can: of the daemon, and of the floor.

    They take turns, since the two cores are shared by everybody in either case.
    """
    asks = max(int(effort.hot_s * 200), 20)
    times: dict[str, list[float]] = {"daemon": [], "floor": []}
    for _ in range(effort.repeats):
        for name, found in times.items():
            quiet = percentile(answer_us(askers[name].paced(asks, GAP_S)), 99)
            hot[name].tell("hammer", duration_s=effort.hot_s, window=HOT_WINDOW)
            busy = percentile(answer_us(askers[name].paced(asks, GAP_S)), 99)
            hot[name].hear()
            found.append(busy / quiet)
    ours, theirs = median(times["daemon"]), median(times["floor"])
    return Row.at_most(
        "one hot client: another's p99 ÷ its quiet p99, daemon ÷ floor",
        ours / theirs,
        1.3,
        details=f" ({ours:.2f} ÷ {theirs:.2f} times)",
    )


def memory(stage: Stage, asker: Asker, effort: Effort) -> list[Row]:
    """Resident memory when every table is full, how it grows from there, and the longest pause meanwhile."""
    warm_mib = stage.daemon.rss_mib
    for _ in range(FULL_AFTER_SHARE):
        asker.windowed(effort.soak // 10 // FULL_AFTER_SHARE, 50)
    full_mib = stage.daemon.rss_mib
    pause_ms = asker.longest_pause_ms(effort.soak, 50, stage.daemon.pid)
    end_mib = stage.daemon.rss_mib
    many = f"{effort.soak:,} cancels"
    return [
        Row.at_most(f"longest pause in {many}, while at work", pause_ms, 5, " ms"),
        Row.at_most("memory: RSS when every table is full", full_mib, 64, " MiB", details=f" ({warm_mib:.1f} before)"),
        Row.at_most(f"memory: growth over {many} more", end_mib - full_mib, 2, " MiB"),
    ]


def start_up(stage: Stage, effort: Effort) -> Row:
    """`canceld run` to READY. The daemon is left running."""
    seconds = []
    for _ in range(effort.repeats):
        stage.daemon.stop()
        seconds.append(stage.daemon.start())
    return Row.at_most("`canceld run` to READY", median(seconds), 0.8, " s")


def status_process(stage: Stage, effort: Effort) -> Row:
    """A whole `canceld status` process: what `canceld kill` costs before and after its command."""
    seconds = []
    for _ in range(effort.repeats):
        begun = time.monotonic()
        subprocess.run(
            [sys.executable, "-m", "canceld", "status", "--endpoint", stage.daemon.control, "--json"],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            check=True,
        )
        seconds.append(time.monotonic() - begun)
    return Row.at_most("`canceld status` process", median(seconds), 0.12, " s")


def answer_us(asked: Iterable[Asked]) -> list[float]:
    """From asking to the answer, µs."""
    return [(one.answered_ns - one.asked_ns) / 1e3 for one in asked]


def must_be_acked(asked: Iterable[Asked]) -> None:
    """A bench that times failures times nothing."""
    for one in asked:
        if one.outcome != "acked":
            raise RuntimeError(f"{one.order_id} was answered {one.outcome}")


def _wait_until(holds: Callable[[], Any], otherwise: str) -> None:
    until = time.monotonic() + 10
    while not holds():
        if time.monotonic() > until:
            raise NotReady(otherwise)
        time.sleep(LOOK_S)


def _cpu_s(pid: int) -> float:
    """Processor time of a process and its threads so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * _TICK_S
