"""Tells the service manager that we are alive, and only while the gateway and every venue's alarm really go round."""

from collections.abc import Callable
from typing import Final

import trio

from ..transport.notify import Notifier

STATUS_EVERY_S: Final = 1.0
SHARE: Final = 3
"""Signs of life per watchdog interval, so that one lost datagram does not restart a healthy daemon."""


async def keep_alive(notifier: Notifier, beats: Callable[[], list[int]]) -> None:
    """Sign of life as long as every number in `beats()` has grown since the last one. Ends by cancellation."""
    interval_s = notifier.watchdog_interval_s()
    if interval_s is None:
        return
    before: list[int] = []
    while True:
        now = beats()
        if not before or all(new > old for new, old in zip(now, before, strict=True)):
            notifier.alive()
            before = now
        await trio.sleep(interval_s / SHARE)


async def tell_status(notifier: Notifier, text: Callable[[], str]) -> None:
    """Keep the service manager's status line fresh."""
    told = ""
    while True:
        line = text()
        if line != told:
            notifier.status(line)
            told = line
        await trio.sleep(STATUS_EVERY_S)
