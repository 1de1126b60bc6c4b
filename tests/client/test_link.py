"""The socket of a client."""

from pathlib import Path

import pytest

from canceld.client.link import Link, fresh_prefix

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
