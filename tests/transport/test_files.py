"""Files read and replaced by blocking steps: private ones, whole ones, and what root leaves to the daemon."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from canceld.transport.files import PRIVATE_LIMIT_BYTES, DiskFailed, TooOpen, read_private, replace


def test_it_is_quick_to_import() -> None:
    """`panic` waits for it."""
    slow = "import sys, canceld.transport.files; sys.exit(bool({'trio', 'msgspec'} & sys.modules.keys()))"
    subprocess.run([sys.executable, "-c", slow], check=True, timeout=30)


def test_a_replaced_file_is_private_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    replace(tmp_path / "latch", b"one")
    replace(tmp_path / "latch", b"two")
    assert (tmp_path / "latch").read_bytes() == b"two"
    assert stat.S_IMODE((tmp_path / "latch").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["latch"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_what_root_writes_belongs_to_whom_the_directory_belongs_to(tmp_path: Path) -> None:
    os.chown(tmp_path, 65534, 65534)
    replace(tmp_path / "latch", b"one")
    found = (tmp_path / "latch").stat()
    assert (found.st_uid, found.st_gid) == (65534, 65534)


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o700])
def test_private_files_are_read(tmp_path: Path, mode: int) -> None:
    (tmp_path / "key").write_bytes(b"secret")
    (tmp_path / "key").chmod(mode)
    assert read_private(tmp_path / "key") == b"secret"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o620, 0o602, 0o610, 0o440, 0o777])
def test_files_that_others_may_touch_are_refused(tmp_path: Path, mode: int) -> None:
    (tmp_path / "key").write_bytes(b"secret")
    (tmp_path / "key").chmod(mode)
    with pytest.raises(TooOpen) as caught:
        read_private(tmp_path / "key")
    assert caught.value.mode == mode
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("mode", "accepted"), [(0o440, True), (0o400, True), (0o600, True), (0o640, False), (0o444, False)]
)
def test_systemds_own_modes_are_fine_where_systemd_puts_them(tmp_path: Path, mode: int, accepted: bool) -> None:
    (tmp_path / "key").write_bytes(b"secret")
    (tmp_path / "key").chmod(mode)
    if accepted:
        assert read_private(tmp_path / "key", trusted_directory=True) == b"secret"
    else:
        with pytest.raises(TooOpen):
            read_private(tmp_path / "key", trusted_directory=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_group_readable_file_of_a_stranger_is_refused_even_there(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"secret")
    (tmp_path / "key").chmod(0o440)
    os.chown(tmp_path / "key", 65534, -1)
    with pytest.raises(TooOpen):
        read_private(tmp_path / "key", trusted_directory=True)


def test_private_files_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    with pytest.raises(DiskFailed, match="No such file"):
        read_private(tmp_path / "missing")
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(DiskFailed, match="regular file"):
        read_private(tmp_path / "pipe")
    (tmp_path / "huge").touch(0o600)
    os.truncate(tmp_path / "huge", PRIVATE_LIMIT_BYTES + 1)
    with pytest.raises(DiskFailed, match="larger than"):
        read_private(tmp_path / "huge")
