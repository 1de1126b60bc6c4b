"""Turns operating system signals into values that a trio task reads one by one."""

import enum
import signal
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

import trio


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

    async def receive(self) -> Signal:
        return Signal(signal.Signals(await anext(self._numbers)))


@asynccontextmanager
async def open_signals() -> AsyncIterator[OsSignals]:
    """Take over every signal of `Signal` until the context ends; main thread only.

    Open it before anything that takes time: until then SIGHUP and SIGUSR1 end the process, as is their default.
    A signal that nobody read is raised again when the context ends, so a stop is never swallowed.
    """
    with trio.open_signal_receiver(*(member.value for member in Signal)) as numbers:
        yield OsSignals(numbers)


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
