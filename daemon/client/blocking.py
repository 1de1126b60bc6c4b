"""The client for programs without an event loop: every call waits for its answer."""

import threading
from collections import deque
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal, Self, TypeVar

from ..contract.commands import LeaseScope, OrderRef, Until
from ..contract.ids import CommandID, Venue
from .link import Link, fresh_prefix, monotonic_ns
from .requests import (
    COMMANDS_ENDPOINT,
    DEADLINE_MS,
    KILL_DEADLINE_MS,
    MARGIN_MS,
    NS_PER_MS,
    DaemonUnreachable,
    Request,
    Requests,
    results_of,
)
from .results import CancelAllResult, CancelResult, KillResult, LeaseResult, Pong, RearmResult, ReplyMap

if TYPE_CHECKING:
    from .blocking_lease import HeldLease

SLICE_MS: Final = 50
"""How often a waiting call looks whether the connection was lost. An answer wakes it at once."""

PIPELINE: Final = 1000
"""Most commands of one cancel_many under way at once: well inside every queue between here and the venue."""

T = TypeVar("T")


class Client:
    """One connection to the daemon, kept and reused. One thread at a time; after a fork make a new one.

    Every call ends within its deadline plus `margin_ms` (and one slice of 50 ms). A daemon that does not answer raises
    DaemonUnreachable; a daemon that is restarted meanwhile is asked again with the same id, except for a userref.

    endpoint: the `gateway.commands` of the daemon's configuration, or `gateway.control` for an operator.
    deadline_ms: for calls that name none.
    connect_timeout_ms: how long a command may wait for a connection; None lets it wait for as long as for its answer.
    strategy: label for audit and metrics, for calls that name none.
    """

    def __init__(
        self,
        endpoint: str = COMMANDS_ENDPOINT,
        *,
        deadline_ms: int = DEADLINE_MS,
        margin_ms: int = MARGIN_MS,
        connect_timeout_ms: int | None = None,
        strategy: str | None = None,
    ) -> None:
        self._requests = Requests(fresh_prefix(), deadline_ms=deadline_ms, margin_ms=margin_ms, strategy=strategy)
        self._connect_timeout_ms = connect_timeout_ms
        self._one_thread = threading.Lock()
        self._link = Link(endpoint, slice_ms=SLICE_MS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close at once. What was sent stays sent; what was not never will be."""
        self._link.close()

    def cancel(
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
        """Cancel one order, named by exactly one of its three identifiers.

        until: "ack" answers at the venue's acceptance, "proof" at the evidence that the order left the book.
        id: made up when None; give the id of a DaemonUnreachable, with the same arguments, to ask again.
        Raises DaemonUnreachable, and ValueError for arguments that are no cancel.
        """
        return self._ask(
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

    def cancel_many(
        self,
        venue: Venue,
        orders: Iterable[OrderRef],
        *,
        until: Until = "ack",
        deadline_ms: int | None = None,
        strategy: str | None = None,
    ) -> list[CancelResult]:
        """Cancel each order by a command of its own, pipelined; results in the sequence of `orders`.

        An order whose command was not answered has the outcome Unknown and an empty `reply`. Raises DaemonUnreachable
        only when not one was answered. The deadline runs from the call, for all of them.
        """
        orders = tuple(orders)
        requests = self._requests.cancel_many(
            monotonic_ns(), venue, orders, until=until, deadline_ms=deadline_ms, strategy=strategy
        )
        try:
            self._converse(requests)
        finally:
            for request in requests:
                self._requests.give_up(request)
        if requests and not any(request.answered for request in requests):
            raise self._unreachable(None, sent=any(request.sent for request in requests))
        return results_of(venue, orders, requests)

    def cancel_batch(
        self,
        venue: Venue,
        orders: Iterable[OrderRef],
        *,
        until: Until = "ack",
        id: CommandID | None = None,
        deadline_ms: int | None = None,
        strategy: str | None = None,
    ) -> list[CancelResult]:
        """Cancel 1..500 orders by one command; results in the sequence of `orders`. Raises as `cancel` does."""
        return self._ask(
            self._requests.cancel_batch(
                monotonic_ns(), venue, orders, until=until, id=id, deadline_ms=deadline_ms, strategy=strategy
            )
        )

    def cancel_all(
        self,
        venue: Venue | None = None,
        *,
        until: Until = "ack",
        id: CommandID | None = None,
        deadline_ms: int | None = None,
        strategy: str | None = None,
    ) -> CancelAllResult:
        """Cancel everything open on one venue, or on every enabled one. Raises DaemonUnreachable, CommandRefused."""
        return self._ask(
            self._requests.cancel_all(
                monotonic_ns(), venue, until=until, id=id, deadline_ms=deadline_ms, strategy=strategy
            )
        )

    def kill(
        self,
        reason: str,
        *,
        venues: Sequence[Venue] | None = None,
        drill: bool = False,
        id: CommandID | None = None,
        deadline_ms: int = KILL_DEADLINE_MS,
    ) -> KillResult:
        """Pull the kill switch and wait until every venue is verified flat, or for the deadline.

        The latch is durable before the reply, and sweeping goes on after it. drill: walk the whole path with orders
        that cannot exist instead, and pull nothing. Raises DaemonUnreachable, CommandRefused.
        """
        return self._ask(
            self._requests.kill(monotonic_ns(), reason, venues=venues, drill=drill, id=id, deadline_ms=deadline_ms)
        )

    def rearm(
        self,
        *,
        confirm: str | None = None,
        reason: str | None = None,
        force: bool = False,
        id: CommandID | None = None,
        deadline_ms: int | None = None,
    ) -> RearmResult:
        """Re-arm the kill switch in two calls: the first brings the code for the second's `confirm`.

        Only on the control socket. Raises DaemonUnreachable, and CommandRefused while anything rests.
        """
        return self._ask(
            self._requests.rearm(
                monotonic_ns(), confirm=confirm, reason=reason, force=force, id=id, deadline_ms=deadline_ms
            )
        )

    def lease(
        self,
        strategy: str,
        ttl_ms: int,
        *,
        on_expiry: Literal["cancel", "kill"] = "cancel",
        scope: Iterable[LeaseScope] = (),
        id: CommandID | None = None,
        deadline_ms: int | None = None,
    ) -> LeaseResult:
        """Take or renew a lease of 500..60000 ms, or give it back with 0. Raises DaemonUnreachable, CommandRefused."""
        return self._ask(
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

    def holding(
        self,
        strategy: str,
        ttl_ms: int,
        *,
        on_expiry: Literal["cancel", "kill"] = "cancel",
        scope: Iterable[LeaseScope] = (),
        pulse_ms: int | None = None,
    ) -> "HeldLease":
        """Hold a lease for as long as a `with` block runs: renewed by a thread with a connection of its own.

        A block that ends, or leaves by `sys.exit()`, gives the lease back. One that raises, and a process that dies,
        hangs as a whole or is stopped, leaves it to run out: `ttl_ms` later the daemon cancels what `scope` names, or
        pulls the kill. pulse_ms: renew only while `pulse()` was called within this time, so that a strategy that hangs
        is noticed although its thread goes on. Entering raises DaemonUnreachable, CommandRefused.
        """
        from .blocking_lease import HeldLease

        return HeldLease(
            self._link.endpoint, strategy, ttl_ms, on_expiry=on_expiry, scope=scope, pulse_ms=pulse_ms
        )

    def status(self, *, detail: bool = False, deadline_ms: int | None = None) -> ReplyMap:
        """How the daemon is: the contract's `status` map. Raises DaemonUnreachable."""
        return self._ask(self._requests.status(monotonic_ns(), detail=detail, deadline_ms=deadline_ms))

    def ping(self, *, deadline_ms: int | None = None) -> Pong:
        """Whether the daemon answers. Raises DaemonUnreachable."""
        return self._ask(self._requests.ping(monotonic_ns(), deadline_ms=deadline_ms))

    def _ask(self, request: Request[T]) -> T:
        try:
            self._converse((request,))
        finally:
            self._requests.give_up(request)
        if not request.answered:
            raise self._unreachable(request.id, sent=request.sent)
        return request.result()

    def _unreachable(self, id: CommandID | None, *, sent: bool) -> DaemonUnreachable:
        return DaemonUnreachable(self._link.endpoint, id, sent=sent, unreadable=self._requests.unreadable)

    def _converse(self, requests: Sequence[Request[Any]]) -> None:
        """Send the commands, which share one deadline, and take replies until all are here or it is over."""
        if not requests:
            return
        link, waiting = self._link, self._requests.waiting
        link.check_usable()
        if not self._one_thread.acquire(blocking=False):
            raise RuntimeError("this client is being used by another thread; make one client per thread")
        try:
            self._requests.admit(requests)
            unsent = deque(requests)
            give_up_ns = requests[0].give_up_ns
            connect_by_ns = give_up_ns
            if self._connect_timeout_ms is not None:
                connect_by_ns = min(give_up_ns, monotonic_ns() + self._connect_timeout_ms * NS_PER_MS)
            while True:
                no_room = False
                while unsent and len(waiting) - len(unsent) < PIPELINE and not no_room:
                    if unsent[0].answered or self._send(unsent[0]):
                        unsent.popleft()
                    else:
                        no_room = True
                payload = link.receive_or_room() if no_room else link.receive_within()
                if payload is not None:
                    self._requests.take(payload)
                    if not waiting:
                        return
                elif link.came_back():
                    unsent = deque([*self._requests.lost(), *(one for one in unsent if one.sendings == 0)])
                now_ns = monotonic_ns()
                if now_ns >= give_up_ns or (now_ns >= connect_by_ns and requests[0].sendings == 0):
                    return
        finally:
            self._one_thread.release()

    def _send(self, request: Request[Any]) -> bool:
        sent = self._link.send(request.payload)
        request.sendings += sent
        return sent
