"""Events for a program without an event loop: each is waited for."""

from collections.abc import Iterator
from types import TracebackType
from typing import Self

from .events import Event, EventReader
from .link import EventLink


class Events:
    """Made by `Client.events`, for a `with` block and a `for` loop. For one thread, which need not be the client's."""

    def __init__(self, link: EventLink) -> None:
        self._link = link
        self._reader = EventReader()

    def next(self, within_ms: int | None = None) -> Event | None:
        """The next event; None when none came within this time. Without a time it waits for as long as it takes."""
        while True:
            while (frames := self._link.receive()) is not None:
                if (event := self._reader.read(frames)) is not None:
                    return event
            if not self._link.wait(within_ms):
                return None

    def __iter__(self) -> Iterator[Event]:
        """Every event, for ever."""
        while (event := self.next()) is not None:
            yield event

    def close(self) -> None:
        """Listen no longer."""
        self._link.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
