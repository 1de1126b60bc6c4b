"""The scribe's process, started by the daemon: `python -m canceld.scribe DIRECTORY`, blocks on its standard input.

It holds no secret: what reaches it has lost them. It ends when its input ends, after all that came is written and
synced, so that a daemon that was killed leaves a record of what it had handed on. Only one works at a time.
"""

import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from ..transport.files import DiskFailed
from ..transport.plain.disk import PlainDirectory, run
from ..transport.plain.threads import Job, start
from .failing import Failing
from .messages import Begin, Block, Failed, News, Stream, framed, order_in, pack
from .timing import DRAIN_S, RETRY_S, SYNC_S
from .writer import DIRECTORY, Writer

LOCK: Final = "journal.lock"
LOOK_S: Final = 0.02
READ_BYTES: Final = 256 << 10
INPUT: Final = 0
OUTPUT: Final = 1
_NEVER: Final = float("inf")


class _Scribe:
    def __init__(self, root: str) -> None:
        self._state = PlainDirectory(root)
        self._writer = Writer(time.time_ns, time.monotonic_ns, self._tell)
        self._stream = Stream()
        self._telling = threading.Lock()
        self._syncing = threading.Lock()
        self._failing = Failing(self._tell)
        self._sync_due_s = _NEVER
        self._shed_due_s = 0.0
        self._sync_job: Job | None = None
        self._pack_job: Job | None = None
        self._is_open = False
        self._is_orphan = False

    def work(self) -> None:
        """Until the daemon is gone."""
        while self._wait() and (data := os.read(INPUT, READ_BYTES)):
            for message in self._stream.take(data):
                order = order_in(message)
                if isinstance(order, Block):
                    self._until_done("write", partial(self._write, order))
                else:
                    self._begin(order)
                self._tell(self._writer.at())
        if self._is_open:
            self._until_done("sync", lambda: self._sync(head=True))

    def _write(self, block: Block) -> None:
        run(self._writer.write(block.number, block.entries))
        self._sync_due_s = min(self._sync_due_s, time.monotonic() + SYNC_S)

    def _begin(self, order: Begin) -> None:
        told_s = time.monotonic() + RETRY_S
        while True:
            try:
                if self._state.lock(LOCK):
                    break
                if time.monotonic() > told_s:
                    raise DiskFailed(self._state.root / LOCK, "another process still writes the record")
            except DiskFailed as failed:
                self._failing.fail("open", failed)
                told_s = time.monotonic() + RETRY_S
            self._pause(LOOK_S)

        def look() -> None:
            run(self._writer.open(self._state, lambda: self._state.subdirectory(DIRECTORY), order.written))

        self._until_done("open", look)
        self._is_open = True

    def _until_done(self, part: str, step: Callable[[], Any]) -> None:
        while True:
            try:
                step()
            except DiskFailed as failed:
                self._failing.fail(part, failed)
                self._pause(RETRY_S)
            else:
                return self._failing.heal(part)

    # ---------------------------------------------------------------- beside the writing

    def _wait(self) -> bool:
        """Do what is due until there is something to read, or nothing will come any more."""
        while True:
            now_s = time.monotonic()
            if now_s >= self._sync_due_s and not _alive(self._sync_job):
                self._sync_due_s = _NEVER
                self._sync_job = start(self._sync_beside, "sync")
            if self._is_open and self._writer.shed_due and now_s >= self._shed_due_s:
                self._shed()
            due_s = min(self._sync_due_s, self._shed_due_s if self._writer.shed_due else _NEVER)
            # What is due and still under way is looked after a while later.
            if self._readable(None if due_s == _NEVER else max(due_s - now_s, LOOK_S)):
                return True

    def _sync_beside(self) -> None:
        try:
            self._sync()
        except DiskFailed as failed:
            self._failing.fail("sync", failed)
            time.sleep(RETRY_S)
            self._sync_due_s = time.monotonic()
        else:
            self._failing.heal("sync")

    def _sync(self, *, head: bool = False) -> None:
        with self._syncing:
            run(self._writer.sync(head=head))

    def _shed(self) -> None:
        self._shed_due_s = time.monotonic() + RETRY_S
        try:
            run(self._writer.shed())
        except DiskFailed as failed:
            self._failing.fail("removal", failed)
            return
        self._failing.heal("removal")
        if not _alive(self._pack_job):
            self._pack_job = start(lambda: run(self._writer.pack()), "packing")

    def _readable(self, timeout_s: float | None) -> bool:
        poll = select.poll()
        poll.register(INPUT, select.POLLIN)
        found = poll.poll(None if timeout_s is None else timeout_s * 1e3)
        if any(event & select.POLLHUP for _, event in found):
            self._orphaned()
        return bool(found)

    def _pause(self, pause_s: float) -> None:
        """Wait without reading, and see meanwhile whether the daemon is gone."""
        if self._is_orphan:
            time.sleep(pause_s)
            return
        poll = select.poll()
        poll.register(INPUT, 0)
        if poll.poll(pause_s * 1e3):
            self._orphaned()

    def _orphaned(self) -> None:
        if not self._is_orphan:
            self._is_orphan = True
            # On a disk that fails nobody waits for ever: the next daemon's scribe wants the lock.
            signal.setitimer(signal.ITIMER_REAL, DRAIN_S)

    # ---------------------------------------------------------------- what the daemon hears

    def _tell(self, news: News) -> None:
        data = memoryview(framed(pack(news)))
        try:
            with self._telling:
                while data:
                    data = data[os.write(OUTPUT, data) :]
        except BrokenPipeError:
            # The daemon is gone; what it handed on is written all the same.
            pass


def _alive(job: Job | None) -> bool:
    return job is not None and job.is_alive()


def main() -> int:
    scribe = _Scribe(sys.argv[1])
    try:
        scribe.work()
    except Exception as error:
        # The daemon tells it, and starts another one.
        scribe._tell(Failed("process", f"{type(error).__name__}: {error}", f"{type(error).__name__}: {error}"))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
