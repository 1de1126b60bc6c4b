"""Threads for a program that has no event loop: jobs side by side, and an end to waiting for them."""

import threading
import time
from collections.abc import Callable, Iterable
from typing import Protocol


class Job(Protocol):
    """A job under way; the rest of a thread is not offered."""

    def join(self, timeout: float | None = None) -> None: ...

    def is_alive(self) -> bool: ...


class _Done:
    """A job that was done at once."""

    def join(self, timeout: float | None = None) -> None:
        """It has ended."""

    def is_alive(self) -> bool:
        """It is not."""
        return False


def start(job: Callable[[], None], name: str) -> Job:
    """Run `job` beside the caller. It does not keep the process: one that hangs is left behind at the end.

    Where the machine gives no more threads, the caller does it at once: late is better than not at all.
    """
    thread = threading.Thread(target=job, name=name, daemon=True)
    try:
        thread.start()
    except RuntimeError:
        job()
        return _Done()
    return thread


def wait_for(jobs: Iterable[Job], by_s: float) -> bool:
    """Return once all have ended, or at `by_s` (monotonic seconds); whether all have."""
    ended = True
    for job in jobs:
        job.join(max(0.0, by_s - time.monotonic()))
        ended = ended and not job.is_alive()
    return ended
