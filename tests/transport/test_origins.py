"""What is told of a process: what the kernel knows, cut and cleaned, and nothing of one that is another user's."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from canceld.transport import origins
from canceld.transport.origins import COMMAND_CHARS, Origin, look, nobody_knows, origin_of, this_host

PID = 4242


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """A /proc with one process in it."""
    process = tmp_path / str(PID)
    process.mkdir()
    (process / "cmdline").write_bytes(b"/opt/canceld/bin/canceld\0kill\0--reason\0fat finger\0")
    (process / "cgroup").write_text("0::/user.slice/user-1000.slice/session-3.scope\n")
    (process / "loginuid").write_text("1000")
    return tmp_path


def test_command_unit_and_login_are_told(proc: Path) -> None:
    found = look(os.getuid(), PID, proc)
    assert found == Origin("/opt/canceld/bin/canceld kill --reason fat finger", "session-3.scope", 1000)


def test_the_old_hierarchy_of_cgroups_has_the_unit_too(proc: Path) -> None:
    (proc / str(PID) / "cgroup").write_text("12:pids:/a\n1:name=systemd:/system.slice/strategy.service\n")
    found = look(os.getuid(), PID, proc)
    assert found is not None
    assert found.unit == "strategy.service"


@pytest.mark.parametrize("content", ["4294967295", "", "none"])
def test_no_login_is_none(proc: Path, content: str) -> None:
    (proc / str(PID) / "loginuid").write_text(content)
    found = look(os.getuid(), PID, proc)
    assert found is not None
    assert found.login_uid is None


def test_a_kernel_without_audit_tells_the_rest(proc: Path) -> None:
    (proc / str(PID) / "loginuid").unlink()
    found = look(os.getuid(), PID, proc)
    assert found is not None
    assert (found.login_uid, found.unit) == (None, "session-3.scope")


def test_of_another_user_or_of_nobody_nothing_is_told(proc: Path) -> None:
    assert look(os.getuid() + 1, PID, proc) is None
    assert look(os.getuid(), PID + 1, proc) is None


def test_what_a_process_wrote_is_cut_and_commands_no_terminal(proc: Path) -> None:
    hostile = "\x1b[2J\u202egood\n\u009b".encode() + b"\xff" + b"x" * 9000
    (proc / str(PID) / "cmdline").write_bytes(hostile)
    found = look(os.getuid(), PID, proc)
    assert found is not None
    assert len(found.command) == COMMAND_CHARS
    assert found.command.isprintable()
    assert "[2J" in found.command


def test_a_real_process_is_found_and_one_that_has_ended_is_not() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()", "a mark"], stdin=subprocess.PIPE) as process:
        found = trio.run(origin_of, os.getuid(), process.pid)
        assert found is not None
        assert found.command.endswith("-c input() a mark")
        process.kill()
    assert trio.run(origin_of, os.getuid(), process.pid) is None
    assert trio.run(nobody_knows, 0, 1) is None


async def test_a_look_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = trio.Event()

    def hang(uid: int, pid: int) -> Origin | None:
        trio.from_thread.run(go_on.wait, trio_token=token)
        return Origin("too late")

    token = trio.lowlevel.current_trio_token()
    monkeypatch.setattr(origins, "look", hang)
    monkeypatch.setattr(origins, "_PATIENCE_S", 0.05)
    # One more than there are threads for it: that one does not even begin.
    for _ in range(origins._LOOKS + 1):
        assert await origin_of(0, 1) is None
    go_on.set()
    await trio.testing.wait_all_tasks_blocked()


def test_the_host_is_told_by_its_name_and_by_no_machine_id(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "desk-7")
    told = this_host()
    assert (told["host"], told["uid"], told["pid"]) == ("desk-7", os.getuid(), os.getpid())
    machine_id = Path("/etc/machine-id")
    if machine_id.exists():
        assert len(told["machine"]) == 32
        assert told["machine"] != machine_id.read_text().strip()
