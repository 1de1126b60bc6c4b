"""Whichever server of the bus answers first: one that is cut off from the others connects, and does nothing."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from .bus import CLOSE_S, Bus, BusFailed, connect
from .settings import FleetSettings


@contextlib.asynccontextmanager
async def connect_nearest(
    settings: FleetSettings,
    program: str,
    works: Callable[[Bus], Awaitable[Any]],
    *,
    on_change: Callable[[Bus, str | None], None] = lambda bus, why: None,
) -> AsyncIterator[Bus]:
    """The connection to the first server over which `works` ends without BusFailed; all are tried at once.

    Raises BusFailed where it fails over every one. on_change: as of `connect`, of the server that was taken.
    """
    urls = settings.fleet.servers
    best: asyncio.Future[Bus] = asyncio.get_running_loop().create_future()
    over = asyncio.Event()
    failures: list[BusFailed] = []

    def changed(bus: Bus, why: str | None) -> None:
        if best.done() and not over.is_set() and best.exception() is None and best.result() is bus:
            on_change(bus, why)

    async def hold(url: str) -> None:
        try:
            async with connect(settings, program, servers=(url,), on_change=changed) as bus:
                await works(bus)
                if not best.done():
                    best.set_result(bus)
                    await over.wait()
        except BusFailed as failed:
            failures.append(failed)
            if len(failures) == len(urls) and not best.done():
                # One that says what is wrong says more than one that is not there.
                best.set_exception(max(failures, key=lambda one: one.code))

    holding = [asyncio.create_task(hold(url)) for url in urls]
    try:
        bus = await best
        yield bus
    finally:
        over.set()
        for one, url in zip(holding, urls, strict=True):
            if not (best.done() and best.exception() is None and best.result().where == url):
                one.cancel()
        # Whatever the library does with its being cancelled: an end that is asked for comes.
        await asyncio.wait(holding, timeout=2 * CLOSE_S)
