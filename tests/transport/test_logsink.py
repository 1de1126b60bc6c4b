"""LogSink: lines reach the descriptor in order, and a blocked reader costs lines, never time."""

import contextlib
import os
import threading
import time
from collections.abc import Iterator

import pytest

from canceld.transport.logsink import LogSink


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    yield reading, writing
    for descriptor in (reading, writing):
        with contextlib.suppress(OSError):  # a test may have closed it
            os.close(descriptor)


def read_until(reading: int, ending: bytes) -> bytes:
    """Everything from the pipe up to `ending`; the test's own timeout bounds it."""
    received = b""
    while not received.endswith(ending):
        received += os.read(reading, 1 << 20)
    return received


def fill(writing: int) -> int:
    """Fill the pipe to the last byte; returns how many bytes it took."""
    os.set_blocking(writing, False)
    filled = 0
    for size in (4096, 1):
        try:
            while True:
                filled += os.write(writing, b"#" * size)
        except BlockingIOError:
            pass
    os.set_blocking(writing, True)
    return filled


def read_exactly(reading: int, size: int) -> None:
    while size:
        size -= len(os.read(reading, size))


def test_lines_arrive_in_order_and_close_flushes(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    sink = LogSink(writing)
    lines = [b"line %d\n" % number for number in range(1_000)]
    for line in lines:
        sink.write(line)
    assert sink.close(5)
    assert read_until(reading, lines[-1]) == b"".join(lines)
    assert sink.dropped == 0


def test_a_blocked_pipe_never_blocks_the_caller_and_close_is_bounded(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    fill(writing)
    sink = LogSink(writing, lines_limit=100)
    started = time.monotonic()
    for number in range(50_000):
        sink.write(b"line %d\n" % number)
    assert sink.close(0.2) is False
    assert time.monotonic() - started < 5
    # At most the queue and one chunk that the writer holds are not dropped.
    assert 49_000 <= sink.dropped <= 49_900
    os.close(reading)
    assert sink.close(5), "the writer must have ended before another test gets its descriptor's number"


def test_a_reader_that_comes_back_is_told_how_many_lines_are_missing(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    filled = fill(writing)
    sink = LogSink(writing, lines_limit=10, drop_line=lambda count: b"missing %d\n" % count)
    for number in range(100):
        sink.write(b"line %d\n" % number)
    read_exactly(reading, filled)
    assert sink.close(5)
    received: list[list[bytes]] = [line.split() for line in os.read(reading, 1 << 16).splitlines()]
    kept = [int(number) for word, number in received if word == b"line"]
    missing = [int(count) for word, count in received if word == b"missing"]
    assert kept == sorted(kept)
    assert sum(missing) == sink.dropped == 100 - len(kept) > 0


def test_the_line_about_drops_stands_where_they_are_missing(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    filled = fill(writing)
    sink = LogSink(writing, backlog_limit_bytes=40, drop_line=lambda count: b"missing %d\n" % count)
    for _ in range(20):
        sink.write(b"0123456789012\n")
    dropped = sink.dropped
    read_exactly(reading, filled)
    sink.write(b"after\n")
    received = read_until(reading, b"after\n").splitlines()
    assert received[-2:] == [b"missing %d" % dropped, b"after"]
    assert sink.close(5)


def test_a_descriptor_made_non_blocking_by_others_loses_nothing(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    os.set_blocking(writing, False)
    sink = LogSink(writing)
    line = b"x" * 999 + b"\n"
    for _ in range(1_000):
        sink.write(line)
    received = bytearray()

    def read_all() -> None:
        while len(received) < 1_000_000:
            received.extend(os.read(reading, 1 << 16))

    reader = threading.Thread(target=read_all)
    reader.start()
    assert sink.close(10)
    reader.join(10)
    assert received == line * 1_000
    assert sink.dropped == 0


def test_a_reader_that_has_gone_is_survived_and_counted(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    os.close(reading)
    sink = LogSink(writing)
    sink.write(b"nobody\n")
    sink.write(b"reads this\n")
    assert sink.close(5)
    assert sink.dropped == 2


def test_lines_after_close_are_counted_not_written(pipe: tuple[int, int]) -> None:
    _reading, writing = pipe
    sink = LogSink(writing)
    assert sink.close(5)
    sink.write(b"late\n")
    assert sink.dropped == 1
    assert sink.close(5)
