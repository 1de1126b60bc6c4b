"""Garbage is looked for while nothing is in flight, seldom and shortly; a person hears when there is much of it."""

import gc

import pytest
import trio

from canceld.engine.instants import MS
from canceld.tasks import garbage as room
from canceld.tasks.events import Events
from canceld.tasks.garbage import EACH, HOUR_NS, IDLE_NS, MANY, MUCH, OVERDUE, WORTH, Garbage
from canceld.transport.clock import VirtualClock
from canceld.transport.collector import Collector
from canceld.transport.memory.zeromq import MemoryBus
from tests.scenarios.world import EVENTS


class Counted(Collector):
    """A collector that finds what the test says, in the time that the test says."""

    def __init__(self, clock: VirtualClock) -> None:
        self.count = 0
        self.finds = 0
        self.takes_ns = 0
        self.looks = self.spares = 0
        self._clock = clock

    @property
    def made(self) -> int:
        return self.count

    def look(self) -> int:
        self.looks += 1
        self.count = 0
        self._clock._monotonic_start_ns += self.takes_ns
        return self.finds

    def look_at_all(self) -> int:
        return self.look()

    def spare(self) -> None:
        self.spares += 1
        self.count = 0


class Stage:
    def __init__(self) -> None:
        clock = VirtualClock()
        self.collector = Counted(clock)
        self.in_flight = 0
        self.events = Events(MemoryBus().publisher(EVENTS, mode=0o660), clock)
        self.took_ns = self.answered = 0
        self.garbage = Garbage(
            self.collector, lambda: self.in_flight, lambda: self.answered, lambda: self.took_ns, clock, self.events
        )
        self.clock = clock

    async def after(self, seconds: float) -> int:
        """How many looks were taken within so many seconds."""
        before = self.collector.looks
        with trio.move_on_after(seconds):
            await self.garbage.run()
        return self.collector.looks - before


@pytest.fixture
async def stage() -> Stage:
    return Stage()


async def test_it_looks_when_something_was_made_and_nothing_is_in_flight(autojump_clock: object, stage: Stage) -> None:
    assert await stage.after(10.5) == 0
    stage.collector.count, stage.in_flight = WORTH, 1
    assert await stage.after(10.5) == 0
    stage.in_flight = 0
    assert await stage.after(10.5) == 1


async def test_tables_that_fill_are_left_out_unseen(autojump_clock: object, stage: Stage) -> None:
    stage.collector.count = MANY
    assert await stage.after(1.5) == 0
    assert (stage.collector.spares, stage.collector.count) == (1, 0)


async def test_what_a_busy_time_leaves_in_the_tables_is_left_out(autojump_clock: object, stage: Stage) -> None:
    stage.collector.count, stage.answered = WORTH, MANY // EACH
    assert await stage.after(1.5) == 0
    assert stage.collector.spares == 1
    stage.collector.count = WORTH
    assert await stage.after(1.5) == 1


async def test_what_was_left_out_is_looked_at_when_it_is_more_than_any_table(
    autojump_clock: object, stage: Stage
) -> None:
    for _ in range(OVERDUE // MANY):
        stage.collector.count = MANY
        assert await stage.after(1.5) == 0
    stage.took_ns = stage.clock.monotonic_ns()
    assert await stage.after(IDLE_NS / 1e9 - 1) == 0
    assert await stage.after(2.5) == 1
    assert await stage.after(10.5) == 0


async def test_memory_is_bounded_though_something_is_always_in_flight(autojump_clock: object, stage: Stage) -> None:
    stage.collector.count, stage.in_flight = MANY, 1
    assert await stage.after(10.5) == 0
    stage.collector.count = OVERDUE
    assert await stage.after(1.5) == 1


async def test_after_a_long_look_the_next_leave_out_what_is_alive(autojump_clock: object, stage: Stage) -> None:
    for takes_ns, spares in ((1 * MS, 0), (3 * MS, 1)):
        stage.collector.count, stage.collector.takes_ns = WORTH, takes_ns
        assert await stage.after(1.5) == 1
        assert stage.collector.spares == spares
    assert stage.garbage.status() == {"looks": 2, "found": 0, "longest_us": 3_000}


async def test_much_garbage_within_an_hour_is_told_of(autojump_clock: object, stage: Stage) -> None:
    for finds, told in ((MUCH - 1, []), (1, [room._WHAT])):
        stage.collector.count, stage.collector.finds = WORTH, finds
        assert await stage.after(1.5) == 1
        assert [alert["what"] for alert in stage.events.alerts] == told


async def test_little_garbage_now_and_then_is_not_told_of(autojump_clock: object, stage: Stage) -> None:
    for _ in range(5):
        await trio.sleep(HOUR_NS / 1e9)
        stage.collector.count, stage.collector.finds = WORTH, MUCH // 2
        assert await stage.after(1.5) == 1
    assert stage.events.alerts == []


def test_the_collector_runs_when_it_is_asked_and_finds_what_holds_itself() -> None:
    collector = Collector()
    was_on = gc.isenabled()
    try:
        collector.take_over()
        assert not gc.isenabled()
        collector.look()
        before = collector.made
        for _ in range(1_000):
            ring: list[object] = []
            ring.append(ring)
        del ring
        assert collector.made - before >= 1_000
        collector.spare()
        assert collector.look() == 0, "what was spared is not seen"
        assert collector.look_at_all() >= 1_000
    finally:
        gc.unfreeze()
        if was_on:
            gc.enable()
