"""A lease held by a trio program, against a daemon that says what the test wants, over real ipc and in real time."""

from pathlib import Path

import pytest
import trio
import trio.testing

from canceld.client import AsyncLease, LeaseResult, LeaseScope, open_client

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


async def test_a_renewal_whose_turn_comes_after_the_end_takes_nothing_anew() -> None:
    asked: list[int] = []
    answer = trio.Event()

    async def renew(ttl_ms: int, scope: tuple[LeaseScope, ...], deadline_ms: int | None) -> LeaseResult:
        asked.append(ttl_ms)
        await answer.wait()
        return LeaseResult(id=1, strategy="mm-1", expires_in_ms=ttl_ms)

    lease = AsyncLease(renew, 600, SCOPE, None, turn=trio.Lock(), sleep=trio.sleep)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lease.give_back)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(lease.restate, SCOPE)
        await trio.testing.wait_all_tasks_blocked()
        answer.set()
    assert asked == [0]
