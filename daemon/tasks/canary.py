"""Proves the whole path now and then: a cancel for an order that cannot exist has to come back as not open."""

from typing import Final

import structlog
import trio

from ..contract.ids import Target
from ..contract.outcomes import NAMES, NotOpen, Settlement
from ..engine.nobody import txid_of_nobody
from ..transport.clock import Clock
from ..transport.entropy import Entropy
from .dispatcher import Dispatcher
from .events import Events

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

DEADLINE_NS: Final = 5_000_000_000


class Canary:
    """One venue's canary, and its tickets' owner."""

    def __init__(self, dispatcher: Dispatcher, clock: Clock, entropy: Entropy, events: Events) -> None:
        self._dispatcher = dispatcher
        self._clock = clock
        self._entropy = entropy
        self._events = events
        self._what = f"{dispatcher.venue}: the canary did not come back"

    async def run(self, every_s: float) -> None:
        """Let one fly every so often; ends by cancellation."""
        while True:
            await trio.sleep(every_s)
            now_ns = self._clock.monotonic_ns()
            if self._dispatcher.quiet:
                # A real cancel would leave all the same, so that nothing is proved by adding to what is too much.
                continue
            self._dispatcher.submit(self, self._nobody(), False, now_ns + DEADLINE_NS, now_ns)
            self._dispatcher.perform()

    def _nobody(self) -> Target:
        return Target("order_id", txid_of_nobody("CANARY", self._entropy.bytes(11)))

    def answered(self, settlement: Settlement) -> None:
        """Anything but "not open" is an alert: the next real cancel would fare no better."""
        outcome = NAMES[type(settlement.outcome)]
        if isinstance(settlement.outcome, NotOpen):
            log.debug("canary back", venue=settlement.venue, route=settlement.route)
            self._events.clear(self._what)
            return
        log.warning("canary lost", venue=settlement.venue, outcome=outcome, error=settlement.error)
        self._events.alert("critical", self._what, f"it ended as {outcome}: look at sessions, REST and the key")

    def late(self, settlement: Settlement) -> None:
        """A canary that comes back after its deadline was lost all the same."""
