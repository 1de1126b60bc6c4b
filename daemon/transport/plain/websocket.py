"""WebSocket messages over a blocking line, for a program without an event loop. wsproto does the framing.

Every call takes `by_s`, the monotonic time in seconds at which it gives up.
"""

from collections import deque
from collections.abc import Iterable
from typing import Final

from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    CloseConnection,
    Ping,
    RejectConnection,
    Request,
    TextMessage,
)
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from ..limits import LIST_LIMIT
from .line import Dialler, Line, LineLost

# Characters of one message: a list of every open order comes in one piece, its size is nowhere bounded.
MESSAGE_LIMIT: Final = LIST_LIMIT


class UpgradeRefused(LineLost):
    """The peer answered the opening handshake with an HTTP status other than 101."""

    def __init__(self, status: int) -> None:
        super().__init__(f"handshake refused (HTTP {status})")
        self.status = status


class PlainWebSocket:
    """One client session. For one thread. Made by `open_websocket`."""

    def __init__(self, line: Line) -> None:
        """line: connected, and owned from here on."""
        self._line = line
        self._protocol = WSConnection(ConnectionType.CLIENT)
        self._open = False
        self._parts: list[str] = []
        self._size = 0
        self._texts: deque[str] = deque()

    def shake_hands(self, authority: str, target: str, headers: Iterable[tuple[str, str]], by_s: float) -> None:
        """The opening handshake. Raises UpgradeRefused, LineLost."""
        fields = [(name.encode("ascii"), value.encode("ascii")) for name, value in headers]
        self._line.send(self._protocol.send(Request(host=authority, target=target, extra_headers=fields)), by_s)
        while not self._open:
            if not self._take(by_s):
                raise LineLost("no answer to the handshake in time")

    def send(self, text: bytes, by_s: float) -> None:
        """Send one text message, given in UTF-8. Raises LineLost."""
        try:
            frame = self._protocol.send(TextMessage(data=text.decode()))
        except LocalProtocolError:
            raise LineLost("closed by the peer") from None
        self._line.send(frame, by_s)

    def receive(self, by_s: float) -> str | None:
        """The next text message; None when none came by then. Raises LineLost once the session is over."""
        while not self._texts:
            if not self._take(by_s):
                return None
        return self._texts.popleft()

    def close(self) -> None:
        """Drop the connection; never waits for the peer."""
        self._line.close()

    def _take(self, by_s: float) -> bool:
        """Read what has come; False when nothing did by then."""
        arrived = self._line.receive(by_s)
        if arrived is None:
            return False
        try:
            self._protocol.receive_data(arrived)
            for event in self._protocol.events():
                self._heed(event, by_s)
        except RemoteProtocolError as error:
            raise LineLost(f"not a WebSocket: {error}") from None
        return True

    def _heed(self, event: object, by_s: float) -> None:
        match event:
            case TextMessage(data=data, message_finished=finished):
                self._size += len(data)
                if self._size > MESSAGE_LIMIT:
                    raise LineLost(f"a message larger than {MESSAGE_LIMIT} characters")
                self._parts.append(data)
                if finished:
                    self._texts.append("".join(self._parts))
                    self._parts.clear()
                    self._size = 0
            case Ping():
                self._line.send(self._protocol.send(event.response()), by_s)
            case AcceptConnection():
                self._open = True
            case RejectConnection(status_code=status):
                raise UpgradeRefused(status)
            case CloseConnection(code=code, reason=reason):
                # By the peer, or by the protocol's rules after bytes that break them.
                raise LineLost(f"session ended ({code}{f' {reason}' if reason else ''})")
            case _:
                # Bytes, which nobody here sends, and pongs, which nobody asked for.
                return


def open_websocket(
    dialler: Dialler,
    host: str,
    port: int,
    authority: str,
    target: str,
    headers: Iterable[tuple[str, str]],
    by_s: float,
) -> PlainWebSocket:
    """Dial, and shake hands. Raises UpgradeRefused, LineLost; nothing stays open then."""
    session = PlainWebSocket(dialler.dial(host, port, by_s))
    try:
        session.shake_hands(authority, target, headers, by_s)
    except BaseException:
        session.close()
        raise
    return session
