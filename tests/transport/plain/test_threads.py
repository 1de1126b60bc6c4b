"""Jobs beside each other: waiting for them has an end, and one that hangs keeps no process."""

import subprocess
import sys
import threading
import time

import pytest

from canceld.transport.plain import threads


def test_it_returns_as_soon_as_all_have_ended() -> None:
    done: list[int] = []
    jobs = [threads.start(lambda number=number: done.append(number), "job") for number in range(5)]  # type: ignore[misc]
    assert threads.wait_for(jobs, time.monotonic() + 30)
    assert sorted(done) == [0, 1, 2, 3, 4]


def test_it_returns_in_time_when_one_hangs() -> None:
    released = threading.Event()

    def hang() -> None:
        released.wait(60)

    hanging = threads.start(hang, "hanging")
    try:
        assert not threads.wait_for([hanging], time.monotonic() + 0.01)
    finally:
        released.set()
    assert threads.wait_for([hanging], time.monotonic() + 30)


def test_a_job_that_hangs_does_not_keep_the_process() -> None:
    script = (
        "import threading; from canceld.transport.plain import threads;threads.start(threading.Event().wait, 'hangs')"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=30)


def test_where_there_are_no_more_threads_the_caller_does_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    done: list[int] = []
    job = threads.start(lambda: done.append(threading.get_ident()), "job")
    assert done == [threading.get_ident()]
    assert threads.wait_for([job], 0.0)
