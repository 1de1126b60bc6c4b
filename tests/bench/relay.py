"""The floor: a relay as one would write it by hand. ROUTER to TLS to ROUTER, blocking, one thread, no features.

It has no deadline, no second route, no reconnection and no check of anything; what the daemon takes longer than this is
what its promises cost. `plain` reads and writes JSON with the standard library. `lean` is the least that Python can do:
typed decoding, answers found by slicing, nothing read that is not needed. `serial` is as lean and waits for each answer
before it reads the next command: nothing is faster one at a time, and it carries half as many.

Run as a process: `python -m tests.bench.relay plain|lean|serial ENDPOINT PORT CA_FILE`.
"""

import json
import os
import socket
import ssl
import sys
from typing import Final, Protocol

import msgspec
import zmq

from . import lines
from .venue import TOKEN

READ_SIZE: Final = 64 * 1024


class Speech(Protocol):
    """How a relay reads and writes."""

    def command(self, payload: bytes) -> tuple[int, str]:
        """Command id and order id of a client's cancel."""
        ...

    def cancel(self, reqid: int, order_id: str) -> bytes: ...

    def acked(self, text: bytes) -> int | None:
        """The reqid that the venue acked; None for anything else."""
        ...

    def reply(self, id: int) -> bytes: ...


class Plain:
    """The standard library's json everywhere."""

    def command(self, payload: bytes) -> tuple[int, str]:
        command = json.loads(payload)
        return command["id"], command["order_id"]

    def cancel(self, reqid: int, order_id: str) -> bytes:
        request = {"event": "cancelOrder", "reqid": reqid, "token": TOKEN, "txid": [order_id]}
        return json.dumps(request).encode()

    def acked(self, text: bytes) -> int | None:
        message = json.loads(text)
        if isinstance(message, dict) and message["event"] == "cancelOrderStatus" and message["status"] == "ok":
            return int(message["reqid"])
        return None

    def reply(self, id: int) -> bytes:
        return json.dumps({"type": "outcome", "id": id, "outcome": "acked"}).encode()


class _Command(msgspec.Struct):
    id: int
    order_id: str


class Lean:
    """Nothing that could be left out."""

    def __init__(self) -> None:
        self._decode = msgspec.json.Decoder(_Command).decode

    def command(self, payload: bytes) -> tuple[int, str]:
        command = self._decode(payload)
        return command.id, command.order_id

    def cancel(self, reqid: int, order_id: str) -> bytes:
        return f'{{"event":"cancelOrder","reqid":{reqid},"token":"{TOKEN}","txid":["{order_id}"]}}'.encode()

    def acked(self, text: bytes) -> int | None:
        if b"cancelOrderStatus" not in text:
            return None
        at = text.index(b'"reqid":') + 8
        return int(text[at : text.index(b",", at)])

    def reply(self, id: int) -> bytes:
        return b'{"type":"outcome","id":%d,"outcome":"acked"}' % id


def connect(port: int, ca_file: str) -> ssl.SSLSocket:
    """A WebSocket to the venue, past its handshake and greeting."""
    context = ssl.create_default_context(cafile=ca_file)
    wire = context.wrap_socket(socket.create_connection(("127.0.0.1", port)), server_hostname="localhost")
    wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    wire.sendall(
        b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    seen = b""
    while b'"systemStatus"' not in seen:
        seen += wire.recv(READ_SIZE)
    return wire


def masked(payload: bytes, key: bytes) -> bytes:
    """One client text frame of 126 to 65,535 bytes."""
    size = len(payload)
    mask = int.from_bytes((key * (size // 4 + 1))[:size], "little")
    body = (int.from_bytes(payload, "little") ^ mask).to_bytes(size, "little")
    return b"\x81\xfe" + size.to_bytes(2, "big") + key + body


def relay(speech: Speech, router: "zmq.Socket[bytes]", wire: ssl.SSLSocket) -> None:
    """Pass cancels on and acks back, for ever."""
    key = os.urandom(4)
    asked: dict[int, tuple[bytes, int]] = {}
    reqid = 0
    buffer = b""
    poller = zmq.Poller()
    poller.register(router, zmq.POLLIN)
    poller.register(wire, zmq.POLLIN)
    while True:
        for ready, _ in poller.poll():
            if ready is router:
                identity, payload = router.recv_multipart()
                id, order_id = speech.command(payload)
                reqid += 1
                asked[reqid] = identity, id
                wire.sendall(masked(speech.cancel(reqid, order_id), key))
                continue
            buffer += wire.recv(READ_SIZE)
            while len(buffer) > 1 and len(buffer) >= (end := 2 + buffer[1]):
                text = buffer[2:end]
                buffer = buffer[end:]
                acked = speech.acked(text)
                if acked is not None:
                    identity, id = asked.pop(acked)
                    router.send_multipart([identity, speech.reply(id)])


def relay_one_by_one(speech: Speech, router: "zmq.Socket[bytes]", wire: ssl.SSLSocket) -> None:
    """Pass one cancel on, wait for its ack, pass that back; for ever."""
    key = os.urandom(4)
    reqid = 0
    buffer = b""
    while True:
        identity, payload = router.recv_multipart()
        id, order_id = speech.command(payload)
        reqid += 1
        wire.sendall(masked(speech.cancel(reqid, order_id), key))
        acked = None
        while acked != reqid:
            while len(buffer) < 2 or len(buffer) < 2 + buffer[1]:
                buffer += wire.recv(READ_SIZE)
            end = 2 + buffer[1]
            acked = speech.acked(buffer[2:end])
            buffer = buffer[end:]
        router.send_multipart([identity, speech.reply(id)])


def main() -> None:
    kind, endpoint, port, ca_file = sys.argv[1:5]
    router = zmq.Context().socket(zmq.ROUTER)
    router.bind(endpoint)
    wire = connect(int(port), ca_file)
    lines.end_with_parent()
    print("{}", flush=True)
    if kind == "serial":
        relay_one_by_one(Lean(), router, wire)
    else:
        relay(Lean() if kind == "lean" else Plain(), router, wire)


if __name__ == "__main__":
    main()
