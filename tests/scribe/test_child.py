"""The scribe as a process: what it writes, what it outlives, what it is deaf to, and what becomes of its own end."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest
import trio
import trio.lowlevel

from canceld.scribe.__main__ import LOCK
from canceld.tasks import journal as near
from canceld.tasks import notes
from canceld.tasks.journal import Journal
from canceld.transport.clock import Clock
from canceld.transport.disk import Directory
from canceld.transport.scribe import DEAF_TO, ChildScribe
from tests.tasks.test_journal import Stage

PATIENCE_S: Final = 60.0


class Running:
    """A record with a scribe of its own."""

    def __init__(self, root: Path) -> None:
        self.stage = Stage(Directory(root), Clock())
        self.scribe = ChildScribe("canceld.scribe", [str(root)])
        self.journal = Journal(self.stage.state, self.stage.clock, scribe=self.scribe)

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[Journal]:
        with trio.fail_after(PATIENCE_S):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self.journal.run, self.stage.alarms)
                yield self.journal
                nursery.cancel_scope.cancel()
            await self.journal.close()

    async def opened(self) -> int:
        """Its process, which has the record open."""
        while self.journal.status()["state"] != "written":  # noqa: ASYNC110
            await trio.sleep(0.01)
        assert self.scribe.pid is not None
        return self.scribe.pid

    async def written(self, count: int) -> None:
        """Return once so many notes of kind `outcome` are in the files."""
        while len(self.stage.records("outcome")) < count:  # noqa: ASYNC110
            await trio.sleep(0.02)


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except FileNotFoundError:
        # Closed meanwhile, as a file that is written to.
        return ""


@pytest.fixture
def running(tmp_path: Path) -> Running:
    return Running(tmp_path)


async def test_all_is_written_and_it_ends_with_the_daemon(running: Running) -> None:
    async with running.writing() as journal:
        pid = await running.opened()
        for number in range(20_000):
            journal.note("outcome", id=number)
    assert [record["id"] for record in running.stage.records("outcome")] == list(range(20_000))
    found = running.stage.check()
    assert found.faults == []
    assert found.head is not None
    assert found.last == found.head.link, "the head knows the last line"
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert journal.status()["waiting"] == 0


async def test_it_is_small_inherits_nothing_and_is_deaf_to_what_is_for_the_daemon(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_SECRET", "of this process")
    async with running.writing() as journal:
        pid = await running.opened()
        place = Path("/proc", str(pid))
        for one in DEAF_TO:
            os.kill(pid, one)
        journal.note("outcome", id=0)
        await running.written(1)
        assert (place / "environ").read_bytes() == b""
        opened = {name: _target(place / "fd" / name) for name in os.listdir(place / "fd")}
        ours = {
            name for name, target in opened.items() if target.startswith(str(running.stage.state.root)) or not target
        }
        assert opened.keys() - ours == {"0", "1", "2"}, "its pipes and nothing else but files of the state"
        assert os.getpgid(pid) == pid, "what a terminal sends to the daemon's job does not reach it"
        anonymous_kib = int((place / "status").read_text().partition("RssAnon:")[2].split()[0])
        assert anonymous_kib < 16 << 10
        assert b"ssl" not in (place / "maps").read_bytes(), "no event loop and what it brings along"
    assert running.stage.alarms.raised == []


async def test_one_that_is_killed_is_started_anew_and_each_note_is_written_once(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(near, "RETRY_S", 0.05)
    count = 0
    async with running.writing() as journal:
        for _ in range(3):
            pid = await running.opened()
            for at in range(3_000):
                journal.note("outcome", id=count)
                count += 1
                if at % 100 == 0:
                    await trio.sleep(0.002)
                if at == 2_000:
                    os.kill(pid, signal.SIGKILL)
            while running.scribe.pid in (None, pid):  # noqa: ASYNC110
                await trio.sleep(0.005)
            await running.opened()
        assert near.CANNOT_WRITE in {what for what, _ in running.stage.alarms.raised}
        assert near.CANNOT_WRITE not in running.stage.alarms.standing
    assert [record["id"] for record in running.stage.records("outcome")] == list(range(count))
    assert {gap["why"] for gap in running.stage.records("gap")} == {"scribe failed: its process was ended by signal 9"}
    assert running.stage.check().faults == []


async def test_notes_wait_for_one_that_stands_still_and_are_bounded(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(near, "HANG_S", 0.2)
    monkeypatch.setattr(near, "RETRY_S", 0.05)
    monkeypatch.setattr(near, "WINDOW_BYTES", 2 << 20)
    monkeypatch.setattr(notes, "QUEUE_LIMIT", 2_000)
    async with running.writing() as journal:
        pid = await running.opened()
        os.kill(pid, signal.SIGSTOP)
        began = time.monotonic()
        for number in range(30_000):
            journal.note("outcome", id=number, what="x" * 100)
            if number % 256 == 0:
                await trio.lowlevel.checkpoint()
        assert journal.dropped > 0
        kept = 30_000 - journal.dropped
        while near.CANNOT_WRITE not in running.stage.alarms.standing:  # noqa: ASYNC110
            await trio.sleep(0.01)
        assert time.monotonic() - began < PATIENCE_S
        os.kill(pid, signal.SIGCONT)
        while near.CANNOT_WRITE in running.stage.alarms.standing:  # noqa: ASYNC110
            await trio.sleep(0.01)
    assert len(running.stage.records("outcome")) == kept
    assert sum(gap["dropped"] for gap in running.stage.records("gap")) == journal.dropped
    assert running.stage.check().faults == []


def test_what_the_pipe_has_outlives_a_daemon_that_is_killed(tmp_path: Path) -> None:
    """It is killed while the scribe stands still; the kernel lets the scribe go on, as nobody else could any more."""
    command = [sys.executable, "-m", "tests.scribe.killed", str(tmp_path), "1500"]
    killed = subprocess.run(command, check=False, capture_output=True, timeout=PATIENCE_S)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    running = Running(tmp_path)

    async def next_life() -> None:
        async with running.writing() as journal:
            journal.note("start")

    trio.run(next_life)
    assert [record["id"] for record in running.stage.records("outcome")] == list(range(1500))
    assert running.stage.records()[-1]["kind"] == "start", "it waited for the scribe before it"
    assert running.stage.check().faults == []


async def test_only_one_works_at_a_time(running: Running) -> None:
    other = running.stage.state.lock(LOCK)
    async with running.writing() as journal:
        journal.note("outcome", id=0)
        while near.CANNOT_WRITE not in running.stage.alarms.standing:  # noqa: ASYNC110
            await trio.sleep(0.01)
        assert "another process still writes the record" in journal.status()["why"]
        assert running.stage.records() == []
        other.release()
        await running.written(1)
    assert running.stage.check().faults == []


async def test_one_that_cannot_be_started_is_tried_again(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(near, "RETRY_S", 0.05)
    argv, running.scribe._argv = running.scribe._argv, ["/nonexistent/python"]
    async with running.writing() as journal:
        journal.note("outcome", id=0)
        while near.CANNOT_WRITE not in running.stage.alarms.standing:  # noqa: ASYNC110
            await trio.sleep(0.01)
        assert "could not be started" in journal.status()["why"]
        running.scribe._argv = argv
        await running.written(1)
    assert running.stage.check().faults == []
