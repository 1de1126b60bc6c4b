"""The client for trio programs: many tasks ask over one connection at the same time."""

from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, Literal, TypeVar

import trio

from ..contract.commands import LeaseScope, OrderRef, Until
from ..contract.ids import CommandID, Venue
from .holding import ended_cleanly
from .link import Link, fresh_prefix, monotonic_ns
from .requests import (
    COMMANDS_ENDPOINT,
    DEADLINE_MS,
    KILL_DEADLINE_MS,
    MARGIN_MS,
    DaemonUnreachable,
    Request,
    Requests,
    results_of,
)
from .results import CancelAllResult, CancelResult, KillResult, LeaseResult, Pong, RearmResult, ReplyMap
from .trio_lease import TrioLease

DRAIN_LIMIT: Final = 64
"""Replies taken before other tasks run."""

RESCUE_S: Final = 0.5
"""The reader looks again after this long even without a signal, should the socket's edge ever be lost."""

T = TypeVar("T")


@asynccontextmanager
async def open_client(
    endpoint: str = COMMANDS_ENDPOINT,
    *,
    deadline_ms: int = DEADLINE_MS,
    margin_ms: int = MARGIN_MS,
    strategy: str | None = None,
) -> AsyncIterator["TrioClient"]:
    """A connection to the daemon for as long as the block runs; arguments as of the blocking Client.

    What the block raises comes out as it is, not in an exception group.
    """
    client = TrioClient(endpoint, deadline_ms=deadline_ms, margin_ms=margin_ms, strategy=strategy)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client._read, name="canceld client reader")
            nursery.start_soon(client._watch, name="canceld client connection watch")
            yield client
            nursery.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        if len(group.exceptions) > 1:
            raise
        only = group.exceptions[0]
    else:
        return
    finally:
        client._link.close()
    raise only


class TrioClient:
    """Made by `open_client`. Any number of tasks of one trio run may call it; every call ends in bounded time.

    A caller that is cancelled while it waits leaves its command with the daemon: the order may be cancelled or not,
    and asking again with the same id tells.

    rescues: replies that only a look without a signal found. Always 0, or the reader has a bug.
    """

    def __init__(self, endpoint: str, *, deadline_ms: int, margin_ms: int, strategy: str | None) -> None:
        self.rescues = 0
        self._requests = Requests(fresh_prefix(), deadline_ms=deadline_ms, margin_ms=margin_ms, strategy=strategy)
        self._link = Link(endpoint)
        self._unsent: OrderedDict[CommandID, Request[Any]] = OrderedDict()
        self._reader_sleep: trio.CancelScope | None = None

    async def cancel(
        self,
        venue: Venue,
        *,
        order_id: str | None = None,
        cl_ord_id: str | None = None,
        userref: int | None = None,
        symbol: str | None = None,
        until: Until = "ack",
        id: CommandID | None = None,
        deadline_ms: int | None = None,
        strategy: str | None = None,
    ) -> CancelResult:
        """Cancel one order; see `Client.cancel`."""
        return await self._ask(
            self._requests.cancel(
                monotonic_ns(),
                venue,
                OrderRef(order_id, cl_ord_id, userref, symbol),
                until=until,
                id=id,
                deadline_ms=deadline_ms,
                strategy=strategy,
            )
        )

    async def cancel_many(
        self,
        venue: Venue,
        orders: Iterable[OrderRef],
        *,
        until: Until = "ack",
        deadline_ms: int | None = None,
        strategy: str | None = None,
    ) -> list[CancelResult]:
        """Cancel each order by a command of its own, pipelined; see `Client.cancel_many`."""
        orders = tuple(orders)
        requests = self._requests.cancel_many(
            monotonic_ns(), venue, orders, until=until, deadline_ms=deadline_ms, strategy=strategy
        )
        try:
            await self._converse(requests)
        finally:
            self._give_up(requests)
        if requests and not any(request.answered for request in requests):
            raise self._unreachable(None, sent=any(request.sent for request in requests))
        return results_of(venue, orders, requests)

    async def cancel_batch(
        self,
        venue: Venue,
        orders: Iterable[OrderRef],
        *,
        until: Until = "ack",
        id: CommandID | None = None,
        deadline_ms: int | None = None,
        strategy: str | None = None,
    ) -> list[CancelResult]:
        """Cancel 1..500 orders by one command; see `Client.cancel_batch`."""
        return await self._ask(
            self._requests.cancel_batch(
                monotonic_ns(), venue, orders, until=until, id=id, deadline_ms=deadline_ms, strategy=strategy
            )
        )

    async def cancel_all(
        self,
        venue: Venue | None = None,
        *,
        until: Until = "ack",
        id: CommandID | None = None,
        deadline_ms: int | None = None,
        strategy: str | None = None,
    ) -> CancelAllResult:
        """Cancel everything open on one venue, or on every enabled one; see `Client.cancel_all`."""
        return await self._ask(
            self._requests.cancel_all(
                monotonic_ns(), venue, until=until, id=id, deadline_ms=deadline_ms, strategy=strategy
            )
        )

    async def kill(
        self,
        reason: str,
        *,
        venues: Sequence[Venue] | None = None,
        drill: bool = False,
        id: CommandID | None = None,
        deadline_ms: int = KILL_DEADLINE_MS,
    ) -> KillResult:
        """Pull the kill switch; see `Client.kill`."""
        return await self._ask(
            self._requests.kill(monotonic_ns(), reason, venues=venues, drill=drill, id=id, deadline_ms=deadline_ms)
        )

    async def rearm(
        self,
        *,
        confirm: str | None = None,
        reason: str | None = None,
        force: bool = False,
        id: CommandID | None = None,
        deadline_ms: int | None = None,
    ) -> RearmResult:
        """Re-arm the kill switch in two calls; see `Client.rearm`."""
        return await self._ask(
            self._requests.rearm(
                monotonic_ns(), confirm=confirm, reason=reason, force=force, id=id, deadline_ms=deadline_ms
            )
        )

    async def lease(
        self,
        strategy: str,
        ttl_ms: int,
        *,
        on_expiry: Literal["cancel", "kill"] = "cancel",
        scope: Iterable[LeaseScope] = (),
        id: CommandID | None = None,
        deadline_ms: int | None = None,
    ) -> LeaseResult:
        """Take, renew or give back a lease; see `Client.lease`."""
        return await self._ask(
            self._requests.lease(
                monotonic_ns(),
                strategy,
                ttl_ms,
                on_expiry=on_expiry,
                scope=scope,
                id=id,
                deadline_ms=deadline_ms,
            )
        )

    @asynccontextmanager
    async def holding(
        self,
        strategy: str,
        ttl_ms: int,
        *,
        on_expiry: Literal["cancel", "kill"] = "cancel",
        scope: Iterable[LeaseScope] = (),
        pulse_ms: int | None = None,
    ) -> AsyncIterator[TrioLease]:
        """Hold a lease for as long as the block runs; see `Client.holding`. What it raises comes out as it is."""

        async def renew(ttl_ms: int, scope: tuple[LeaseScope, ...], deadline_ms: int | None) -> LeaseResult:
            return await self.lease(strategy, ttl_ms, on_expiry=on_expiry, scope=scope, deadline_ms=deadline_ms)

        lease = TrioLease(renew, ttl_ms, scope, pulse_ms)
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

    async def status(self, *, detail: bool = False, deadline_ms: int | None = None) -> ReplyMap:
        """How the daemon is: the contract's `status` map. Raises DaemonUnreachable."""
        return await self._ask(self._requests.status(monotonic_ns(), detail=detail, deadline_ms=deadline_ms))

    async def ping(self, *, deadline_ms: int | None = None) -> Pong:
        """Whether the daemon answers. Raises DaemonUnreachable."""
        return await self._ask(self._requests.ping(monotonic_ns(), deadline_ms=deadline_ms))

    async def _ask(self, request: Request[T]) -> T:
        try:
            await self._converse((request,))
        finally:
            self._give_up((request,))
        if not request.answered:
            raise self._unreachable(request.id, sent=request.sent)
        return request.result()

    def _unreachable(self, id: CommandID | None, *, sent: bool) -> DaemonUnreachable:
        return DaemonUnreachable(self._link.endpoint, id, sent=sent, unreadable=self._requests.unreadable)

    async def _converse(self, requests: Sequence[Request[Any]]) -> None:
        """Send the commands, which share one deadline, and wait until all are answered or it is over."""
        if not requests:
            return
        self._link.check_usable()
        self._requests.admit(requests)
        left = len(requests)
        all_answered = trio.Event()

        def on_answer() -> None:
            nonlocal left
            left -= 1
            if left == 0:
                all_answered.set()

        for request in requests:
            request.on_answer = on_answer
        self._unsent.update((request.id, request) for request in requests)
        self._send_unsent()
        with trio.move_on_after(max(0, requests[0].give_up_ns - monotonic_ns()) / 1e9):
            await all_answered.wait()

    def _give_up(self, requests: Sequence[Request[Any]]) -> None:
        for request in requests:
            self._requests.give_up(request)
            # Nobody's command is sent after its caller was told that it was not.
            if self._unsent.get(request.id) is request:
                del self._unsent[request.id]

    def _send_unsent(self) -> None:
        """Send what the connection takes. A send can take the socket's read signal away, so the reader is told."""
        while self._unsent:
            request = next(iter(self._unsent.values()))
            if not self._link.send(request.payload):
                break
            request.sendings += 1
            del self._unsent[request.id]
        if self._reader_sleep is not None and self._link.has_frame():
            self._reader_sleep.cancel()
            self._reader_sleep = None

    async def _read(self) -> None:
        """Take replies for ever: receive until there is none, and only then wait for the edge."""
        link = self._link
        frames, _ = link.descriptors()
        while True:
            for _ in range(DRAIN_LIMIT):
                payload = link.receive()
                if payload is None:
                    break
                self._requests.take(payload)
            # The edge also comes when a connection is there again.
            self._send_unsent()
            if link.has_frame():
                await trio.lowlevel.checkpoint()
                continue
            with trio.move_on_after(RESCUE_S) as sleep:
                self._reader_sleep = sleep
                await trio.lowlevel.wait_readable(frames)
            if sleep.cancelled_caught and self._reader_sleep is sleep and link.has_frame():
                self.rescues += 1
            self._reader_sleep = None

    async def _watch(self) -> None:
        """Send what waited for a connection, and ask again what was under way when one was lost."""
        _, events = self._link.descriptors()
        while True:
            if self._link.came_back():
                self._unsent.update((request.id, request) for request in self._requests.lost())
            self._send_unsent()
            with trio.move_on_after(RESCUE_S):
                await trio.lowlevel.wait_readable(events)
