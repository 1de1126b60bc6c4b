"""A WebSocket that leads nowhere: both ends in this process's memory, over TLS, for walks that keep code in the caches.

It runs the very code of a session's socket, from the frame to the record of TLS and back, and no byte of it can leave:
there is no socket of the system in it. The two ends agree on keys without a certificate, which nobody could use for
anything else.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

import trio

from .text_frames import TextFramer
from .tls import TlsWire
from .websocket import WebSocket
from .websocket_tap import Tap
from .wire import Wire

# One that needs no certificate. The bytes are enciphered in another way than a session's; all around it is the same.
_CIPHER: Final = "AECDH-AES256-SHA:@SECLEVEL=0"

READ_BYTES: Final = 64 * 1024


def _context(protocol: int) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHER)
    return context


class _Loop(Wire):
    """The carrier between the two ends: what one hands on waits here for the other."""

    def __init__(self) -> None:
        self.sent = bytearray()
        self.arrived = bytearray()

    def write_now(self, data: bytes) -> None:
        self.sent += data

    def receive_nowait(self) -> bytes | None:
        data = bytes(self.arrived)
        self.arrived.clear()
        return data or None

    async def drain(self) -> None:
        """There is never a backlog."""

    @property
    def has_backlog(self) -> bool:
        return False

    async def wait_backlog(self) -> None:
        await trio.sleep_forever()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        raise AssertionError("nobody waits at a walk")

    def abort(self) -> None:
        """There is nothing to close."""

    async def aclose(self) -> None:
        """There is nothing to close."""


class _PairedTls(TlsWire):
    """A TlsWire whose peer is in this process and needs no verifying; it has no way to any other."""

    def __init__(self, carrier: _Loop) -> None:
        self._carrier = carrier
        self._arriving = ssl.MemoryBIO()
        self._leaving = ssl.MemoryBIO()
        self._session = _context(ssl.PROTOCOL_TLS_CLIENT).wrap_bio(self._arriving, self._leaving)
        self._ended = False
        self._closed = False
        self._fault = None


class _Peer:
    """The other end: takes what comes and says what it is told to say."""

    def __init__(self) -> None:
        self.arriving = ssl.MemoryBIO()
        self.leaving = ssl.MemoryBIO()
        context = _context(ssl.PROTOCOL_TLS_SERVER)
        self.session = context.wrap_bio(self.arriving, self.leaving, server_side=True)


class _Open:
    """A connection of the library that is open, and of which nothing else is asked."""

    closed = None


class WarmWebSocket(WebSocket):
    """A WebSocket of which only `send_now`, `send_many_now` and `answer` are of use."""

    def __init__(self, entropy: Callable[[int], bytes], taker: Callable[[Sequence[str | bytes]], None]) -> None:
        """entropy: as a session's. taker: gets what `answer` says, as it would come from a venue."""
        self._loop = _Loop()
        self._peer = _Peer()
        wire = _PairedTls(self._loop)
        _shake_hands(wire, self._peer)
        self._wire = wire
        self._tap = Tap(wire, trio.Event(), READ_BYTES)
        self._tap.deliver_to(taker)
        self._connection = _Open()  # type: ignore[assignment]  # only whether it is closed is asked
        self._framer = TextFramer(entropy)
        self._ended = None

    def answer(self, text: bytes) -> None:
        """Take in what was sent, then have the other end say a text of less than 126 bytes, and hear it."""
        peer = self._peer
        peer.arriving.write(bytes(self._loop.sent))
        self._loop.sent.clear()
        peer.session.read(READ_BYTES)
        peer.session.write(bytes((0x81, len(text))) + text)
        self._loop.arrived += peer.leaving.read()
        data = self._wire.receive_nowait()
        if data is not None:
            self._tap.sift(data)


def _shake_hands(wire: _PairedTls, peer: _Peer) -> None:
    for _ in range(4):
        for side in (wire._session, peer.session):
            with suppress(ssl.SSLWantReadError):
                side.do_handshake()
            peer.arriving.write(wire._leaving.read())
            wire._arriving.write(peer.leaving.read())
