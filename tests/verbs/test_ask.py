"""Which of the daemon's sockets a verb takes, and what it says where there is none."""

import errno
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from canceld.verbs import ask

CONTROL, COMMANDS = "ipc:///nowhere/control.sock", "ipc:///nowhere/commands.sock"


def doors(monkeypatch: pytest.MonkeyPatch, **faults: int | None) -> None:
    monkeypatch.setattr(ask, "CONNECT_TIMEOUT_MS", 1)
    monkeypatch.setattr(ask, "_fault_of", lambda endpoint: faults[Path(endpoint).stem])


@pytest.mark.parametrize(
    ("control", "commands", "taken"),
    [
        (None, None, CONTROL),
        (None, errno.ENOENT, CONTROL),
        (errno.EACCES, None, COMMANDS),
        (errno.ENOENT, None, COMMANDS),
    ],
)
def test_the_first_door_that_this_user_may_open_is_taken(
    control: int | None, commands: int | None, taken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    doors(monkeypatch, control=control, commands=commands)
    assert ask._open_door([CONTROL, COMMANDS]) == taken


@pytest.mark.parametrize(
    ("control", "commands", "why"),
    [
        (errno.EACCES, errno.EACCES, "may not enter the directory of /nowhere/commands.sock"),
        (errno.EACCES, errno.ENOENT, "may not enter the directory of /nowhere/control.sock"),
        (errno.ENOENT, errno.ENOENT, "there is no such socket file, is it running?"),
    ],
)
def test_a_door_that_is_shut_is_told_from_one_that_is_not_there(
    control: int, commands: int, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    doors(monkeypatch, control=control, commands=commands)
    with pytest.raises(ask.NoDoor, match=re.escape(why)):
        ask._open_door([CONTROL, COMMANDS])


def test_a_daemon_that_is_being_started_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: Iterator[int | None] = iter([errno.ENOENT, errno.ENOENT, errno.ENOENT, None])
    monkeypatch.setattr(ask, "_fault_of", lambda _: next(looks))
    monkeypatch.setattr(ask, "LOOK_S", 0.0)
    assert ask._open_door([CONTROL]) == CONTROL


def test_what_is_no_socket_file_is_left_to_libzmq() -> None:
    assert ask._open_door(["tcp://127.0.0.1:1"]) == "tcp://127.0.0.1:1"
