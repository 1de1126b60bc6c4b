"""A socket's file that somebody removes, replaces or changes: newcomers find the way in again, nobody is put out."""

import os
import socket
import stat
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import pytest

from canceld.transport.doors import AGAIN_LIMIT_S, AGAIN_S, QUIET_S, Door, DoorNews, Fault
from canceld.transport.messages import Router
from canceld.transport.zeromq import Bus

from .test_zeromq import Clients, dealer, open_bus, receive

MODE = 0o600


@pytest.fixture
async def bus() -> AsyncIterator[Bus]:
    async with open_bus() as bus:
        yield bus


@pytest.fixture
def router(bus: Bus, endpoint: str) -> Router:
    return bus.router(endpoint, mode=MODE)


@pytest.fixture
def door(bus: Bus, router: Router) -> Door:
    return bus._doors[0]


async def serves(router: Router, clients: Clients, endpoint: str) -> None:
    newcomer = dealer(clients, endpoint)
    newcomer.send(b"new")
    message = await receive(router)
    assert message.frames == [b"new"]
    router.send_nowait(message.identity, [b"welcome"])
    assert newcomer.recv() == b"welcome"


@pytest.mark.parametrize("deed", ["removed", "taken", "directory gone"])
async def test_a_file_that_is_gone_is_there_again_and_who_was_in_stays(
    deed: str, door: Door, router: Router, clients: Clients, endpoint: str, room: Path
) -> None:
    known = dealer(clients, endpoint)
    known.send(b"here")
    identity = (await receive(router)).identity
    assert door.look(0.0) is None
    (room / "s").unlink()
    fault = Fault.REMOVED
    with socket.socket(socket.AF_UNIX) as thief:
        if deed == "taken":
            thief.bind(str(room / "s"))
            thief.listen()
            fault = Fault.TAKEN
        elif deed == "directory gone":
            os.rmdir(room)
            assert door.look(0.5) == DoorNews(
                str(room / "s"), fault, False, f"the directory {room} does not exist or may not be entered"
            )
            assert door.look(0.7) is None, "it is told once"
            os.mkdir(room)
        assert door.look(1.0) == DoorNews(str(room / "s"), fault, True, "")
    assert door.look(2.0) is None
    assert stat.S_IMODE((room / "s").lstat().st_mode) == MODE
    await serves(router, clients, endpoint)
    known.send(b"still here")
    message = await receive(router)
    assert (message.identity, message.frames) == (identity, [b"still here"])


async def test_a_message_that_comes_while_it_is_bound_again_is_not_lost(
    door: Door, router: Router, clients: Clients, endpoint: str, room: Path
) -> None:
    known = dealer(clients, endpoint)
    known.send(b"first")
    await receive(router)
    for number in range(50):
        assert router.receive_nowait() is None
        (room / "s").unlink()
        known.send(b"%d" % number)
        assert door.look(number * 2 * AGAIN_LIMIT_S) is not None
        assert (await receive(router)).frames == [b"%d" % number]


async def test_what_is_removed_again_and_again_is_bound_at_growing_pauses(door: Door, room: Path) -> None:
    """Each binding leaves a listener behind, so a program that removes the file all the time must not eat up what
    descriptors there are."""
    bound_at: list[float] = []
    told: list[DoorNews] = []
    for step in range(1000):
        (room / "s").unlink(missing_ok=True)
        if (news := door.look(float(step))) is not None:
            told.append(news)
        if news is not None and news.mended:
            bound_at.append(step)
    pauses = [after - before for before, after in pairwise(bound_at)]
    assert pauses[:6] == [AGAIN_S, 2, 4, 8, 16, 32]
    assert set(pauses[6:]) == {AGAIN_LIMIT_S}
    assert len(told) <= 2 * len(bound_at), "it is told once that it is gone, and once that it is there again"
    late_s = bound_at[-1] + QUIET_S + 1
    assert door.look(late_s) is not None
    (room / "s").unlink()
    assert door.look(late_s + 2 * AGAIN_S) is not None


@pytest.mark.parametrize("kind", ["file", "directory", "link"])
async def test_what_is_no_socket_is_left_alone_until_its_owner_takes_it_away(
    kind: str, door: Door, router: Router, clients: Clients, endpoint: str, room: Path
) -> None:
    path = room / "s"
    path.rename(room / "theirs")
    if kind == "file":
        path.write_text("precious")
    elif kind == "directory":
        os.mkdir(path)
    else:
        path.symlink_to(room / "theirs")
    assert door.look(0.0) == DoorNews(str(path), Fault.OBSTRUCTED, False, "")
    assert door.look(1.0) is None
    if kind == "file":
        assert path.read_text() == "precious"
    path.rename(room / "kept")
    assert door.look(2.0) == DoorNews(str(path), Fault.REMOVED, True, "")
    await serves(router, clients, endpoint)


async def test_a_file_put_back_by_its_remover_is_the_same_door(door: Door, room: Path) -> None:
    (room / "s").rename(room / "aside")
    (room / "s").mkdir()
    assert door.look(0.0) is not None
    (room / "s").rmdir()
    (room / "aside").rename(room / "s")
    assert door.look(1.0) == DoorNews(str(room / "s"), Fault.OBSTRUCTED, True, "")


@pytest.mark.parametrize("mode", [0o666, 0o000, 0o660])
async def test_another_mode_is_set_back(door: Door, room: Path, mode: int) -> None:
    os.chmod(room / "s", mode)
    assert door.look(0.0) == DoorNews(str(room / "s"), Fault.MODE, True, f"{mode:04o} instead of 0600")
    assert stat.S_IMODE((room / "s").lstat().st_mode) == MODE
    assert door.look(1.0) is None


async def test_a_door_that_is_shut_for_want_of_descriptors_is_not_missed(door: Door, room: Path) -> None:
    door.shut()
    assert door.look(0.0) is None
    door.open()
    assert door.look(1.0) is None
    assert os.listdir(room) == ["s"]
