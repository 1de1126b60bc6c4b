"""A lease held by a trio program, against a daemon that says what the test wants, over real ipc and in real time."""

from pathlib import Path

import pytest
import trio

from canceld.client import LeaseScope, open_client

from .stub import StubDaemon
from .test_blocking_lease import SCOPE, holds


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "commands.sock"


async def test_renewed_while_the_block_runs_and_given_back_at_its_end(path: Path) -> None:
    with StubDaemon(path, holds) as daemon:
        async with open_client(daemon.endpoint) as client, client.holding("mm-1", 600, scope=SCOPE) as lease:
            assert lease.held
            with trio.fail_after(5.0):
                await trio.to_thread.run_sync(daemon.wait_for, 4)
            await lease.restate([LeaseScope("spot")])
            assert daemon.received[-1]["scope"] == [{"venue": "spot"}]
        assert daemon.received[-1]["ttl_ms"] == 0


async def test_a_block_that_fails_or_is_cancelled_leaves_it_to_run_out(path: Path) -> None:
    with StubDaemon(path, holds) as daemon:
        async with open_client(daemon.endpoint) as client:
            with pytest.raises(ValueError, match="strategy broke"):
                async with client.holding("broken", 60_000):
                    raise ValueError("strategy broke")
            with trio.move_on_after(0.05):
                async with client.holding("cancelled", 60_000):
                    await trio.sleep_forever()
        assert [(one["strategy"], one["ttl_ms"]) for one in daemon.received] == [
            ("broken", 60_000),
            ("cancelled", 60_000),
        ]


async def test_without_a_pulse_nothing_is_renewed(path: Path) -> None:
    with StubDaemon(path, holds) as daemon:
        async with open_client(daemon.endpoint) as client, client.holding("mm-1", 500, pulse_ms=1) as lease:
            await trio.sleep(0.6)
            assert len(daemon.received) == 1
            assert not lease.held
            lease.pulse()
