"""What was read ahead is taken in turn, and never without a bound."""

import pytest

from canceld.tasks.backlog import Backlog
from canceld.transport.messages import Message


def message(peer: bytes, number: int, size: int = 1) -> Message:
    return Message(peer, [bytes([number]) * size])


def drained(backlog: Backlog) -> list[tuple[bytes, int]]:
    taken = [backlog.take()[0] for _ in range(len(backlog))]
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


def test_what_is_put_aside_waits_until_its_peer_goes_on_and_keeps_its_sequence() -> None:
    backlog = Backlog(100, 1000)
    backlog.hold(b"busy", 50)
    backlog.hold(b"idle", 70)
    for number in range(2):
        backlog.put_aside(message(b"busy", number))
    backlog.put(message(b"busy", 7))
    backlog.put(message(b"quiet", 9))
    assert (backlog.lags(b"busy"), backlog.lags(b"quiet")) == (True, False)
    assert [backlog.take()[0].frames[0][0] for _ in range(2)] == [7, 9]
    assert (bool(backlog), len(backlog)) == (False, 2)
    with pytest.raises(IndexError):
        backlog.take()
    assert backlog.release(49) == 50
    assert not backlog
    assert backlog.release(50) == 70
    one, waited = backlog.take()
    assert (one.frames, waited) == ([b"\0"], True)
    # Held back again, it goes on where it was.
    backlog.hold(b"busy", 80)
    assert not backlog
    assert backlog.release(80) is None
    assert drained(backlog) == [(b"busy", 1)]
    assert not backlog.holds


def test_to_be_held_back_again_changes_nothing() -> None:
    backlog = Backlog(100, 1000)
    backlog.hold(b"busy", 50)
    backlog.put_aside(message(b"busy", 0))
    backlog.hold(b"busy", 90)
    assert backlog.release(50) is None
    assert drained(backlog) == [(b"busy", 0)]


def test_who_goes_on_keeps_its_sequence_and_shares_the_turns_with_everybody_else() -> None:
    backlog = Backlog(100, 1000)
    backlog.hold(b"busy", 50)
    for number in range(3):
        backlog.put_aside(message(b"busy", number))
    backlog.release(50)
    # What comes meanwhile belongs behind it.
    assert backlog.lags(b"busy")
    backlog.put_aside(message(b"busy", 3))
    for number in range(3):
        backlog.put(message(b"quiet", number))
    taken = drained(backlog)
    assert [peer for peer, _ in taken] == [b"busy", b"quiet"] * 3 + [b"busy"]
    assert [number for peer, number in taken if peer == b"busy"] == [0, 1, 2, 3]
    assert not backlog.lags(b"busy")


def test_what_is_put_aside_counts_towards_the_limit() -> None:
    backlog = Backlog(1, 1000)
    backlog.hold(b"busy", 50)
    backlog.put_aside(message(b"busy", 0))
    assert backlog.full
    backlog.release(50)
    backlog.take()
    assert not backlog.full
