"""Where a record's lines go: a stream of the bus, a file, or the standard output.

A sink knows the last line that it has; what it has is the truth about how far the record was shipped, so that no
position kept elsewhere can be ahead of it or behind.
"""

import asyncio
import base64
import json
import os
from collections.abc import AsyncIterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, Protocol

from nats.aio.msg import Msg

from ..engine.journal import Link
from ..transport.files import append, failed, read_regular, replace
from .bus import FULL, NOT_FOUND, WRONG_SEQUENCE, Bus, BusFailed
from .bus import failed as refused
from .place import Place
from .shipping import Shipped, link_of

ACK_S: Final = 10.0
"""How long the acknowledgements of a batch are waited for."""

DUPLICATES_NS: Final = 120 * 10**9
TAIL_BYTES: Final = 256 << 10
POSITION_LIMIT: Final = 1 << 10


class SinkFailed(Exception):
    """Not all lines are known to be in the sink; ask it for the last that is. The text is one line."""


class Sink(Protocol):
    """Raises SinkFailed."""

    async def last(self) -> Link | None:
        """The last line that is in the sink; None where there is none."""

    def before(self) -> AsyncIterator[Link]:
        """The lines before that one, newest first; none where it cannot look back."""

    async def put(self, lines: Sequence[Shipped]) -> None:
        """Add these lines, which follow the last one; durable on return."""


def stream_of(place: Place) -> str:
    """Name of the stream of a daemon's record. No name of a host or account has a colon."""
    return f"record:{place.fleet}:{place.host}:{place.account}"


def subject_of(place: Place) -> str:
    """Where the lines of a daemon's record are published."""
    return f"record.{place.fleet}.{place.host}.{place.account}"


def stream_config(place: Place, replicas: int, limit_bytes: int) -> dict[str, Any]:
    """The stream of a record: nothing in it can be deleted, and where it is full it takes no more."""
    return {
        "name": stream_of(place),
        "subjects": [subject_of(place)],
        "storage": "file",
        "retention": "limits",
        "discard": "new",
        "max_bytes": limit_bytes,
        "max_msgs": -1,
        "max_age": 0,
        "max_consumers": -1,
        "num_replicas": replicas,
        "duplicate_window": DUPLICATES_NS,
        "deny_delete": True,
        "deny_purge": True,
    }


class StreamSink:
    """A stream of JetStream. Each line says which one it has to come behind, so that none comes twice or too early."""

    def __init__(self, bus: Bus, place: Place) -> None:
        self._bus = bus
        self._stream, self._subject = stream_of(place), subject_of(place)
        self._sequence = 0
        self._acks: dict[int, Any] = {}
        self._all: asyncio.Event = asyncio.Event()
        self._awaited = 0
        self._inbox = ""

    async def last(self) -> Link | None:
        try:
            info = await self._bus.stream_info(self._stream)
            if info is None:
                what = "make it once with an operator's creds: canceld ship --make"
                raise SinkFailed(f"{self._bus.where}: {self._stream}: there is no such stream; {what}")
            self._sequence = int(info["state"]["last_seq"])
            return await self._link(self._sequence)
        except BusFailed as error:
            raise SinkFailed(str(error)) from None

    async def before(self) -> AsyncIterator[Link]:
        for sequence in range(self._sequence - 1, 0, -1):
            try:
                link = await self._link(sequence)
            except BusFailed as error:
                raise SinkFailed(str(error)) from None
            if link is not None:
                yield link

    async def _link(self, sequence: int) -> Link | None:
        if not sequence:
            return None
        try:
            found = await self._bus.api(f"STREAM.MSG.GET.{self._stream}", {"seq": sequence})
        except BusFailed as error:
            if error.code in NOT_FOUND:
                return None
            raise
        raw = raw_of(found["message"]["data"])
        return link_of(raw, sha256(raw).hexdigest())

    async def put(self, lines: Sequence[Shipped]) -> None:
        client = self._bus.client
        if not self._inbox:
            self._inbox = client.new_inbox()
            await client.subscribe(f"{self._inbox}.*", cb=self._acked)
        self._acks.clear()
        self._all.clear()
        self._awaited, base = len(lines), self._sequence
        self._bus.refusal = None
        try:
            for place, line in enumerate(lines):
                headers = {
                    "Nats-Msg-Id": line.link.hash,
                    "Nats-Expected-Stream": self._stream,
                    "Nats-Expected-Last-Sequence": str(base + place),
                }
                await client.publish(self._subject, line.raw, f"{self._inbox}.{base + place}", headers)
            async with asyncio.timeout(ACK_S):
                await self._all.wait()
        except TimeoutError:
            raise SinkFailed(self._bus.refusal or f"{self._bus.where}: {self._stream}: no answer in time") from None
        except Exception as error:
            raise SinkFailed(f"{self._bus.where}: {self._stream}: {type(error).__name__}") from None
        for place in range(len(lines)):
            ack = self._acks.get(base + place, {})
            if "error" in ack or ack.get("seq") != base + place + 1:
                raise self._wrong(ack)
        self._sequence = base + len(lines)

    def _wrong(self, ack: dict[str, Any]) -> SinkFailed:
        error = ack.get("error") or {}
        if error.get("err_code") in FULL:
            return SinkFailed(str(refused(self._bus.where, error, self._stream)))
        if not error or error.get("err_code") == WRONG_SEQUENCE:
            what = "somebody else ships this record too, or an answer was lost; looking again at what is there"
            return SinkFailed(f"{self._bus.where}: {self._stream}: {what}")
        return SinkFailed(str(refused(self._bus.where, error, self._stream)))

    async def _acked(self, message: Msg) -> None:
        try:
            ack = json.loads(message.data) if message.data else {"error": {"description": "JetStream is not there"}}
            number = int(message.subject.rpartition(".")[2])
        except ValueError:
            return
        self._acks[number] = ack
        # Behind a line that was not taken none is.
        if len(self._acks) >= self._awaited or "error" in ack:
            self._all.set()


def raw_of(data: str) -> bytes:
    """A line as the bus tells it."""
    return base64.b64decode(data)


class FileSink:
    """A file of lines, for Vector, Fluent Bit, rsyslog and their like. Half a line at its end is cut off."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def last(self) -> Link | None:
        try:
            whole = _whole_tail(self._path)
        except OSError as error:
            raise SinkFailed(str(failed(self._path, error))) from None
        raw = whole.rpartition(b"\n")[2]
        link = link_of(raw, sha256(raw).hexdigest())
        if raw and link is None:
            raise SinkFailed(f"{self._path}: its last line is none of a record; give a file of its own")
        return link

    async def before(self) -> AsyncIterator[Link]:
        return
        yield

    async def put(self, lines: Sequence[Shipped]) -> None:
        try:
            append(self._path, b"".join(line.raw + b"\n" for line in lines))
        except OSError as error:
            raise SinkFailed(str(failed(self._path, error))) from None


def _whole_tail(path: Path) -> bytes:
    """The last whole lines of a file, from which half a line at its end is cut. Raises OSError."""
    if not path.exists():
        return b""
    with open(path, "r+b") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - TAIL_BYTES))
        whole, _, half = file.read().rpartition(b"\n")
        file.truncate(size - len(half))
    return whole


class OutputSink:
    """The standard output. How far it got is kept in a file; what was written just before a crash comes again."""

    def __init__(self, descriptor: int, position: Path | None) -> None:
        self._descriptor = descriptor
        self._position = position
        self._last: Link | None = None

    async def last(self) -> Link | None:
        if self._last is None and self._position is not None:
            try:
                n, hash = read_regular(self._position, POSITION_LIMIT)[0].decode().split()
                self._last = Link(int(n), hash)
            except FileNotFoundError:
                return None
            except ValueError:
                raise SinkFailed(
                    f"{self._position}: holds no position; remove it to begin with the oldest line"
                ) from None
        return self._last

    async def before(self) -> AsyncIterator[Link]:
        return
        yield

    async def put(self, lines: Sequence[Shipped]) -> None:
        left = memoryview(b"".join(line.raw + b"\n" for line in lines))
        try:
            while left:
                left = left[os.write(self._descriptor, left) :]
            self._last = lines[-1].link
            if self._position is not None:
                replace(self._position, f"{self._last.n} {self._last.hash}\n".encode())
        except OSError as error:
            raise SinkFailed(f"the output: {error.strerror}") from None
