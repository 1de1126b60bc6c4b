"""The socket of a client."""

import os
import shutil
import socket
import tempfile
from pathlib import Path

import pytest

from canceld.client import Client, DaemonUnreachable
from canceld.client.link import Link, fresh_prefix, why_absent

from .stub import StubDaemon


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "commands.sock"


def connected(link: Link) -> None:
    for _ in range(100):
        link.receive_or_room()
        if link.send(b"\x80"):
            return
    raise AssertionError("not connected")


def test_without_a_daemon_nothing_is_queued(path: Path) -> None:
    link = Link(f"ipc://{path}", slice_ms=1)
    assert not link.send(b"x")
    assert link.receive() is None
    assert link.receive_within() is None
    assert not link.has_frame()
    link.close()


def test_a_connection_that_is_back_is_told_once_and_the_first_is_not(path: Path) -> None:
    first = StubDaemon(path, lambda _: [])
    link = Link(first.endpoint, slice_ms=50)
    connected(link)
    assert not link.came_back()
    first.stop()
    link.receive_within()
    assert not link.came_back(), "lost, and not yet back"
    with StubDaemon(path, lambda _: []):
        connected(link)
        for _ in range(100):
            if link.came_back():
                break
            link.receive_within()
        else:
            raise AssertionError("the return was not told")
        assert not link.came_back()
    link.close()


def test_closing_drops_what_was_not_sent_and_does_not_wait(path: Path) -> None:
    link = Link(f"ipc://{path}")
    link.close()
    link.close()
    with pytest.raises(RuntimeError, match="closed"):
        link.check_usable()


def test_prefixes_are_short_printable_and_not_repeated() -> None:
    prefixes = {fresh_prefix() for _ in range(1000)}
    assert len(prefixes) == 1000
    assert all(prefix.isalnum() and len(prefix) == 12 for prefix in prefixes)


def test_why_nobody_answers_is_told_as_the_kernel_tells_it(path: Path) -> None:
    endpoint = f"ipc://{path}"
    assert "no such socket file" in why_absent(endpoint)
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    assert "it has ended" in why_absent(endpoint)
    path.unlink()
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(path))
        deaf.listen()
        assert "nobody answers at it" in why_absent(endpoint)
    assert why_absent("inproc://x") == ""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else for a moment")
@pytest.mark.parametrize("shut", ["file", "directory"])
def test_a_user_who_may_not_open_it_is_told_so_and_not_that_it_is_not_there(shut: str) -> None:
    room = Path(tempfile.mkdtemp(prefix="cd"))
    try:
        room.chmod(0o755 if shut == "file" else 0o700)
        with StubDaemon(room / "s", lambda _: []) as daemon:
            (room / "s").chmod(0o600)
            os.seteuid(65534)
            try:
                told = why_absent(daemon.endpoint)
            finally:
                os.seteuid(0)
    finally:
        shutil.rmtree(room)
    assert told.startswith("this user may not open it: ")
    assert ("mode 0600, owner 0, group 0" if shut == "file" else "is closed to it") in told


def test_a_client_without_a_daemon_says_why(path: Path) -> None:
    with Client(f"ipc://{path}", margin_ms=0) as client, pytest.raises(DaemonUnreachable) as caught:
        client.ping(deadline_ms=1)
    assert "never left this process; there is no such socket file" in str(caught.value)
