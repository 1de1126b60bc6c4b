"""The record's writer: in time, in bounds, whole after any crash, and out of everybody's way when the disk fails."""

import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
import trio.testing

from canceld.engine.journal import HEAD, Entry, files_among, parse_head, unpacked_among
from canceld.engine.journal_check import Check, lines_of
from canceld.scribe import in_place
from canceld.scribe import writer as writing
from canceld.scribe.writer import DIRECTORY
from canceld.tasks import journal as writer
from canceld.tasks import notes as queue
from canceld.tasks.journal import Journal
from canceld.transport.clock import Clock, VirtualClock
from canceld.transport.disk import Directory, DiskFailed
from canceld.transport.memory.disk import MemoryDirectory


class Alarms:
    """What was alerted, and what stands."""

    def __init__(self) -> None:
        self.raised: list[tuple[str, str]] = []
        self.standing: set[str] = set()

    def alert(self, severity: str, what: str, do: str) -> None:
        self.raised.append((what, do))
        self.standing.add(what)

    def clear(self, what: str) -> None:
        self.standing.discard(what)


class Stage:
    """One state directory through several lives of a writer."""

    def __init__(self, state: Directory, clock: Clock) -> None:
        self.state = state
        self.clock = clock
        self.alarms = Alarms()

    @asynccontextmanager
    async def writing(self, *, closes: bool = True) -> AsyncIterator[Journal]:
        """One life; without `closes` it ends like a killed process."""
        journal = Journal(self.state, self.clock)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(journal.run, self.alarms)
            yield journal
            nursery.cancel_scope.cancel()
        if closes:
            await journal.close()

    @property
    def directory(self) -> Directory:
        return self.state.subdirectory(DIRECTORY)

    @property
    def files(self) -> list[str]:
        return files_among(self.directory.names())

    def check(self) -> Check:
        """The whole record, verified."""
        found = Check(parse_head(self.directory.read(HEAD)))
        for name in self.files:
            found.begin(name)
            for line in lines_of(self.directory.read_part_packed, name):
                found.take(line)
        found.end()
        return found

    def records(self, kind: str | None = None) -> list[dict[str, Any]]:
        content = b"".join(self.directory.read_part_packed(name, 0, 1 << 26) for name in self.files)
        told = [msgspec.json.decode(line) for line in content.splitlines()]
        return [record for record in told if kind in (None, record["kind"])]


@pytest.fixture
async def stage() -> Stage:
    return Stage(MemoryDirectory(), VirtualClock())


def faults(stage: Stage) -> Any:
    assert isinstance(stage.state, MemoryDirectory)
    return stage.state.faults


async def test_a_note_is_written_within_50_ms_with_the_time_it_was_made(autojump_clock: object, stage: Stage) -> None:
    async with stage.writing() as journal:
        await trio.sleep(1.0)
        journal.note("session", name="spot-0", state="live")
        await trio.sleep(0.05)
        [record] = stage.records("session")
        assert (record["ts"], record["state"]) == ("2027-01-15T08:00:01.000000Z", "live")
        assert record["monotonic_ns"] == 1_001_000_000_000


async def test_a_long_queue_is_worked_off_in_short_slices(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two slices others run: a kill that comes behind a flood's notes waits for one of them."""
    slices: list[int] = []
    packed_block = writer.packed_block

    def counted(number: int, entries: list[Entry]) -> bytes:
        slices.append(len(entries))
        return packed_block(number, entries)

    monkeypatch.setattr(writer, "packed_block", counted)
    turns = 0
    async with stage.writing() as journal:
        for number in range(20_000):
            journal.note("outcome", id=number)
        with trio.fail_after(60.0):
            while journal.status()["lines"] < 20_000:
                turns += 1
                await trio.lowlevel.checkpoint()
    assert max(slices) == writer.SLICE
    assert turns >= len(slices)
    assert [record["id"] for record in stage.records("outcome")] == list(range(20_000))


async def test_a_note_is_durable_within_a_second(autojump_clock: object, stage: Stage) -> None:
    state = stage.state
    assert isinstance(state, MemoryDirectory)
    async with stage.writing(closes=False) as journal:
        await trio.sleep(1.0)
        journal.note("kill", reason="drill")
        await trio.sleep(1.0)
        state.crash()
    assert [record["reason"] for record in stage.records("kill")] == ["drill"]


async def test_a_sync_that_takes_long_does_not_hold_up_the_next_write(autojump_clock: object, stage: Stage) -> None:
    faults(stage).sync_s = 3.0
    async with stage.writing(closes=False) as journal:
        for number in range(8):
            journal.note("session", number=number)
            await trio.sleep(0.25)
        assert len(stage.records("session")) == 8
    faults(stage).sync_s = 0.0


async def test_the_end_leaves_all_lines_and_a_head_that_knows_the_last(autojump_clock: object, stage: Stage) -> None:
    async with stage.writing() as journal:
        for number in range(2_000):
            journal.note("outcome", id=number)
    assert [record["id"] for record in stage.records("outcome")] == list(range(2_000))
    found = stage.check()
    assert found.faults == []
    head = parse_head(stage.directory.read(HEAD))
    assert head is not None
    assert found.last == head.link


async def test_lives_follow_each_other_in_one_chain(autojump_clock: object, stage: Stage) -> None:
    for life in range(3):
        async with stage.writing() as journal:
            journal.note("start", life=life)
    assert [record["n"] for record in stage.records()] == [1, 2, 3]
    assert stage.check().faults == []


@pytest.mark.parametrize("power_lost", [True, False])
@pytest.mark.parametrize("after_s", [0.01, 0.03, 0.3, 0.9, 3.0, 7.0])
async def test_a_crash_at_any_time_leaves_a_chain_that_goes_on(
    autojump_clock: object, stage: Stage, power_lost: bool, after_s: float
) -> None:
    state = stage.state
    assert isinstance(state, MemoryDirectory)
    async with stage.writing(closes=False) as journal:
        with trio.move_on_after(after_s):
            while True:
                journal.note("outcome")
                await trio.sleep(0.007)
        state.crash(power_lost=power_lost)
    async with stage.writing() as journal:
        journal.note("start")
    assert stage.check().faults == []
    assert len(stage.records("start")) == 1


async def test_a_torn_line_stays_is_told_of_and_the_chain_goes_on(autojump_clock: object, stage: Stage) -> None:
    async with stage.writing() as journal:
        journal.note("start")
    await stage.directory.append(stage.files[-1], b'{"n":2,"ts":"2027')
    assert stage.check().faults
    async with stage.writing() as journal:
        journal.note("start")
    content = stage.directory.read(stage.files[-1])
    assert content is not None
    assert b'\n{"n":2,"ts":"2027\n' in content
    found = stage.check()
    assert (found.faults, found.torn) == ([], 1)
    assert stage.alarms.raised == []


async def test_lines_that_somebody_cut_off_are_alerted_and_never_verified(autojump_clock: object, stage: Stage) -> None:
    async with stage.writing() as journal:
        for _ in range(5):
            journal.note("outcome")
    [name] = stage.files
    content = stage.directory.read(name)
    assert content is not None
    stage.directory.replace_now(name, b"".join(content.splitlines(keepends=True)[:3]))
    async with stage.writing() as journal:
        journal.note("start")
        await trio.sleep(0.1)
    [(what, do)] = stage.alarms.raised
    assert what == "2 lines of the audit journal are gone"
    assert "--verify" in do
    assert [fault.line for fault in stage.check().faults] == [4]


# Files


KEPT_BYTES = 6_000 + 2_500
"""With `small`: what it may keep, and the file that it writes to."""


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "FILE_BYTES", 2_000)
    monkeypatch.setattr(writing, "RECORD_BYTES", 6_000)


async def notes(journal: Journal, count: int, kind: str = "outcome") -> None:
    for number in range(count):
        journal.note(kind, id=number)
        await trio.sleep(0.03)


@pytest.mark.usefixtures("small")
async def test_a_full_file_is_followed_by_the_next_and_the_chain_is_carried_over(
    autojump_clock: object, stage: Stage
) -> None:
    async with stage.writing() as journal:
        await notes(journal, 20)
        assert len(stage.files) > 1
        sizes = [len(stage.directory.read_part_packed(name, 0, 1 << 20)) for name in stage.files]
        assert all(2_000 <= size < 2_500 for size in sizes[:-1])
    assert stage.check().faults == []
    [second, *_] = stage.records("file")
    assert second["after"] == "00000001.jsonl"


async def test_closed_files_are_packed_and_are_read_as_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "FILE_BYTES", 2_000)
    stage = Stage(Directory(tmp_path), Clock())
    with trio.fail_after(60.0):
        async with stage.writing() as journal:
            for number in range(60):
                journal.note("outcome", id=number)
                await trio.sleep(0.005)
            while unpacked_among(stage.directory.names()):  # noqa: ASYNC110
                await trio.sleep(0.02)
    packed = [name for name in stage.directory.names() if name.endswith(".gz")]
    assert len(packed) >= len(stage.files) - 2 > 0, "all but the newest, and one that the end may have closed"
    assert stage.directory.root.joinpath(packed[0]).stat().st_mode & 0o777 == 0o600
    assert [record["id"] for record in stage.records("outcome")] == list(range(60))
    assert stage.check().faults == []
    # One that is damaged says where.
    damaged = stage.directory.root / packed[0]
    damaged.write_bytes(damaged.read_bytes()[:-40])
    assert stage.check().faults[0].what.startswith(("missing", "changed"))


@pytest.mark.usefixtures("small")
async def test_the_oldest_files_go_after_the_record_told_of_it(autojump_clock: object, stage: Stage) -> None:
    async with stage.writing() as journal:
        await notes(journal, 300)
    assert sum(map(stage.directory.stored_bytes, stage.files)) <= KEPT_BYTES
    assert len(stage.files) > 3, "packed ones take less"
    found = stage.check()
    assert found.faults == []
    assert found.first is not None
    told = stage.records("removed")[-1]
    assert told["through"] == found.first.n - 1
    assert told["file"] < stage.files[0]
    assert told["from"] < told["through"]


@pytest.mark.usefixtures("small")
async def test_a_kill_that_stands_is_told_in_every_later_file(autojump_clock: object, stage: Stage) -> None:
    async with stage.writing() as journal:
        journal.note("kill", reason="drill", by="operator")
        await notes(journal, 100)
        assert all(record["kill"]["reason"] == "drill" for record in stage.records("file"))
    async with stage.writing() as journal:
        await notes(journal, 40)
        assert stage.records("file")[-1]["kill"]["reason"] == "drill"
        journal.note("rearm", latched=False)
        await notes(journal, 100)
    assert all("kill" not in record for record in stage.records("file"))


@pytest.mark.usefixtures("small")
async def test_a_file_that_could_not_be_removed_goes_later(
    autojump_clock: object, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    remove = MemoryDirectory.remove

    async def refuse(directory: MemoryDirectory, name: str) -> None:
        raise DiskFailed(directory.root / name, "Operation not permitted")

    monkeypatch.setattr(MemoryDirectory, "remove", refuse)
    async with stage.writing() as journal:
        await notes(journal, 300)
        assert sum(map(stage.directory.stored_bytes, stage.files)) > KEPT_BYTES
        assert writer.CANNOT_WRITE in stage.alarms.standing
        monkeypatch.setattr(MemoryDirectory, "remove", remove)
        await trio.sleep(3.0)
        assert not stage.alarms.standing
    assert sum(map(stage.directory.stored_bytes, stage.files)) <= KEPT_BYTES
    assert stage.check().faults == []


# A disk that fails


async def test_a_full_disk_loses_nothing_that_memory_holds_and_the_gap_is_told(
    autojump_clock: object, stage: Stage
) -> None:
    async with stage.writing() as journal:
        await notes(journal, 5)
        faults(stage).room_bytes = 300
        await notes(journal, 100)
        assert stage.alarms.standing == {writer.CANNOT_WRITE}
        assert "No space left" in stage.alarms.raised[-1][1]
        assert journal.status()["state"] == "failing"
        faults(stage).room_bytes = None
        await trio.sleep(3.0)
        assert not stage.alarms.standing
        assert journal.status()["state"] == "written"
    assert [record["id"] for record in stage.records("outcome")] == [*range(5), *range(100)]
    [gap] = stage.records("gap")
    assert gap["dropped"] == 0
    assert "No space left" in gap["why"]
    assert gap["lasted_s"] > 1.0
    assert stage.check().faults == []


async def test_what_memory_does_not_hold_is_counted_and_told_where_it_is_missing(
    autojump_clock: object, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "QUEUE_LIMIT", 50)
    monkeypatch.setattr(queue, "QUEUE_RESERVE", 2)
    async with stage.writing() as journal:
        await trio.sleep(0.1)
        faults(stage).detail = "No space left on device"
        for number in range(80):
            journal.note("frame_out", number=number)
        for number in range(3):
            journal.note("kill", number=number)
        assert journal.dropped == 31
        await trio.sleep(2.0)
        faults(stage).detail = None
        await trio.sleep(2.0)
        journal.note("frame_out", number=80)
    assert [record["number"] for record in stage.records("frame_out")] == [*range(50), 80]
    # What must not be lost has room of its own, and the alert took its share of it.
    assert [record["number"] for record in stage.records("kill")] == [0, 1]
    kinds = [record["kind"] for record in stage.records()]
    dropped = [record["dropped"] for record in stage.records("gap")]
    assert sorted(dropped) == [0, 31]
    assert kinds.index("gap") > kinds.index("kill")
    assert stage.check().faults == []


async def test_a_hanging_disk_holds_up_nobody_and_all_is_written_once(autojump_clock: object, stage: Stage) -> None:
    async with stage.writing() as journal:
        await trio.sleep(0.1)
        faults(stage).hangs = True
        began = trio.current_time()
        for number in range(10):
            journal.note("outcome", id=number)
        assert trio.current_time() == began
        await trio.sleep(12.0)
        assert stage.alarms.standing
        faults(stage).hangs = False
        await trio.sleep(12.0)
        assert not stage.alarms.standing
    assert [record["id"] for record in stage.records("outcome")] == list(range(10))
    assert stage.check().faults == []


async def test_while_the_disk_fails_all_but_the_frames_go_to_the_log_once(
    autojump_clock: object, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[tuple[str, dict[str, Any]]] = []

    class Log:
        def warning(self, event: str, **fields: Any) -> None:
            lines.append((event, fields))

        error = warning

    monkeypatch.setattr(writer, "log", Log())
    async with stage.writing() as journal:
        faults(stage).detail = "Input/output error"
        journal.note("kill", reason="drill")
        journal.note("frame_out", frame="x")
        await trio.sleep(5.0)
        journal.note("rearm", event="odd")
        await trio.sleep(5.0)
        told = [line for line in lines if line[0].startswith("journal ")]
        assert told == [("journal kill", {"reason": "drill"}), ("journal rearm", {})]
        faults(stage).detail = None
        await trio.sleep(5.0)
    assert len([line for line in lines if line[0].startswith("journal ")]) == 2
    assert stage.check().faults == []


async def test_a_journal_that_cannot_be_opened_is_tried_again_and_stops_nothing(
    autojump_clock: object, stage: Stage
) -> None:
    state = stage.state
    looks = state.apart
    failing = True

    async def look(work: Any) -> Any:
        if failing:
            raise DiskFailed(state.root, "Input/output error")
        return await looks(work)

    state.apart = look  # type: ignore[method-assign]
    async with stage.writing() as journal:
        journal.note("start")
        await trio.sleep(3.0)
        assert journal.status()["state"] == "failing"
        failing = False
        await trio.sleep(3.0)
        assert [record["kind"] for record in stage.records()] == ["start", "gap"]
    assert stage.check().faults == []


async def test_what_the_log_has_is_not_told_again_when_the_disk_can_be_read_but_not_written(
    autojump_clock: object, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with stage.writing() as journal:
        await notes(journal, 3)
    [name] = stage.files
    stage.directory.append_now(name, b"torn")
    told: list[Any] = []

    class Log:
        def warning(self, event: str, **fields: Any) -> None:
            if event.startswith("journal "):
                told.append((event, fields.get("id")))

        error = warning

    monkeypatch.setattr(writer, "log", Log())
    looks = stage.state.apart

    async def look(work: Any) -> Any:
        raise DiskFailed(stage.state.root, "Input/output error")

    stage.state.apart = look  # type: ignore[method-assign]
    async with stage.writing() as journal:
        await notes(journal, 2)
        await trio.sleep(2.0)
        faults(stage).detail = "Input/output error"
        stage.state.apart = looks  # type: ignore[method-assign]
        await trio.sleep(2.0)
        journal.note("outcome", id=2)
        await trio.sleep(2.0)
        assert told == [("journal outcome", 0), ("journal outcome", 1), ("journal outcome", 2)]
        assert journal.status()["waiting"] == 3
        faults(stage).detail = None
        await trio.sleep(2.0)
    assert stage.check().faults == []


async def test_a_journal_that_somebody_changed_goes_on_in_a_new_file_and_is_alerted(
    autojump_clock: object, stage: Stage
) -> None:
    async with stage.writing() as journal:
        await notes(journal, 5)
        await trio.sleep(0.1)
        [name] = stage.files
        await stage.directory.remove(name)
        await notes(journal, 5)
        await trio.sleep(3.0)
        assert stage.files == ["00000002.jsonl"]
    assert [record["id"] for record in stage.records("outcome")] == list(range(5))
    assert writing.CHANGED in stage.alarms.standing
    assert stage.check().faults


async def test_the_end_is_bounded_on_a_disk_that_hangs(autojump_clock: object, stage: Stage) -> None:
    async with stage.writing() as journal:
        await trio.sleep(0.1)
        journal.note("stop")
        faults(stage).hangs = True
        began = trio.current_time()
    assert trio.current_time() - began <= writer.CLOSE_S + 0.1


async def test_while_nothing_happens_nothing_is_done(
    autojump_clock: object, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with stage.writing() as journal:
        await notes(journal, 3)
        await trio.sleep(10.0)
        naps = 0
        sleep = trio.sleep

        async def count(seconds: float) -> None:
            nonlocal naps
            naps += 1
            await sleep(seconds)

        with monkeypatch.context() as patch:
            patch.setattr(trio, "sleep", count)
            await sleep(60.0)
        assert naps == 0


# Real disks


async def test_a_real_directory_is_written_synced_and_read_back(tmp_path: Path) -> None:
    stage = Stage(Directory(tmp_path), Clock())
    async with stage.writing() as journal:
        for number in range(3_000):
            journal.note("outcome", id=number)
    assert [record["id"] for record in stage.records("outcome")] == list(range(3_000))
    assert stage.check().faults == []
    path = tmp_path / DIRECTORY / stage.files[0]
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tmp_path)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("nobody may mount here")
    yield tmp_path
    subprocess.run(["umount", str(tmp_path)], check=True)


async def test_a_real_disk_that_fills_up_and_is_emptied(small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_place, "RETRY_S", 0.05)
    stage = Stage(Directory(small_disk), Clock())
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(24 << 10))
    async with stage.writing() as journal:
        with trio.fail_after(20.0):
            count = 0
            while writer.CANNOT_WRITE not in stage.alarms.standing:
                journal.note("outcome", id=count)
                count += 1
                await trio.sleep(0.001)
            for _ in range(20):
                journal.note("outcome", id=count)
                count += 1
            ballast.unlink()
            while writer.CANNOT_WRITE in stage.alarms.standing:  # noqa: ASYNC110 - the record owes nobody an event
                await trio.sleep(0.01)
    assert [record["id"] for record in stage.records("outcome")] == list(range(count))
    assert len(stage.records("gap")) == 1
    assert stage.check().faults == []
