"""Servers that keep the protocol up to a point and then do not: one half of each story in this directory.

They are written on bytes, not on the library under test, so that both sides cannot share a mistake.
"""

from __future__ import annotations

import base64
import hashlib
import struct

import trio
from wsproto import ConnectionType
from wsproto.connection import Connection
from wsproto.events import Event, TextMessage

TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA


async def read_head(stream: trio.abc.Stream) -> bytes:
    """A request head, read a byte at a time so that nothing behind it is taken."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = await stream.receive_some(1)
        assert byte, "the client closed before its request was complete"
        head += byte
    return head


def accept_answer(request_head: bytes) -> bytes:
    """The 101 that RFC 6455 section 4.2.2 asks for."""
    (key,) = (
        line.split(b":", 1)[1].strip()
        for line in request_head.split(b"\r\n")
        if line.lower().startswith(b"sec-websocket-key:")
    )
    token = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + token + b"\r\nX-Edge: one\r\n\r\n"
    )


async def accept(stream: trio.abc.Stream) -> bytes:
    """Take a client's opening handshake; its request head."""
    head = await read_head(stream)
    await stream.send_all(accept_answer(head))
    return head


def frame(
    opcode: int, payload: bytes, *, final: bool = True, reserved: int = 0, length_form: int = 0, mask: bytes = b""
) -> bytes:
    """An unmasked frame, as servers send them, or one that they must not send.

    length_form: 126 or 127 to write a length in more bytes than it needs.
    """
    head = bytes(((0x80 if final else 0) | reserved | opcode,))
    masked = 0x80 if mask else 0
    if len(payload) < 126 and not length_form:
        head += bytes((masked | len(payload),))
    elif len(payload) < 65536 and length_form != 127:
        head += bytes((masked | 126,)) + struct.pack(">H", len(payload))
    else:
        head += bytes((masked | 127,)) + struct.pack(">Q", len(payload))
    if mask:
        payload = bytes(byte ^ mask[number % 4] for number, byte in enumerate(payload))
    return head + mask + payload


def close_frame(code: int, reason: str = "") -> bytes:
    return frame(CLOSE, struct.pack(">H", code) + reason.encode())


class ClientFrames:
    """What a client sent, as a strict server decodes it: a fault shows as a CloseConnection event."""

    def __init__(self) -> None:
        self._decoder = Connection(ConnectionType.SERVER)
        self._begun = ""

    def feed(self, data: bytes) -> list[Event]:
        """Control events, and text messages once they are whole."""
        self._decoder.receive_data(data)
        events: list[Event] = []
        for event in self._decoder.events():
            if isinstance(event, TextMessage):
                self._begun += event.data
                if event.message_finished:
                    events.append(TextMessage(data=self._begun))
                    self._begun = ""
            else:
                events.append(event)
        return events

    async def next(self, stream: trio.abc.Stream) -> list[Event]:
        """The events of the next bytes that complete at least one; [] at the end of stream."""
        while True:
            data = await stream.receive_some(65536)
            if not data:
                return []
            events = self.feed(bytes(data))
            if events:
                return events
