"""What the machine does to the daemon is told before a cancel suffers from it."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import trio

from canceld.engine.venue_clock import VenueClock
from canceld.process import real_world
from canceld.tasks.events import Events
from canceld.tasks.machine import Machine
from canceld.transport.clock import NS_PER_S, VIRTUAL_UTC_START_NS, VirtualClock
from canceld.transport.descriptors import Descriptors, count_descriptors
from canceld.transport.entropy import SeededEntropy
from canceld.transport.memory.disk import MemoryDirectory
from canceld.transport.memory.zeromq import MemoryBus
from canceld.transport.network import DialFailed
from canceld.transport.wire import Wire
from canceld.transport.world import World
from tests.scenarios.world import EVENTS, SETTINGS

LIMIT = 1_000


class Stage:
    """A machine with a count of descriptors that the test sets, and what is told of it."""

    def __init__(self) -> None:
        self.in_use = 10
        self.clock = VirtualClock()
        bus = MemoryBus()
        self._subscriber = bus.subscribe(EVENTS, b"alert")
        self.events = Events(bus.publisher(EVENTS, mode=0o660), self.clock)
        world = World(
            self.clock, SeededEntropy(1), self._dial, bus, MemoryDirectory, lambda: Descriptors(self.in_use, LIMIT)
        )
        self.distrusted: list[str] = []
        self.venue_clock = VenueClock()
        self.machine = Machine(world, self.events, self.distrusted.append, {"spot": self.venue_clock})

    async def _dial(self, host: str, port: int) -> Wire:
        raise DialFailed("connect", "nobody is there")

    @property
    def told(self) -> list[dict[str, Any]]:
        """The alerts since this was last asked."""
        told = []
        while (event := self._subscriber.receive_nowait()) is not None:
            told.append(msgspec.json.decode(event[1]))
        return told

    def answer(self) -> None:
        """A venue whose clock is right answers in 20 ms."""
        now_ns = self.clock.boottime_ns()
        true_ns = VIRTUAL_UTC_START_NS + round(trio.current_time() * NS_PER_S)
        self.venue_clock.dated(true_ns // NS_PER_S * NS_PER_S, now_ns - 20_000_000, now_ns)

    async def look(self, in_use: int, seconds: float = 1.5) -> None:
        self.in_use = in_use
        await trio.sleep(seconds)


@pytest.fixture
async def stage(nursery: trio.Nursery) -> AsyncIterator[Stage]:
    stage = Stage()
    nursery.start_soon(stage.machine.run)
    yield stage
    nursery.cancel_scope.cancel()


async def test_half_of_the_descriptors_in_use_is_told_once_until_it_is_long_over(
    autojump_clock: object, stage: Stage
) -> None:
    await stage.look(499)
    assert stage.told == []
    assert stage.machine.status() == {"descriptors": 499, "descriptors_limit": LIMIT}
    await stage.look(500)
    [alert] = stage.told
    assert (alert["severity"], alert["what"]) == ("warning", "half of the descriptors are in use")
    # On the brink for minutes on end.
    for _ in range(100):
        await stage.look(499)
        await stage.look(501)
    assert stage.told == []
    assert [shown["what"] for shown in stage.events.alerts] == [alert["what"]]
    await stage.look(399)
    assert stage.events.alerts == []
    await stage.look(700)
    assert [again["what"] for again in stage.told] == [alert["what"]]


async def test_they_are_counted_once_a_second_however_often_status_is_asked(
    autojump_clock: object, stage: Stage
) -> None:
    counts = 0

    def counted() -> Descriptors:
        nonlocal counts
        counts += 1
        return Descriptors(1, LIMIT)

    stage.machine._world = World(stage.clock, SeededEntropy(1), stage._dial, MemoryBus(), MemoryDirectory, counted)
    for _ in range(1_000):
        stage.machine.status()
        await trio.sleep(0.01)
    assert 9 <= counts <= 11


async def test_a_sleep_of_more_than_two_seconds_is_one_alert_and_one_distrust(
    autojump_clock: object, stage: Stage
) -> None:
    stage.clock.suspend(2 * NS_PER_S)
    await stage.look(1)
    assert (stage.distrusted, stage.told) == ([], [])
    stage.clock.suspend(NS_PER_S // 10)
    await stage.look(1, 0.3)
    assert stage.distrusted == ["the machine was suspended for 2 s"]
    [alert] = stage.told
    assert alert["severity"] == "critical"
    assert "it slept 2 s" in alert["do"]
    await stage.look(1, 60.0)
    assert (len(stage.distrusted), stage.told) == (1, [])
    stage.clock.suspend(3_600 * NS_PER_S)
    await stage.look(1, 0.3)
    assert stage.distrusted[1:] == ["the machine was suspended for 3600 s"]


async def test_the_wall_clock_may_be_set_without_anybody_taking_it_for_sleep(
    autojump_clock: object, stage: Stage
) -> None:
    stage.clock.step_utc(3_600 * NS_PER_S)
    await stage.look(1)
    stage.clock.step_utc(-7_200 * NS_PER_S)
    await stage.look(1)
    assert (stage.distrusted, stage.told) == ([], [])


async def test_a_clock_that_is_off_is_told_once_with_how_much_and_taken_back(
    autojump_clock: object, stage: Stage
) -> None:
    assert stage.machine.clock() == {"ahead_s": None}
    stage.answer()
    await stage.look(1)
    assert stage.machine.clock() == {"ahead_s": 0.0}
    stage.clock.step_utc(3 * NS_PER_S)
    await stage.look(1, 20.0)
    [alert] = stage.told
    assert (alert["severity"], alert["what"]) == ("warning", "this machine's clock is off by more than a second")
    assert "s ahead of the venues'" in alert["do"]
    assert 1.9 <= stage.machine.clock()["ahead_s"] <= 3.0
    assert not stage.machine.clock_far_off
    stage.clock.step_utc(-13 * NS_PER_S)
    await stage.look(1, 20.0)
    [alert] = stage.told
    assert alert["severity"] == "critical"
    assert "s behind the venues'" in alert["do"]
    assert stage.machine.clock_far_off
    stage.clock.step_utc(10 * NS_PER_S)
    await stage.look(1)
    assert stage.events.alerts == []
    assert not stage.machine.clock_far_off


def test_the_real_world_counts_its_own() -> None:
    assert real_world(SETTINGS).descriptors is count_descriptors
