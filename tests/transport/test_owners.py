"""A state directory that somebody else could replace, or write to, is refused by name, with what mends it.

What lies in it decides whether a daemon is latched and which nonces it draws: whoever may change that needs no key.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from canceld.transport.disk import Directory
from canceld.transport.files import DiskFailed
from canceld.transport.owners import fault_of
from canceld.transport.plain.disk import PlainDirectory

SOMEBODY = 65_533
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory to somebody else")


@pytest.fixture
def above() -> Iterator[Path]:
    """A directory of ours inside a sticky one, and `state` in it."""
    with TemporaryDirectory() as name:
        above = Path(name)
        (above / "state").mkdir(0o700)
        yield above


def test_one_of_our_own_inside_a_sticky_directory_is_fine(above: Path) -> None:
    above.chmod(0o1777)
    assert fault_of(above / "state") is None


@pytest.mark.parametrize(
    ("mode", "whom"), [(0o770, f"group {os.getegid()}"), (0o707, "everybody"), (0o1777, "everybody")]
)
def test_one_that_others_may_write_to(above: Path, mode: int, whom: str) -> None:
    state = above / "state"
    state.chmod(mode)
    assert fault_of(state) == f"mode {mode:04o} lets {whom} write: chmod go-w {state}"
    with pytest.raises(DiskFailed, match="lets"):
        Directory(state).check()


def test_one_inside_a_directory_that_others_may_write_to(above: Path) -> None:
    above.chmod(0o777)
    assert fault_of(above / "state") == f"{above} mode 0777 lets everybody write: chmod go-w {above}"


def test_one_behind_a_link_that_others_could_turn(above: Path) -> None:
    (above / "open").mkdir()
    (above / "open" / "link").symlink_to(above / "state")
    assert fault_of(above / "open" / "link") is None
    (above / "open").chmod(0o777)
    told = fault_of(above / "open" / "link")
    assert told == f"{above / 'open'} mode 0777 lets everybody write: chmod go-w {above / 'open'}"


@as_root
def test_one_inside_a_directory_of_another_group(above: Path) -> None:
    above.chmod(0o770)
    assert fault_of(above / "state") is None, "our own"
    os.chown(above, -1, SOMEBODY)
    assert fault_of(above / "state") == f"{above} mode 0770 lets group {SOMEBODY} write: chmod go-w {above}"


@as_root
def test_one_that_belongs_to_somebody_else(above: Path) -> None:
    os.chown(above / "state", SOMEBODY, -1)
    told = f"belongs to uid {SOMEBODY}, who could replace what is in it: chown it"
    assert fault_of(above / "state") == told
    os.chown(above / "state", 0, -1)
    os.chown(above, SOMEBODY, -1)
    assert fault_of(above / "state") == f"{above} {told}"


@pytest.mark.parametrize("kind", [Directory, PlainDirectory])
@pytest.mark.parametrize("how", ["link", "file", "open"])
def test_a_record_that_is_not_ours_alone(
    above: Path, how: str, kind: type[Directory] | type[PlainDirectory]
) -> None:
    """`journal` leads out of the state directory, is no directory, or is everybody's; whoever opens it."""
    state = above / "state"
    if how == "link":
        (above / "elsewhere").mkdir()
        (state / "journal").symlink_to(above / "elsewhere")
    elif how == "file":
        (state / "journal").touch()
    else:
        (state / "journal").mkdir()
        (state / "journal").chmod(0o777)
    with pytest.raises(DiskFailed, match=r"journal: (is not a directory: move it away|mode 0777 lets everybody write)"):
        kind(state).subdirectory("journal")
