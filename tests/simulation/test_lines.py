"""The simulated network itself: bytes keep their sequence, take their time, and are lost when they should be."""

import random

import pytest
import trio

from .lines import Courier, Line, clock_with


def _line(courier: Courier, latency_s: float = 0.0, slice_bytes: int = 65536) -> Line:
    rng = random.Random(1)
    return Line("host", lambda: latency_s * rng.random(), courier, slice_bytes)


@pytest.fixture
def courier() -> Courier:
    return Courier()


@pytest.fixture
def clock(courier: Courier) -> trio.testing.MockClock:
    return clock_with(courier)


async def test_bytes_keep_their_sequence_however_the_latency_varies(clock: object, courier: Courier) -> None:
    line = _line(courier, 0.5)
    sent = b"".join(bytes([n]) * 10 for n in range(100))
    for start in range(0, len(sent), 10):
        line.ours.write_now(sent[start : start + 10])
    received = b""
    while len(received) < len(sent):
        received += await line.theirs.receive_some()
    assert received == sent
    assert 0.2 < trio.current_time() < 0.6


async def test_a_stalled_direction_delivers_nothing_until_it_heals_and_the_other_goes_on(
    clock: object, courier: Courier
) -> None:
    line = _line(courier)
    line.stall(there=True, back=False)
    line.ours.write_now(b"held up")
    line.theirs.write_now(b"through")
    assert await line.ours.receive_some() == b"through"
    with trio.move_on_after(5.0) as waited:
        await line.theirs.receive_some()
    assert waited.cancelled_caught
    line.heal()
    assert await line.theirs.receive_some() == b"held up"


async def test_what_was_sent_before_the_end_is_read_and_then_the_end(clock: object, courier: Courier) -> None:
    line = _line(courier, 0.5)
    line.theirs.write_now(b"last words")
    line.end()
    assert await line.ours.receive_some() == b"last words"
    assert await line.ours.receive_some() == b""


async def test_a_reset_loses_what_is_under_way_and_breaks_both_ends(clock: object, courier: Courier) -> None:
    line = _line(courier, 0.5)
    line.theirs.write_now(b"lost")
    line.reset()
    for end in (line.ours, line.theirs):
        with pytest.raises(trio.BrokenResourceError):
            await end.receive_some()
        with pytest.raises(trio.BrokenResourceError):
            end.write_now(b"x")


async def test_a_sliced_line_gives_a_few_bytes_at_a_time(clock: object, courier: Courier) -> None:
    line = _line(courier, slice_bytes=7)
    line.ours.write_now(b"0123456789")
    assert [await line.theirs.receive_some(), await line.theirs.receive_some()] == [b"0123456", b"789"]
