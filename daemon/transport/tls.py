"""Client TLS whose write is one synchronous step: SSLObject over memory buffers, on top of any Wire.

trio.SSLStream takes locks and checkpoints around each send and, when a send is cancelled, must give the stream up.
Here encrypting and handing the record to the carrier happen in the caller's step.

This file does not connect, and it does not let anyone talk to a peer that was not verified.
"""

from __future__ import annotations

import ssl
from contextlib import suppress
from typing import Final

import trio

from .limits import RECEIVE_SIZE
from .trust import client_context as client_context  # for whoever dials: a TlsWire takes no other
from .wire import Wire

# The largest plaintext of one TLS record (RFC 8446 section 5.1): what one SSLObject.read can give.
RECORD_SIZE: Final = 16 * 1024


class TlsWire(Wire):
    """A verified TLS client session over `carrier`, which it owns. Made by `start_tls`."""

    def __init__(self, carrier: Wire, context: ssl.SSLContext, server_name: str) -> None:
        if context.verify_mode is not ssl.CERT_REQUIRED or not context.check_hostname:
            raise ValueError("this TLS context does not verify its peer")
        self._carrier = carrier
        self._arriving = ssl.MemoryBIO()
        self._leaving = ssl.MemoryBIO()
        self._session = context.wrap_bio(self._arriving, self._leaving, server_hostname=server_name)
        self._ended = False
        self._closed = False
        self._fault: str | None = None

    async def handshake(self) -> None:
        """Run the handshake; the caller bounds the time. Raises trio.BrokenResourceError with the reason."""
        while True:
            try:
                self._session.do_handshake()
            except ssl.SSLWantReadError:
                self._flush()
                self._feed(await self._carrier.receive_some(RECEIVE_SIZE))
            except ssl.SSLError as error:
                raise self._fail(error) from error
            else:
                self._flush()
                return

    def write_now(self, data: bytes) -> None:
        self._raise_if_over()
        if not data:
            return
        try:
            written = self._session.write(data)
            # The ssl module writes at most one record per call.
            while written < len(data):
                written += self._session.write(memoryview(data)[written:])
        except ssl.SSLError as error:
            raise self._fail(error) from error
        self._carrier.write_now(self._leaving.read())

    async def drain(self) -> None:
        await self._carrier.drain()

    @property
    def has_backlog(self) -> bool:
        return self._carrier.has_backlog

    async def wait_backlog(self) -> None:
        await self._carrier.wait_backlog()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Plaintext; b"" only after the peer's close_notify. A bare end of the carrier is truncation: broken."""
        limit = max_bytes or RECEIVE_SIZE
        if self._arriving.pending or self._session.pending() or self._ended or self._fault is not None:
            await trio.lowlevel.checkpoint()
            data = self._decrypt(limit)
            if data is not None:
                return data
        while True:
            self._feed(await self._carrier.receive_some(RECEIVE_SIZE))
            data = self._decrypt(limit)
            # None: a session ticket, a key update, or a record that has not fully arrived.
            if data is not None:
                return data

    def receive_nowait(self) -> bytes | None:
        self._raise_if_over()
        arrived = self._carrier.receive_nowait()
        if arrived is not None:
            self._feed(arrived)
        return self._decrypt(RECEIVE_SIZE)

    def abort(self) -> None:
        self._closed = True
        self._carrier.abort()

    async def aclose(self) -> None:
        """Send close_notify if it leaves at once, then close. Never waits for the peer."""
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            if not self._closed and not self._carrier.has_backlog:
                self._say_goodbye()
        self._closed = True
        await self._carrier.aclose()

    def _say_goodbye(self) -> None:
        # The error only says that the peer's close_notify has not come (or that all is lost); ours is written.
        with suppress(ssl.SSLError):
            self._session.unwrap()
        self._flush()

    def _decrypt(self, limit: int) -> bytes | None:
        """Every complete record that has arrived, up to `limit` bytes; None when there is none, b"" at the end."""
        self._raise_if_over()
        if self._ended:
            return b""
        pieces: list[bytes] = []
        room = limit
        try:
            while room > 0:
                piece = self._session.read(min(room, RECORD_SIZE))
                if not piece:
                    self._ended = True
                    break
                pieces.append(piece)
                room -= len(piece)
                # Ask before reading again: finding out by SSLWantReadError costs more than the whole read.
                if not self._arriving.pending and not self._session.pending():
                    break
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self._ended = True
        except ssl.SSLError as error:
            failure = self._fail(error)
            # What came before the fault was authentic: give it first, the next read raises.
            if not pieces:
                raise failure from error
        if self._leaving.pending:
            self._answer_peer()
        if pieces:
            return pieces[0] if len(pieces) == 1 else b"".join(pieces)
        return b"" if self._ended else None

    def _answer_peer(self) -> None:
        """Reading may have produced something to send (a key update, say). A failing write must not cost the read."""
        # The next write or read meets the same dead carrier.
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            self._flush()

    def _feed(self, arrived: bytes | bytearray) -> None:
        if arrived:
            self._arriving.write(arrived)
        else:
            self._arriving.write_eof()

    def _flush(self) -> None:
        if self._leaving.pending:
            self._carrier.write_now(self._leaving.read())

    def _fail(self, error: ssl.SSLError) -> trio.BrokenResourceError:
        """Tell the peer why (the alert), end the carrier, and give the error to raise."""
        self._fault = f"TLS: {error}"
        self._answer_peer()
        self._carrier.abort()
        return trio.BrokenResourceError(self._fault)

    def _raise_if_over(self) -> None:
        if self._closed:
            raise trio.ClosedResourceError("closed by this side")
        if self._fault is not None:
            raise trio.BrokenResourceError(self._fault)


async def start_tls(carrier: Wire, context: ssl.SSLContext, server_name: str) -> TlsWire:
    """Run a client handshake over `carrier`; the caller bounds the time.

    server_name: DNS name or address that the certificate must carry. On any failure the carrier is closed.
    Raises trio.BrokenResourceError with the reason (certificate, version, alert, end of stream).
    """
    try:
        wire = TlsWire(carrier, context, server_name)
        await wire.handshake()
    except BaseException:
        carrier.abort()
        raise
    return wire
