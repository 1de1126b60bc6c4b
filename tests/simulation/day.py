"""A whole quiet day of the daemon: little is asked and little goes wrong, and at its end nothing has grown.

What a run of seconds cannot show is here: tokens and budgets that run out slowly, files that are rotated, tables that
are emptied too seldom.
"""

import gc
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from unittest.mock import patch

import msgspec
import trio

from canceld.tasks import connection, journal, machine, trigger_file

from .plan import VENUES_DRAWN, Plan, plan_for
from .run import Result, simulate
from .troubles import TROUBLES
from .world import SimulatedWorld

DAY_S = 86_400.0
ASKS_PER_S = 1 / 30
ORDERS_PER_S = 1 / 40
TROUBLES_PER_S = 1 / 600

HOUR_S = 3600.0
SETTLED_H = 2
"""Hours after which every table has the size that it keeps."""

GROWTH = 1.3
SPARE = 200
"""How much larger the last hours may be than the first ones after that: by this factor, and by so many objects."""

FILE_BYTES = 1 << 20
"""The record's files are small, so that a day fills some of them."""

SELDOM = ((trigger_file, "TRIGGER_LOOK_S", 10.0), (machine, "LOOK_S", 10.0), (connection, "SILENCE_LOOK_S", 1.0))
"""How often is looked for what hardly ever happens: else a day would consist of nothing but looks."""


@dataclass
class Day:
    """What a day came to. sizes: how many objects of the daemon's own there were at each full hour."""

    result: Result
    sizes: list[int]
    cpu_s: float

    @property
    def grew(self) -> bool:
        """Whether the last hours needed more than the first ones."""
        first, last = self.sizes[SETTLED_H : SETTLED_H + 4], self.sizes[-4:]
        return max(last) > max(first) * GROWTH + SPARE

    def line(self) -> str:
        """The figures on one line."""
        result = self.result
        venues = result.seed % len(VENUES_DRAWN)
        return (
            f"day {result.seed} ({' '.join(VENUES_DRAWN[venues])}): {result.virtual_s / HOUR_S:.1f} hours, "
            f"{result.cancels:,} cancels, {result.faults} faults; {self.sizes[SETTLED_H]:,} objects after {SETTLED_H} "
            f"hours, {self.sizes[-1]:,} at the end; {self.cpu_s:.0f} CPU-s"
        )


def _quiet(plan: Plan) -> Plan:
    """The same daemon and venues, on a quiet day on which whatever goes wrong mends itself."""
    venues = VENUES_DRAWN[plan.seed % len(VENUES_DRAWN)]
    settings = plan.settings
    for venue in ("spot", "prime", "futures"):
        part = msgspec.structs.replace(getattr(settings, venue), enabled=venue in venues)
        settings = msgspec.structs.replace(settings, **{venue: part})
    return replace(
        plan,
        mode="liveness",
        settings=settings,
        latency_s=0.005,
        jitter_s=0.0,
        slice_bytes=1 << 16,
        span_s=DAY_S,
        clients=2,
        asks_per_s=ASKS_PER_S,
        orders_per_s=ORDERS_PER_S,
        families_per_s=0.0,
        troubles_per_s=TROUBLES_PER_S,
        kinds=tuple(trouble.name for trouble in TROUBLES),
        kills=False,
        lives=1,
        late_window=False,
        logs=False,
    )


def simulate_day(seed: int) -> Day:
    """Run the day of a seed."""
    sizes: list[int] = []

    async def count(world: SimulatedWorld) -> None:
        while True:
            await trio.sleep(HOUR_S)
            sizes.append(_objects())
            world.trace.lines.clear()
            world.exchange.received.clear()

    began_s = time.process_time()
    with ExitStack() as until_over:
        for module, name, value in (*SELDOM, (journal, "FILE_BYTES", FILE_BYTES)):
            until_over.enter_context(patch.object(module, name, value))
        result = simulate(seed, plan=_quiet(plan_for(seed, ())), beside=count)
    return Day(result, sizes, time.process_time() - began_s)


def _objects() -> int:
    """How many objects of classes of the daemon's own there are.

    But for its simulated surroundings, and for orders that ended, of which it keeps so many and no more.
    """
    gc.collect()
    apart = ("canceld.sim.", "canceld.transport.", "canceld.engine.resting")
    modules = (str(type(one).__module__) for one in gc.get_objects())
    return sum(module.startswith("daemon.") and not module.startswith(apart) for module in modules)
