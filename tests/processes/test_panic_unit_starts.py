"""canceld-panic.service as it is in systemd/, started by a real systemd when another unit fails."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from canceld.engine.latch import parse_latch
from tests.processes.machine import INSTALLED, CannotBoot, Machine
from tests.processes.stage import Exchange, until

Booted = tuple[Exchange, Machine]

UNIT = "canceld-panic.service"
START_S = 15.0

# A strategy that dies at once, and the units as the comments of the files in systemd/ tell an operator to set them up.
SETUP = f"""
cp {{systemd}}/canceld-panic.service etc/systemd/system/
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
cd etc/systemd/system
printf '[Unit]\\nOnFailure=canceld-panic.service\\n[Service]\\nExecStart=/bin/false\\n' > strategy.service
printf '[Unit]\\nDescription=tests\\n' > canceld-machine.target
cd -
"""

CONFIG = """
[spot]
rest_url = "{spot_rest_url}"
[tls]
ca_file = "/etc/canceld/ca.pem"
"""


@pytest.fixture(scope="module")
def booted() -> Iterator[Booted]:
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
        yield exchange, machine


def told(machine: Machine) -> str:
    return machine.run("journalctl", "-u", UNIT, "--no-pager", "-o", "cat").stdout


def test_a_strategy_that_fails_leaves_no_order_behind(booted: Booted) -> None:
    exchange, machine = booted
    exchange.place(3)
    machine.run("systemctl", "start", "strategy.service")
    until(lambda: "kill switch latched" in told(machine), START_S, f"it latches: {told(machine)}")
    until(lambda: machine.shown(UNIT)["ActiveState"] == "inactive", START_S, "it ends")
    shown = machine.shown(UNIT)
    assert (shown["Result"], shown["ExecMainStatus"]) == ("success", "0"), told(machine)
    assert exchange.resting() == []
    state = machine.root / "var/lib/canceld"
    latch = parse_latch((state / "latch").read_bytes())
    assert latch is not None
    assert (latch.trigger, latch.reason) == ("panic", "canceld-panic.service strategy.service")
    owners = machine.run("stat", "-c", "%a %U %n", "/var/lib/canceld", "/var/lib/canceld/latch").stdout.splitlines()
    assert owners == ["700 canceld /var/lib/canceld", "600 canceld /var/lib/canceld/latch"]
    for secret in exchange.told["credentials"]["spot"].values():
        assert secret not in told(machine)


def test_it_fails_where_everybody_sees_it_when_a_venue_cannot_be_reached(booted: Booted) -> None:
    exchange, machine = booted
    config = machine.root / "etc/canceld/canceld.toml"
    good = config.read_text()
    # The loopback port 1 is nobody's; the unit's own 30 s are shortened, as an operator would in a drop-in.
    config.write_text(good.replace(exchange.told["spot_rest_url"], "https://127.0.0.1:1"))
    drop_in = machine.root / "etc/systemd/system/canceld-panic.service.d"
    drop_in.mkdir()
    start = f"{INSTALLED}/bin/canceld panic --config /etc/canceld/canceld.toml --timeout-s 1 --reason drill"
    (drop_in / "short.conf").write_text(f"[Service]\nExecStart=\nExecStart={start}\n")
    try:
        machine.systemctl("daemon-reload")
        assert machine.run("systemctl", "start", UNIT).returncode != 0
        shown = machine.shown(UNIT)
        assert (shown["ActiveState"], shown["ExecMainStatus"]) == ("failed", "3")
        assert "spot unreachable: REST: connect: Connection refused" in told(machine)
    finally:
        config.write_text(good)
