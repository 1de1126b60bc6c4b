"""The connections of one blocking client to several daemons for one account."""

from collections import deque
from collections.abc import Sequence
from typing import Any, Final

from .commands import Commands
from .link import Link, fresh_prefix, monotonic_ns, wait_for_any
from .pairing import PairCall, check_count, check_pair
from .requests import NS_PER_MS, PIPELINE, SLICE_MS, Request, Requests

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


class Pair:
    """Several daemons, asked as one. Not for several threads, and not for use after a fork. Raises ValueError."""

    def __init__(self, endpoints: Sequence[str], *, deadline_ms: int, margin_ms: int, strategy: str | None) -> None:
        self.endpoints = check_pair(endpoints)
        self._ways: list[_Way] = []
        try:
            for one in self.endpoints:
                self._ways.append(_Way(one, deadline_ms=deadline_ms, margin_ms=margin_ms, strategy=strategy))
        except ValueError:
            self.close()
            raise

    @property
    def commands(self) -> list[Commands]:
        """What builds the commands of each."""
        return [way.commands for way in self._ways]

    def check_usable(self) -> None:
        """Raises RuntimeError once closed, and in a forked child."""
        for way in self._ways:
            way.link.check_usable()

    def close(self) -> None:
        for way in self._ways:
            way.link.close()

    def converse(self, calls: Sequence[PairCall[Any]], connect_timeout_ms: int | None) -> None:
        """Send the commands and take replies until each call is over. Raises ValueError."""
        check_count(calls)
        try:
            self._until_over(dict.fromkeys(calls), connect_timeout_ms)
        finally:
            for call in calls:
                self._leave_alone(call)
            for way in self._ways:
                way.unsent.clear()

    def _until_over(self, under_way: dict[PairCall[Any], None], connect_timeout_ms: int | None) -> None:
        touched = dict(under_way)
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
                if call in under_way and not self._goes_on(call, now_ns, connect_timeout_ms):
                    del under_way[call]
            if not under_way:
                return
            room = [way.link for way in self._ways if way.pump(now_ns)]
            wait_for_any([way.link for way in self._ways], SLICE_MS, room=room)
            now_ns = monotonic_ns()
            for way in self._ways:
                way.take(now_ns)

    def _goes_on(self, call: PairCall[Any], now_ns: int, connect_timeout_ms: int | None) -> bool:
        """Ask whose turn it is; whether the call is not over."""
        for number in call.starts(now_ns):
            self._ways[number].ask(call.requests[number])
        for number in call.withdrawn:
            self._ways[number].requests.give_up(call.requests[number])
        if not call.is_over(now_ns) and not call.is_hopeless(now_ns, connect_timeout_ms):
            return True
        self._leave_alone(call)
        return False

    def _leave_alone(self, call: PairCall[Any]) -> None:
        for way, request in zip(self._ways, call.requests, strict=True):
            way.requests.give_up(request)
