"""What the clients for programs with an event loop share: all but the loop. Many tasks ask over one connection."""

from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Concatenate, Final, ParamSpec, Protocol, TypeVar

from ..contract.commands import OrderRef, Until
from ..contract.ids import CommandID, Venue
from .async_events import AsyncEvents
from .commands import Commands, named_after, results_of
from .events import check_topics
from .link import EventLink, Link, fresh_prefix, monotonic_ns, why_absent
from .requests import DaemonUnreachable, Request, Requests, events_beside
from .results import CancelResult

DRAIN_LIMIT: Final = 64
"""Replies taken before other tasks run."""

RESCUE_S: Final = 0.5
"""The reader looks again after this long even without a signal, should the socket's edge ever be lost."""

P = ParamSpec("P")
T = TypeVar("T")


def asks(
    build: Callable[Concatenate[Commands, P], Request[T]],
) -> "Callable[Concatenate[AsyncClient, P], Awaitable[T]]":
    """The method that asks with this command; awaiting it gives what it comes to."""

    async def ask(client: "AsyncClient", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await client._ask(build(client._commands, *args, **kwargs))

    named_after(ask, build)
    return ask


class Event(Protocol):
    """An event of the loop's own kind."""

    def set(self) -> None: ...


class AsyncClient(ABC):
    """Any number of tasks of one event loop may call it; every call ends in bounded time.

    A caller that is cancelled while it waits leaves its command with the daemon: the order may be cancelled or not,
    and asking again with the same id tells.

    rescues: replies that only a look without a signal found. Always 0, or the reader has a bug.
    """

    def __init__(self, endpoint: str, *, deadline_ms: int, margin_ms: int, strategy: str | None) -> None:
        self.rescues = 0
        self._requests = Requests()
        self._commands = Commands(
            self._requests,
            monotonic_ns,
            fresh_prefix(),
            deadline_ms=deadline_ms,
            margin_ms=margin_ms,
            strategy=strategy,
        )
        self._link = Link(endpoint)
        self._unsent: OrderedDict[CommandID, Request[Any]] = OrderedDict()

    cancel = asks(Commands.cancel)
    cancel_batch = asks(Commands.cancel_batch)
    cancel_all = asks(Commands.cancel_all)
    kill = asks(Commands.kill)
    kill_scope = asks(Commands.kill_scope)
    what_rests = asks(Commands.what_rests)
    drill = asks(Commands.drill)
    rearm = asks(Commands.rearm)
    timer_right = asks(Commands.timer_right)
    lease = asks(Commands.lease)
    status = asks(Commands.status)
    ping = asks(Commands.ping)

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
        requests = self._commands.cancel_many(venue, orders, until=until, deadline_ms=deadline_ms, strategy=strategy)
        try:
            await self._converse(requests)
        finally:
            self._give_up(requests)
        if requests and not any(request.answered for request in requests):
            raise self._unreachable(None, sent=any(request.sent for request in requests))
        return results_of(venue, orders, requests)

    def events(self, topics: Iterable[str] = (), *, endpoint: str | None = None) -> AsyncEvents:
        """Listen to what the daemon tells everybody; see `Client.events`."""
        link = EventLink(endpoint or events_beside(self._link.endpoint), check_topics(topics))
        return AsyncEvents(link, self._readable, self._checkpoint)

    @abstractmethod
    async def _readable(self, descriptor: int) -> None:
        """Return when the descriptor can be read, or after RESCUE_S."""

    @abstractmethod
    async def _checkpoint(self) -> None:
        """Let other tasks run."""

    @abstractmethod
    def _event(self) -> Event:
        """A fresh event of this loop."""

    @abstractmethod
    async def _wait(self, event: Any, seconds: float) -> None:
        """Return when the event is set, or after so many seconds."""

    @abstractmethod
    def _rouse(self) -> None:
        """A reply is there whose signal a send has taken away: have the reader look."""

    @abstractmethod
    def _see_to_it_in(self, seconds: float) -> None:
        """Have `_see_to_it` called in so many seconds, or earlier."""

    async def _ask(self, request: Request[T]) -> T:
        try:
            await self._converse((request,))
        finally:
            self._give_up((request,))
        if not request.answered:
            raise self._unreachable(request.id, sent=request.sent)
        return request.result()

    def _unreachable(self, id: CommandID | None, *, sent: bool) -> DaemonUnreachable:
        endpoint = self._link.endpoint
        why = "" if sent else why_absent(endpoint)
        return DaemonUnreachable(endpoint, id, sent=sent, unreadable=self._requests.unreadable, why=why)

    async def _converse(self, requests: Sequence[Request[Any]]) -> None:
        """Send the commands, which share one deadline, and wait until all are answered or it is over."""
        if not requests:
            return
        self._link.check_usable()
        left = len(requests)
        all_answered = self._event()

        def on_answer() -> None:
            nonlocal left
            left -= 1
            if left == 0:
                all_answered.set()

        for request in requests:
            request.on_answer = on_answer
        self._begin(requests)
        await self._wait(all_answered, max(0, requests[0].give_up_ns - monotonic_ns()) / 1e9)

    def _begin(self, requests: Sequence[Request[Any]]) -> None:
        """Send the commands, and wait for their replies until `_give_up`. Raises ValueError, and sends none then."""
        self._requests.admit(requests)
        self._unsent.update((request.id, request) for request in requests)
        self._send_unsent()

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
        if self._link.has_frame():
            self._rouse()

    def _look(self) -> bool:
        """Take replies, DRAIN_LIMIT at most, and send what waited; whether more replies are there."""
        for _ in range(DRAIN_LIMIT):
            payload = self._link.receive()
            if payload is None:
                break
            self._requests.take(payload, monotonic_ns())
        # The edge also comes when a connection is there again.
        self._send_unsent()
        self._plan()
        return self._link.has_frame()

    def _plan(self) -> None:
        """Have the next refused command sent again when its pause is over."""
        due_ns = self._requests.due_ns
        if due_ns is not None:
            self._see_to_it_in(max(0, due_ns - monotonic_ns()) / 1e9)

    def _see_to_it(self) -> None:
        """Send what waited for a connection or for the end of its pause, and what was under way when one was lost."""
        if self._link.came_back():
            self._unsent.update((request.id, request) for request in self._requests.lost())
        self._unsent.update((request.id, request) for request in self._requests.due(monotonic_ns()))
        self._send_unsent()
        self._plan()
