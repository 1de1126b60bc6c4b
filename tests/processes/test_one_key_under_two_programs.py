"""Two programs with one key on one host.

The operator starts a second daemon with the keys of the first, under a directory of its own, so that no lock file is
in its way. It would draw nonces against the first for ever. It is turned away at its start, with one line, and the
first goes on; but never where it is wanted for a kill, and `panic` never.
"""

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from canceld.engine.latch import Latch, format_latch
from tests.processes.stage import Exchange, Service, canceld, until

WITHIN_S = 20.0


@pytest.fixture
def second(home: Path, exchange: Exchange) -> Iterator[Service]:
    """A daemon of its own in all but its keys, not started yet."""
    (home / "b").mkdir()
    service = Service(home / "b", exchange.told)
    try:
        yield service
    finally:
        service.end()


def alerts(service: Service) -> list[str]:
    return [alert["what"] for alert in service.status()["alerts"]]


def test_the_second_daemon_is_turned_away_and_the_first_goes_on(
    exchange: Exchange, service: Service, second: Service
) -> None:
    ended = canceld("run", "--config", str(second.config))
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (2, "", 1), ended.stderr
    holder = f"uid {os.geteuid()} pid {service.program.pid}"
    assert f"another canceld on this host uses the spot key ({holder}); stop that one" in ended.stderr
    for value in exchange.told["credentials"]["spot"].values():
        assert value not in ended.stderr
        assert value not in Path("/proc/net/unix").read_text()
    assert alerts(service) == []
    service.kill()
    second.start()


def test_the_second_daemon_is_wanted_for_a_kill(exchange: Exchange, service: Service, second: Service) -> None:
    """It crashed in the middle of a kill; meanwhile somebody has started another one. What it began it finishes."""
    (second.state / "latch").write_bytes(format_latch(Latch(trigger="command", reason="before the crash")))
    service.program.signal(signal.SIGSTOP)
    exchange.place(3)
    second.launch()
    until(lambda: exchange.resting() == [], WITHIN_S, "all is flat")
    until(second._serves, WITHIN_S, "it serves")
    assert any("another program uses this key" in what for what in alerts(second))
    assert second.status()["kill"]["reason"] == "before the crash"


def test_a_kill_by_signal_starts_it_too(exchange: Exchange, service: Service, second: Service) -> None:
    exchange.place(3)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    try:
        second.launch()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    second.program.signal(signal.SIGUSR1)
    until(lambda: exchange.resting() == [], WITHIN_S, "all is flat")


def test_panic_claims_nothing(exchange: Exchange, service: Service) -> None:
    exchange.place(3)
    ended = canceld("panic", "--config", str(service.config), "--reason", "no time", within_s=60.0)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert exchange.resting() == []


def test_a_key_taken_by_reload_is_claimed_and_the_old_one_is_free(
    home: Path, exchange: Exchange, service: Service, second: Service
) -> None:
    """The operator gives the running daemon a key of its own, so that the other one may have the first."""
    fresh = home / "fresh"
    shutil.copytree(exchange.told["credentials_dir"], fresh)
    (fresh / "spot.key").write_text("AnotherKeyThatNobodyElseUses/0123456789012345678901234567")
    service.configure(credentials={"dir": str(fresh)})
    service.program.signal(signal.SIGHUP)
    until(lambda: service.logged("reloaded"), WITHIN_S, "it has the new key")
    second.start()
    assert not [what for what in alerts(second) if "another program" in what]
