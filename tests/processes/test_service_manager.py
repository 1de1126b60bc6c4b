"""What a service manager hears over a real notify socket, from the first try of the venue to the end."""

import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.processes.peers import Dealer
from tests.processes.stage import START_S, Exchange, Program, Service

WATCHDOG_S = 1.8
"""Signs of life come three times in it; below half a second apart an idle daemon has nothing new to prove."""

TOKEN_LATE_S = 0.8
NOTICE_BYTES = 4096


class Manager:
    """The service manager's end of the socket, and when it heard what (CLOCK_MONOTONIC, seconds)."""

    def __init__(self, home: Path) -> None:
        self.path = home / "notify.sock"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self.path))
        self.heard: list[tuple[float, str]] = []

    def environ(self) -> dict[str, str]:
        return {"NOTIFY_SOCKET": str(self.path), "WATCHDOG_USEC": str(int(WATCHDOG_S * 1e6))}

    def next(self, within_s: float) -> str | None:
        """The next notice, or None."""
        self._socket.settimeout(max(within_s, 0.001))
        try:
            notice = self._socket.recv(NOTICE_BYTES).decode()
        except TimeoutError:
            return None
        self.heard.append((time.monotonic(), notice))
        return notice

    def await_one(self, wanted: str, within_s: float) -> str:
        """The first notice from now on that begins with `wanted`."""
        give_up = time.monotonic() + within_s
        while (left_s := give_up - time.monotonic()) > 0:
            notice = self.next(left_s)
            if notice is not None and notice.startswith(wanted):
                return notice
        raise AssertionError(f"no {wanted} within {within_s} s, but {[notice for _, notice in self.heard]}")

    def drain(self) -> None:
        """Take in what is there already."""
        while self.next(0) is not None:
            pass

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def manager(home: Path) -> Iterator[Manager]:
    manager = Manager(home)
    try:
        yield manager
    finally:
        manager.close()


@pytest.fixture
def launch(home: Path, exchange: Exchange, manager: Manager) -> Iterator[Callable[[], Service]]:
    """Starts a daemon under that manager, and does not wait for anything."""
    started: list[Service] = []

    def launch() -> Service:
        service = Service(home, exchange.told)
        service.launch(environ=manager.environ())
        started.append(service)
        return service

    yield launch
    for service in started:
        service.end()


def test_ready_comes_once_it_is_bound_and_the_venue_was_tried(
    exchange: Exchange, manager: Manager, launch: Callable[[], Service]
) -> None:
    exchange.inject({"kind": "rest_delay", "seconds": TOKEN_LATE_S, "match": "GetWebSocketsToken"})
    service = launch()
    with Dealer(service.commands) as dealer:
        # Bound, and answering: but the venue has not been tried to the end, so it is not ready.
        assert dealer.ask("status", within_s=START_S)["state"] == "starting"
        manager.drain()
        assert not [notice for _, notice in manager.heard if notice.startswith("READY")]
        ready = manager.await_one("READY=1", START_S)
        assert dealer.ask("status")["state"] == "serving"
        # In one datagram: whoever asks systemd right after the start sees no line of before.
        assert ready.startswith("READY=1\nSTATUS=serving, "), ready
    asked_at_s = next(one["at_s"] for one in exchange.log() if one["operation"] == "GetWebSocketsToken")
    assert time.time() - asked_at_s >= TOKEN_LATE_S


def test_a_venue_that_is_down_does_not_keep_ready_away(
    exchange: Exchange, manager: Manager, launch: Callable[[], Service]
) -> None:
    exchange.program.kill()
    service = launch()
    manager.await_one("READY=1", START_S)
    line = manager.await_one("STATUS=serving", START_S)
    assert "spot down" in line
    with Dealer(service.commands) as dealer:
        assert dealer.ask("ping")["type"] == "pong"


def test_the_status_line_names_every_session(
    exchange: Exchange, manager: Manager, launch: Callable[[], Service]
) -> None:
    launch()
    line = manager.await_one("STATUS=serving", START_S)
    assert "spot-0=live" in line
    assert "spot-1=live" in line
    exchange.inject({"kind": "stall_handshake"}, {"kind": "reset_sockets"})
    line = manager.await_one("STATUS=serving", START_S)
    assert "spot-0=live" not in line
    assert "spot-0=" in line


def test_signs_of_life_stop_with_the_process_and_go_on_with_it(manager: Manager, launch: Callable[[], Service]) -> None:
    service = launch()
    manager.await_one("READY=1", START_S)
    for _ in range(2):
        before_s = time.monotonic()
        manager.await_one("WATCHDOG=1", WATCHDOG_S)
        assert time.monotonic() - before_s < WATCHDOG_S / 2
    service.program.signal(signal.SIGSTOP)
    try:
        manager.drain()
        assert manager.next(WATCHDOG_S / 2) is None, "something speaks for a process that stands still"
    finally:
        service.program.signal(signal.SIGCONT)
    manager.await_one("WATCHDOG=1", WATCHDOG_S)


def test_stopping_is_told_before_the_end_and_a_reload_is_framed(
    manager: Manager, launch: Callable[[], Service]
) -> None:
    service = launch()
    manager.await_one("READY=1", START_S)
    service.program.signal(signal.SIGHUP)
    before_us = time.monotonic_ns() // 1000
    reloading = manager.await_one("RELOADING=1", START_S)
    since_us = int(reloading.partition("MONOTONIC_USEC=")[2])
    assert abs(since_us - before_us) < START_S * 1e6
    manager.await_one("READY=1", START_S)
    service.program.signal(signal.SIGTERM)
    manager.await_one("STOPPING=1", START_S)
    assert service.program.wait() == 0
    manager.drain()
    assert [notice for _, notice in manager.heard if notice == "STOPPING=1"] == ["STOPPING=1"]
    assert not manager.heard[-1][1].startswith("READY=1")


def test_a_start_that_fails_is_never_ready(home: Path, manager: Manager, exchange: Exchange) -> None:
    service = Service(home, exchange.told, spot={"sessions": 0})
    program = Program(["run", "--config", str(service.config)], home, "canceld", environ=manager.environ())
    try:
        assert program.wait() == 2
    finally:
        program.kill()
    manager.drain()
    assert manager.heard == []
