"""The sign of life: given while everything that must go round goes round, and withheld as soon as one part stops."""

import os
import socket
from pathlib import Path

import pytest
import trio

from canceld.app import Daemon
from canceld.tasks.watchdog import keep_alive, tell_status
from canceld.transport.notify import Notifier
from tests.scenarios.world import SETTINGS, UNLIMITED, Stage


class ServiceManager:
    """The other end of the notification socket."""

    def __init__(self, path: Path, watchdog_s: float) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.setblocking(False)
        usec = str(round(watchdog_s * 1e6))
        self.notifier = Notifier({"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": usec, "WATCHDOG_PID": str(os.getpid())})

    @property
    def told(self) -> list[str]:
        """Everything it was told since this was last asked."""
        told = []
        while True:
            try:
                told.append(self._socket.recv(4096).decode())
            except BlockingIOError:
                return told


@pytest.fixture
def manager(tmp_path: Path) -> ServiceManager:
    return ServiceManager(tmp_path / "notify", 3.0)


async def test_alive_is_told_three_times_per_interval_while_every_beat_grows(
    autojump_clock: object, manager: ServiceManager, nursery: trio.Nursery
) -> None:
    def beats() -> list[int]:
        return [round(trio.current_time() * 10), round(trio.current_time() * 20)]

    nursery.start_soon(keep_alive, manager.notifier, beats)
    await trio.sleep(9.5)
    assert manager.told.count("WATCHDOG=1") == 10


async def test_no_sign_of_life_from_the_moment_one_beat_stops(
    autojump_clock: object, manager: ServiceManager, nursery: trio.Nursery
) -> None:
    def beats() -> list[int]:
        return [round(trio.current_time() * 10), min(round(trio.current_time() * 10), 50)]

    nursery.start_soon(keep_alive, manager.notifier, beats)
    await trio.sleep(5.5)
    assert manager.told.count("WATCHDOG=1") == 6
    await trio.sleep(60.0)
    assert manager.told == []


async def test_nobody_is_told_anything_where_nobody_watches(autojump_clock: object) -> None:
    with trio.fail_after(1.0):
        await keep_alive(Notifier({}), lambda: [0])


async def test_the_status_line_is_told_when_it_changes_and_not_otherwise(
    autojump_clock: object, manager: ServiceManager, nursery: trio.Nursery
) -> None:
    nursery.start_soon(tell_status, manager.notifier, lambda: f"{trio.current_time() // 10:.0f} tens")
    await trio.sleep(25.5)
    assert manager.told == ["STATUS=0 tens", "STATUS=1 tens", "STATUS=2 tens"]


async def test_an_idle_daemon_is_never_taken_for_dead(
    autojump_clock: object, manager: ServiceManager, nursery: trio.Nursery
) -> None:
    """Nobody asks, nothing is due, the venue is away: still it lives, and must not be restarted."""
    world = Stage(SETTINGS, 1, UNLIMITED)
    world._nursery = nursery
    world.unreachable |= {"ws.sim.invalid", "rest.sim.invalid"}
    daemon = Daemon(SETTINGS, world.credentials, world.world)
    nursery.start_soon(daemon.serve, world.signals, manager.notifier)
    await trio.sleep(10.0)
    for _ in range(20):
        _ = manager.told
        await trio.sleep(3.0)
        assert manager.told.count("WATCHDOG=1") >= 2
    nursery.cancel_scope.cancel()
