"""What the clients of two daemons share that live in an event loop: all but the loop."""

from abc import abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Concatenate, ParamSpec, TypeVar

from ..contract.commands import OrderRef, Until
from ..contract.ids import Venue
from .async_core import AsyncClient
from .async_events import AsyncEvents
from .commands import Commands, named_after
from .link import monotonic_ns
from .pairing import NO_EVENTS, NO_PAIR, PairCall, both, check_count, many, results_of_many
from .requests import Request
from .results import CancelResult, RearmResult

P = ParamSpec("P")
T = TypeVar("T")


def asks_both(
    build: Callable[Concatenate[Commands, P], Request[T]],
) -> "Callable[Concatenate[AsyncClient, P], Awaitable[T]]":
    """The method that asks several daemons with this command; awaiting it gives what they come to."""
    call = both(build)

    async def ask(client: "AsyncClient", /, *args: P.args, **kwargs: P.kwargs) -> T:
        assert isinstance(client, AsyncPair)
        one = call(client._all_commands, *args, **kwargs)
        await client._converse_with_all([one])
        return one.result(client._endpoints)

    named_after(ask, build)
    return ask


class AsyncPair(AsyncClient):
    """The same calls, asked of every daemon; what each said is in the result's `reply["daemons"]`."""

    @property
    @abstractmethod
    def _each(self) -> Sequence[AsyncClient]:
        """The client of each daemon."""

    @property
    def _endpoints(self) -> tuple[str, ...]:
        return tuple(way._link.endpoint for way in self._each)

    @property
    def _all_commands(self) -> list[Commands]:
        return [way._commands for way in self._each]

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

    async def rearm(self, *_: Any, **__: Any) -> RearmResult:
        """Raises ValueError: each daemon is re-armed by itself."""
        raise ValueError(NO_PAIR)

    def events(self, topics: Iterable[str] = (), *, endpoint: str | None = None) -> AsyncEvents:
        """Of one of the daemons, which `endpoint` names. Raises ValueError."""
        if endpoint is None:
            raise ValueError(NO_EVENTS)
        return self._each[0].events(topics, endpoint=endpoint)

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
        calls = many(self._all_commands, venue, orders, until=until, deadline_ms=deadline_ms, strategy=strategy)
        await self._converse_with_all(calls)
        return results_of_many(calls, self._endpoints)

    async def _converse_with_all(self, calls: Sequence[PairCall[Any]]) -> None:
        """Send the commands and wait until each call is over."""
        for way in self._each:
            way._link.check_usable()
        check_count(calls)
        under_way = dict.fromkeys(calls)
        news: list[Any] = []
        touched: dict[PairCall[Any], None] = {}

        def heard(call: PairCall[Any]) -> None:
            touched[call] = None
            for event in news:
                event.set()

        for call in calls:
            call.news = lambda call=call: heard(call)  # type: ignore[misc]
        try:
            looked_at = list(calls)
            while True:
                news[:] = [self._event()]
                now_ns = monotonic_ns()
                for call in looked_at:
                    touched.pop(call, None)
                    if call in under_way and self._is_over(call, now_ns):
                        del under_way[call]
                if not under_way:
                    return
                if not touched:
                    wait_ns = min(call.next_look_ns(now_ns) for call in under_way) - now_ns
                    await self._each[0]._wait(news[0], max(0, wait_ns) / 1e9)
                # Without news it is the end of somebody's patience, and nobody tells whose.
                looked_at = list(touched or under_way)
        finally:
            for call in calls:
                self._leave_alone(call)

    def _is_over(self, call: PairCall[Any], now_ns: int) -> bool:
        """Ask whose turn it is; whether the call is over."""
        for number in call.starts(now_ns):
            self._each[number]._begin([call.requests[number]])
        for number in call.withdrawn:
            self._each[number]._give_up([call.requests[number]])
        if not call.is_over(now_ns):
            return False
        self._leave_alone(call)
        return True

    def _leave_alone(self, call: PairCall[Any]) -> None:
        for way, request in zip(self._each, call.requests, strict=True):
            way._give_up([request])
