"""Events for a program with an event loop, whichever it is."""

from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

from .events import Event, EventReader
from .link import EventLink


class AsyncEvents:
    """Made by the `events` of an asynchronous client, for an `async with` block and an `async for` loop. For one task.

    readable: returns when the descriptor has news, or after a while. checkpoint: lets other tasks run.
    """

    def __init__(
        self,
        link: EventLink,
        readable: Callable[[int], Awaitable[None]],
        checkpoint: Callable[[], Awaitable[None]],
    ) -> None:
        self._link = link
        self._readable = readable
        self._checkpoint = checkpoint
        self._reader = EventReader()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        """The next event; waits for as long as it takes. Being cancelled meanwhile loses none."""
        # First, not last: whoever is cancelled here has not taken an event yet.
        await self._checkpoint()
        while True:
            while (frames := self._link.receive()) is not None:
                if (event := self._reader.read(frames)) is not None:
                    return event
            await self._readable(self._link.descriptor())

    def close(self) -> None:
        """Listen no longer."""
        self._link.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
