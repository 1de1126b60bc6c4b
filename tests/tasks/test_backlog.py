"""What was read ahead is taken in turn, and never without a bound."""

import pytest

from daemon.tasks.backlog import Backlog
from daemon.transport.zeromq import Message


def message(peer: bytes, number: int, size: int = 1) -> Message:
    return Message(peer, [bytes([number]) * size])


def drained(backlog: Backlog) -> list[tuple[bytes, int]]:
    taken = [backlog.take() for _ in range(len(backlog))]
    return [(one.identity, one.frames[0][0]) for one in taken]


def test_peers_take_turns_and_each_keeps_its_own_sequence() -> None:
    backlog = Backlog(100, 1000)
    for number in range(4):
        backlog.put(message(b"busy", number))
    backlog.put(message(b"quiet", 9))
    assert drained(backlog) == [(b"busy", 0), (b"quiet", 9), (b"busy", 1), (b"busy", 2), (b"busy", 3)]
    assert not backlog
    with pytest.raises(IndexError):
        backlog.take()


def test_it_is_full_by_number_and_by_size_and_open_again_once_something_is_taken() -> None:
    by_number, by_size = Backlog(2, 1000), Backlog(100, 10)
    for number in range(2):
        assert not by_number.full
        assert not by_size.full
        by_number.put(message(b"a", number))
        by_size.put(message(b"a", number, size=5))
    assert by_number.full
    assert by_size.full
    by_number.take()
    by_size.take()
    assert not by_number.full
    assert not by_size.full


def test_who_is_held_back_is_passed_over_until_its_time_and_keeps_its_sequence() -> None:
    backlog = Backlog(100, 1000)
    backlog.put(message(b"busy", 0))
    backlog.hold(b"busy", 50)
    backlog.hold(b"idle", 70)
    backlog.put(message(b"busy", 1))
    backlog.put(message(b"quiet", 9))
    assert backlog.holds
    assert backlog.take().identity == b"quiet"
    assert (bool(backlog), len(backlog)) == (False, 2)
    with pytest.raises(IndexError):
        backlog.take()
    assert backlog.release(49) == 50
    assert not backlog
    assert backlog.release(50) == 70
    assert drained(backlog) == [(b"busy", 0), (b"busy", 1)]
    assert backlog.release(70) is None
    assert not backlog.holds


def test_to_be_held_back_again_changes_nothing() -> None:
    backlog = Backlog(100, 1000)
    backlog.put(message(b"busy", 0))
    backlog.hold(b"busy", 50)
    backlog.hold(b"busy", 90)
    assert backlog.release(50) is None
    assert drained(backlog) == [(b"busy", 0)]
