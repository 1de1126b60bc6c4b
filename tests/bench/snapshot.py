"""`python -m tests.bench.snapshot`: how long the daemon's loop stands at a stretch while it takes in a long list.

One process holds the daemon and the simulated exchange; only steps of the daemon's tasks are counted, each by the
processor time of this thread, so that a busy machine does not show. A step is what runs between two checkpoints.
"""

import argparse
import gc
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final, NamedTuple
from unittest.mock import patch

import trio
import trio.testing

from canceld.contract.evidence import RestAnswer, RestOrders
from canceld.contract.ids import Venue
from canceld.engine.calls import Call
from canceld.transport.limits import LIST_LIMIT
from tests.scenarios.world import FUTURES_HOST, REST_HOST, SpotProtocol, Stage, settings_for, stage

from .figures import machine, table

ORDERS: Final = 50_000

GOAL_MS: Final = 50.0
"""What no step may take."""


class Longest(NamedTuple):
    """The longest step since the last reset. cost: of the kind that the meter counts."""

    cost: int
    task: str


class Meter(trio.abc.Instrument):
    """What the steps of the daemon's tasks cost: processor nanoseconds, or calls of functions in Python and in C."""

    def __init__(self, *, calls: bool) -> None:
        self._calls = calls
        self._of_daemon: dict[trio.lowlevel.Task, bool] = {}
        self._at = 0
        self._count = 0
        self.reset()

    def reset(self) -> None:
        """Forget every step so far."""
        self.longest = Longest(0, "")
        self.steps = self.total = 0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        if self._is_daemons(task):
            if self._calls:
                self._count = 0
                sys.setprofile(self._profile)
            else:
                self._at = time.thread_time_ns()

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        if self._of_daemon[task]:
            if self._calls:
                sys.setprofile(None)
            cost = self._count if self._calls else time.thread_time_ns() - self._at
            self.steps += 1
            self.total += cost
            if cost > self.longest.cost:
                self.longest = Longest(cost, task.name)

    def _profile(self, frame: FrameType, event: str, argument: Any) -> None:
        self._count += event in ("call", "c_call")

    def _is_daemons(self, task: trio.lowlevel.Task) -> bool:
        known = self._of_daemon.get(task)
        if known is None:
            parent = task.parent_nursery and task.parent_nursery.parent_task
            serves = task.name.endswith("._serve_daemon")
            known = self._of_daemon[task] = serves or (parent is not None and self._is_daemons(parent))
        return known


class Way(NamedTuple):
    """How a list came, and what taking it in cost."""

    name: str
    total: int
    longest: Longest


class _Asker:
    """Who asks for a list, and is told of it."""

    def __init__(self) -> None:
        self.over = trio.Event()
        self.count = -1

    def call_answered(self, call: Call, answer: RestAnswer, now_ns: int) -> None:
        self.count = len(answer.orders) if isinstance(answer, RestOrders) else -1
        self.over.set()

    def call_failed(self, call: Call, left: bool, why: str, now_ns: int) -> None:
        self.over.set()


class _Plan(NamedTuple):
    venue: Venue
    comes_up: str
    asked: str
    asked_anew: str | None = None
    rest_host: str = ""
    protocol: SpotProtocol = "v1"
    uws: bool = False


PLANS: Final = (
    _Plan("spot", "Spot v1: sessions come up", "Spot: by REST", "Spot v1: asked anew on a session", REST_HOST),
    _Plan("spot", "Spot v2: sessions come up", "", "Spot v2: asked anew on a session", REST_HOST, "v2"),
    _Plan("futures", "Futures: the feed comes up", "Futures: by REST"),
    _Plan("futures", "Unified: feed and sessions come up", "", "Unified: asked anew", FUTURES_HOST, uws=True),
    _Plan("prime", "Prime: sessions come up", "Prime: asked anew on a session"),
)


def ways(count: int, *, calls: bool, plans: tuple[_Plan, ...] = PLANS) -> Iterator[Way]:
    """Every way that a list of so many orders comes."""
    for plan in plans:
        meter = Meter(calls=calls)
        told: list[Way] = []
        clock = trio.testing.MockClock(autojump_threshold=0)
        # The exchange writes its lists in one go, by the wire that the daemon writes its frames by.
        with _collected(), patch("canceld.transport.wire.WRITE_BACKLOG_LIMIT", LIST_LIMIT):
            trio.run(_run, plan, count, meter, told, clock=clock, instruments=[meter])
        yield from told


async def _run(plan: _Plan, count: int, meter: Meter, told: list[Way]) -> None:
    def before(world: Stage) -> None:
        world.place(count)

    def note(name: str) -> None:
        told.append(Way(name, meter.total, meter.longest))
        meter.reset()

    async with stage(settings=settings_for(plan.venue, uws=plan.uws), protocol=plan.protocol, before=before) as world:
        await _until(lambda: len(world.pursuits.resting) == count)
        await trio.sleep(3.0)
        note(plan.comes_up)
        if plan.asked:
            await _ask(world, count)
            note(plan.asked)
        if plan.asked_anew is not None:
            world.cut_off(plan.rest_host)
            await trio.sleep(1.0)
            meter.reset()
            await _ask(world, count)
            note(plan.asked_anew)
            world.reconnect()


async def _ask(world: Stage, count: int) -> None:
    asker = _Asker()
    world.desk.dispatcher.request("open_orders", asker, urgent=False)
    with trio.fail_after(60.0):
        await asker.over.wait()
    assert asker.count == count, f"{asker.count} of {count} orders were listed"


async def _until(happened: Callable[[], bool]) -> None:
    with trio.fail_after(60.0):
        while not happened():  # noqa: ASYNC110 - no event tells
            await trio.sleep(0.05)


@contextmanager
def _collected() -> Iterator[None]:
    """The exchange's orders would be measured with the rest, were they collected in a step of the daemon's."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.snapshot", description=__doc__)
    parser.add_argument("--orders", type=int, default=ORDERS, metavar="N")
    parser.add_argument("--calls", action="store_true", help="count calls of functions instead of time")
    options = parser.parse_args()
    unit, shape, scale = ("calls", "{:,.0f}", 1.0) if options.calls else ("ms", "{:,.1f}", 1e6)
    rows = []
    for way in ways(options.orders, calls=options.calls):
        figures = [shape.format(cost / scale) for cost in (way.total, way.longest.cost)]
        rows.append([way.name, *figures, way.longest.task.rpartition(".")[2]])
        print(*rows[-1], sep=" | ", file=sys.stderr)
    print(f"{machine()}; {options.orders:,} open orders; goal: no step above {GOAL_MS:.0f} ms\n")
    print(table(["", f"all, {unit}", f"longest step, {unit}", "in"], rows))


if __name__ == "__main__":
    main()
