"""A lease held by a program without an event loop: renewed by a thread, given back at a clean end."""

import threading
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Literal, Protocol, Self

from ..contract.commands import LeaseScope
from .holding import Hold, ended_cleanly
from .link import monotonic_ns
from .requests import DaemonUnreachable
from .results import CommandRefused


class Leasing(Protocol):
    """The connection that a lease is renewed over: a client of its own."""

    def lease(
        self,
        strategy: str,
        ttl_ms: int,
        *,
        on_expiry: Literal["cancel", "kill"] = "cancel",
        scope: Iterable[LeaseScope] = (),
        deadline_ms: int | None = None,
    ) -> Any: ...

    def close(self) -> None: ...


class HeldLease:
    """Made by `Client.holding`, for one `with` block. Its methods may be called from any thread."""

    def __init__(
        self,
        client: Leasing,
        strategy: str,
        ttl_ms: int,
        *,
        on_expiry: Literal["cancel", "kill"],
        scope: Iterable[LeaseScope],
        pulse_ms: int | None,
    ) -> None:
        self._strategy = strategy
        self._ttl_ms = ttl_ms
        self._on_expiry = on_expiry
        self._scope = tuple(scope)
        self._hold = Hold(ttl_ms, pulse_ms, monotonic_ns())
        self._client = client
        # The renewing thread and whoever restates take turns at the connection.
        self._turn = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep, name=f"canceld lease of {strategy}", daemon=True)

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

    def restate(self, scope: Iterable[LeaseScope]) -> None:
        """Cover these orders from here on. Returns when the daemon holds it so: then place them.

        Raises DaemonUnreachable, and CommandRefused; what was covered before stays so.
        """
        self._take(tuple(scope), None)

    def __enter__(self) -> Self:
        try:
            self._take(None, None)
        except BaseException:
            self._client.close()
            raise
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        # A renewal under way ends within its own deadline.
        self._thread.join()
        try:
            if ended_cleanly(error):
                self._client.lease(self._strategy, 0)
        except (DaemonUnreachable, CommandRefused) as failed:
            # It runs out by itself then, and its orders with it.
            self._hold.error = failed
        finally:
            self._client.close()

    def _take(self, scope: tuple[LeaseScope, ...] | None, deadline_ms: int | None) -> None:
        with self._turn:
            covered = self._scope if scope is None else scope
            asked_ns = monotonic_ns()
            self._client.lease(
                self._strategy, self._ttl_ms, on_expiry=self._on_expiry, scope=covered, deadline_ms=deadline_ms
            )
            self._scope = covered
            self._hold.renewed(asked_ns)

    def _keep(self) -> None:
        """Renew until the block ends; a failure is told by `error` and tried again."""
        while not self._over.wait(self._hold.every_ms / 1000):
            if self._hold.wants_renewal(monotonic_ns()):
                try:
                    # What is covered is read in turn: a renewal must not take back what was stated meanwhile.
                    self._take(None, self._hold.every_ms)
                except (DaemonUnreachable, CommandRefused) as error:
                    self._hold.error = error
