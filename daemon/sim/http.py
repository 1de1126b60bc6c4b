"""HTTP/1.1 on one stream: whole requests in, whole answers out, by h11. No route is known here."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import h11
import trio

BODY_LIMIT = 1024 * 1024
READ_SIZE = 65536
KEEP_ALIVE_S = 75.0  # an idle connection is closed after this long, as edge proxies do


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request. headers: names in lower case. target: exactly as sent, query included."""

    method: str
    target: str
    headers: Mapping[str, str]
    raw_headers: tuple[tuple[bytes, bytes], ...]
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """One answer; content-length is added when it is written."""

    status: int
    body: bytes
    content_type: str = "application/json; charset=utf-8"
    headers: tuple[tuple[str, str], ...] = field(default=())


def json_answer(value: Any, status: int = 200) -> HttpAnswer:
    """An answer that carries one JSON value."""
    return HttpAnswer(status, json.dumps(value, separators=(",", ":")).encode())


class HttpConnection:
    """Reads requests from a stream and writes answers to it, one after the other.

    now: unix seconds. Every answer is dated by it, as the edge before the venue's servers dates them.
    """

    def __init__(self, stream: trio.abc.Stream, now: Callable[[], float]) -> None:
        self._stream = stream
        self._now = now
        self._h11 = h11.Connection(h11.SERVER, max_incomplete_event_size=READ_SIZE)

    async def read(self) -> HttpRequest | None:
        """The next request; None when the peer is gone, idle for too long, or does not speak HTTP."""
        try:
            if self._h11.our_state is h11.DONE:
                self._h11.start_next_cycle()
            with trio.move_on_after(KEEP_ALIVE_S):
                return await self._read()
        except (h11.ProtocolError, trio.BrokenResourceError):
            pass
        return None

    async def write(self, answer: HttpAnswer, *, cut_short: bool = False) -> bool:
        """Send an answer; False when no further request can follow it.

        cut_short: announce the whole body and send half of it.
        """
        response = h11.Response(
            status_code=answer.status,
            headers=[
                ("content-type", answer.content_type),
                ("content-length", str(len(answer.body))),
                ("date", formatdate(self._now(), usegmt=True)),
                *answer.headers,
            ],
        )
        head = self._h11.send(response) or b""
        if cut_short:
            await self._stream.send_all(head + answer.body[: len(answer.body) // 2])
            return False
        tail = (self._h11.send(h11.Data(data=answer.body)) or b"") + (self._h11.send(h11.EndOfMessage()) or b"")
        await self._stream.send_all(head + tail)
        return self._h11.our_state is h11.DONE

    @property
    def trailing(self) -> bytes:
        """What the peer sent beyond the last request: the first frames of an upgraded connection."""
        return self._h11.trailing_data[0]

    async def _read(self) -> HttpRequest | None:
        head: h11.Request | None = None
        body = bytearray()
        while True:
            match self._h11.next_event():
                case h11.NEED_DATA:
                    if self._h11.they_are_waiting_for_100_continue:
                        go_ahead = h11.InformationalResponse(status_code=100, headers=[])
                        await self._stream.send_all(self._h11.send(go_ahead) or b"")
                    self._h11.receive_data(bytes(await self._stream.receive_some(READ_SIZE)))
                case h11.Request() as head:
                    pass
                case h11.Data(data=data):
                    body += data
                    if len(body) > BODY_LIMIT:
                        return None
                case h11.EndOfMessage() | h11.PAUSED:
                    assert head is not None
                    return _request(head, bytes(body))
                case _:
                    return None


def _request(head: h11.Request, body: bytes) -> HttpRequest:
    raw_headers = tuple((bytes(name), bytes(value)) for name, value in head.headers)
    return HttpRequest(
        method=head.method.decode("ascii"),
        target=head.target.decode("ascii"),
        headers={name.decode("ascii").lower(): value.decode("latin-1") for name, value in raw_headers},
        raw_headers=raw_headers,
        body=body,
    )
