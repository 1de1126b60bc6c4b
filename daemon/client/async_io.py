"""The client for asyncio programs: many tasks ask over one connection at the same time, without a thread."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Literal

from ..contract.commands import LeaseScope
from .async_core import RESCUE_S, AsyncClient
from .async_lease import AsyncLease
from .async_pair import AsyncPair
from .holding import ended_cleanly
from .pairing import check_pair
from .requests import COMMANDS_ENDPOINT, DEADLINE_MS, MARGIN_MS
from .results import LeaseResult


@asynccontextmanager
async def connect(
    endpoint: str | Sequence[str] = COMMANDS_ENDPOINT,
    *,
    deadline_ms: int = DEADLINE_MS,
    margin_ms: int = MARGIN_MS,
    strategy: str | None = None,
) -> AsyncIterator["AsyncioClient"]:
    """A connection to the daemon for as long as the block runs; arguments as of the blocking Client."""
    kind = AsyncioClient if isinstance(endpoint, str) else AsyncioPair
    client = kind(endpoint, deadline_ms=deadline_ms, margin_ms=margin_ms, strategy=strategy)
    try:
        client._listen()
        yield client
    finally:
        client._leave()


class AsyncioClient(AsyncClient):
    """Made by `connect`. Any number of tasks of one event loop may call it."""

    def __init__(
        self, endpoint: str | Sequence[str], *, deadline_ms: int, margin_ms: int, strategy: str | None
    ) -> None:
        assert isinstance(endpoint, str)
        super().__init__(endpoint, deadline_ms=deadline_ms, margin_ms=margin_ms, strategy=strategy)
        self._loop = asyncio.get_running_loop()
        self._next_look: asyncio.Handle | None = None
        self._rescue: asyncio.Handle | None = None
        self._pause: asyncio.TimerHandle | None = None

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
        """Hold a lease for as long as the block runs; see `Client.holding`."""

        async def renew(ttl_ms: int, scope: tuple[LeaseScope, ...], deadline_ms: int | None) -> LeaseResult:
            return await self.lease(strategy, ttl_ms, on_expiry=on_expiry, scope=scope, deadline_ms=deadline_ms)

        lease = AsyncLease(renew, ttl_ms, scope, pulse_ms, turn=asyncio.Lock(), sleep=asyncio.sleep)
        await lease.take()
        keeper = asyncio.create_task(lease.keep(), name=f"canceld lease of {strategy}")
        try:
            yield lease
        except BaseException as error:
            if ended_cleanly(error):
                await lease.give_back()
            raise
        else:
            await lease.give_back()
        finally:
            keeper.cancel()

    async def _readable(self, descriptor: int) -> None:
        news = asyncio.Event()
        self._loop.add_reader(descriptor, news.set)
        try:
            await self._wait(news, RESCUE_S)
        finally:
            self._loop.remove_reader(descriptor)

    async def _checkpoint(self) -> None:
        await asyncio.sleep(0)

    def _event(self) -> asyncio.Event:
        return asyncio.Event()

    async def _wait(self, event: Any, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await event.wait()

    def _rouse(self) -> None:
        if self._next_look is None:
            self._next_look = self._loop.call_soon(self._read)

    def _see_to_it_in(self, seconds: float) -> None:
        at = self._loop.time() + seconds
        if self._pause is not None and not self._pause.cancelled() and self._loop.time() < self._pause.when() <= at:
            return
        if self._pause is not None:
            self._pause.cancel()
        self._pause = self._loop.call_at(at, self._see_to_it)

    def _listen(self) -> None:
        frames, events = self._link.descriptors()
        self._loop.add_reader(frames, self._read)
        self._loop.add_reader(events, self._see_to_it)
        self._look_unbidden()

    def _leave(self) -> None:
        frames, events = self._link.descriptors()
        self._loop.remove_reader(frames)
        self._loop.remove_reader(events)
        for handle in (self._next_look, self._rescue, self._pause):
            if handle is not None:
                handle.cancel()
        self._link.close()

    def _read(self) -> None:
        """Take replies; when there are more than one look takes, other tasks run before the next."""
        if self._next_look is not None:
            self._next_look.cancel()
            self._next_look = None
        if self._look():
            self._rouse()

    def _look_unbidden(self) -> None:
        """Look without a signal, now and then, for as long as the client is open."""
        if self._next_look is None and self._link.has_frame():
            self.rescues += 1
            self._rouse()
        self._see_to_it()
        self._rescue = self._loop.call_later(RESCUE_S, self._look_unbidden)


class AsyncioPair(AsyncPair, AsyncioClient):
    """Made by `connect([one, other])`: the same calls, asked of both; `canceld help clients` says what holds."""

    def __init__(
        self, endpoint: str | Sequence[str], *, deadline_ms: int, margin_ms: int, strategy: str | None
    ) -> None:
        self.ways: list[AsyncioClient] = []
        try:
            for one in check_pair(endpoint):
                self.ways.append(AsyncioClient(one, deadline_ms=deadline_ms, margin_ms=margin_ms, strategy=strategy))
        except ValueError:
            for way in self.ways:
                way._link.close()
            raise

    @property
    def _each(self) -> Sequence[AsyncioClient]:
        return self.ways

    def _listen(self) -> None:
        for way in self.ways:
            way._listen()

    def _leave(self) -> None:
        for way in self.ways:
            way._leave()
