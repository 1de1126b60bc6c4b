"""A mapped file: made whole or not at all, of no other size, and read by the next process however this one ends."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from canceld.transport.disk import Directory, DiskFailed
from canceld.transport.mapped import MAPPED_LIMIT_BYTES, map_file
from canceld.transport.memory.disk import MemoryDirectory

SIZE = 64 * 1024
HEAD = b"begins so"


def test_a_missing_file_is_made_private_whole_and_with_its_blocks_set_aside(tmp_path: Path) -> None:
    file = tmp_path / "mapped"
    with map_file(file, SIZE, HEAD) as memory:
        assert memory[:] == HEAD.ljust(SIZE, b"\0")
    found = file.stat()
    assert stat.S_IMODE(found.st_mode) == 0o600
    assert found.st_blocks * 512 >= SIZE
    assert os.listdir(tmp_path) == ["mapped"]


def test_what_is_stored_is_there_for_whoever_maps_it_next(tmp_path: Path) -> None:
    with map_file(tmp_path / "mapped", SIZE, HEAD) as memory:
        memory[100:104] = b"word"
        assert Directory(tmp_path).read("mapped") == bytes(memory)
    with map_file(tmp_path / "mapped", SIZE, b"never mind") as memory:
        assert memory[100:104] == b"word"
        assert memory[: len(HEAD)] == HEAD


def test_what_is_stored_outlives_kill_9(tmp_path: Path) -> None:
    program = f"""
import os, signal
from pathlib import Path
from canceld.transport.mapped import map_file
memory = map_file(Path({str(tmp_path / "mapped")!r}), {SIZE}, {HEAD!r})
memory[{SIZE - 4}:{SIZE}] = b"last"
os.kill(os.getpid(), signal.SIGKILL)
"""
    ended = subprocess.run([sys.executable, "-c", program], cwd=Path(__file__).parents[2], timeout=20)
    assert ended.returncode == -signal.SIGKILL
    assert (tmp_path / "mapped").read_bytes().endswith(b"last")


@pytest.mark.parametrize("size", [0, SIZE - 1, SIZE + 1])
def test_a_file_of_another_size_is_left_as_it_is(tmp_path: Path, size: int) -> None:
    file = tmp_path / "mapped"
    file.write_bytes(b"x" * size)
    with pytest.raises(DiskFailed, match=f"has {size} bytes"):
        map_file(file, SIZE, HEAD)
    assert file.read_bytes() == b"x" * size


def test_holes_are_filled_so_that_no_store_finds_the_disk_full(tmp_path: Path) -> None:
    file = tmp_path / "mapped"
    with file.open("wb") as sparse:
        sparse.write(HEAD)
        sparse.truncate(SIZE)
    with map_file(file, SIZE, HEAD) as memory:
        assert file.stat().st_blocks * 512 >= SIZE
        assert memory[:] == HEAD.ljust(SIZE, b"\0")


def test_a_link_a_directory_and_a_pipe_are_no_files(tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(bytes(SIZE))
    (tmp_path / "link").symlink_to(tmp_path / "target")
    (tmp_path / "directory").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "directory", "pipe"):
        with pytest.raises(DiskFailed):
            map_file(tmp_path / name, SIZE, HEAD)
    assert (tmp_path / "target").read_bytes() == bytes(SIZE)


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int, offset: int, size: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(DiskFailed, match="No space left"):
        map_file(tmp_path / "mapped", SIZE, HEAD)
    assert os.listdir(tmp_path) == []


def test_what_the_kernel_does_not_give_is_told_and_nothing_is_left_behind(tmp_path: Path) -> None:
    program = f"""
import resource
from pathlib import Path
from canceld.transport.mapped import DiskFailed, map_file
resource.setrlimit(resource.RLIMIT_FSIZE, ({SIZE // 2}, {SIZE // 2}))
try:
    map_file(Path({str(tmp_path / "mapped")!r}), {SIZE}, {HEAD!r})
except DiskFailed:
    print("refused")
"""
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=Path(__file__).parents[2], timeout=20, capture_output=True, text=True
    )
    assert ended.stdout == "refused\n", ended.stderr
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("size", [len(HEAD) - 1, MAPPED_LIMIT_BYTES + 1])
def test_a_size_beyond_its_limits_is_a_mistake_of_ours(tmp_path: Path, size: int) -> None:
    with pytest.raises(ValueError, match="bytes are not between"):
        map_file(tmp_path / "mapped", size, HEAD)


async def test_in_memory_it_outlives_the_process_and_not_the_machine() -> None:
    for power_lost, kept in ((False, b"word"), (True, bytes(4))):
        directory = MemoryDirectory()
        memory = directory.map("mapped", SIZE, HEAD)
        memory[100:104] = b"word"
        seen = directory.read("mapped")
        assert seen is not None
        assert seen[100:104] == b"word"
        directory.crash(power_lost=power_lost)
        # The dead may go on storing.
        memory[100:104] = b"dead"
        seen = directory.read("mapped")
        assert seen is not None
        assert (len(seen), seen[: len(HEAD)], seen[100:104]) == (SIZE, HEAD, kept)


async def test_in_memory_too_a_process_that_ended_cleanly_leaves_what_it_stored() -> None:
    directory = MemoryDirectory()
    directory.map("mapped", SIZE, HEAD)[100:104] = b"word"
    directory.map("mapped", SIZE, HEAD)[200:204] = b"next"
    seen = directory.read("mapped")
    assert seen is not None
    assert (seen[100:104], seen[200:204]) == (b"word", b"next")


async def test_in_memory_too_another_size_and_a_full_disk_are_refused() -> None:
    directory = MemoryDirectory()
    directory.replace_now("mapped", b"x" * 10)
    with pytest.raises(DiskFailed, match="has 10 bytes"):
        directory.map("mapped", SIZE, HEAD)
    directory.faults.room_bytes = SIZE - 1
    with pytest.raises(DiskFailed, match="No space left"):
        directory.map("other", SIZE, HEAD)
    assert directory.read("other") is None
