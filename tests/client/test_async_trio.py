"""The trio client against a daemon that misbehaves, over real ipc and in real time."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from canceld.client import DaemonUnreachable, OrderRef, TrioClient, async_trio, open_client
from canceld.contract.outcomes import Acked, Unknown

from .stub import Command, Reply, StubDaemon, acked, refused
from .test_blocking import refuse_twice

FOREVER: list[Reply] = []


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "commands.sock"


def say_acked(command: Command) -> Iterator[Reply]:
    yield acked(command, order_id=command.get("order_id", "X-X"))


async def test_many_tasks_share_one_connection_and_each_gets_its_own_answer(path: Path) -> None:
    held: list[Command] = []

    def answer(command: Command) -> Iterator[Reply]:
        held.append(command)
        if len(held) == 100:
            for one in reversed(held):
                yield acked(one, order_id=one["order_id"])

    answers: dict[str, str | None] = {}

    async def ask(client: TrioClient, order_id: str) -> None:
        answers[order_id] = (await client.cancel("spot", order_id=order_id, deadline_ms=5000)).order_id

    with StubDaemon(path, answer) as daemon:
        async with open_client(daemon.endpoint) as client, trio.open_nursery() as nursery:
            for n in range(100):
                nursery.start_soon(ask, client, f"A-{n}")
        assert client.rescues == 0
    assert answers == {f"A-{n}": f"A-{n}" for n in range(100)}


async def test_one_after_the_other_needs_no_rescue_of_the_reader(path: Path) -> None:
    with StubDaemon(path, say_acked) as daemon:
        async with open_client(daemon.endpoint) as client:
            for n in range(300):
                assert (await client.cancel("spot", order_id=f"A-{n}")).order_id == f"A-{n}"
            assert client.rescues == 0


async def test_a_reply_that_comes_while_the_loop_is_busy_is_not_lost_to_the_next_send(path: Path) -> None:
    release, replied, never = threading.Event(), threading.Event(), threading.Event()

    def answer(command: Command) -> Iterator[Reply]:
        if command["type"] == "cancel":
            assert release.wait(5)
            yield acked(command)
            replied.set()

    async def ask(client: TrioClient, took_s: list[float]) -> None:
        await client.cancel("spot", order_id="A-B", deadline_ms=5000)
        took_s.append(time.monotonic())

    with StubDaemon(path, answer) as daemon:
        async with open_client(daemon.endpoint) as client:
            for round in range(1, 21):
                release.clear()
                replied.clear()
                done_at: list[float] = []
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(ask, client, done_at)
                    await trio.to_thread.run_sync(daemon.wait_for, 2 * round - 1)
                    release.set()
                    # The loop stands still until the reply has come, and then sends before it reads.
                    assert replied.wait(5)
                    never.wait(0.005)
                    sent_at = time.monotonic()
                    with trio.move_on_after(0.001):
                        await client.ping()
                assert done_at[0] - sent_at < 0.25
            assert client.rescues == 0


async def test_a_silent_daemon_is_reported_within_deadline_and_margin(path: Path) -> None:
    with StubDaemon(path, lambda _: FOREVER) as daemon:
        started = time.monotonic()
        # Not wrapped in an exception group, though the client runs tasks of its own.
        with pytest.raises(DaemonUnreachable, match="unknown") as caught:
            async with open_client(daemon.endpoint, margin_ms=50) as client:
                await client.cancel("spot", order_id="A-B", deadline_ms=100)
        assert 0.15 <= time.monotonic() - started < 1.0
    assert caught.value.sent


async def test_an_absent_daemon_is_reported_as_not_asked_and_gets_nothing_later(path: Path) -> None:
    async with open_client(f"ipc://{path}", margin_ms=50) as client:
        with pytest.raises(DaemonUnreachable, match="never left") as caught:
            await client.cancel("spot", order_id="A-OLD", deadline_ms=100)
        assert not caught.value.sent
        with trio.move_on_after(0.02):
            await client.cancel("spot", order_id="A-CANCELED")
        with StubDaemon(path, say_acked) as daemon:
            assert (await client.cancel("spot", order_id="A-NEW", deadline_ms=5000)).order_id == "A-NEW"
            assert [command["order_id"] for command in daemon.received] == ["A-NEW"]


async def test_a_daemon_that_dies_with_cancels_is_asked_again_but_never_for_a_userref(path: Path) -> None:
    first = StubDaemon(path, lambda _: FOREVER)
    outcomes: dict[str, object] = {}

    async def by_order_id(client: TrioClient) -> None:
        outcomes["order_id"] = (await client.cancel("spot", order_id="A-B", deadline_ms=10_000)).outcome

    async def by_userref(client: TrioClient) -> None:
        with pytest.raises(DaemonUnreachable) as caught:
            await client.cancel("spot", userref=7, deadline_ms=900)
        outcomes["userref"] = caught.value.sent

    async with open_client(f"ipc://{path}") as client, trio.open_nursery() as nursery:
        nursery.start_soon(by_order_id, client)
        nursery.start_soon(by_userref, client)
        await trio.to_thread.run_sync(first.wait_for, 2)
        await trio.to_thread.run_sync(first.stop)
        second = StubDaemon(path, say_acked)
    second.stop()
    assert outcomes == {"order_id": Acked(), "userref": True}
    assert [command["order_id"] for command in second.received] == ["A-B"]


async def test_a_refusal_of_the_second_asking_does_not_clear_the_first(path: Path) -> None:
    def answer(command: Command) -> list[Reply]:
        return [] if len(daemon.received) == 1 else [refused(command, "draining")]

    with StubDaemon(path, answer) as daemon:
        async with open_client(daemon.endpoint, margin_ms=50) as client:
            with pytest.raises(DaemonUnreachable) as caught:
                await client.cancel("spot", order_id="A-B", deadline_ms=100)
            result = await client.cancel("spot", order_id="A-B", deadline_ms=100, id=caught.value.id)
    assert result.outcome == Unknown(())


async def test_cancel_many_and_batch_keep_the_asked_sequence(path: Path) -> None:
    def answer(command: Command) -> Iterator[Reply]:
        if command["type"] == "cancel_batch":
            outcomes = [{"outcome": "canceled", "filled_qty": order["order_id"]} for order in command["orders"]]
            yield {"type": "batch", "id": command["id"], "outcomes": outcomes}
        elif command["order_id"] != "A-3":
            yield acked(command, order_id=command["order_id"])

    orders = [OrderRef(order_id=f"A-{n}") for n in range(5)]
    with StubDaemon(path, answer) as daemon:
        async with open_client(daemon.endpoint, margin_ms=50) as client:
            many = await client.cancel_many("spot", orders, deadline_ms=200)
            batch = await client.cancel_batch("spot", orders)
    assert [result.order_id for result in many] == ["A-0", "A-1", "A-2", None, "A-4"]
    assert many[3].outcome == Unknown(())
    assert [result.target.value for result in batch] == [f"A-{n}" for n in range(5)]


async def test_a_caller_that_is_canceled_leaves_the_others_alone(path: Path) -> None:
    def answer(command: Command) -> Iterator[Reply]:
        if command["order_id"] != "A-HUNG":
            yield acked(command)

    with StubDaemon(path, answer) as daemon:
        async with open_client(daemon.endpoint) as client:
            with trio.move_on_after(0.05) as scope:
                await client.cancel("spot", order_id="A-HUNG")
            assert scope.cancelled_caught
            assert (await client.cancel("spot", order_id="A-B")).outcome == Acked()


async def test_an_id_that_is_awaited_already_is_refused_and_its_owner_still_answered(path: Path) -> None:
    release = threading.Event()

    def answer(command: Command) -> Iterator[Reply]:
        assert release.wait(5)
        yield acked(command)

    outcomes: list[object] = []

    async def ask(client: TrioClient) -> None:
        outcomes.append((await client.cancel("spot", order_id="A-B", id="mine", deadline_ms=5000)).outcome)

    with StubDaemon(path, answer) as daemon:
        async with open_client(daemon.endpoint) as client, trio.open_nursery() as nursery:
            nursery.start_soon(ask, client)
            await trio.to_thread.run_sync(daemon.wait_for, 1)
            with pytest.raises(ValueError, match="'mine'"):
                await client.cancel("spot", order_id="A-C", id="mine")
            release.set()
    assert outcomes == [Acked()]


async def test_being_canceled_from_outside_ends_the_block_quietly(path: Path) -> None:
    with trio.move_on_after(0.05) as scope:
        async with open_client(f"ipc://{path}") as client:
            await client.cancel("spot", order_id="A-B", deadline_ms=60_000)
    assert scope.cancelled_caught


async def test_an_idle_client_does_not_spin(path: Path) -> None:
    with StubDaemon(path, say_acked) as daemon:
        async with open_client(daemon.endpoint) as client:
            await client.cancel("spot", order_id="A-B")
            daemon.stop()
            used_s = time.thread_time()
            await trio.sleep(0.5)
            assert time.thread_time() - used_s < 0.1


async def test_a_route_that_is_being_dialled_is_waited_for_with_pauses(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # No look but the one that is due would be there within the deadline.
    monkeypatch.setattr(async_trio, "RESCUE_S", 60)
    with StubDaemon(path, refuse_twice(lambda: daemon)) as daemon:
        async with open_client(daemon.endpoint) as client:
            assert (await client.cancel("spot", order_id="A-B", deadline_ms=10_000)).outcome == Acked()
    assert len(daemon.received) == 3
