"""A lease held by a program with an event loop: renewed by a task of its own, given back at a clean end."""

from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from ..contract.commands import LeaseScope
from .holding import Hold
from .link import monotonic_ns
from .requests import DaemonUnreachable
from .results import CommandRefused, LeaseResult


class Renew(Protocol):
    """Asks the daemon for the lease with this scope; ttl_ms 0 gives it back."""

    def __call__(
        self, ttl_ms: int, scope: tuple[LeaseScope, ...], deadline_ms: int | None
    ) -> Awaitable[LeaseResult]: ...


class AsyncLease:
    """Made by the `holding` of an asynchronous client.

    turn: a lock of the event loop that it lives in; sleep: that loop's, in seconds.
    """

    def __init__(
        self,
        renew: Renew,
        ttl_ms: int,
        scope: Iterable[LeaseScope],
        pulse_ms: int | None,
        *,
        turn: AbstractAsyncContextManager[Any],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._renew = renew
        self._ttl_ms = ttl_ms
        self._scope = tuple(scope)
        self._hold = Hold(ttl_ms, pulse_ms, monotonic_ns())
        self._turn = turn
        self._given_back = False
        self._sleep = sleep

    @property
    def held(self) -> bool:
        """Whether the daemon surely holds the lease now. Once it does not, its orders are or will be cancelled."""
        return self._hold.stands(monotonic_ns())

    @property
    def error(self) -> Exception | None:
        """Why the last renewal failed; None when it did not."""
        return self._hold.error

    def pulse(self) -> None:
        """Show that the strategy still goes round; needed where the lease was taken with `pulse_ms`."""
        self._hold.pulse(monotonic_ns())

    async def restate(self, scope: Iterable[LeaseScope]) -> None:
        """Cover these orders from here on. Returns when the daemon holds it so: then place them.

        Raises DaemonUnreachable, and CommandRefused; what was covered before stays so.
        """
        await self._take(tuple(scope), None)

    async def _take(self, scope: tuple[LeaseScope, ...] | None, deadline_ms: int | None) -> None:
        # One at a time, and what is covered is read in turn: a renewal must not take back what was stated meanwhile.
        async with self._turn:
            if self._given_back:
                # A renewal whose turn came after the end would take the lease anew, and nobody would hold it.
                return
            covered = self._scope if scope is None else scope
            asked_ns = monotonic_ns()
            await self._renew(self._ttl_ms, covered, deadline_ms)
            self._scope = covered
            self._hold.renewed(asked_ns)

    async def take(self) -> None:
        """The first time. Raises DaemonUnreachable, CommandRefused."""
        await self._take(None, None)

    async def keep(self) -> None:
        """Renew for ever; a failure is told by `error` and tried again."""
        while True:
            await self._sleep(self._hold.every_ms / 1000)
            if self._hold.wants_renewal(monotonic_ns()):
                try:
                    await self._take(None, self._hold.every_ms)
                except (DaemonUnreachable, CommandRefused) as error:
                    self._hold.error = error

    async def give_back(self) -> None:
        """Give it back, for a bounded time; where that fails it runs out by itself."""
        async with self._turn:
            self._given_back = True
            try:
                await self._renew(0, (), None)
            except (DaemonUnreachable, CommandRefused) as error:
                self._hold.error = error
