"""Time that moves when it is told to, and coroutines that are driven by hand.

The REST lane decides inside of coroutines. They run here without trio: what they wait for is an `Until`, and whoever
has the answer resumes them. So a run is a sequence of plain calls, and one takes a thousandth of what a loop of tasks
would.
"""

import heapq
from collections import deque
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import ExitStack, contextmanager
from types import ModuleType
from typing import Any, Final
from unittest.mock import patch

from canceld.engine.instants import FAR_NS, MS
from canceld.tasks import latch_file, rest_exchange, rest_lane, rest_pool
from canceld.transport.clock import Clock

START_NS: Final = 10**15
UTC_START_NS: Final = 18 * 10**17
"""Far from every duration and from each other, so that the two clocks are told apart from both by their size."""


class Kernel(Clock):
    """The clock of one run, and what is to happen when."""

    def __init__(self) -> None:
        self.now_ns = START_NS
        self.agenda: list[tuple[int, int, Callable[[], None]]] = []
        self._entries = 0

    def monotonic_ns(self) -> int:
        return self.now_ns

    def boottime_ns(self) -> int:
        return self.now_ns

    def utc_ns(self) -> int:
        return UTC_START_NS + self.now_ns - START_NS

    def at(self, delay_ns: int, action: Callable[[], None]) -> None:
        """Do something later."""
        self._entries += 1
        heapq.heappush(self.agenda, (self.now_ns + delay_ns, self._entries, action))

    @property
    def due_ns(self) -> int:
        """When something is to happen next."""
        return self.agenda[0][0] if self.agenda else FAR_NS

    def turn(self) -> None:
        """Let happen what is due now."""
        while self.agenda and self.agenda[0][0] <= self.now_ns:
            heapq.heappop(self.agenda)[2]()


class Until:
    """What a coroutine waits for. `begin` is told how to resume it, with a value or an exception."""

    def __init__(self, begin: Callable[["Task"], None]) -> None:
        self.begin = begin

    def __await__(self) -> Generator["Until", Any, Any]:
        return (yield self)


class Task:
    """A coroutine under way."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        self.coroutine = coroutine
        self.over = False
        self.resume()

    def resume(self, value: Any = None) -> None:
        """Go on with a value; an exception is raised where it waits."""
        if self.over:
            return
        try:
            until = self.coroutine.throw(value) if isinstance(value, BaseException) else self.coroutine.send(value)
        except StopIteration:
            self.over = True
            return
        until.begin(self)

    def drop(self) -> None:
        """Nobody goes on with it: the process it was part of is gone."""
        self.over = True
        self.coroutine.close()


class Trio(ModuleType):
    """As much of trio as the REST lane and the latch's file use, for the kernel that is `at` work."""

    def __init__(self, kernel: Callable[[], Kernel]) -> None:
        super().__init__("trio")
        self._kernel = kernel

    class TooSlowError(Exception):
        pass

    class Cancelled(BaseException):
        pass

    class Event:
        def __init__(self) -> None:
            self._set = False

        def set(self) -> None:
            self._set = True

        def is_set(self) -> bool:
            return self._set

    class Semaphore:
        """Turns; whoever waits has them in the sequence in which they asked."""

        def __init__(self, value: int, *, max_value: int | None = None) -> None:
            self.value = value
            self.waiting: deque[Task] = deque()

        async def acquire(self) -> None:
            if self.value:
                self.value -= 1
            else:
                await Until(self.waiting.append)

        def release(self) -> None:
            while self.waiting:
                if not (task := self.waiting.popleft()).over:
                    task.resume()
                    return
            self.value += 1

    class Nursery:
        def __init__(self) -> None:
            self.children: list[Task] = []
            self.cancel_scope = self

        async def __aenter__(self) -> "Trio.Nursery":
            return self

        async def __aexit__(self, *_: object) -> None:
            pass

        def start_soon(self, function: Callable[..., Coroutine[Any, Any, Any]], *args: Any, name: str = "") -> None:
            self.children.append(Task(function(*args)))

        def cancel(self) -> None:
            for child in self.children:
                child.drop()

    def open_nursery(self) -> "Trio.Nursery":
        return Trio.Nursery()

    def current_time(self) -> float:
        return self._kernel().now_ns / 1e9

    def sleep(self, seconds: float) -> Until:
        return Until(lambda task: self._kernel().at(round(seconds * 1000) * MS, task.resume))

    @contextmanager
    def fail_after(self, seconds: float) -> Iterator[None]:
        yield


_kernel: list[Kernel] = []


def at_work(kernel: Kernel) -> None:
    """From here on this kernel's time is trio's."""
    _kernel[:] = [kernel]


@contextmanager
def by_hand(connection: type) -> Iterator[None]:
    """Meanwhile the REST lane and the latch's file run without trio. connection: what stands in for one of HTTP."""
    stand_in = Trio(lambda: _kernel[0])
    with ExitStack() as stack:
        for module in (latch_file, rest_exchange, rest_lane, rest_pool):
            stack.enter_context(patch.object(module, "trio", stand_in))
        stack.enter_context(patch.object(rest_pool, "HttpConnection", connection))
        yield
