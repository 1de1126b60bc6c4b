"""The walk that keeps the way of a cancel warm: it goes all the way, and nobody can see that it went."""

import pytest
import trio

from canceld.engine.instants import MS
from canceld.tasks import keep_warm
from canceld.tasks.events import Events
from canceld.tasks.killswitch import KillSwitch
from canceld.tasks.leasing import Leasing
from canceld.tasks.scoping import Scoping
from canceld.transport.clock import VirtualClock
from canceld.transport.entropy import SeededEntropy
from canceld.transport.memory.disk import MemoryDirectory
from canceld.transport.memory.zeromq import MemoryBus
from canceld.transport.world import World


async def _undialled(host: str, port: int) -> object:
    raise AssertionError("a walk dials nobody")


@pytest.fixture
async def walk(autojump_clock: object) -> keep_warm.Walk:
    bus, clock, directory = MemoryBus(), VirtualClock(), MemoryDirectory("/state")
    entropy = SeededEntropy(1)
    world = World(clock, entropy, _undialled, bus, MemoryDirectory)  # type: ignore[arg-type]
    events = Events(bus.publisher("ipc:///run/canceld/events.sock", mode=0o660), clock)
    scoping = Scoping({}, clock, {})
    kill = KillSwitch({}, directory, clock, entropy, events, scoping)
    return keep_warm.Walk(world, kill, Leasing({}, directory, clock, events, kill, scoping), scoping)


async def test_each_walk_is_a_cancel_from_the_message_to_its_reply(walk: keep_warm.Walk) -> None:
    for walks in range(1, 1001):
        walk.step()
        assert walk.answered == walks
    assert walk._replies.in_flight == 0
    [row] = walk._replies.ledger.rows()
    assert (row["outcome"], row["route"], row["count"]) == ("acked", "ws", 1000)


async def test_it_stays_small(walk: keep_warm.Walk) -> None:
    for _ in range(10 * keep_warm.FORGET_AFTER):
        walk.step()
    assert len(walk._replies.replays) <= keep_warm.FORGET_AFTER
    assert len(walk._desk._pursuits.inflight._by_reqid) <= keep_warm.FORGET_AFTER + 1
    assert walk._desk._pursuits.idle


async def test_no_walk_is_taken_while_others_cancel(autojump_clock: object, walk: keep_warm.Walk) -> None:
    """A cancel a millisecond keeps the way warm by itself; when they stop, walks begin."""
    took = 0

    def took_ns() -> int:
        nonlocal took
        if trio.current_time() - began_s < 0.1:
            took += MS
        return took

    began_s = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(keep_warm.run, walk, 1, took_ns)
        await trio.sleep(0.0995)
        assert walk.answered == 0
        await trio.sleep(0.1)
        assert walk.answered > 90
        nursery.cancel_scope.cancel()
