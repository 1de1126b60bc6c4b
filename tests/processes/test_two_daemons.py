"""Two daemons for one account on one exchange, and a strategy that asks them as one.

One is killed, one is stopped: the strategy has its answer from the other, in time. A kill reaches both.
"""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from canceld.client import Client, LeaseScope
from tests.processes.stage import ROOT, Exchange, Service, until

WITHIN_S = 20.0
PAGE = (ROOT / "daemon" / "pages" / "clients.md").read_text().partition("## Two daemons for one account")[2]
ORDER = "OQCLML-BW3P3-BUCMWZ"


@pytest.fixture
def pair(home: Path, exchange: Exchange) -> Iterator[list[Service]]:
    with ExitStack() as ending:
        services = []
        for name in ("a", "b"):
            place = home / name
            place.mkdir()
            credentials = place / "credentials"
            credentials.mkdir(mode=0o700)
            for part, value in exchange.issue("spot").items():
                file = credentials / f"spot.{part}"
                file.touch(mode=0o600)
                file.write_text(value)
            service = Service(place, exchange.told, credentials={"dir": str(credentials)})
            ending.callback(service.end)
            services.append(service.start())
        yield services


def latched(service: Service) -> bool:
    return bool(service.status()["kill"]["latched"])


def test_the_page_cancels_while_either_is_there(exchange: Exchange, pair: list[Service]) -> None:
    [program] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    for service, name in zip(pair, "ab", strict=True):
        assert f"ipc:///run/canceld-{name}/commands.sock" in program
        program = program.replace(f"ipc:///run/canceld-{name}/commands.sock", service.commands)
    for lost in (None, *pair):
        if lost is not None:
            lost.kill()
        [order_id] = exchange.place(1)
        source = program.replace(ORDER, order_id)
        done = subprocess.run(
            [sys.executable, "-c", source], cwd=ROOT, capture_output=True, text=True, timeout=WITHIN_S
        )
        assert done.returncode == 0, done.stderr
        # One of the two finds the order ended by the other's cancel: that is an end all the same.
        assert set(done.stdout.split()[:1]) <= {"acked", "canceled", "closed"}
        assert exchange.resting() == []
        if lost is pair[0]:
            lost.start()


def test_one_that_hangs_holds_nobody_up(exchange: Exchange, pair: list[Service]) -> None:
    with Client([service.commands for service in pair]) as client:
        assert client.ping().monotonic_ns
        pair[0].program.signal(signal.SIGSTOP)
        try:
            placed = exchange.place(20)
            began = time.monotonic()
            for order_id in placed:
                result = client.cancel("spot", order_id=order_id, until="proof", deadline_ms=10_000)
                assert result.outcome.__class__.__name__ == "Canceled"
            exchange.place(3)
            sweep = client.cancel_all("spot", everything=True, until="proof", deadline_ms=10_000)
            assert sweep.venues["spot"].count == 3
            assert time.monotonic() - began < WITHIN_S
            assert exchange.resting() == []
        finally:
            pair[0].program.signal(signal.SIGCONT)


def test_a_kill_and_a_lease_reach_both(exchange: Exchange, pair: list[Service]) -> None:
    with Client([service.commands for service in pair], strategy="mm-1") as client:
        client.lease("mm-1", 60_000, scope=[LeaseScope(venue="spot")])
        assert all(service.status()["leases"] for service in pair)
        exchange.place(5)
        result = client.kill("enough", deadline_ms=15_000)
        assert (result.latched, result.venues["spot"].state) == (True, "flat")
        assert exchange.resting() == []
        assert all(map(latched, pair))
        exchange.place(1)
        until(lambda: exchange.resting() == [], WITHIN_S, "what appears is cancelled, by either")
