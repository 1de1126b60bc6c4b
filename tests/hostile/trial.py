"""A good client's cancels beside one hostile neighbour, in turns with cancels in quiet: what the neighbour costs it."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import zmq

from tests.processes.peers import Dealer
from tests.processes.stage import ROOT, Exchange, Service, until

from .neighbours import IMPOSTOR

WITHIN_S: Final = 30.0
DEADLINE_MS: Final = 10_000


class Neighbour:
    """One of the neighbours, as a process: its trouble has begun when this is made."""

    def __init__(self, kind: str, service: Service) -> None:
        path = service.commands.removeprefix("ipc://")
        self._out_file = service.home / f"{kind}.out"
        with self._out_file.open("wb") as out:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.hostile.neighbours", kind, path],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=out,
            )
        try:
            until(self._ready, WITHIN_S, f"the trouble of {kind} begins")
        except BaseException:
            self.kill()
            raise

    def _ready(self) -> bool:
        assert self._process.poll() in (None, 0), "the neighbour itself fell"
        return b"ready\n" in self._out_file.read_bytes()

    def end(self) -> dict[str, Any]:
        """Have it end; what it tells then."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(WITHIN_S)
        told: dict[str, Any] = json.loads(self._out_file.read_text().splitlines()[-1])
        return told

    def kill(self) -> None:
        """End it at once; an ended one is left alone."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(WITHIN_S)


class Trial(NamedTuple):
    """What came of it. Times are of the good client's cancels, in µs; memory is the daemon's."""

    kind: str
    quiet_us: list[float]
    beside_us: list[float]
    grown_mib: float
    refused: int
    undelivered: int
    told: dict[str, Any]

    @property
    def ratio(self) -> float:
        """The p99 beside the neighbour over that in quiet."""
        return p99(self.beside_us) / p99(self.quiet_us)


def p99(values: list[float]) -> float:
    """The value that 99 of 100 do not exceed."""
    return sorted(values)[-1 - len(values) // 100]


def rss_mib(service: Service) -> float:
    """Resident memory."""
    status = Path(f"/proc/{service.program.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def descriptors(service: Service) -> int:
    """How many the daemon has open."""
    return len(list(Path(f"/proc/{service.program.pid}/fd").iterdir()))


def cancel_each(good: Dealer, exchange: Exchange, count: int) -> list[float]:
    """Cancel so many orders, one after the other; how many µs each took. Fails on any other end than cancelled."""
    took_us = []
    for order_id in exchange.place(count):
        began_ns = time.monotonic_ns()
        # A client whose name stays must not use an id again in another trial: it would be another command of it.
        id = good.cancel(order_id, id=f"{order_id} {began_ns}", deadline_ms=DEADLINE_MS)
        while (reply := good.hear(WITHIN_S))["id"] != id:
            pass
        took_us.append((time.monotonic_ns() - began_ns) / 1000)
        assert reply["outcome"] in ("acked", "canceled"), reply
    return took_us


@contextmanager
def _good(service: Service) -> Iterator[Dealer]:
    """A client under a name of its own choice, which is what an impostor can take."""
    with Dealer(service.commands, "msgpack") as good:
        good.socket.disconnect(service.commands)
        good.socket.setsockopt(zmq.IDENTITY, IMPOSTOR)
        good.socket.connect(service.commands)
        good.fence()
        yield good


def trial(kind: str, exchange: Exchange, service: Service, rounds: int, cancels: int) -> Trial:
    """Let one neighbour come and go `rounds` times; each time the good client cancels in quiet and beside it."""
    before, before_mib = service.status(detail=True)["detail"], rss_mib(service)
    quiet_us: list[float] = []
    beside_us: list[float] = []
    told: dict[str, Any] = {}
    with _good(service) as good:
        for _ in range(rounds):
            quiet_us += cancel_each(good, exchange, cancels)
            neighbour = Neighbour(kind, service)
            try:
                beside_us += cancel_each(good, exchange, cancels)
                told = neighbour.end()
            finally:
                neighbour.kill()
    after = service.status(detail=True)["detail"]
    assert exchange.resting() == []
    return Trial(
        kind,
        quiet_us,
        beside_us,
        rss_mib(service) - before_mib,
        after["refusals"] - before["refusals"],
        after["undelivered_replies"] - before["undelivered_replies"],
        told,
    )


def line_of(done: Trial) -> str:
    """A row of the table."""
    return (
        f"| {done.kind} | {p99(done.quiet_us):.0f} | {p99(done.beside_us):.0f} | {done.ratio:.2f} | "
        f"{done.grown_mib:+.1f} | {done.refused} | {done.undelivered} | {json.dumps(done.told)} |"
    )


HEAD: Final = (
    "| neighbour | p99 in quiet, µs | p99 beside it, µs | ratio | memory, MiB | refused | not delivered | it tells |\n"
    "|---|---|---|---|---|---|---|---|"
)
