"""A scribe without a process of its own: an object in the daemon's loop. Simulations and tests have it.

It holds what the pipe would hold, and a crash of the process takes it along.
"""

from collections import deque
from typing import Final

import trio

from ..transport.clock import Clock
from ..transport.disk import Directory, DiskFailed
from .failing import Failing
from .messages import Begin, Block, News, Stream, framed, order_in, pack
from .timing import RETRY_S, SYNC_S
from .writer import DIRECTORY, Writer

_NEVER: Final = float("inf")


class InPlace:
    """One scribe; see transport/scribe.py for what each call means."""

    def __init__(self, state: Directory, clock: Clock) -> None:
        self.why = ""
        self._state = state
        self._writer = Writer(clock.utc_ns, clock.monotonic_ns, self._tell)
        self._stream = Stream()
        self._orders: deque[bytes] = deque()
        self._told = bytearray()
        self._heard = trio.Event()
        self._asked = trio.Event()
        self._unsynced = trio.Event()
        self._packable = trio.Event()
        self._syncing = trio.Lock()
        self._is_open = self._is_finishing = self._is_done = False
        self._shed_due_s = float("-inf")
        self._failing = Failing(self._tell)

    async def start(self, first: bytes) -> None:
        self._orders.clear()
        self.put(first)

    def put(self, data: bytes) -> None:
        self._orders.extend(self._stream.take(data))
        self._asked.set()

    def finish(self) -> None:
        self._is_finishing = True
        self._asked.set()

    async def news(self) -> bytes:
        while not self._told and not self._is_done:
            self._heard = trio.Event()
            await self._heard.wait()
        told = bytes(self._told)
        self._told.clear()
        return told

    async def pump(self) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._sync_on, name="journal sync")
            nursery.start_soon(self._pack_on, name="journal packing")
            while self._orders or not self._is_finishing:
                if not self._orders:
                    self._asked = trio.Event()
                    with trio.move_on_at(self._shed_due_s if self._is_open and self._writer.shed_due else _NEVER):
                        await self._asked.wait()
                if self._orders and await self._carries_out(order_in(self._orders[0])):
                    self._orders.popleft()
                if self._is_open and self._writer.shed_due and trio.current_time() >= self._shed_due_s:
                    await self._shed()
            nursery.cancel_scope.cancel()
        await self._sync(head=True)
        self._is_done = True
        self._heard.set()

    async def _carries_out(self, order: Begin | Block) -> bool:
        part = "write" if isinstance(order, Block) else "open"
        try:
            if isinstance(order, Block):
                await self._writer.write(order.number, order.entries)
                self._unsynced.set()
            else:
                await self._writer.open(self._state, lambda: self._state.subdirectory(DIRECTORY), order.written)
                self._is_open = True
        except DiskFailed as failed:
            self._failing.fail(part, failed)
            await trio.sleep(RETRY_S)
            return False
        self._tell(self._writer.at())
        return True

    async def _shed(self) -> None:
        try:
            await self._writer.shed()
        except DiskFailed as failed:
            self._shed_due_s = trio.current_time() + RETRY_S
            self._failing.fail("removal", failed)
        else:
            self._failing.heal("removal")
            self._packable.set()

    async def _sync_on(self) -> None:
        while True:
            await self._unsynced.wait()
            await trio.sleep(SYNC_S)
            if not await self._sync():
                await trio.sleep(RETRY_S)

    async def _sync(self, *, head: bool = False) -> bool:
        async with self._syncing:
            self._unsynced = trio.Event()
            try:
                if self._is_open:
                    await self._writer.sync(head=head)
            except DiskFailed as failed:
                self._unsynced.set()
                self._failing.fail("sync", failed)
                return False
            except BaseException:
                self._unsynced.set()
                raise
        self._failing.heal("sync")
        return True

    async def _pack_on(self) -> None:
        while True:
            await self._packable.wait()
            self._packable = trio.Event()
            await self._writer.pack()

    def _tell(self, news: News) -> None:
        self._told += framed(pack(news))
        self._heard.set()
