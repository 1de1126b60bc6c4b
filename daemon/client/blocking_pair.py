"""The blocking client of two daemons for one account: `Client([one, other])`."""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Concatenate, Final, NoReturn, ParamSpec, TypeVar

from ..contract.commands import OrderRef, Until
from ..contract.ids import Venue
from .blocking import PIPELINE, SLICE_MS, Client
from .blocking_events import Events
from .commands import Commands, named_after
from .link import Link, fresh_prefix, monotonic_ns, wait_for_any
from .pairing import NO_EVENTS, NO_PAIR, PairCall, both, check_count, check_pair, many
from .requests import DEADLINE_MS, MARGIN_MS, NS_PER_MS, Request, Requests
from .results import CancelResult, RearmResult

P = ParamSpec("P")
T = TypeVar("T")

_SLICE_NS: Final = SLICE_MS * NS_PER_MS


class _Way:
    """The connection to one of the daemons, and what waits for it."""

    def __init__(self, endpoint: str, **how: Any) -> None:
        self.link = Link(endpoint, slice_ms=SLICE_MS)
        self.requests = Requests()
        self.commands = Commands(self.requests, monotonic_ns, fresh_prefix(), **how)
        self.unsent: deque[Request[Any]] = deque()

    def ask(self, request: Request[Any]) -> None:
        self.requests.admit((request,))
        self.unsent.append(request)

    def pump(self, now_ns: int) -> bool:
        """Send what can be; whether something waits for a connection, or for room on it."""
        if self.link.came_back():
            self.unsent.extendleft(reversed(self.requests.lost()))
        self.unsent.extend(self.requests.due(now_ns))
        waiting = self.requests.waiting
        while self.unsent and len(waiting) - len(self.unsent) < PIPELINE:
            request = self.unsent[0]
            if waiting.get(request.id) is request:
                if not self.link.send(request.payload):
                    return True
                request.sendings += 1
            self.unsent.popleft()
        return False

    def take(self, now_ns: int) -> None:
        """Take the replies that are here."""
        while (payload := self.link.receive()) is not None:
            self.requests.take(payload, now_ns)


def asks_both(build: Callable[Concatenate[Commands, P], Request[T]]) -> "Callable[Concatenate[Client, P], T]":
    """The method that asks several daemons with this command and waits for what they come to."""
    call = both(build)

    def ask(client: "Client", /, *args: P.args, **kwargs: P.kwargs) -> T:
        assert isinstance(client, PairClient)
        one = call(client._all_commands, *args, **kwargs)
        client._converse_with_all([one])
        return one.result(client._endpoints)

    named_after(ask, build)
    return ask


class PairClient(Client):
    """Made by `Client([one, other])`. The same calls, asked of both daemons; `canceld help clients` says what holds.

    What each of them said is in the result's `reply["daemons"]`.
    """

    def __init__(
        self,
        endpoint: str | Sequence[str],
        *,
        deadline_ms: int = DEADLINE_MS,
        margin_ms: int = MARGIN_MS,
        connect_timeout_ms: int | None = None,
        strategy: str | None = None,
    ) -> None:
        self._endpoint = self._endpoints = check_pair(endpoint)
        self._connect_timeout_ms = connect_timeout_ms
        self._one_thread = threading.Lock()
        self._ways: list[_Way] = []
        for one in self._endpoints:
            try:
                way = _Way(one, deadline_ms=deadline_ms, margin_ms=margin_ms, strategy=strategy)
            except ValueError:
                self.close()
                raise
            self._ways.append(way)

    def close(self) -> None:
        for way in self._ways:
            way.link.close()

    @property
    def _all_commands(self) -> list[Commands]:
        return [way.commands for way in self._ways]

    cancel = asks_both(Commands.cancel)
    cancel_batch = asks_both(Commands.cancel_batch)
    cancel_all = asks_both(Commands.cancel_all)
    kill = asks_both(Commands.kill)
    kill_scope = asks_both(Commands.kill_scope)
    what_rests = asks_both(Commands.what_rests)
    drill = asks_both(Commands.drill)
    lease = asks_both(Commands.lease)
    status = asks_both(Commands.status)
    ping = asks_both(Commands.ping)

    def rearm(self, *_: Any, **__: Any) -> RearmResult:
        """Raises ValueError: each daemon is re-armed by itself."""
        raise ValueError(NO_PAIR)

    def events(self, topics: Iterable[str] = (), *, endpoint: str | None = None) -> Events:
        """Of one of the daemons, which `endpoint` names. Raises ValueError."""
        return super().events(topics, endpoint=endpoint) if endpoint is not None else _no_events()

    def cancel_many(
        self,
        venue: Venue,
        orders: Iterable[OrderRef],
        *,
        until: Until = "ack",
        deadline_ms: int | None = None,
        strategy: str | None = None,
    ) -> list[CancelResult]:
        calls = many(self._all_commands, venue, orders, until=until, deadline_ms=deadline_ms, strategy=strategy)
        self._converse_with_all(calls)
        return [call.result(self._endpoints) for call in calls]

    def _converse_with_all(self, calls: Sequence[PairCall[Any]]) -> None:
        """Send the commands and take replies until each call is over."""
        for way in self._ways:
            way.link.check_usable()
        if not self._one_thread.acquire(blocking=False):
            raise RuntimeError("this client is being used by another thread; make one client per thread")
        under_way = dict.fromkeys(calls)
        try:
            check_count(calls)
            self._until_over(under_way)
        finally:
            for call in calls:
                for way, request in zip(self._ways, call.requests, strict=True):
                    way.requests.give_up(request)
            for way in self._ways:
                way.unsent.clear()
            self._one_thread.release()

    def _until_over(self, under_way: dict[PairCall[Any], None]) -> None:
        touched: dict[PairCall[Any], None] = dict(under_way)
        for call in under_way:
            call.news = lambda call=call: touched.update({call: None})  # type: ignore[misc]
        look_ns = monotonic_ns() + _SLICE_NS
        while under_way:
            now_ns = monotonic_ns()
            if now_ns >= look_ns:
                # Whose patience with a daemon ends is looked for now and then: nobody else tells.
                touched.update(under_way)
                look_ns = now_ns + _SLICE_NS
            for call in list(touched):
                del touched[call]
                if call in under_way and self._goes_on(call, now_ns):
                    continue
                under_way.pop(call, None)
            if not under_way:
                return
            room = [way.link for way in self._ways if way.pump(now_ns)]
            wait_for_any([way.link for way in self._ways], SLICE_MS, room=room)
            now_ns = monotonic_ns()
            for way in self._ways:
                way.take(now_ns)

    def _goes_on(self, call: PairCall[Any], now_ns: int) -> bool:
        """Ask whose turn it is; whether the call is not over."""
        for number in call.starts(now_ns):
            self._ways[number].ask(call.requests[number])
        for number in call.withdrawn:
            self._ways[number].requests.give_up(call.requests[number])
        if not call.is_over(now_ns) and not call.is_hopeless(now_ns, self._connect_timeout_ms):
            return True
        for way, request in zip(self._ways, call.requests, strict=True):
            way.requests.give_up(request)
        return False


def _no_events() -> NoReturn:
    raise ValueError(NO_EVENTS)
