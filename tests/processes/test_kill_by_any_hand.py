"""`canceld kill` whoever presses it and however: any reason, any output, any door that is open to this user."""

import contextlib
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from canceld.contract.commands import NO_REASON
from tests.processes.peers import Dealer
from tests.processes.stage import ROOT, Exchange, Service, until

Shared = tuple[Exchange, Service]

WITHIN_S = 20.0
MEMBER, STRANGER = 65_534, 65_533
"""Numbers of users; the first is a member of the group that may command."""


AS_SOMEBODY_ELSE = """
import grp, locale, os, pwd, shlex, sys, tomllib
from canceld import cli
from canceld.client import blocking
from canceld.verbs import ask, kill, readable, rearm, status
user = int(sys.argv[1])
os.setgroups([])
os.setgid(user)
os.setuid(user)
sys.exit(cli.main(sys.argv[2:]))
"""
"""Everything is imported before: the interpreter may lie where only root may read."""


def run(*arguments: str | bytes, user: int | None = None) -> subprocess.CompletedProcess[str]:
    program = ["-m", "canceld"] if user is None else ["-c", AS_SOMEBODY_ELSE, str(user)]
    return subprocess.run(
        [sys.executable, *program, *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=WITHIN_S, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def rearm(service: Service) -> None:
    with Dealer(service.control) as operator:
        code = operator.ask("rearm")["code"]
        assert operator.ask("rearm", confirm=code, reason="next test", force=True)["latched"] is False


@pytest.fixture
def armed(shared: Shared) -> Iterator[Shared]:
    """Three orders rest, and the switch is armed again afterwards."""
    exchange, service = shared
    exchange.place(3)
    yield exchange, service
    if service.status()["kill"]["latched"]:
        rearm(service)
    exchange.clear()


# -------------------------------------------------------------------- the reason


@pytest.mark.parametrize(
    ("arguments", "recorded"),
    [
        ((), NO_REASON),
        (("--reason", ""), NO_REASON),
        (("--reason", "fat finger"), "fat finger"),
        (("--reason", "Zürich".encode("latin-1")), "Zürich"),
        (("--reason", "\x1b[2J\u202e"), "\ufffd[2J\ufffd"),
        (("--reason", "x" * 100_000), ""),
    ],
)
def test_a_reason_of_any_form_or_none_is_good_enough(
    armed: Shared, arguments: tuple[str | bytes, ...], recorded: str
) -> None:
    exchange, service = armed
    ended = run("kill", *arguments, "--config", str(service.config))
    assert ended.returncode == 0, ended.stderr
    assert exchange.resting() == []
    kill = service.status()["kill"]
    assert kill["latched"] is True
    assert kill["reason"].startswith(recorded)


# -------------------------------------------------------------------- the output


@pytest.mark.parametrize("verb", ["kill", "cancel-all", "cancel spot {order}"])
@pytest.mark.parametrize("redirection", [">&-", ">&- 2>&- <&-", ">/dev/full", ">/dev/full 2>&1"])
def test_the_exit_status_tells_of_the_venue_and_not_of_the_output(armed: Shared, verb: str, redirection: str) -> None:
    exchange, service = armed
    words = verb.format(order=exchange.resting()[0])
    command = f'exec "$0" -m canceld {words} --config "$1" {redirection}'
    arguments = ["/bin/sh", "-c", command, sys.executable, str(service.config)]
    ended = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, timeout=WITHIN_S)
    assert (ended.returncode, ended.stderr) == (0, "")
    if verb.startswith("cancel "):
        assert run("cancel-all", "--config", str(service.config)).returncode == 0
    until(lambda: exchange.resting() == [], WITHIN_S, "nothing rests")


def test_a_reader_that_reads_nothing_keeps_no_operator_waiting_for_ever(armed: Shared) -> None:
    exchange, service = armed
    read, write = os.pipe()
    try:
        os.set_blocking(write, False)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(write, bytes(1 << 16))
        os.set_blocking(write, True)
        command = [sys.executable, "-m", "canceld", "kill", "--config", str(service.config)]
        assert subprocess.run(command, cwd=ROOT, stdout=write, timeout=WITHIN_S).returncode == 0
    finally:
        os.close(read)
        os.close(write)
    assert exchange.resting() == []


def test_rearming_is_told_by_the_exit_status_when_nobody_reads(armed: Shared) -> None:
    _, service = armed
    assert run("kill", "--config", str(service.config)).returncode == 0
    code = json.loads(run("rearm", "--json", "--config", str(service.config)).stdout)["code"]
    command = f'exec "$0" -m canceld rearm --confirm {code} --config "$1" >/dev/full 2>&-'
    arguments = ["/bin/sh", "-c", command, sys.executable, str(service.config)]
    assert subprocess.run(arguments, cwd=ROOT, timeout=WITHIN_S).returncode == 0
    assert service.status()["kill"]["latched"] is False


# -------------------------------------------------------------------- the doors


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_a_member_of_the_group_kills_and_a_stranger_is_told_why_not(
    exchange: Exchange, start: Callable[..., Service], home: Path
) -> None:
    """The control socket is its owner's alone, as installed; the commands socket is the group's."""
    service = start()
    home.chmod(0o755)
    for name in ("commands", "events"):
        os.chown(home / f"{name}.sock", -1, MEMBER)
    at = ("--config", str(service.config))
    exchange.place(3)
    refused = run("kill", *at, user=STRANGER)
    assert (refused.returncode, refused.stdout) == (3, ""), refused.stderr
    why, mend = refused.stderr.splitlines()
    assert why.startswith(f"canceld: user {STRANGER} may not open {home}/commands.sock, which belongs to user root, ")
    assert "run this as a member of group " in why
    assert mend.startswith("canceld: to cancel everything without the daemon, type: canceld panic --config ")
    assert len(exchange.resting()) == 3
    assert "serving" in run("status", *at, user=MEMBER).stdout
    ended = run("kill", "--reason", "fat finger", *at, user=MEMBER)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert exchange.resting() == []
    denied = run("rearm", *at, user=MEMBER)
    assert (denied.returncode, denied.stdout) == (3, "")
    assert f"may not open {home}/control.sock" in denied.stderr
    assert "run this as user root, or as root" in denied.stderr
    assert service.status()["kill"]["latched"] is True


def test_without_a_daemon_the_last_line_is_what_to_type(home: Path, exchange: Exchange) -> None:
    service = Service(home, exchange.told)
    exchange.place(3)
    ended = run("kill", "--reason", "it's on fire", "--config", str(service.config))
    assert (ended.returncode, ended.stdout) == (3, "")
    assert "there is no such socket file, is it running?" in ended.stderr
    line = ended.stderr.splitlines()[-1].partition("type: canceld ")[2]
    assert run(*shlex.split(line)).returncode == 0
    assert exchange.resting() == []


# -------------------------------------------------------------------- how it stands afterwards


def test_status_tells_since_when_by_whom_and_how_each_venue_stands(armed: Shared) -> None:
    exchange, service = armed
    at = ("--config", str(service.config))
    assert run("status", "--check", *at).returncode == 0
    assert run("kill", "--reason", "fat finger", *at).returncode == 0
    until(lambda: service.status()["kill"]["venues"]["spot"]["state"] == "flat", WITHIN_S, "it is flat")
    shown = run("status", *at).stdout.splitlines()
    since = service.status()["kill"]["at"]
    assert shown[1].startswith(f"kill switch LATCHED since {since} by command uid {os.getuid()} pid ")
    assert shown[1].endswith(": fat finger")
    assert shown[2].split() == ["spot", "flat", "3", "canceled"]
    checked = run("status", "--check", *at)
    assert (checked.returncode, checked.stdout.splitlines()[1]) == (1, shown[1])
    assert exchange.resting() == []


def test_what_others_wrote_commands_no_terminal(armed: Shared) -> None:
    exchange, service = armed
    evil = "\x1b[2J\x07\r\x9b31m\u202efat"
    exchange.inject({"kind": "rest_error", "match": "CancelOrder", "error": f"EGeneral:{evil}"})
    exchange.inject({"kind": "ack_error", "error": f"EGeneral:{evil}"})
    at = ("--config", str(service.config))
    with Dealer(service.commands) as dealer:
        dealer.send("kill", reason=evil)
        until(lambda: service.status()["kill"]["latched"], WITHIN_S, "it is latched")
    for words in (
        ("status",),
        ("cancel", "spot", "OAAAAA-BBBBB-CCCCCC"),
        ("status", "--json"),
        ("cancel-all", "--json"),
    ):
        shown = run(*words, *at).stdout
        assert shown.replace("\n", "").isprintable(), shown
        if "--json" in words:
            json.loads(shown)
    assert r"\x1b[2J" in run("status", *at).stdout
    assert all(line.isprintable() for line in service.program.err.splitlines())


def test_without_a_daemon_nothing_can_be_cancelled(home: Path) -> None:
    ended = run("status", "--check", "--endpoint", f"ipc://{home}/control.sock")
    assert (ended.returncode, ended.stdout) == (3, "")
