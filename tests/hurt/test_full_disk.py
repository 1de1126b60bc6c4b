"""The disk is full, at the start or later, for the state or the log: cancels and the kill go on, and people hear."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.processes.peers import Dealer
from tests.processes.stage import Exchange, Service, canceld, until

STATE_KIB = 1_024
"""Room for the state of a daemon, and for a second of its journal."""

ORDERS = 20
CRASHES = 2
KILL_MS = 2_000
WITHIN_S = 8.0
GONE = {"acked", "canceled", "closed"}


def cannot_mount() -> str:
    """Why there can be no small disk here; empty where there can."""
    if os.geteuid() != 0:
        return "only root can mount a small disk"
    if missing := [tool for tool in ("mount", "umount") if shutil.which(tool) is None]:
        return f"not installed here: {', '.join(missing)}"
    return ""


small_disk = pytest.mark.skipif(bool(cannot_mount()), reason=cannot_mount() or "can mount")


@pytest.fixture
def state(home: Path) -> Iterator[Path]:
    """The state directory on a disk of its own, of STATE_KIB."""
    state = home / "state"
    state.mkdir(mode=0o700)
    options = f"size={STATE_KIB}k,mode=0700"
    if os.spawnlp(os.P_WAIT, "mount", "mount", "-t", "tmpfs", "-o", options, "tmpfs", str(state)) != 0:
        pytest.skip("this machine allows no mount")
    yield state
    os.spawnlp(os.P_WAIT, "umount", "umount", "--lazy", str(state))


def fill(state: Path) -> None:
    """Leave no byte."""
    with (state / "filler").open("ab", buffering=0) as filler:
        size = 1 << 16
        while size:
            try:
                filler.write(b"x" * size)
            except OSError:
                size //= 2


def alerts(service: Service) -> str:
    return json.dumps(service.status()["alerts"])


def cancels(exchange: Exchange, service: Service) -> None:
    with Dealer(service.commands) as dealer:
        order_ids = exchange.place(ORDERS)
        replies = dealer.hear_all([dealer.cancel(order_id) for order_id in order_ids], WITHIN_S)
        assert {reply["outcome"] for reply in replies} <= GONE, replies
    assert exchange.resting() == []


def journal(service: Service) -> dict[str, Any]:
    shown: dict[str, Any] = service.status(detail=True)["detail"]["journal"]
    return shown


@small_disk
def test_a_disk_that_fills_up_and_is_emptied(state: Path, exchange: Exchange, start: Callable[..., Service]) -> None:
    service = start()
    cancels(exchange, service)
    fill(state)
    cancels(exchange, service)
    until(lambda: journal(service)["state"] == "failing", WITHIN_S, "the journal tells that it fails")
    assert "the audit journal cannot be written" in alerts(service)
    cancels(exchange, service)
    exchange.place(ORDERS)
    with Dealer(service.control) as operator:
        # The answer waits for a latch that cannot be stored; the sweep does not.
        killed = operator.ask("kill", reason="the disk is full", deadline_ms=KILL_MS)
        assert killed["latched"]
        assert killed["venues"]["spot"]["state"] == "flat"
    assert exchange.resting() == []
    assert "latch" in alerts(service)

    (state / "filler").unlink()
    until(lambda: journal(service)["state"] == "written", WITHIN_S, "the journal goes on")
    until(lambda: (state / "latch").exists(), WITHIN_S, "the latch is stored")
    # As durable as if the disk had been well.
    service.kill()
    service.start()
    assert service.status()["kill"]["latched"]
    assert service.stop() == 0
    verdict = canceld("journal", "--config", str(service.config), "--json", "--verify")
    assert verdict.returncode == 0, verdict.stdout
    assert "Traceback" not in service.program.err


@small_disk
def test_a_crash_while_the_disk_is_full_is_followed_by_a_start(
    state: Path, exchange: Exchange, start: Callable[..., Service]
) -> None:
    service = start()
    fill(state)
    for _ in range(CRASHES):
        service.kill()
        service.start()
        cancels(exchange, service)
        # By REST alone, whose nonces have no mark to be kept below.
        exchange.inject({"kind": "swallow_ack_before_effect"})
        cancels(exchange, service)
        exchange.clear()
    assert "the nonce mark of spot cannot be stored" in alerts(service)
    nonces = [int(one["body"]["nonce"]) for one in exchange.log() if "nonce" in (one["body"] or {})]
    assert nonces == sorted(set(nonces))
    (state / "filler").unlink()
    until(lambda: journal(service)["state"] == "written", WITHIN_S, "the journal goes on")
    assert service.stop() == 0
    assert "Traceback" not in service.program.err


FULL_LOG = 'exec "$@" 2> /dev/full'


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this machine has no /dev/full")
def test_a_log_that_takes_no_byte(exchange: Exchange, start: Callable[..., Service]) -> None:
    service = start(log={"level": "debug"}, through=("sh", "-c", FULL_LOG, "sh"))
    cancels(exchange, service)
    assert service.stop() == 0
