"""Writes log lines to a descriptor from a thread of its own, so that a blocked pipe never blocks the loop."""

import os
import select
import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final

LINES_LIMIT: Final = 10_000
BACKLOG_LIMIT_BYTES: Final = 4 << 20
WRITE_BYTES: Final = 64 << 10  # what a pipe holds by default: more per call gains nothing
RETRY_MS: Final = 500  # between looks at a descriptor that somebody made non-blocking


def journald_reads(descriptor: int, environ: Mapping[str, str]) -> bool:
    """Whether what is written to this descriptor goes to systemd's journal. Source: systemd.exec(5), JOURNAL_STREAM."""
    try:
        found = os.fstat(descriptor)
    except OSError:
        return False
    return environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


def plain_drop_line(count: int) -> bytes:
    """The line that stands where `count` lines are missing."""
    return b'{"event":"log_lines_dropped","count":%d}\n' % count


class LogSink:
    """A bounded queue of log lines and the thread that empties it. Lines keep their order.

    When the queue is full new lines are dropped and counted; once there is room again, one line in their place tells
    how many are missing.
    """

    def __init__(
        self,
        descriptor: int,
        *,
        drop_line: Callable[[int], bytes] = plain_drop_line,
        lines_limit: int = LINES_LIMIT,
        backlog_limit_bytes: int = BACKLOG_LIMIT_BYTES,
    ) -> None:
        """descriptor: borrowed, never closed here. drop_line: renders the count of missing lines; it must not raise."""
        self.dropped = 0  # since the start, whether told in a line or not
        self._descriptor = descriptor
        self._drop_line = drop_line
        self._lines_limit = lines_limit
        self._backlog_limit_bytes = backlog_limit_bytes
        self._lines: deque[bytes] = deque()
        self._backlog_bytes = 0
        self._untold = 0  # drops since the last line that told of them
        self._closing = False
        self._news = threading.Condition()
        # A daemon thread: one that hangs in a blocked write must not keep the process from ending.
        self._writer = threading.Thread(target=self._run, name="log writer", daemon=True)
        self._writer.start()

    def write(self, line: bytes) -> None:
        """Queue one line, its line break included. Never blocks, never raises; any thread may call it."""
        with self._news:
            full = len(self._lines) >= self._lines_limit or (
                self._backlog_bytes + len(line) > self._backlog_limit_bytes
            )
            if full or self._closing:
                self.dropped += 1
                self._untold += 1
                return
            if self._untold:
                self._tell_drops()
            self._lines.append(line)
            self._backlog_bytes += len(line)
            self._news.notify()

    def close(self, timeout_s: float) -> bool:
        """Write what is queued and end the thread; later lines are dropped. Calling it again waits again.

        Blocks at most `timeout_s`. Returns False when the descriptor took not everything by then: the rest is lost
        unless the process lives on and a reader comes back.
        """
        with self._news:
            self._closing = True
            self._news.notify()
        self._writer.join(timeout_s)
        return not self._writer.is_alive()

    def _tell_drops(self) -> None:
        told = self._drop_line(self._untold)
        self._lines.append(told)
        self._backlog_bytes += len(told)
        self._untold = 0

    def _run(self) -> None:
        while chunk := self._next_chunk():
            self._write_all(chunk)

    def _next_chunk(self) -> bytes:
        """Whole lines, joined up to WRITE_BYTES, or one longer line; empty when everything is written and closed."""
        with self._news:
            while not self._lines:
                if self._untold:
                    self._tell_drops()
                elif self._closing:
                    return b""
                else:
                    self._news.wait()
            taken = [self._lines.popleft()]
            size = len(taken[0])
            while self._lines and size + len(self._lines[0]) <= WRITE_BYTES:
                size += len(self._lines[0])
                taken.append(self._lines.popleft())
            self._backlog_bytes -= size
        return b"".join(taken)

    def _write_all(self, chunk: bytes) -> None:
        rest = memoryview(chunk)
        while rest:
            try:
                rest = rest[os.write(self._descriptor, rest) :]
            except BlockingIOError:
                # Whoever shares the terminal or pipe with us may have made it non-blocking.
                waiter = select.poll()  # select() cannot watch descriptors above 1023
                waiter.register(self._descriptor, select.POLLOUT)
                waiter.poll(RETRY_MS)
            except OSError:
                # The reader is gone or the disk is full. Nothing can be told there, so only the count knows.
                with self._news:
                    self.dropped += chunk.count(b"\n")
                return
