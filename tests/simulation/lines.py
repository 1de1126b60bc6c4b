"""Connections between daemon and venue that take time, stall in either direction, arrive in pieces, and break.

One `Courier` carries what is under way on every line of a world. It needs no task: the clock calls it when
nothing else can happen before.
"""

import heapq
from collections.abc import Callable
from math import inf
from typing import Final

import trio
from trio._core._io_epoll import EpollIOManager
from trio._core._run import GLOBAL_RUN_CONTEXT
from trio.testing import MockClock

from canceld.transport.limits import RECEIVE_SIZE
from canceld.transport.memory.wire import MEMORY_CAPACITY
from canceld.transport.wire import BackloggedWire

NEVER_SLICED: Final = RECEIVE_SIZE

PIECES_LIMIT: Final = 64

LOOK_OUTSIDE_EVERY: Final = 256
"""Rounds of trio between looks at the kernel: nothing comes from there but an interrupt at the keyboard."""


class Courier:
    """Does things at their time, in the sequence in which they were handed in where times are equal."""

    def __init__(self) -> None:
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._handed_in = 0
        self.broke: Callable[[Exception], None] | None = None
        """Who is told of an error in what is delivered: the clock can raise it to nobody."""

    def carry(self, delay_s: float, deliver: Callable[[], None]) -> None:
        """Call `deliver` after so long."""
        self.carry_until(trio.current_time() + delay_s, deliver)

    def carry_until(self, due_s: float, deliver: Callable[[], None]) -> None:
        """Call `deliver` at this time of trio's clock."""
        self._handed_in += 1
        heapq.heappush(self._due, (due_s, self._handed_in, deliver))

    @property
    def due_s(self) -> float:
        """When it next has something to deliver; trio's clock."""
        return self._due[0][0] if self._due else inf

    def deliver(self, now_s: float) -> None:
        """Deliver what is due by now."""
        due = self._due
        while due and due[0][0] <= now_s:
            try:
                heapq.heappop(due)[2]()
            except Exception as error:
                if self.broke is None:
                    raise
                self.broke(error)


def clock_with(courier: Courier) -> MockClock:
    """A clock that jumps to what happens next, in trio or by courier, and stands still in between.

    It never runs by itself, so it need not look at the machine's: it is asked all the time.
    """
    clock = MockClock(autojump_threshold=0)
    clock.current_time = lambda: clock._virtual_base  # type: ignore[method-assign]

    def jump() -> None:
        timer_s = GLOBAL_RUN_CONTEXT.runner.deadlines.next_deadline()
        due_s = courier.due_s
        if due_s <= timer_s and due_s != inf:
            clock._virtual_base = max(clock._virtual_base, due_s)
            courier.deliver(clock._virtual_base)
        elif clock._virtual_base < timer_s < inf:
            clock._virtual_base = timer_s

    # The original asks for statistics of everything to find the time of the next timer.
    clock._autojump = jump  # type: ignore[method-assign]
    return clock


class SealedIO(EpollIOManager):
    """trio's link to the kernel, in a world that has no sockets of the kernel's: it is asked seldom."""

    def __init__(self) -> None:
        super().__init__()
        self._rounds = 0

    def get_events(self, timeout: float) -> list[tuple[int, int]]:
        """What came from outside; most often nobody looks, as nothing can have come."""
        self._rounds += 1
        return [] if self._rounds % LOOK_OUTSIDE_EVERY else super().get_events(timeout)


class Way:
    """One direction of a line."""

    def __init__(self, latency: Callable[[], float], courier: Courier) -> None:
        self.held = bytearray()
        self.under_way = 0
        self.ended = False  # the writer closed: what is held can still be read
        self.lost = False  # the reader closed, or the line was reset
        self.stalled = False
        self.dead = False  # stalled for good
        self.arrived = trio.lowlevel.ParkingLot()
        self.room = trio.lowlevel.ParkingLot()
        self._waiting: list[bytes | None] = []  # what a stall holds up; None for the end
        self._latency = latency
        self._courier = courier
        self._last_s = 0.0

    def put(self, data: bytes | None) -> None:
        """Send bytes, or the end, on their way."""
        if data is not None:
            self.under_way += len(data)
        delay_s = self._latency()
        if not delay_s and self._last_s <= trio.current_time():
            self._deliver(data)
            return
        # A stream never overtakes itself, however the latency varies.
        due_s = self._last_s = max(self._last_s, trio.current_time() + delay_s)
        self._courier.carry_until(due_s, lambda: self._deliver(data))

    def stall(self) -> None:
        """Hold up whatever would arrive from now on."""
        self.stalled = True

    def heal(self) -> None:
        """Let it arrive after all, unless it is dead."""
        if self.dead:
            return
        self.stalled = False
        waiting, self._waiting = self._waiting, []
        for data in waiting:
            self._deliver(data)

    def break_off(self) -> None:
        """Lose what is under way, and everything after it."""
        self.lost = True
        self.held.clear()
        self.wake()

    def wake(self) -> None:
        self.arrived.unpark_all()
        self.room.unpark_all()

    def _deliver(self, data: bytes | None) -> None:
        if self.stalled:
            self._waiting.append(data)
        elif data is None:
            self.ended = True
            self.wake()
        else:
            self.under_way -= len(data)
            if not self.lost:
                self.held += data
                self.arrived.unpark_all()


class LineEnd(BackloggedWire):
    """One end of a line. slice_bytes: most that one read is given."""

    def __init__(self, incoming: Way, outgoing: Way, slice_bytes: int) -> None:
        super().__init__()
        self._incoming = incoming
        self._outgoing = outgoing
        self._slice_bytes = slice_bytes

    @property
    def closed(self) -> bool:
        """Whether this side has let go of it."""
        return self._closed

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        await trio.lowlevel.checkpoint_if_cancelled()
        data = self._take(max_bytes or RECEIVE_SIZE)
        if data is not None:
            await trio.lowlevel.cancel_shielded_checkpoint()
        while data is None:
            await self._incoming.arrived.park()
            data = self._take(max_bytes or RECEIVE_SIZE)
        return data

    def receive_nowait(self) -> bytes | None:
        return self._take(RECEIVE_SIZE)

    def _take(self, max_bytes: int) -> bytes | None:
        self._raise_if_over()
        way = self._incoming
        if way.lost:
            raise self._break("connection reset by peer")
        if way.held:
            # What is large comes in so many pieces at most: a frame of megabytes in slices would take seconds.
            data = bytes(way.held[: min(max_bytes, max(self._slice_bytes, len(way.held) // PIECES_LIMIT))])
            del way.held[: len(data)]
            way.room.unpark_all()
            return data
        return b"" if way.ended else None

    def _hand_on(self, data: bytes | bytearray) -> int:
        way = self._outgoing
        if way.lost:
            raise BrokenPipeError("broken pipe")
        taken = min(len(data), MEMORY_CAPACITY - len(way.held) - way.under_way)
        if taken > 0:
            way.put(bytes(memoryview(data)[:taken]))
        return max(taken, 0)

    async def _wait_room(self) -> None:
        way = self._outgoing
        while not way.lost and len(way.held) + way.under_way >= MEMORY_CAPACITY:
            await way.room.park()
            self._raise_if_over()

    def _release(self) -> None:
        self._incoming.break_off()
        self._outgoing.put(None)


class Line:
    """A connection to a host: the daemon's end `ours`, the venue's end `theirs`."""

    def __init__(self, host: str, latency: Callable[[], float], courier: Courier, slice_bytes: int) -> None:
        self.host = host
        self.there = Way(latency, courier)
        self.back = Way(latency, courier)
        self.ours = LineEnd(self.back, self.there, slice_bytes)
        self.theirs = LineEnd(self.there, self.back, slice_bytes)

    def reset(self) -> None:
        """Both ends see the connection break; what was under way is lost."""
        self.there.break_off()
        self.back.break_off()

    def end(self) -> None:
        """The venue's machine closes without a word of farewell: the daemon sees the end of the stream."""
        self.theirs.abort()

    def stall(self, *, there: bool, back: bool) -> None:
        """Nothing arrives any more in these directions, and nobody is told."""
        if there:
            self.there.stall()
        if back:
            self.back.stall()

    def die(self) -> None:
        """Nothing arrives ever again, and nobody is told: the other machine has vanished."""
        self.stall(there=True, back=True)
        self.there.dead = self.back.dead = True

    def heal(self) -> None:
        self.there.heal()
        self.back.heal()
