"""One command asked of two daemons for one account: which is asked when, and when the answer is there. No socket.

What names its order, a kill, a lease and a look are asked of both at once, under the same id. What may meet orders that
are placed after its answer is asked of one, and of the other only where the first leaves it undone: a userref where
nothing of it can have left, a cancel-all also where nobody knows.
"""

import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Concatenate, Final, Generic, Literal, NamedTuple, ParamSpec, TypeAlias, TypeVar

import msgspec

from ..contract.commands import OrderRef, Until
from ..contract.ids import Venue
from . import merging
from .commands import Commands, unanswered_order
from .merging import Told
from .requests import IN_FLIGHT_LIMIT, NS_PER_MS, DaemonUnreachable, Request
from .results import CancelResult, CommandRefused

P = ParamSpec("P")
T = TypeVar("T")

PATIENCE_NS: Final = 100 * NS_PER_MS
"""How long one daemon has for taking a command, or for saying something of it, before it is the other's turn; and how
long one that no connection leads to is waited for once the other has answered."""

Way: TypeAlias = Literal["race", "both", "soon", "turns", "once"]
"""race: of both at once, until one answer is enough. both: of both, and both answers count. soon: the same, but none is
waited for long once the other has answered. turns: of the other where the first does not settle it. once: of the other
only where nothing left the first."""


class How(NamedTuple):
    """How a command is asked. enough: whether an answer holds without the other. merge: what two come to."""

    way: Way
    enough: Callable[[Any], bool]
    merge: Callable[[Sequence[Any], Sequence[str]], Any]


def _any(_: object) -> bool:
    return True


def _never(_: object) -> bool:
    return False


_HOW: Final[dict[str, How]] = {
    "cancel": How("race", merging.is_enough, merging.merge_cancel),
    "cancel_batch": How("race", merging.is_enough_for_each, merging.merge_batch),
    "cancel_all": How("turns", merging.is_enough_everywhere, merging.merge_all),
    "kill": How("both", _never, merging.merge_kill),
    "kill_scope": How("both", _never, merging.merge_kill),
    "drill": How("both", _never, merging.merge_kill),
    # A renewal that waits for one that hangs would come too late for the one that does not.
    "lease": How("soon", _never, merging.merge_lease),
    "what_rests": How("race", _any, merging.first_of),
    "status": How("race", _any, merging.first_of),
    "ping": How("race", _any, merging.first_of),
}

NO_EVENTS: Final = "each daemon tells its own events: name one's event socket with `endpoint`"
NO_PAIR: Final = "every daemon has a switch and a code of its own: re-arm each by a client for it alone"


class PairCall(Generic[T]):
    """One command under way at several daemons, `requests` in their sequence. Times are CLOCK_MONOTONIC ns."""

    def __init__(self, how: How, requests: Sequence[Request[T]]) -> None:
        # By userref the second asking could meet orders that took the name since.
        self._how = how if requests[0].repeatable or how.way != "race" else how._replace(way="once")
        self.requests = tuple(requests)
        self._asked_ns: list[int | None] = [None] * len(requests)
        self._withdrawn: set[int] = set()
        self._first: list[int] = []
        self._heard_ns: int | None = None
        self.news: Callable[[], object] = lambda: None
        self.unanswered: T
        """What it comes to where no daemon answers, among several that are asked side by side."""
        for number, request in enumerate(requests):
            request.on_answer = self._listener(number)

    def _listener(self, number: int) -> Callable[[], None]:
        def heard() -> None:
            self._first.append(number)
            self.news()

        return heard

    @property
    def give_up_ns(self) -> int:
        return max(request.give_up_ns for request in self.requests)

    def starts(self, now_ns: int) -> list[int]:
        """Which daemons are to be asked now; each is named once."""
        unasked = [number for number, asked_ns in enumerate(self._asked_ns) if asked_ns is None]
        if self._how.way in ("turns", "once") and unasked:
            last = unasked[0] - 1
            unasked = unasked[:1] if last < 0 or self._passes_on(last, now_ns) else []
            if unasked and last >= 0 and self._how.way == "once":
                self._withdrawn.add(last)
        for number in unasked:
            self._asked_ns[number] = now_ns
        return unasked

    @property
    def withdrawn(self) -> list[int]:
        """Whose requests must not be sent any more, since it is another daemon's turn."""
        return sorted(self._withdrawn)

    def is_over(self, now_ns: int) -> bool:
        """Whether nothing more is waited for."""
        if now_ns >= self.give_up_ns or any(self._suffices(number) for number in self._first):
            return True
        if self._first and self._heard_ns is None:
            self._heard_ns = now_ns
        if self._how.way == "soon" and self._heard_ns is not None and now_ns >= self._heard_ns + PATIENCE_NS:
            return True
        left = [number for number in range(len(self.requests)) if not self._is_done(number, now_ns)]
        # One that no connection leads to is not waited for where another has answered.
        return not left or (
            bool(self._first)
            and all(self._asked_ns[number] is not None and self._is_absent(number, now_ns) for number in left)
        )

    def is_hopeless(self, now_ns: int, connect_timeout_ms: int | None) -> bool:
        """Whether no daemon took it for so long. None: that is not looked at."""
        if connect_timeout_ms is None or any(request.reached for request in self.requests):
            return False
        asked_ns = [asked_ns for asked_ns in self._asked_ns if asked_ns is not None]
        return bool(asked_ns) and now_ns >= asked_ns[0] + connect_timeout_ms * NS_PER_MS

    def next_look_ns(self, now_ns: int) -> int:
        """By when to ask `starts` and `is_over` again, though no answer came."""
        patient = [
            asked_ns + PATIENCE_NS
            for asked_ns in (*self._asked_ns, self._heard_ns)
            if asked_ns is not None and asked_ns + PATIENCE_NS > now_ns
        ]
        return min([self.give_up_ns, *patient])

    def result(self, endpoints: Sequence[str]) -> T:
        """What it came to. Raises CommandRefused, DaemonUnreachable."""
        heard = [*self._first, *(number for number in range(len(self.requests)) if number not in self._first)]
        told = [self._told(number, endpoints[number]) for number in heard]
        merged: T = self._how.merge(told, [endpoints[number] for number in heard])
        return merged

    def _told(self, number: int, endpoint: str) -> Told[T]:
        request = self.requests[number]
        if not request.answered:
            return DaemonUnreachable(endpoint, request.id, sent=request.sent)
        try:
            return request.result()
        except CommandRefused as refused:
            return refused

    def _suffices(self, number: int) -> bool:
        try:
            return self._how.enough(self.requests[number].result())
        except CommandRefused:
            return False

    def _is_done(self, number: int, now_ns: int) -> bool:
        """Whether nothing more is awaited of a daemon: its answer is here, or it will not be its turn any more."""
        if self._asked_ns[number] is None:
            before = number - 1
            return self.requests[before].answered and not self._passes_on(before, now_ns)
        return self.requests[number].answered or number in self._withdrawn

    def _is_absent(self, number: int, now_ns: int) -> bool:
        asked_ns = self._asked_ns[number]
        patient = asked_ns is not None and now_ns < asked_ns + PATIENCE_NS
        return not self.requests[number].reached and not patient

    def _passes_on(self, number: int, now_ns: int) -> bool:
        """Whether it is the next daemon's turn, since this one does not settle it."""
        request, asked_ns = self.requests[number], self._asked_ns[number]
        assert asked_ns is not None
        if request.answered:
            return not self._suffices(number) if self._how.way == "turns" else _nothing_left(request)
        late = now_ns >= asked_ns + PATIENCE_NS
        return (request.reached and not request.sent) or (late and (not request.sent or self._how.way == "turns"))


def _nothing_left(request: Request[Any]) -> bool:
    """Whether its daemon says that no byte left the machine."""
    try:
        result = request.result()
    except CommandRefused:
        return True
    parts = result if isinstance(result, list) else [result]
    return all(merging.kind_of(part.outcome) == "refused" for part in parts)


def both(build: Callable[Concatenate[Commands, P], Request[T]]) -> Callable[..., PairCall[T]]:
    """Makes the call of several daemons out of a command: (their `Commands`, arguments), one id for all."""
    how = _HOW.get(build.__name__)
    takes_id = "id" in inspect.signature(build).parameters

    def call(ways: Sequence[Commands], /, *args: P.args, **kwargs: P.kwargs) -> PairCall[T]:
        if how is None:
            raise ValueError(NO_PAIR)
        first = build(ways[0], *args, **kwargs)
        same: dict[str, Any] = {**kwargs, "id": first.id} if takes_id else dict(kwargs)
        # What the caller named by its place stays there.
        return PairCall(how, [first, *(build(way, *args, **same) for way in ways[1:])])

    return call


def many(
    ways: Sequence[Commands],
    venue: Venue,
    orders: Iterable[OrderRef],
    *,
    until: Until,
    deadline_ms: int | None,
    strategy: str | None,
) -> list[PairCall[CancelResult]]:
    """One `cancel` per order."""
    call = both(Commands.cancel)
    same: dict[str, Any] = {"until": until, "deadline_ms": deadline_ms, "strategy": strategy}
    calls = []
    for order in orders:
        calls.append(call(ways, venue, **msgspec.structs.asdict(order), **same))
        calls[-1].unanswered = unanswered_order(calls[-1].requests[0].id, venue, order)
    return calls


def results_of_many(calls: Sequence[PairCall[CancelResult]], endpoints: Sequence[str]) -> list[CancelResult]:
    """What they came to; one that was not answered is an Unknown with an empty `reply`.

    Raises DaemonUnreachable only where not one was answered.
    """
    results: list[CancelResult] = []
    failure: DaemonUnreachable | None = None
    for call in calls:
        try:
            results.append(call.result(endpoints))
        except DaemonUnreachable as unreachable:
            failure = unreachable
            results.append(call.unanswered)
    if failure is not None and not any(result.reply for result in results):
        raise DaemonUnreachable(failure.endpoint, None, sent=failure.sent, why=failure.why)
    return results


def check_count(calls: Sequence[PairCall[Any]]) -> None:
    """Raises ValueError for more than a client waits for."""
    if len(calls) > IN_FLIGHT_LIMIT:
        raise ValueError(f"a client waits for at most {IN_FLIGHT_LIMIT} replies at once")


def check_pair(endpoints: str | Sequence[str]) -> tuple[str, ...]:
    """The endpoints of several daemons. Raises ValueError."""
    found = (endpoints,) if isinstance(endpoints, str) else tuple(endpoints)
    if len(found) < 2 or len(set(found)) < len(found):
        raise ValueError(f"endpoints: two daemons have two different ones, not {list(found)}")
    return found
