"""What both WebSocket routes need: a session that is opened late, heard, and dropped when it is in doubt."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, Protocol

from ..settings import Address
from ..transport.plain.line import Dialler, LineLost
from .report import Failed

BURST: Final = 50
"""Cancels of single orders that are under way at once: no limit is published, and a venue in trouble gets no flood."""


class Session(Protocol):
    """A WebSocket session, see transport.plain.websocket."""

    def send(self, text: bytes, by_s: float) -> None: ...

    def receive(self, by_s: float) -> str | None: ...

    def close(self) -> None: ...


@contextmanager
def session_of(name: str, hang_up: Callable[[], None]) -> Iterator[None]:
    """Turns what ends a session into Failed, and makes sure that a session in doubt is not used again."""
    try:
        yield
    except (LineLost, Failed) as error:
        hang_up()
        hopeless = error.hopeless if isinstance(error, Failed) else getattr(error, "status", None) in (401, 403)
        raise Failed(f"{name}: {error}", hopeless=hopeless) from None


def opened(dialler: Dialler, where: Address, headers: Sequence[tuple[str, str]], by_s: float) -> Session:
    """A session that has just been opened. headers: for the upgrade request. Raises LineLost."""
    # Late: the framing takes longer to import than Spot and Futures take to send their first bytes.
    from ..transport.plain.websocket import open_websocket

    return open_websocket(dialler, where.host, where.port, where.authority, where.path or "/", headers, by_s)


def heard(session: Session, by_s: float) -> str:
    """The next message. Raises LineLost when there is none."""
    text = session.receive(by_s)
    if text is None:
        raise LineLost("no answer in time")
    return text
