"""Looks at what the machine does to the daemon, mends what it can, and tells a person of the rest."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import structlog
import trio

from ..contract.ids import Venue
from ..engine.venue_clock import VenueClock
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

OFF_S: Final = 1.0
FAR_OFF_S: Final = 5.0
RIGHT_AGAIN: Final = 0.8
"""How wrong the wall clock may be before a person is told; before what it signs for Prime may be refused, which is not
documented and so assumed; and the part of either below which it is good again."""

_OFF: Final = "this machine's clock is off by more than a second"
_FAR_OFF: Final = "this machine's clock is so far off that Prime may refuse new connections"
_SLEPT: Final = "this machine was suspended: every connection is dialled anew"
_MANY_IN_USE: Final = "half of the descriptors are in use"


class Machine:
    """The one machine that we run on."""

    def __init__(
        self,
        world: World,
        events: Events,
        distrust: Callable[[str], None],
        venue_clocks: Mapping[Venue, VenueClock],
    ) -> None:
        """distrust: gives up every connection for the reason that it is told."""
        self.clock_far_off = False
        self._world = world
        self._events = events
        self._distrust = distrust
        self._venue_clocks = venue_clocks
        self._clock_off = False
        self._ahead_s = 0.0
        self._slept_ns = world.clock.slept_ns()
        self._descriptors = world.descriptors()
        self._many = False

    def status(self) -> dict[str, Any]:
        """The `process` member of a `status` reply; a second old at most."""
        return {"descriptors": self._descriptors.in_use, "descriptors_limit": self._descriptors.limit}

    def clock(self) -> dict[str, Any]:
        """The `clock` member: by how much this machine's is ahead of the venues', negative when it is behind.

        0 where it is right as far as the venues let on, None where none has told both bounds yet.
        """
        known = any(clock.known for clock in self._venue_clocks.values())
        return {"ahead_s": round(self._ahead_s, 3) if known or self._ahead_s else None}

    async def run(self) -> None:
        """Look for ever; ends by cancellation."""
        while True:
            self._look_at_descriptors()
            self._look_at_the_clock()
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

    def _look_at_the_clock(self) -> None:
        """It goes into records, nonces and Prime's signatures, never into a deadline."""
        clock = self._world.clock
        utc_ns, now_ns = clock.utc_ns(), clock.boottime_ns()
        offsets_ns = [venue_clock.ahead_ns(utc_ns, now_ns) for venue_clock in self._venue_clocks.values()]
        self._ahead_s = max(offsets_ns, key=abs, default=0) / 1e9
        side = "ahead of" if self._ahead_s > 0 else "behind"
        do = f"it is {abs(self._ahead_s):.1f} s {side} the venues' at least: have it kept by NTP or chrony"
        self._clock_off = self._judge_clock(self._clock_off, OFF_S, "warning", _OFF, do)
        self.clock_far_off = self._judge_clock(self.clock_far_off, FAR_OFF_S, "critical", _FAR_OFF, do)

    def _judge_clock(self, was_off: bool, bound_s: float, severity: str, what: str, do: str) -> bool:
        """Whether it is off by more than a bound; told when that begins, and taken back when it ends."""
        is_off = abs(self._ahead_s) > (bound_s * RIGHT_AGAIN if was_off else bound_s)
        if is_off and not was_off:
            log.warning(what, offset_s=self._ahead_s)
            self._events.alert(severity, what, do)
        elif was_off and not is_off:
            self._events.clear(what)
        return is_off

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
