"""Notifier: what systemd would read from a real datagram socket."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from canceld.transport.notify import Notifier


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """The service manager's end."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(tmp_path / "notify"))
        receiver.settimeout(5)
        yield receiver


@pytest.fixture
def notifier(manager: socket.socket) -> Notifier:
    return Notifier({"NOTIFY_SOCKET": manager.getsockname()})


def test_each_state_arrives_as_systemd_spells_it(manager: socket.socket, notifier: Notifier) -> None:
    assert notifier.ready("serving  spot up")
    assert manager.recv(4096) == b"READY=1\nSTATUS=serving spot up"
    assert notifier.alive()
    assert manager.recv(4096) == b"WATCHDOG=1"
    assert notifier.stopping()
    assert manager.recv(4096) == b"STOPPING=1"
    assert notifier.status("spot up")
    assert manager.recv(4096) == b"STATUS=spot up"


def test_reloading_carries_monotonic_microseconds(manager: socket.socket, notifier: Notifier) -> None:
    assert notifier.reloading(1_234_567_890)
    assert manager.recv(4096) == b"RELOADING=1\nMONOTONIC_USEC=1234567"


def test_a_line_break_in_a_status_cannot_forge_a_field(manager: socket.socket, notifier: Notifier) -> None:
    assert notifier.status("down\nREADY=1\r\nMAINPID=1")
    assert manager.recv(4096) == b"STATUS=down READY=1 MAINPID=1"


def test_abstract_names_are_reached() -> None:
    name = f"canceld-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind("\0" + name)
        receiver.settimeout(5)
        assert Notifier({"NOTIFY_SOCKET": "@" + name}).alive()
        assert receiver.recv(4096) == b"WATCHDOG=1"


def test_without_a_service_manager_nothing_happens() -> None:
    assert Notifier({}).ready("") is False


@pytest.mark.parametrize("name", ["/nonexistent/notify", "/" + "x" * 200, "relative"])
def test_a_socket_that_cannot_be_reached_does_not_raise(name: str) -> None:
    assert Notifier({"NOTIFY_SOCKET": name}).alive() is False


def test_a_manager_that_does_not_read_never_blocks_us(notifier: Notifier) -> None:
    assert not all(notifier.alive() for _ in range(10_000))


@pytest.mark.parametrize(
    ("environment", "interval_s"),
    [
        ({"WATCHDOG_USEC": "5000000"}, 5.0),
        ({"WATCHDOG_USEC": "5000000", "WATCHDOG_PID": str(os.getpid())}, 5.0),
        ({"WATCHDOG_USEC": "5000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_watchdog_interval_is_ours_only_when_meant_for_us(
    environment: dict[str, str], interval_s: float | None
) -> None:
    assert Notifier(environment).watchdog_interval_s() == interval_s
