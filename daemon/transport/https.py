"""One HTTP/1.1 connection over a Wire: one request at a time, one write per request, and the truth about what left.

h11 reads the answers. Requests are written here, because h11 takes longer to judge one than the kernel to send it.

A caller that must know whether a request can have had an effect gets one of three answers: a complete Response, NotSent
(no byte was handed on: safe to send again elsewhere), or AnswerLost (bytes left and no complete answer came: anything
may have happened).

This file does not dial, pool, retry, follow redirects, or judge a status. It is not asked for compression.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import h11
import trio

from .limits import HEAD_LIMIT, INTERIM_LIMIT, RECEIVE_SIZE, RESPONSE_LIMIT
from .wire import Wire

# Some edges turn away clients that do not say who they are.
USER_AGENT: Final = b"canceld"

# A whole request head (RFC 9112 sections 3 and 5). A value cannot hold a line end, so the number of lines tells whether
# one was smuggled in.
_HEAD: Final = re.compile(rb"[A-Z]+ [!-~]+ HTTP/1\.1\r\n(?:[-!#$%&'*+.^_`|~0-9A-Za-z]+: [\t -~\x80-\xff]*\r\n)+\r\n")

# Fields that say how long a request is and what becomes of the connection. They are written here or not at all.
_OURS: Final = frozenset((b"content-length", b"transfer-encoding", b"connection", b"upgrade", b"expect", b"te"))

# Any request will do for a parser of answers, but for the odd ones below.
_ASKED: Final = h11.Request(method="GET", target="/", headers=[("Host", "")])

# Methods whose answers are framed differently; nobody here needs them.
_ODD_METHODS: Final = frozenset(("HEAD", "CONNECT"))


# A date as RFC 9110 section 5.6.7 has everybody write it. The two forms that were given up long ago are not read.
_DATE: Final = re.compile(rb"[A-Z][a-z]{2}, (\d\d) ([A-Z][a-z]{2}) (\d{4}) (\d\d):(\d\d):(\d\d) GMT")
_MONTHS: Final = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")


def date_ns(headers: Iterable[tuple[bytes, bytes]]) -> int | None:
    """When an answer was made, by its maker's clock cut to the second: Unix nanoseconds. None where it does not say.

    headers: names in lower case.
    """
    written = next((value for name, value in headers if name == b"date"), b"")
    match = _DATE.fullmatch(written)
    if match is None:
        return None
    day, month, year, hour, minute, second = match.groups()
    try:
        number = _MONTHS.index(month) + 1
        moment = datetime(int(year), number, int(day), int(hour), int(minute), int(second), tzinfo=UTC)
    except ValueError:
        return None
    return int(moment.timestamp()) * 1_000_000_000


class NotSent(Exception):
    """No byte of this request was handed on; the connection is closed. Safe to send again on another one."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class AnswerLost(Exception):
    """The request, or a part of it, may have reached the peer; no complete answer did. The connection is closed.

    status: from the response's head when that much came, else None. It proves nothing about the body.
    """

    def __init__(self, detail: str, status: int | None = None) -> None:
        super().__init__(detail, status)
        self.detail = detail
        self.status = status


@dataclass(frozen=True, slots=True)
class Response:
    """A complete answer, as received. `headers`: names in lower case, in order, repeated ones kept."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes

    def header(self, name: bytes) -> bytes | None:
        """The first value under `name` (lower case), None without one."""
        return next((value for key, value in self.headers if key == name), None)


class HttpConnection:
    """A keep-alive connection to one host. One request at a time; the lane above decides what a second one does."""

    def __init__(self, wire: Wire, host: str) -> None:
        """wire: connected, and owned from here on. host: value of the Host header, with the port if not the default."""
        self._wire = wire
        self._own_fields = (
            (b"host", b"Host: %s\r\n" % host.encode("ascii")),
            (b"user-agent", b"User-Agent: %s\r\n" % USER_AGENT),
            (b"accept-encoding", b"Accept-Encoding: identity\r\n"),
        )
        self._protocol = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_LIMIT)
        self._busy = False
        self._open = True
        self._status: int | None = None
        self._idle_since = trio.current_time()

    @property
    def is_open(self) -> bool:
        """True while the next request has a chance: looks at the wire, so a peer's close is seen as soon as it came."""
        if self._open and not self._busy:
            self._look_for_end()
        return self._open

    @property
    def idle_since(self) -> float:
        """trio's clock, in seconds, when the last answer was complete, or when the connection was made."""
        return self._idle_since

    async def request(
        self, method: str, target: str, headers: list[tuple[bytes, bytes]], body: bytes, *, timeout_s: float
    ) -> Response:
        """Send one request in the calling step and wait for its whole answer.

        method: any but HEAD and CONNECT. target: path and query. headers: Host, User-Agent and Accept-Encoding are
        added when missing; those that frame the message or steer the connection (Content-Length, Connection and their
        like) are not the caller's to give. timeout_s: from the write to the last byte of the answer.

        Raises NotSent or AnswerLost; both close the connection, as does being cancelled. A redirect, an error status
        and an HTML page are answers like any other.
        """
        assert not self._busy, "one request at a time on one connection"
        # Whatever arrived while idle answers nothing we asked: a farewell (408), a reset, or the end of stream.
        why_over = self._look_for_end()
        if why_over is not None:
            raise NotSent(why_over)
        outgoing = self._encode(method, target, headers, body)
        self._busy = True
        self._status = None
        response: Response | None = None
        try:
            with trio.move_on_after(timeout_s):
                response = await self._exchange(outgoing)
        finally:
            self._busy = False
            self._idle_since = trio.current_time()
            # An answer still to come would be taken for the next request's, so only a whole one keeps the connection.
            if response is None or not self._ready_for_next():
                self._close()
        if response is None:
            raise AnswerLost(f"no complete answer in {timeout_s} s", self._status)
        return response

    async def aclose(self) -> None:
        """Close; never waits for the peer."""
        self._open = False
        await self._wire.aclose()

    def _encode(self, method: str, target: str, headers: list[tuple[bytes, bytes]], body: bytes) -> bytes:
        """Head and body as one string, so that they leave in one segment where they fit."""
        given = {name.lower() for name, _ in headers}
        lines = [f"{method} {target} HTTP/1.1\r\n".encode(errors="replace")]
        lines += [line for name, line in self._own_fields if name not in given]
        if body or method == "POST":
            lines.append(b"Content-Length: %d\r\n" % len(body))
        lines += [b"%s: %s\r\n" % field for field in headers]
        lines.append(b"\r\n")
        head = b"".join(lines)
        if _HEAD.fullmatch(head) is None or head.count(b"\n") != len(lines) or given & _OURS or method in _ODD_METHODS:
            self._close()
            # Which field it was is not told: its value may be a key or a signature.
            raise NotSent(f"not a valid request: {method} {target.partition('?')[0]}")
        return head + body

    async def _exchange(self, outgoing: bytes) -> Response:
        head: h11.Response | None = None
        body = bytearray()
        interim = 0
        try:
            self._wire.write_now(outgoing)
            # The parser must know that an answer is due. What it would send in its words has just been sent in ours,
            # and the peer is at work meanwhile.
            self._protocol.send(_ASKED)
            self._protocol.send(h11.EndOfMessage())
            if self._wire.has_backlog:
                await self._wire.drain()
            while True:
                event = self._protocol.next_event()
                if event is h11.NEED_DATA:
                    self._protocol.receive_data(await self._wire.receive_some(RECEIVE_SIZE))
                elif isinstance(event, h11.Response):
                    head = event
                    self._status = event.status_code
                elif isinstance(event, h11.Data):
                    body += event.data
                    if len(body) > RESPONSE_LIMIT:
                        raise AnswerLost(f"the answer is larger than {RESPONSE_LIMIT} bytes", self._status)
                elif isinstance(event, h11.EndOfMessage):
                    assert head is not None
                    return Response(head.status_code, list(head.headers), bytes(body))
                else:
                    interim += 1
                    if interim > INTERIM_LIMIT or not isinstance(event, h11.InformationalResponse):
                        raise AnswerLost(f"not an answer: {event!r}", self._status)
        except h11.RemoteProtocolError as error:
            raise AnswerLost(f"unreadable answer: {error}", self._status) from error
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise AnswerLost(f"connection lost: {error}", self._status) from error

    def _look_for_end(self) -> str | None:
        """Why this idle connection cannot take a request, None when it can. Closes it when it cannot."""
        if not self._open:
            return "the connection is closed"
        try:
            arrived = self._wire.receive_nowait()
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            why = f"connection lost while idle: {error}"
        else:
            if arrived is None:
                return None
            why = "the peer sent something unasked" if arrived else "closed by the peer while idle"
        self._close()
        return why

    def _ready_for_next(self) -> bool:
        """Both sides are done, neither wants to close, and nothing came after the answer."""
        if self._protocol.our_state is not h11.DONE or self._protocol.their_state is not h11.DONE:
            return False
        if self._protocol.trailing_data != (b"", False):
            return False
        self._protocol.start_next_cycle()
        return True

    def _close(self) -> None:
        self._open = False
        self._wire.abort()
