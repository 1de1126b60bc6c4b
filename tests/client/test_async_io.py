"""The asyncio client against a daemon that misbehaves, over real ipc and in real time."""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec

import pytest

from canceld.client import AsyncioClient, DaemonUnreachable, LeaseScope, OrderRef, async_io, connect
from canceld.contract.outcomes import Acked, Unknown

from .stub import Command, Reply, StubDaemon, acked
from .test_blocking import refuse_twice
from .test_blocking_lease import SCOPE, holds

FOREVER: list[Reply] = []
P = ParamSpec("P")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "commands.sock"


def on_asyncio(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run a test in an event loop of its own; asyncio's complaints about what was left undone fail it."""

    @wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        asyncio.run(test(*args, **kwargs), debug=True)

    return run


def say_acked(command: Command) -> Iterator[Reply]:
    yield acked(command, order_id=command.get("order_id", "X-X"))


@on_asyncio
async def test_many_tasks_share_one_connection_and_each_gets_its_own_answer(path: Path) -> None:
    held: list[Command] = []

    def answer(command: Command) -> Iterator[Reply]:
        held.append(command)
        if len(held) == 100:
            for one in reversed(held):
                yield acked(one, order_id=one["order_id"])

    with StubDaemon(path, answer) as daemon:
        async with connect(daemon.endpoint) as client:
            asked = [client.cancel("spot", order_id=f"A-{n}", deadline_ms=5000) for n in range(100)]
            results = await asyncio.gather(*asked)
        assert client.rescues == 0
    assert [result.order_id for result in results] == [f"A-{n}" for n in range(100)]


@on_asyncio
async def test_one_after_the_other_needs_no_rescue_and_no_thread(path: Path) -> None:
    with StubDaemon(path, say_acked) as daemon:
        threads = threading.active_count()
        async with connect(daemon.endpoint) as client:
            for n in range(300):
                assert (await client.cancel("spot", order_id=f"A-{n}")).order_id == f"A-{n}"
            assert client.rescues == 0
            assert threading.active_count() == threads


@on_asyncio
async def test_a_reply_that_comes_while_the_loop_is_busy_is_not_lost_to_the_next_send(path: Path) -> None:
    release, replied = threading.Event(), threading.Event()

    def answer(command: Command) -> Iterator[Reply]:
        if command["type"] == "cancel":
            assert release.wait(5)
            yield acked(command)
            replied.set()

    async def ask(client: AsyncioClient) -> float:
        await client.cancel("spot", order_id="A-B", deadline_ms=5000)
        return time.monotonic()

    with StubDaemon(path, answer) as daemon:
        async with connect(daemon.endpoint) as client:
            for round in range(1, 21):
                release.clear()
                replied.clear()
                asking = asyncio.create_task(ask(client))
                await asyncio.to_thread(daemon.wait_for, 2 * round - 1)
                release.set()
                # The loop stands still until the reply has come, and then sends before it reads.
                assert replied.wait(5)
                threading.Event().wait(0.005)
                sent_at = time.monotonic()
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(client.ping(), 0.001)
                assert await asking - sent_at < 0.25
            assert client.rescues == 0


@on_asyncio
async def test_a_silent_daemon_is_reported_within_deadline_and_margin(path: Path) -> None:
    with StubDaemon(path, lambda _: FOREVER) as daemon:
        started = time.monotonic()
        with pytest.raises(DaemonUnreachable, match="unknown") as caught:
            async with connect(daemon.endpoint, margin_ms=50) as client:
                await client.cancel("spot", order_id="A-B", deadline_ms=100)
        assert 0.15 <= time.monotonic() - started < 1.0
    assert caught.value.sent


@on_asyncio
async def test_an_absent_daemon_is_reported_as_not_asked_and_gets_nothing_later(path: Path) -> None:
    async with connect(f"ipc://{path}", margin_ms=50) as client:
        with pytest.raises(DaemonUnreachable, match="never left") as caught:
            await client.cancel("spot", order_id="A-OLD", deadline_ms=100)
        assert not caught.value.sent
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.cancel("spot", order_id="A-CANCELED"), 0.02)
        with StubDaemon(path, say_acked) as daemon:
            assert (await client.cancel("spot", order_id="A-NEW", deadline_ms=5000)).order_id == "A-NEW"
            assert [command["order_id"] for command in daemon.received] == ["A-NEW"]


@on_asyncio
async def test_a_daemon_that_dies_with_cancels_is_asked_again_but_never_for_a_userref(path: Path) -> None:
    first = StubDaemon(path, lambda _: FOREVER)
    async with connect(f"ipc://{path}") as client:
        by_order_id = asyncio.create_task(client.cancel("spot", order_id="A-B", deadline_ms=10_000))
        by_userref = asyncio.create_task(client.cancel("spot", userref=7, deadline_ms=900))
        await asyncio.to_thread(first.wait_for, 2)
        await asyncio.to_thread(first.stop)
        with StubDaemon(path, say_acked) as second:
            assert (await by_order_id).outcome == Acked()
            with pytest.raises(DaemonUnreachable) as caught:
                await by_userref
            assert caught.value.sent
            assert [command["order_id"] for command in second.received] == ["A-B"]


@on_asyncio
async def test_cancel_many_keeps_the_asked_sequence_and_calls_silence_unknown(path: Path) -> None:
    def answer(command: Command) -> Iterator[Reply]:
        if command["order_id"] != "A-3":
            yield acked(command, order_id=command["order_id"])

    orders = [OrderRef(order_id=f"A-{n}") for n in range(5)]
    with StubDaemon(path, answer) as daemon:
        async with connect(daemon.endpoint, margin_ms=50) as client:
            many = await client.cancel_many("spot", orders, deadline_ms=200)
    assert [result.order_id for result in many] == ["A-0", "A-1", "A-2", None, "A-4"]
    assert many[3].outcome == Unknown(())


@on_asyncio
async def test_more_cancels_than_one_look_takes_are_all_answered(path: Path) -> None:
    with StubDaemon(path, say_acked) as daemon:
        async with connect(daemon.endpoint) as client:
            results = await client.cancel_many(
                "spot", (OrderRef(userref=n) for n in range(1, 2501)), deadline_ms=20_000
            )
            assert client.rescues == 0
    assert all(result.outcome == Acked() for result in results)


@on_asyncio
async def test_a_lease_is_renewed_while_the_block_runs_and_given_back_at_its_end(path: Path) -> None:
    with StubDaemon(path, holds) as daemon:
        async with connect(daemon.endpoint) as client, client.holding("mm-1", 600, scope=SCOPE) as lease:
            assert lease.held
            await asyncio.wait_for(asyncio.to_thread(daemon.wait_for, 4), 5.0)
            await lease.restate([LeaseScope("spot")])
            assert daemon.received[-1]["scope"] == [{"venue": "spot"}]
        assert daemon.received[-1]["ttl_ms"] == 0


@on_asyncio
async def test_a_block_that_fails_or_is_canceled_leaves_its_lease_to_run_out(path: Path) -> None:
    async def hold(client: AsyncioClient) -> None:
        async with client.holding("canceled", 60_000):
            await asyncio.Event().wait()

    with StubDaemon(path, holds) as daemon:
        async with connect(daemon.endpoint) as client:
            with pytest.raises(ValueError, match="strategy broke"):
                async with client.holding("broken", 60_000):
                    raise ValueError("strategy broke")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(hold(client), 0.05)
        assert [(one["strategy"], one["ttl_ms"]) for one in daemon.received] == [
            ("broken", 60_000),
            ("canceled", 60_000),
        ]


@on_asyncio
async def test_an_idle_client_does_not_spin(path: Path) -> None:
    with StubDaemon(path, say_acked) as daemon:
        async with connect(daemon.endpoint) as client:
            await client.cancel("spot", order_id="A-B")
            daemon.stop()
            used_s = time.thread_time()
            await asyncio.sleep(0.5)
            assert time.thread_time() - used_s < 0.1


@on_asyncio
async def test_a_route_that_is_being_dialled_is_waited_for_with_pauses(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # No look but the one that is due would be there within the deadline.
    monkeypatch.setattr(async_io, "RESCUE_S", 60)
    with StubDaemon(path, refuse_twice(lambda: daemon)) as daemon:
        async with connect(daemon.endpoint) as client:
            assert (await client.cancel("spot", order_id="A-B", deadline_ms=10_000)).outcome == Acked()
    assert len(daemon.received) == 3
