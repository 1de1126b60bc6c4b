"""The client for trio programs: many tasks ask over one connection at the same time."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Literal

import trio

from ..contract.commands import LeaseScope
from .async_core import RESCUE_S, AsyncClient
from .async_lease import AsyncLease
from .async_pair import AsyncPair
from .holding import ended_cleanly
from .pairing import check_pair
from .requests import COMMANDS_ENDPOINT, DEADLINE_MS, MARGIN_MS
from .results import LeaseResult


@asynccontextmanager
async def open_client(
    endpoint: str | Sequence[str] = COMMANDS_ENDPOINT,
    *,
    deadline_ms: int = DEADLINE_MS,
    margin_ms: int = MARGIN_MS,
    strategy: str | None = None,
) -> AsyncIterator["TrioClient"]:
    """A connection to the daemon for as long as the block runs; arguments as of the blocking Client.

    What the block raises comes out as it is, not in an exception group.
    """
    kind = TrioClient if isinstance(endpoint, str) else TrioPair
    client = kind(endpoint, deadline_ms=deadline_ms, margin_ms=margin_ms, strategy=strategy)
    try:
        async with trio.open_nursery() as nursery:
            for way in client.ways:
                nursery.start_soon(way._read, name="canceld client reader")
                nursery.start_soon(way._watch, name="canceld client connection watch")
            yield client
            nursery.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        if len(group.exceptions) > 1:
            raise
        only = group.exceptions[0]
    else:
        return
    finally:
        for way in client.ways:
            way._link.close()
    raise only


class TrioClient(AsyncClient):
    """Made by `open_client`. Any number of tasks of one trio run may call it."""

    def __init__(
        self, endpoint: str | Sequence[str], *, deadline_ms: int, margin_ms: int, strategy: str | None
    ) -> None:
        assert isinstance(endpoint, str)
        self.ways: list[TrioClient] = [self]
        super().__init__(endpoint, deadline_ms=deadline_ms, margin_ms=margin_ms, strategy=strategy)
        self._reader_sleep: trio.CancelScope | None = None
        self._watch_sleep: trio.CancelScope | None = None

    @asynccontextmanager
    async def holding(
        self,
        strategy: str,
        ttl_ms: int,
        *,
        on_expiry: Literal["cancel", "kill"] = "cancel",
        scope: Iterable[LeaseScope] = (),
        pulse_ms: int | None = None,
    ) -> AsyncIterator[AsyncLease]:
        """Hold a lease for as long as the block runs; see `Client.holding`. What it raises comes out as it is."""

        async def renew(ttl_ms: int, scope: tuple[LeaseScope, ...], deadline_ms: int | None) -> LeaseResult:
            return await self.lease(strategy, ttl_ms, on_expiry=on_expiry, scope=scope, deadline_ms=deadline_ms)

        lease = AsyncLease(renew, ttl_ms, scope, pulse_ms, turn=trio.Lock(), sleep=trio.sleep)
        await lease.take()
        failed: BaseException | None = None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lease.keep, name=f"canceld lease of {strategy}")
            try:
                yield lease
            except trio.Cancelled:
                raise
            except BaseException as error:
                failed = error
            if ended_cleanly(failed):
                await lease.give_back()
            nursery.cancel_scope.cancel()
        if failed is not None:
            raise failed

    async def _readable(self, descriptor: int) -> None:
        with trio.move_on_after(RESCUE_S):
            await trio.lowlevel.wait_readable(descriptor)

    async def _checkpoint(self) -> None:
        await trio.lowlevel.checkpoint()

    def _event(self) -> trio.Event:
        return trio.Event()

    async def _wait(self, event: Any, seconds: float) -> None:
        with trio.move_on_after(seconds):
            await event.wait()

    def _rouse(self) -> None:
        if self._reader_sleep is not None:
            self._reader_sleep.cancel()
            self._reader_sleep = None

    def _see_to_it_in(self, seconds: float) -> None:
        if self._watch_sleep is not None:
            self._watch_sleep.deadline = min(self._watch_sleep.deadline, trio.current_time() + seconds)

    async def _read(self) -> None:
        """Take replies for ever: receive until there is none, and only then wait for the edge."""
        link = self._link
        frames, _ = link.descriptors()
        while True:
            if self._look():
                await trio.lowlevel.checkpoint()
                continue
            with trio.move_on_after(RESCUE_S) as sleep:
                self._reader_sleep = sleep
                await trio.lowlevel.wait_readable(frames)
            if sleep.cancelled_caught and self._reader_sleep is sleep and link.has_frame():
                self.rescues += 1
            self._reader_sleep = None

    async def _watch(self) -> None:
        """See to what waits whenever libzmq tells of a change, or a pause is over."""
        _, events = self._link.descriptors()
        while True:
            with trio.move_on_after(RESCUE_S) as sleep:
                self._watch_sleep = sleep
                self._see_to_it()
                await trio.lowlevel.wait_readable(events)


class TrioPair(AsyncPair, TrioClient):
    """Made by `open_client([one, other])`: the same calls, asked of both; `canceld help clients` says what holds."""

    def __init__(
        self, endpoint: str | Sequence[str], *, deadline_ms: int, margin_ms: int, strategy: str | None
    ) -> None:
        self.ways = []
        try:
            for one in check_pair(endpoint):
                self.ways.append(TrioClient(one, deadline_ms=deadline_ms, margin_ms=margin_ms, strategy=strategy))
        except ValueError:
            for way in self.ways:
                way._link.close()
            raise

    @property
    def _each(self) -> Sequence[TrioClient]:
        return self.ways
