"""The client for programs without an event loop: every call waits for its answer."""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Any, Concatenate, Literal, ParamSpec, Self, TypeVar

from ..contract.commands import LeaseScope, OrderRef, Until
from ..contract.ids import CommandID, Venue
from .blocking_events import Events
from .blocking_lease import HeldLease
from .blocking_pair import Pair
from .commands import Commands, named_after, results_of
from .events import check_topics
from .link import EventLink, Link, fresh_prefix, monotonic_ns, why_absent
from .pairing import NO_EVENTS, PairCall, both, many, results_of_many
from .requests import (
    COMMANDS_ENDPOINT,
    DEADLINE_MS,
    MARGIN_MS,
    NS_PER_MS,
    PIPELINE,
    SLICE_MS,
    DaemonUnreachable,
    Request,
    Requests,
    events_beside,
)
from .results import CancelResult

P = ParamSpec("P")
T = TypeVar("T")


def asks(build: Callable[Concatenate[Commands, P], Request[T]]) -> "Callable[Concatenate[Client, P], T]":
    """The method that asks with this command and waits for what it comes to."""
    call_both = both(build)

    def ask(client: "Client", /, *args: P.args, **kwargs: P.kwargs) -> T:
        if client._pair is not None:
            call = call_both(client._pair.commands, *args, **kwargs)
            client._converse_with(client._pair, [call])
            return call.result(client._pair.endpoints)
        return client._ask(build(client._commands, *args, **kwargs))

    named_after(ask, build)
    return ask


class Client:
    """One connection to the daemon, kept and reused. One thread at a time; after a fork make a new one.

    Every call ends within its deadline plus `margin_ms` (and one slice of 50 ms). A daemon that does not answer raises
    DaemonUnreachable; a daemon that is restarted meanwhile is asked again with the same id, except for a userref. One
    that refuses because it is stopping, or has no route to the venue, is asked again after growing pauses until the
    deadline; the last refusal is the answer then.

    endpoint: the `gateway.commands` of the daemon's configuration, or `gateway.control` for an operator. Of two daemons
    for one account, which have each a key of its own, both: `[one, other]`; see `canceld help clients`.
    deadline_ms: for calls that name none.
    connect_timeout_ms: how long a command may wait for a connection; None lets it wait for as long as for its answer.
    strategy: label for audit and metrics, for calls that name none.
    """

    def __init__(
        self,
        endpoint: str | Sequence[str] = COMMANDS_ENDPOINT,
        *,
        deadline_ms: int = DEADLINE_MS,
        margin_ms: int = MARGIN_MS,
        connect_timeout_ms: int | None = None,
        strategy: str | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._connect_timeout_ms = connect_timeout_ms
        self._one_thread = threading.Lock()
        self._pair: Pair | None = None
        if not isinstance(endpoint, str):
            self._pair = Pair(endpoint, deadline_ms=deadline_ms, margin_ms=margin_ms, strategy=strategy)
            return
        self._requests = Requests()
        self._commands = Commands(
            self._requests,
            monotonic_ns,
            fresh_prefix(),
            deadline_ms=deadline_ms,
            margin_ms=margin_ms,
            strategy=strategy,
        )
        self._link = Link(endpoint, slice_ms=SLICE_MS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close at once. What was sent stays sent; what was not never will be."""
        if self._pair is None:
            self._link.close()
        else:
            self._pair.close()

    cancel = asks(Commands.cancel)
    cancel_batch = asks(Commands.cancel_batch)
    cancel_all = asks(Commands.cancel_all)
    kill = asks(Commands.kill)
    kill_scope = asks(Commands.kill_scope)
    what_rests = asks(Commands.what_rests)
    drill = asks(Commands.drill)
    rearm = asks(Commands.rearm)
    lease = asks(Commands.lease)
    status = asks(Commands.status)
    ping = asks(Commands.ping)

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
        if self._pair is not None:
            calls = many(self._pair.commands, venue, orders, until=until, deadline_ms=deadline_ms, strategy=strategy)
            self._converse_with(self._pair, calls)
            return results_of_many(calls, self._pair.endpoints)
        requests = self._commands.cancel_many(venue, orders, until=until, deadline_ms=deadline_ms, strategy=strategy)
        try:
            self._converse(requests)
        finally:
            for request in requests:
                self._requests.give_up(request)
        if requests and not any(request.answered for request in requests):
            raise self._unreachable(None, sent=any(request.sent for request in requests))
        return results_of(venue, orders, requests)

    def holding(
        self,
        strategy: str,
        ttl_ms: int,
        *,
        on_expiry: Literal["cancel", "kill"] = "cancel",
        scope: Iterable[LeaseScope] = (),
        pulse_ms: int | None = None,
    ) -> HeldLease:
        """Hold a lease for as long as a `with` block runs: renewed by a thread with a connection of its own.

        A block that ends, or leaves by `sys.exit()`, gives the lease back. One that raises, and a process that dies,
        hangs as a whole or is stopped, leaves it to run out: `ttl_ms` later the daemon cancels what `scope` names, or
        pulls the kill. pulse_ms: renew only while `pulse()` was called within this time, so that a strategy that hangs
        is noticed although its thread goes on. Entering raises DaemonUnreachable, CommandRefused.
        """
        return HeldLease(Client(self._endpoint), strategy, ttl_ms, on_expiry=on_expiry, scope=scope, pulse_ms=pulse_ms)

    def events(self, topics: Iterable[str] = (), *, endpoint: str | None = None) -> Events:
        """Listen to what the daemon tells everybody: all of it, or these topics (`late.spot`, `late`, `kill`, `alert`).

        A connection of its own, from now on; what happened before is not told. endpoint: the `gateway.events` of the
        daemon's configuration; by default `events.sock` beside this client's own socket. Raises ValueError.
        """
        if self._pair is not None and endpoint is None:
            raise ValueError(NO_EVENTS)
        return Events(EventLink(endpoint or events_beside(self._link.endpoint), check_topics(topics)))

    def _ask(self, request: Request[T]) -> T:
        try:
            self._converse((request,))
        finally:
            self._requests.give_up(request)
        if not request.answered:
            raise self._unreachable(request.id, sent=request.sent)
        return request.result()

    def _unreachable(self, id: CommandID | None, *, sent: bool) -> DaemonUnreachable:
        endpoint = self._link.endpoint
        why = "" if sent else why_absent(endpoint)
        return DaemonUnreachable(endpoint, id, sent=sent, unreadable=self._requests.unreadable, why=why)

    def _converse(self, requests: Sequence[Request[Any]]) -> None:
        """Send the commands, which share one deadline, and take replies until all are here or it is over."""
        if not requests:
            return
        link, waiting = self._link, self._requests.waiting
        link.check_usable()
        self._take_thread()
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
                now_ns = monotonic_ns()
                if payload is not None:
                    self._requests.take(payload, now_ns)
                    if not waiting:
                        return
                elif link.came_back():
                    unsent = deque([*self._requests.lost(), *(one for one in unsent if one.sendings == 0)])
                unsent.extend(self._requests.due(now_ns))
                if now_ns >= give_up_ns or (now_ns >= connect_by_ns and not requests[0].reached):
                    return
        finally:
            self._one_thread.release()

    def _converse_with(self, pair: Pair, calls: Sequence[PairCall[Any]]) -> None:
        pair.check_usable()
        self._take_thread()
        try:
            pair.converse(calls, self._connect_timeout_ms)
        finally:
            self._one_thread.release()

    def _take_thread(self) -> None:
        if not self._one_thread.acquire(blocking=False):
            raise RuntimeError("this client is being used by another thread; make one client per thread")

    def _send(self, request: Request[Any]) -> bool:
        sent = self._link.send(request.payload)
        request.sendings += sent
        return sent
