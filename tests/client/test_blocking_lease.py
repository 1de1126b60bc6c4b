"""A lease held by a blocking program, against a daemon that says what the test wants, over real ipc."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from canceld.client import Client, CommandRefused, DaemonUnreachable, LeaseScope

from .stub import Command, Reply, StubDaemon, refused

SCOPE = (LeaseScope("spot", userref=7),)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "commands.sock"


def holds(command: Command) -> Iterator[Reply]:
    yield {
        "type": "lease",
        "id": command["id"],
        "strategy": command["strategy"],
        "expires_in_ms": command["ttl_ms"],
    }


def test_renewed_while_the_block_runs_and_given_back_at_its_end(path: Path) -> None:
    with StubDaemon(path, holds) as daemon:
        with Client(daemon.endpoint) as client, client.holding("mm-1", 600, scope=SCOPE, on_expiry="kill") as lease:
            assert lease.held
            daemon.wait_for(4)
            assert lease.error is None
        *renewals, last = daemon.received
        assert len(renewals) >= 4
        assert {(one["ttl_ms"], one["on_expiry"], one["strategy"]) for one in renewals} == {(600, "kill", "mm-1")}
        assert all(one["scope"] == [{"venue": "spot", "userref": 7}] for one in renewals)
        assert (last["strategy"], last["ttl_ms"]) == ("mm-1", 0)


def test_what_is_restated_is_held_when_it_returns_and_stays_so(path: Path) -> None:
    with (
        StubDaemon(path, holds) as daemon,
        Client(daemon.endpoint) as client,
        client.holding("mm-1", 600, scope=SCOPE) as lease,
    ):
        lease.restate([LeaseScope("spot", order_id="OAAAAA-BBBBB-CCCCCC")])
        before = len(daemon.received)
        assert daemon.received[-1]["scope"] == [{"venue": "spot", "order_id": "OAAAAA-BBBBB-CCCCCC"}]
        daemon.wait_for(before + 2)
        assert all("order_id" in one["scope"][0] for one in daemon.received[before:])


def test_a_block_that_fails_leaves_it_to_run_out(path: Path) -> None:
    with StubDaemon(path, holds) as daemon:
        with Client(daemon.endpoint) as client, pytest.raises(ValueError, match="strategy broke"):  # noqa: SIM117
            with client.holding("mm-1", 60_000):
                raise ValueError("strategy broke")
        assert [one["ttl_ms"] for one in daemon.received] == [60_000]


def test_without_a_pulse_the_thread_does_not_renew_for_a_strategy_that_hangs(path: Path) -> None:
    with (
        StubDaemon(path, holds) as daemon,
        Client(daemon.endpoint) as client,
        client.holding("mm-1", 500, pulse_ms=1) as lease,
    ):
        lease._thread.join(0.6)
        assert len(daemon.received) == 1
        assert not lease.held


def test_a_daemon_that_is_lost_is_told_by_the_lease(path: Path) -> None:
    daemon = StubDaemon(path, holds)
    try:
        with Client(daemon.endpoint) as client, client.holding("mm-1", 500) as lease:
            daemon.stop()
            lease._thread.join(1.5)
            assert not lease.held
            assert isinstance(lease.error, DaemonUnreachable)
    finally:
        daemon.stop()


def test_a_lease_that_is_refused_is_not_entered(path: Path) -> None:
    def no(command: Command) -> Iterator[Reply]:
        yield refused(command, "invalid")

    with StubDaemon(path, no) as daemon, Client(daemon.endpoint) as client, pytest.raises(CommandRefused):  # noqa: SIM117
        with client.holding("mm-1", 500):
            raise AssertionError("must not be entered")
