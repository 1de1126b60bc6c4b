"""Directory and its stand-in: durable writes, one owner, private files, and what a bad disk looks like."""

import contextlib
import errno
import os
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import trio
import trio.testing

from canceld.transport import disk
from canceld.transport.disk import AlreadyLocked, Directory, DiskFailed, Diverged
from canceld.transport.memory.disk import MemoryDirectory


@pytest.fixture(params=["real", "memory"])
def directory(request: pytest.FixtureRequest, tmp_path: Path) -> Directory:
    """Whatever both promise is tested on both."""
    return Directory(tmp_path) if request.param == "real" else MemoryDirectory()


def failing(code: int) -> Callable[..., int]:
    def call(*_: object) -> int:
        raise OSError(code, os.strerror(code))

    return call


# What both promise


async def test_a_replaced_file_holds_the_new_content(directory: Directory) -> None:
    assert directory.read("latch") is None
    assert not directory.exists("latch")
    await directory.replace("latch", b"one")
    assert directory.read("latch") == b"one"
    directory.replace_now("latch", b"")
    assert directory.read("latch") == b""
    assert directory.exists("latch")
    assert directory.names() == ["latch"]


async def test_appends_follow_each_other(directory: Directory) -> None:
    assert directory.size("log") is None
    await directory.append("log", b"one\n")
    directory.append_now("log", b"two\n")
    await directory.append("log", b"three\n")
    assert directory.read("log") == b"one\ntwo\nthree\n"
    assert directory.size("log") == 14


async def test_removing_is_final_and_repeatable(directory: Directory) -> None:
    await directory.replace("kill", b"x")
    await directory.remove("kill")
    await directory.remove("kill")
    directory.remove_now("kill")
    assert not directory.exists("kill")
    assert directory.read("kill") is None


async def test_a_subdirectory_is_made_once_and_kept(directory: Directory) -> None:
    await directory.subdirectory("journal").append("1", b"x")
    assert directory.subdirectory("journal").read("1") == b"x"
    assert directory.subdirectory("journal").root == directory.root / "journal"
    assert directory.names() == ["journal"]


async def test_overlapping_replaces_end_in_the_order_they_were_asked_for(directory: Directory) -> None:
    async with trio.open_nursery() as nursery:
        # One by one up to the first wait, so the order of asking is known.
        for number in range(20):
            nursery.start_soon(directory.replace, "nonce", b"%d" % number)
            await trio.testing.wait_all_tasks_blocked()
    assert directory.read("nonce") == b"19"


@pytest.mark.parametrize("name", ["", ".", "..", ".hidden", "a/b", "/etc/passwd", "../x", "a\0b"])
async def test_names_that_lead_elsewhere_are_refused(directory: Directory, name: str) -> None:
    for use in (directory.read, directory.exists, directory.size, directory.lock, directory.subdirectory):
        with pytest.raises(ValueError, match="not a plain file name"):
            use(name)
    with pytest.raises(ValueError, match="not a plain file name"):
        await directory.replace(name, b"x")
    with pytest.raises(ValueError, match="not a plain file name"):
        await directory.append(name, b"x")
    with pytest.raises(ValueError, match="not a plain file name"):
        await directory.remove(name)


async def test_reads_and_writes_are_bounded(directory: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    await directory.replace("file", b"12345")
    assert directory.read("file", limit_bytes=5) == b"12345"
    with pytest.raises(DiskFailed, match="larger than 4 bytes"):
        directory.read("file", limit_bytes=4)
    monkeypatch.setattr(disk, "WRITE_LIMIT_BYTES", 4)
    with pytest.raises(ValueError, match="5 bytes"):
        await directory.replace("file", b"12345")
    with pytest.raises(ValueError, match="5 bytes"):
        await directory.append("file", b"12345")


async def test_a_part_of_a_file_is_read_alone(directory: Directory) -> None:
    assert directory.read_part("log", 0, 10) == b""
    await directory.append("log", b"0123456789")
    assert directory.read_part("log", 0, 4) == b"0123"
    assert directory.read_part("log", 8, 4) == b"89"
    assert directory.read_part("log", 10, 4) == b""


async def test_an_extension_is_written_once_however_often_it_is_asked_for(directory: Directory) -> None:
    await directory.extend("log", 0, b"one\n")
    await directory.extend("log", 0, b"one\n")
    await directory.extend("log", 0, b"one\ntwo\n")
    await directory.extend("log", 8, b"three\n")
    await directory.sync("log")
    assert directory.read("log") == b"one\ntwo\nthree\n"


async def test_an_extension_goes_on_where_an_earlier_try_broke_off(directory: Directory) -> None:
    await directory.extend("log", 0, b"one\n")
    await directory.append("log", b"tw")
    await directory.extend("log", 4, b"two\nthree\n")
    assert directory.read("log") == b"one\ntwo\nthree\n"


@pytest.mark.parametrize("content", [None, b"on", b"one\nx", b"one\ntwo\nthree\n"])
async def test_an_extension_of_a_file_that_somebody_changed_is_refused(
    directory: Directory, content: bytes | None
) -> None:
    if content is not None:
        await directory.replace("log", content)
    with pytest.raises(Diverged):
        await directory.extend("log", 4, b"two\n")
    assert directory.read("log") == content


async def test_looking_apart_gives_what_was_seen_and_what_failed(directory: Directory) -> None:
    await directory.replace("file", b"12345")
    assert await directory.apart(lambda: directory.read("file")) == b"12345"
    with pytest.raises(DiskFailed, match="larger than 4 bytes"):
        await directory.apart(lambda: directory.read("file", limit_bytes=4))


async def test_a_lock_has_one_holder(directory: Directory) -> None:
    with directory.lock("lock") as held:
        with pytest.raises(AlreadyLocked):
            directory.lock("lock")
        held.release()
        directory.lock("lock").release()
    directory.lock("lock")


# The real one


async def test_files_are_for_us_alone_whatever_the_umask(tmp_path: Path) -> None:
    directory = Directory(tmp_path)
    before = os.umask(0)
    try:
        await directory.replace("replaced", b"x")
        await directory.append("appended", b"x")
        directory.lock("lock").release()
        directory.subdirectory("journal")
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}  # noqa: ASYNC240
    assert modes == {"replaced": 0o600, "appended": 0o600, "lock": 0o600, "journal": 0o700}


async def test_a_replace_is_synced_before_the_rename_and_the_directory_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    fsync, rename = os.fsync, Path.rename

    def spying_fsync(descriptor: int) -> None:
        steps.append("sync directory" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "sync file")
        fsync(descriptor)

    def spying_rename(self: Path, target: Path) -> Path:
        steps.append("rename")
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", spying_fsync)
    monkeypatch.setattr(Path, "rename", spying_rename)
    await Directory(tmp_path).replace("latch", b"x")
    assert steps == ["sync file", "rename", "sync directory"]


async def test_an_append_is_synced_and_a_new_file_with_its_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    monkeypatch.setattr(os, "fdatasync", lambda descriptor: steps.append("sync data"))
    monkeypatch.setattr(os, "fsync", lambda descriptor: steps.append("sync directory"))
    directory = Directory(tmp_path)
    await directory.append("log", b"x")
    await directory.append("log", b"x")
    directory.remove_now("log")
    directory.subdirectory("journal")
    assert steps == ["sync data", "sync directory", "sync data", "sync directory", "sync directory"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EROFS])
async def test_a_failed_replace_leaves_the_old_content_and_no_litter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    directory = Directory(tmp_path)
    await directory.replace("latch", b"old")
    monkeypatch.setattr(os, "fsync", failing(code))
    with pytest.raises(DiskFailed, match=os.strerror(code)) as caught:
        await directory.replace("latch", b"new")
    assert caught.value.path == tmp_path / "latch"
    with pytest.raises(DiskFailed):
        directory.replace_now("latch", b"new")
    assert os.listdir(tmp_path) == ["latch"]
    assert directory.read("latch") == b"old"


async def test_an_append_that_fills_the_disk_leaves_no_half_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = Directory(tmp_path)
    await directory.append("log", b"whole\n")
    write, calls = os.write, 0

    def write_half_then_fail(descriptor: int, data: bytes) -> int:
        nonlocal calls
        calls += 1
        if calls > 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(descriptor, data[: len(data) // 2])

    monkeypatch.setattr(os, "write", write_half_then_fail)
    with pytest.raises(DiskFailed, match="No space"):
        directory.append_now("log", b"torn record\n")
    assert directory.read("log") == b"whole\n"


def test_short_writes_are_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:3]))
    Directory(tmp_path).append_now("log", b"0123456789")
    assert (tmp_path / "log").read_bytes() == b"0123456789"


async def test_a_missing_root_is_an_error_of_the_disk_and_only_reads_as_nothing(tmp_path: Path) -> None:
    directory = Directory(tmp_path / "missing")
    for fails in (directory.check, directory.names, lambda: directory.lock("x"), lambda: directory.subdirectory("x")):
        with pytest.raises(DiskFailed, match="No such file"):
            fails()
    with pytest.raises(DiskFailed, match="No such file"):
        await directory.replace("x", b"")
    with pytest.raises(DiskFailed, match="No such file"):
        await directory.append("x", b"")
    assert directory.read("x") is None
    assert not directory.exists("x")


async def test_a_disk_that_hangs_is_given_up_and_never_undoes_a_later_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first write hangs in the kernel past its limit, a second is given up behind it; then the disk comes back."""
    directory = Directory(tmp_path, timeout_s=0.2)
    disk_is_back, hung = threading.Event(), threading.Event()
    fsync = os.fsync

    def hanging_fsync(descriptor: int) -> None:
        hung.set()
        disk_is_back.wait(30)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", hanging_fsync)
    with pytest.raises(DiskFailed, match="not answered"):
        await directory.replace("latch", b"first")
    assert hung.is_set()
    with pytest.raises(DiskFailed, match=r"not answered|not ended"):
        await directory.replace("latch", b"second")
    with pytest.raises(DiskFailed, match="not ended"):
        directory.replace_now("latch", b"third")
    monkeypatch.setattr(os, "fsync", fsync)
    disk_is_back.set()
    directory.replace_now("latch", b"last")
    assert directory.read("latch") == b"last"
    with directory._replacing:  # nobody is left behind who could still write
        assert directory.read("latch") == b"last"
    await directory.replace("latch", b"works again")
    assert directory.read("latch") == b"works again"


async def test_a_write_given_up_while_it_waited_for_its_turn_never_happens(tmp_path: Path) -> None:
    directory = Directory(tmp_path, timeout_s=30)
    with directory._replacing, trio.move_on_after(0.05) as scope:
        await directory.replace("latch", b"given up")
    assert scope.cancelled_caught
    directory.replace_now("latch", b"later")
    await directory.replace("other", b"x")  # queues behind the thread that was given up, if it has not run yet
    assert directory.read("latch") == b"later"


async def test_a_hanging_replace_leaves_appends_alone(tmp_path: Path) -> None:
    directory = Directory(tmp_path, timeout_s=0.1)
    with directory._replacing:
        with pytest.raises(DiskFailed):
            await directory.replace("latch", b"x")
        await directory.append("log", b"x")
    assert directory.read("log") == b"x"


def test_check_accepts_a_good_directory_and_clears_what_the_dead_left(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait(30)
    (tmp_path / f".latch.{gone.pid}.new").write_bytes(b"half")
    (tmp_path / f".latch.{os.getpid()}.new").write_bytes(b"being written")
    (tmp_path / ".other").write_bytes(b"not ours")
    Directory(tmp_path).check()
    assert sorted(os.listdir(tmp_path)) == [f".latch.{os.getpid()}.new", ".other"]


def test_check_names_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DiskFailed, match="not a directory"):
        Directory(tmp_path / "file").check()
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(DiskFailed, match="0777 lets everybody write: chmod go-w"):
        Directory(tmp_path / "open").check()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else for a moment")
def test_check_refuses_a_directory_that_we_may_not_write_to() -> None:
    with tempfile.TemporaryDirectory() as path:  # pytest's own path is closed to others further up
        os.chmod(path, 0o755)
        os.seteuid(65534)
        try:
            with pytest.raises(DiskFailed, match="may not"):
                Directory(path).check()
        finally:
            os.seteuid(0)


def test_what_is_no_regular_file_is_not_read_and_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "inner").mkdir()
    for name in ("pipe", "inner"):
        with pytest.raises(DiskFailed, match="regular file"):
            Directory(tmp_path).read(name)


def test_a_symbolic_link_is_never_written_through(tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"precious")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    directory = Directory(tmp_path)
    with pytest.raises(DiskFailed):
        directory.append_now("link", b"x")
    with pytest.raises(DiskFailed):
        directory.lock("link")
    directory.replace_now("link", b"x")
    assert (tmp_path / "target").read_bytes() == b"precious"
    assert not (tmp_path / "link").is_symlink()


def test_a_lock_names_its_holder_and_ends_with_the_process(tmp_path: Path) -> None:
    program = (
        "import sys; from canceld.transport.disk import Directory\n"
        "lock = Directory(sys.argv[1]).lock('lock'); print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(AlreadyLocked) as caught:
            Directory(tmp_path).lock("lock")
        assert caught.value.pid_text == str(holder.pid)
        assert caught.value.path == tmp_path / "lock"
        holder.kill()
        holder.wait(30)
    Directory(tmp_path).lock("lock")
    assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"


def test_a_full_disk_still_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "pwrite", failing(errno.ENOSPC))
    held = Directory(tmp_path).lock("lock")
    with pytest.raises(AlreadyLocked, match="unknown"):
        Directory(tmp_path).lock("lock")
    held.release()


def test_a_part_of_what_is_no_file_cannot_be_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    (tmp_path / "directory").mkdir()
    for name in ("pipe", "directory"):
        with pytest.raises(DiskFailed):
            Directory(tmp_path).read_part(name, 0, 10)


async def test_an_extension_hung_in_the_kernel_does_not_spoil_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = Directory(tmp_path, timeout_s=0.1)
    go_on = threading.Event()
    write = os.write

    def hang(descriptor: int, content: bytes) -> int:
        go_on.wait(10.0)
        return write(descriptor, content[:2])

    monkeypatch.setattr(os, "write", hang)
    with pytest.raises(DiskFailed, match="not answered"):
        await directory.extend("log", 0, b"one\n")
    with pytest.raises(DiskFailed):
        await directory.extend("log", 0, b"one\n")
    go_on.set()
    with trio.fail_after(10.0):
        while directory.read("log") != b"one\ntwo\n":
            with contextlib.suppress(DiskFailed):
                await directory.extend("log", 0, b"one\ntwo\n")


# The stand-in's crash model


async def test_only_what_was_synced_survives_a_power_cut(autojump_clock: trio.testing.MockClock) -> None:
    directory = MemoryDirectory()
    directory.replace_now("latch", b"old")
    await directory.append("log", b"one\n")
    directory.faults.sync_s = 1.0
    async with trio.open_nursery() as process:
        process.start_soon(directory.replace, "latch", b"new")
        process.start_soon(directory.append, "log", b"two\n")
        process.start_soon(directory.subdirectory("journal").append, "1", b"x")
        await trio.sleep(0.5)
        assert directory.read("log") == b"one\ntwo\n"
        process.cancel_scope.cancel()
    directory.crash()
    assert directory.read("latch") == b"old"
    assert directory.read("log") == b"one\n"
    assert directory.subdirectory("journal").read("1") is None


async def test_the_page_cache_survives_a_killed_process(autojump_clock: trio.testing.MockClock) -> None:
    directory = MemoryDirectory()
    directory.faults.sync_s = 1.0
    with trio.move_on_after(0.5):
        await directory.append("log", b"one\n")
    directory.crash(power_lost=False)
    directory.crash()
    assert directory.read("log") == b"one\n"


async def test_a_removal_that_was_not_synced_comes_undone(autojump_clock: trio.testing.MockClock) -> None:
    directory = MemoryDirectory()
    directory.replace_now("kill", b"x")
    directory.faults.sync_s = 1.0
    with trio.move_on_after(0.5):
        await directory.remove("kill")
    assert not directory.exists("kill")
    directory.crash()
    assert directory.exists("kill")


async def test_a_write_of_an_earlier_life_settles_nothing_in_the_next(autojump_clock: trio.testing.MockClock) -> None:
    directory = MemoryDirectory()
    directory.faults.sync_s = 1.0
    async with trio.open_nursery() as nursery:
        nursery.start_soon(directory.replace, "latch", b"earlier life")
        nursery.start_soon(directory.replace, "latch", b"waits for its turn")
        await trio.sleep(0.5)
        directory.crash()
        directory.replace_now("latch", b"next life")
    assert directory.read("latch") == b"next life"
    directory.crash()
    assert directory.read("latch") == b"next life"


async def test_a_full_disk_refuses_and_a_hanging_one_times_out(autojump_clock: trio.testing.MockClock) -> None:
    directory = MemoryDirectory(timeout_s=5.0)
    directory.faults.detail = "No space left on device"
    with pytest.raises(DiskFailed, match="No space"):
        await directory.replace("latch", b"x")
    with pytest.raises(DiskFailed, match="No space"):
        directory.subdirectory("journal").append_now("1", b"x")
    directory.faults.detail = None
    directory.faults.hangs = True
    started = trio.current_time()
    with pytest.raises(DiskFailed, match="not answered"):
        await directory.append("log", b"x")
    assert trio.current_time() - started == pytest.approx(5.0)
    directory.crash()
    assert directory.read("log") is None


async def test_a_crash_frees_the_lock_and_a_late_release_cannot_free_the_next_ones() -> None:
    directory = MemoryDirectory()
    old = directory.lock("lock")
    directory.crash()
    directory.lock("lock")
    old.release()
    with pytest.raises(AlreadyLocked):
        directory.lock("lock")


async def test_an_extension_survives_a_killed_process_and_a_power_cut_once_synced() -> None:
    directory = MemoryDirectory()
    await directory.extend("log", 0, b"one\n")
    directory.crash(power_lost=False)
    await directory.extend("log", 4, b"two\n")
    directory.crash()
    assert directory.read("log") == b"one\n"
    await directory.extend("log", 4, b"two\n")
    await directory.sync("log")
    await directory.extend("log", 8, b"three\n")
    directory.crash()
    assert directory.read("log") == b"one\ntwo\n"


async def test_a_disk_that_fills_takes_a_part_of_an_extension_and_later_the_rest() -> None:
    directory = MemoryDirectory()
    directory.faults.room_bytes = 6
    with pytest.raises(DiskFailed, match="No space"):
        await directory.extend("log", 0, b"one\ntwo\n")
    assert directory.read("log") == b"one\ntw"
    directory.faults.room_bytes = None
    await directory.extend("log", 0, b"one\ntwo\nthree\n")
    assert directory.read("log") == b"one\ntwo\nthree\n"
