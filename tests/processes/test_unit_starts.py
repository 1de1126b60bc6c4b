"""The unit as it is in systemd/, started by a real systemd: sandbox, credentials, watchdog, restart and stop."""

import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.processes.machine import INSTALLED, CannotBoot, Machine
from tests.processes.peers import Dealer
from tests.processes.stage import ROOT, Exchange, until

Booted = tuple[Exchange, Machine]

UNIT = "canceld.service"
START_S = 15.0

# As the comments of the files in systemd/ tell an operator to set it up.
SETUP = f"""
cp {{systemd}}/canceld.service etc/systemd/system/
cp {{systemd}}/canceld.sysusers.conf usr/lib/sysusers.d/canceld.conf
cp {{systemd}}/canceld.tmpfiles.conf usr/lib/tmpfiles.d/canceld.conf
systemd-sysusers --root=$PWD canceld.conf
mkdir -p -m 755 etc/canceld
mkdir -p -m 700 etc/canceld/credentials
cp .{INSTALLED}/exchange/sim/credentials/spot.* etc/canceld/credentials/
cp .{INSTALLED}/exchange/sim/ca.pem etc/canceld/ca.pem
chmod 644 etc/canceld/ca.pem
cp .{INSTALLED}/exchange/canceld.toml etc/canceld/canceld.toml
chmod 644 etc/canceld/canceld.toml
printf '[Unit]\\nWants=canceld.service\\n' > etc/systemd/system/canceld-machine.target
"""

CONFIG = """
[spot]
ws_url = "{spot_ws_url}"
rest_url = "{spot_rest_url}"
[tls]
ca_file = "/etc/canceld/ca.pem"
"""


@pytest.fixture(scope="module")
def booted() -> Iterator[tuple[Exchange, Machine]]:
    with tempfile.TemporaryDirectory(prefix="canceld-test-") as name, ExitStack() as ending:
        home = Path(name)
        (home / "machine").mkdir()
        exchange = Exchange(home)
        ending.callback(exchange.end)
        (home / "canceld.toml").write_text(CONFIG.format(**exchange.told))
        try:
            machine = Machine(home / "machine", home, SETUP.format(systemd=f".{INSTALLED}/src/systemd"))
        except CannotBoot as why:
            pytest.skip(f"no systemd can be booted here: {why}")
        ending.callback(machine.end)
        try:
            until(lambda: machine.shown(UNIT)["ActiveState"] == "active", START_S, "the unit is active")
        except AssertionError:
            print(machine.log, machine.run("systemctl", "status", "-l", UNIT).stdout)
            print(machine.run("journalctl", "-u", UNIT, "--no-pager").stdout[-3000:])
            raise
        yield exchange, machine


def active(machine: Machine) -> dict[str, str]:
    """The unit's properties once it is active."""
    until(lambda: machine.shown(UNIT)["ActiveState"] == "active", START_S, "the unit is active")
    return machine.shown(UNIT)


def told(machine: Machine) -> str:
    """What the unit wrote to the journal."""
    return machine.run("journalctl", "-u", UNIT, "--no-pager", "-o", "cat").stdout


def await_live(machine: Machine) -> None:
    until(lambda: machine.shown(UNIT)["StatusText"].count("=live") == 2, START_S, "its status line names live sessions")


def cancels(exchange: Exchange, machine: Machine) -> None:
    """An order is cancelled through the unit's own socket; what is refused has not left, and is sent again."""
    [order_id] = exchange.place(1)
    give_up = time.monotonic() + START_S
    with Dealer(f"ipc://{machine.root}/run/canceld/commands.sock") as dealer:
        reply = {"outcome": "refused"}
        while reply["outcome"] == "refused" and time.monotonic() < give_up:
            [reply] = dealer.hear_all([dealer.cancel(order_id, deadline_ms=5000)], START_S)
    # An order that the stream told the end of first is closed.
    assert reply["outcome"] in ("acked", "canceled", "closed"), json.dumps(reply)
    assert exchange.resting() == []


def test_it_starts_and_cancels_inside_its_sandbox(booted: Booted) -> None:
    exchange, machine = booted
    unit = active(machine)
    await_live(machine)
    cancels(exchange, machine)
    process = machine.root / "proc" / unit["MainPID"]
    told = dict(line.split(":\t", 1) for line in (process / "status").read_text().splitlines())
    assert "0" not in told["Uid"].split()
    assert int(told["CapEff"], 16) == int(told["CapPrm"], 16) == int(told["CapBnd"], 16) == 0
    assert (told["NoNewPrivs"], told["Seccomp"]) == ("1", "2")
    assert unit["NRestarts"] == "0"


def test_its_files_are_where_and_whose_the_unit_says(booted: Booted) -> None:
    _, machine = booted
    active(machine)
    shown = machine.run(
        "stat", "-c", "%a %U %G %n", "/run/canceld", "/run/canceld/commands.sock", "/run/canceld/control.sock",
        "/var/lib/canceld", "/etc/canceld/credentials", "/etc/canceld/credentials/spot.secret",
    ).stdout.splitlines()  # fmt: skip
    assert shown == [
        "750 canceld canceld /run/canceld",
        "660 canceld canceld /run/canceld/commands.sock",
        "600 canceld canceld /run/canceld/control.sock",
        "700 canceld canceld /var/lib/canceld",
        "700 root root /etc/canceld/credentials",
        "600 root root /etc/canceld/credentials/spot.secret",
    ]


def test_a_reload_of_a_bad_file_changes_nothing_and_is_told(booted: Booted) -> None:
    exchange, machine = booted
    before = active(machine)
    config = machine.root / "etc/canceld/canceld.toml"
    good = config.read_text()
    config.write_text(good + '[log]\nlevel = "loud"\n')
    try:
        machine.systemctl("reload", UNIT)
        until(lambda: "reload refused" in told(machine), START_S, "the journal tells of the refusal")
    finally:
        config.write_text(good)
    assert active(machine)["MainPID"] == before["MainPID"]
    cancels(exchange, machine)


def test_a_reload_reaches_the_daemon(booted: Booted) -> None:
    exchange, machine = booted
    before = active(machine)
    machine.systemctl("reload", UNIT)
    assert active(machine)["MainPID"] == before["MainPID"]
    until(lambda: '"event":"reloaded"' in told(machine), START_S, "the journal tells of the reload")
    cancels(exchange, machine)


def test_a_good_day_has_no_line_of_the_priority_of_a_warning_and_an_alert_has(booted: Booted) -> None:
    """`journalctl -p warning` is what an operator greps first: an alert is there, and nothing else."""
    _, machine = booted
    active(machine)
    await_live(machine)
    before = warned(machine)
    machine.run("systemctl", "kill", "-s", "USR1", UNIT)
    until(lambda: len(warned(machine)) > len(before), START_S, "the alert is in the journal")
    for line in warned(machine)[len(before) :]:
        assert json.loads(line)["event"] == "alert", line
    assert "the kill switch is latched" in warned(machine)[-1]
    for file in ("latch", "kill"):
        (machine.root / "var/lib/canceld" / file).unlink(missing_ok=True)
    machine.run("systemctl", "restart", UNIT)
    await_live(machine)


def warned(machine: Machine) -> list[str]:
    return machine.run(
        "journalctl", "-u", UNIT, "-p", "warning", "--no-pager", "-o", "cat", "_SYSTEMD_UNIT=" + UNIT
    ).stdout.splitlines()


def test_a_crash_is_followed_by_a_start(booted: Booted) -> None:
    exchange, machine = booted
    before = active(machine)
    machine.systemctl("kill", "--signal=SIGKILL", UNIT)
    until(lambda: machine.shown(UNIT)["NRestarts"] == "1", START_S, "it is started again")
    after = active(machine)
    assert after["MainPID"] != before["MainPID"]
    await_live(machine)
    cancels(exchange, machine)


@pytest.mark.parametrize("delay_s", [0.0, 0.02, 0.1, 0.3])
def test_a_kill_by_signal_while_it_starts_is_not_lost(booted: Booted, delay_s: float) -> None:
    """Before the program's first line SIGUSR1 ends it; what the unit does then pulls the switch of the next start."""
    exchange, machine = booted
    state = machine.root / "var/lib/canceld"
    machine.systemctl("stop", UNIT)
    exchange.place(3)
    machine.systemctl("start", "--no-block", UNIT)
    until(lambda: machine.shown(UNIT)["MainPID"] != "0", START_S, "there is a process")
    time.sleep(delay_s)
    machine.systemctl("kill", "--signal=SIGUSR1", UNIT)
    until((state / "latch").exists, START_S, "the switch is pulled")
    until(lambda: exchange.resting() == [], START_S, "the orders are gone")
    machine.systemctl("stop", UNIT)
    (state / "latch").unlink()
    (state / "kill").unlink(missing_ok=True)
    machine.systemctl("start", UNIT)
    cancels(exchange, machine)


def test_a_host_of_its_own_gives_what_the_drop_ins_say(booted: Booted) -> None:
    exchange, machine = booted
    place = machine.root / "etc/systemd/system/canceld.service.d"
    shutil.copytree(ROOT / "systemd" / "dedicated-host", place)
    try:
        machine.systemctl("daemon-reload")
        machine.run("systemctl", "restart", UNIT)
        process = machine.root / "proc" / active(machine)["MainPID"]
        fields = (process / "stat").read_text().rpartition(")")[2].split()
        # Fields 19 and 41 of proc(5), counted from the third.
        assert (int(fields[16]), int(fields[38])) == (-10, os.SCHED_FIFO)
        status = dict(line.split(":\t", 1) for line in (process / "status").read_text().splitlines())
        # A core that is not there is not given.
        assert status["Cpus_allowed_list"] == {1: "0", 2: "1"}.get(os.cpu_count() or 1, "1-2")
        cancels(exchange, machine)
    finally:
        shutil.rmtree(place)
        machine.systemctl("daemon-reload")
        machine.run("systemctl", "restart", UNIT)


def test_a_stop_is_clean(booted: Booted) -> None:
    _, machine = booted
    active(machine)
    machine.systemctl("stop", UNIT)
    unit = machine.shown(UNIT)
    assert (unit["ActiveState"], unit["Result"], unit["ExecMainStatus"]) == ("inactive", "success", "0")
    assert not (machine.root / "run/canceld").exists()


def test_a_configuration_that_cannot_be_used_is_not_tried_again(booted: Booted) -> None:
    _, machine = booted
    machine.systemctl("stop", UNIT)
    config = machine.root / "etc/canceld/canceld.toml"
    good = config.read_text()
    config.write_text(good + '[log]\nlevel = "loud"\n')
    try:
        assert machine.run("systemctl", "start", UNIT).returncode != 0
        unit = machine.shown(UNIT)
        assert (unit["ActiveState"], unit["Result"], unit["ExecMainStatus"]) == ("failed", "exit-code", "2")
        assert unit["NRestarts"] == "0"
    finally:
        config.write_text(good)


def test_the_journal_holds_its_lines_and_no_secret(booted: Booted) -> None:
    exchange, machine = booted
    lines = machine.run("journalctl", "-u", UNIT, "--no-pager", "-o", "cat").stdout
    assert '"event":"ready"' in lines
    for secret in exchange.told["credentials"]["spot"].values():
        assert secret not in lines
