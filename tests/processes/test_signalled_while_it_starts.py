"""A kill that is asked for while the daemon starts.

The operator restarts the service, sees that it goes wrong, and pulls the switch in the same second: by SIGUSR1, or by
the file in the state directory. However early that is, the orders go and the switch stays pulled.
"""

import os
import shlex
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from canceld.engine.latch import Latch, format_latch, parse_latch
from tests.processes.stage import ROOT, STOP_S, Exchange, Service, until

DELAYS_MS = (0, 5, 20, 50, 100, 200, 400)
"""From before the interpreter's first line to a daemon that serves, on machines fast and slow."""

ORDERS = 3
FLAT_S = 30.0


@pytest.fixture(scope="module")
def exchange() -> Iterator[Exchange]:
    with tempfile.TemporaryDirectory(prefix="canceld-test-") as name:
        exchange = Exchange(Path(name))
        try:
            yield exchange
        finally:
            exchange.end()


@pytest.fixture
def service(home: Path, exchange: Exchange) -> Iterator[Service]:
    """A daemon that has not been started, and orders that rest."""
    exchange.place(ORDERS)
    service = Service(home, exchange.told)
    try:
        yield service
    finally:
        service.end()


def trigger(service: Service) -> str | None:
    """What has pulled the switch, as its file tells."""
    file = service.state / "latch"
    latch = parse_latch(file.read_bytes()) if file.exists() else None
    return None if latch is None else latch.trigger


def stop_post() -> list[str]:
    """What the unit runs when its process has ended, as systemd would read it."""
    [line] = [
        line.removeprefix("ExecStopPost=")
        for line in (ROOT / "systemd/canceld.service").read_text().splitlines()
        if line.startswith("ExecStopPost=")
    ]
    return shlex.split(line.replace("$$", "$"))


def restarted(service: Service) -> None:
    """Do as the service manager does when SIGUSR1 has ended the process."""
    if service.program.process.poll() is None:
        return
    assert service.program.process.returncode == -signal.SIGUSR1, service.program.err
    environ = {"EXIT_CODE": "killed", "EXIT_STATUS": "USR1", "STATE_DIRECTORY": str(service.state)}
    subprocess.run(stop_post(), env=environ, check=True, timeout=STOP_S)
    service.launch()


@pytest.mark.parametrize("delay_ms", DELAYS_MS)
def test_sigusr1_however_early_latches_and_the_orders_go(exchange: Exchange, service: Service, delay_ms: int) -> None:
    service.launch()
    time.sleep(delay_ms / 1000)
    service.program.signal(signal.SIGUSR1)

    def latched() -> bool:
        restarted(service)
        return trigger(service) is not None

    until(latched, FLAT_S, "the switch is pulled")
    assert trigger(service) in ("signal", "file")
    until(lambda: exchange.resting() == [], FLAT_S, "all is flat")


@pytest.mark.parametrize("delay_ms", DELAYS_MS)
def test_a_starter_that_blocks_the_signal_loses_none(exchange: Exchange, service: Service, delay_ms: int) -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    try:
        service.launch()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    time.sleep(delay_ms / 1000)
    service.program.signal(signal.SIGUSR1)
    until(lambda: exchange.resting() == [], FLAT_S, "all is flat")
    until(lambda: trigger(service) == "signal", FLAT_S, "the switch is pulled")
    assert service.program.process.poll() is None, service.program.err


def taken(service: Service) -> bool:
    """Whether the process has a handler for SIGUSR1, as the kernel tells."""
    [caught] = [
        line for line in Path(f"/proc/{service.program.pid}/status").read_text().splitlines() if "SigCgt" in line
    ]
    return bool(int(caught.split()[1], 16) >> (signal.SIGUSR1 - 1) & 1)


def test_the_signal_is_taken_before_the_libraries_are_loaded(service: Service) -> None:
    service.launch()
    loaded = False
    give_up = time.monotonic() + FLAT_S
    while not loaded:
        assert time.monotonic() < give_up
        # In this sequence: what is taken after the look at the libraries may have been taken before them.
        loaded = "msgspec" in Path(f"/proc/{service.program.pid}/maps").read_text()
        assert taken(service) or not loaded


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, 0)])
def test_a_stop_while_it_starts_is_heeded_as_later(service: Service, number: signal.Signals, status: int) -> None:
    service.launch()
    until(lambda: taken(service), FLAT_S, "it is taken")
    service.program.signal(number)
    assert service.program.wait(FLAT_S) == status, service.program.err
    assert trigger(service) is None


@pytest.mark.parametrize("delay_ms", [None, 0, 100, 300])
def test_a_kill_file_before_or_during_the_start(exchange: Exchange, service: Service, delay_ms: int | None) -> None:
    file = service.state / "kill"
    if delay_ms is None:
        file.write_text("from a script")
    service.launch()
    if delay_ms is not None:
        time.sleep(delay_ms / 1000)
        file.write_text("from a script")
    until(lambda: exchange.resting() == [], FLAT_S, "all is flat")
    until(lambda: trigger(service) == "file", FLAT_S, "the switch is pulled")


def test_a_latch_that_is_there(exchange: Exchange, service: Service) -> None:
    (service.state / "latch").write_bytes(format_latch(Latch(trigger="panic", reason="an hour ago")))
    service.launch()
    until(lambda: exchange.resting() == [], FLAT_S, "all is flat")
    assert trigger(service) == "panic"


def ends(service: Service) -> None:
    assert service.program.wait(FLAT_S) == 2, service.program.err
    assert "Traceback" not in service.program.err
    assert "SIGUSR1 asked for a kill" in service.program.err
    assert "canceld panic --config" in service.program.err


def signalled(service: Service) -> None:
    service.launch()
    until(lambda: taken(service), FLAT_S, "it is taken")
    service.program.signal(signal.SIGUSR1)


def test_a_daemon_that_cannot_start_leaves_the_kill_to_the_next(exchange: Exchange, service: Service) -> None:
    right = service.sections["credentials"]["dir"]
    service.configure(credentials={"dir": "/nonexistent"})
    signalled(service)
    ends(service)
    service.configure(credentials={"dir": right})
    service.launch()
    until(lambda: exchange.resting() == [], FLAT_S, "all is flat")
    until(lambda: trigger(service) == "file", FLAT_S, "the switch is pulled")


def test_where_nothing_can_be_latched_it_is_told(service: Service) -> None:
    service.config.write_text("[spot\n")
    signalled(service)
    ends(service)
    assert "nothing was latched" in service.program.err
    assert os.listdir(service.state) == []
