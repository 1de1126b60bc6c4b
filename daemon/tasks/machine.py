"""Looks at what the machine does to the daemon, mends what it can, and tells a person of the rest."""

from collections.abc import Callable
from typing import Any, Final

import structlog
import trio

from ..transport.world import World
from .events import Events

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

LOOK_S: Final = 1.0
SLEEP_LOOKS: Final = 4
"""Looks for a sleep to each look at the rest: they cost nothing, and until then cancels go out on dead connections."""

SLEPT_S: Final = 2.0
"""A machine that was suspended for longer trusts no connection: their other ends may have given up without a word that
could reach us, and the order streams have told things that nobody heard."""

MANY: Final = 0.5
FEWER: Final = 0.4
"""Parts of the descriptors in use that raise the alert and take it back: a count on the brink is told of once."""

_SLEPT: Final = "this machine was suspended: every connection is dialled anew"
_MANY_IN_USE: Final = "half of the descriptors are in use"


class Machine:
    """The one machine that we run on."""

    def __init__(self, world: World, events: Events, distrust: Callable[[str], None]) -> None:
        """distrust: gives up every connection for the reason that it is told."""
        self._world = world
        self._events = events
        self._distrust = distrust
        self._slept_ns = world.clock.slept_ns()
        self._descriptors = world.descriptors()
        self._many = False

    def status(self) -> dict[str, Any]:
        """The `process` member of a `status` reply; a second old at most."""
        return {"descriptors": self._descriptors.in_use, "descriptors_limit": self._descriptors.limit}

    async def run(self) -> None:
        """Look for ever; ends by cancellation."""
        while True:
            self._look_at_descriptors()
            for _ in range(SLEEP_LOOKS):
                self._look_for_sleep()
                await trio.sleep(LOOK_S / SLEEP_LOOKS)

    def _look_for_sleep(self) -> None:
        """Our timers have slept with the machine: to them no time has passed, and nothing seems overdue."""
        slept_ns = self._world.clock.slept_ns()
        slept_s = (slept_ns - self._slept_ns) / 1e9
        if slept_s <= SLEPT_S:
            # Short ones add up, and so they should: no connection has answered since.
            return
        self._slept_ns = slept_ns
        log.error(_SLEPT, waited_s=slept_s)
        do = "cancels waited for so long, and dead man's timers may have fired: see what rests, keep it from sleeping"
        self._events.alert("critical", _SLEPT, f"it slept {slept_s:.0f} s; {do}")
        self._distrust(f"the machine was suspended for {slept_s:.0f} s")

    def _look_at_descriptors(self) -> None:
        """Newcomers are turned away with a fifth left, by the doors themselves: until then there is time to act."""
        in_use, limit = self._descriptors = self._world.descriptors()
        if not self._many and in_use >= MANY * limit:
            self._many = True
            log.warning(_MANY_IN_USE, count=in_use, limit=limit)
            self._events.alert("warning", _MANY_IN_USE, "see who holds so many connections, or raise LimitNOFILE")
        elif self._many and in_use < FEWER * limit:
            self._many = False
            self._events.clear(_MANY_IN_USE)
