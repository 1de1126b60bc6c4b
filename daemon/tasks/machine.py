"""Looks once a second at what the machine does to the daemon, and tells a person before a cancel suffers."""

from typing import Any, Final

import structlog
import trio

from ..transport.world import World
from .events import Events

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

LOOK_S: Final = 1.0

MANY: Final = 0.5
FEWER: Final = 0.4
"""Parts of the descriptors in use that raise the alert and take it back: a count on the brink is told of once."""

_MANY_IN_USE: Final = "half of the descriptors are in use"


class Machine:
    """The one machine that we run on."""

    def __init__(self, world: World, events: Events) -> None:
        self._world = world
        self._events = events
        self._descriptors = world.descriptors()
        self._many = False

    def status(self) -> dict[str, Any]:
        """The `process` member of a `status` reply; a second old at most."""
        return {"descriptors": self._descriptors.in_use, "descriptors_limit": self._descriptors.limit}

    async def run(self) -> None:
        """Look for ever; ends by cancellation."""
        while True:
            self._look_at_descriptors()
            await trio.sleep(LOOK_S)

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
