"""Asks for all that is open now and then, where a stream that lost a message would not show it."""

from typing import Final

import structlog
import trio

from ..contract.evidence import RestAnswer, RestOrders
from ..engine.calls import Call
from .dispatcher import Dispatcher

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

EVERY_S: Final = 10.0
"""Two points of the venue's 500 each time. Its feed numbers no message, so a lost one shows nowhere else."""


class Survey:
    """One venue's; the list itself goes into the engine's table of open orders."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self._asked = False

    async def run(self) -> None:
        """Ask for ever; ends by cancellation."""
        while True:
            if not self._asked and not self._dispatcher.quiet:
                self._asked = True
                self._dispatcher.request("open_orders", self, urgent=False)
            await trio.sleep(EVERY_S)

    def call_answered(self, call: Call, answer: RestAnswer, now_ns: int) -> None:
        """The engine has taken the list in already."""
        self._asked = False
        if not isinstance(answer, RestOrders):
            log.warning("open orders not told", venue=self._dispatcher.venue, why=type(answer).__name__)

    def call_failed(self, call: Call, left: bool, why: str, now_ns: int) -> None:
        """It is asked again in a while."""
        self._asked = False
