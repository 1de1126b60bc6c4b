"""Turns operating system signals into values that a trio task reads one by one."""

import enum
import signal
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

import trio

from . import early


class Signal(enum.Enum):
    """The signals we answer; every other keeps its default."""

    TERMINATE = signal.SIGTERM
    INTERRUPT = signal.SIGINT
    HANGUP = signal.SIGHUP
    USER1 = signal.SIGUSR1


class SignalSource(Protocol):
    """Where signals come from: the operating system, or a simulation."""

    async def receive(self) -> Signal:
        """The next signal; waits for one. Equal ones that arrive before they are read may be told once."""
        ...


class OsSignals:
    """Signals of this process; made by `open_signals`."""

    def __init__(self, numbers: AsyncIterator[int]) -> None:
        self._numbers = numbers
        self.first = deque(early.kept())

    async def receive(self) -> Signal:
        if self.first:
            await trio.lowlevel.checkpoint()
            return Signal(self.first.popleft())
        return Signal(await anext(self._numbers))


@asynccontextmanager
async def open_signals() -> AsyncIterator[OsSignals]:
    """Take over every signal of `Signal` until the context ends; main thread only.

    What early.py has kept is told first. A signal that nobody read is raised again when the context ends; in the
    process of a daemon that means that early.py keeps it once more.
    """
    with trio.open_signal_receiver(*(member.value for member in Signal)) as numbers:
        signals = OsSignals(numbers)
        try:
            yield signals
        finally:
            for number in signals.first:
                early.keep(number)


class MemorySignals:
    """A stand-in whose signals a test raises."""

    def __init__(self) -> None:
        self._raised: deque[Signal] = deque()
        self._news = trio.Event()

    def raise_now(self, raised: Signal) -> None:
        """Raise a signal; one that waits unread already is told once, as the kernel does."""
        if raised not in self._raised:
            self._raised.append(raised)
        self._news.set()

    async def receive(self) -> Signal:
        await trio.lowlevel.checkpoint()
        while not self._raised:
            self._news = trio.Event()
            await self._news.wait()
        return self._raised.popleft()
