"""The floor: the least a relay can be. ROUTER to TLS to ROUTER, blocking, one thread, no features.

It has no deadline, no second route, no reconnection and no check of anything; what the daemon takes longer than this
is what its promises cost. Run as a process: `python -m tests.bench.relay ENDPOINT PORT CA_FILE`.
"""

import os
import socket
import ssl
import sys
from typing import Final

import msgspec
import zmq

from . import lines
from .venue import TOKEN

READ_SIZE: Final = 64 * 1024


class Command(msgspec.Struct):
    """What is read of a cancel."""

    id: int
    order_id: str


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


def relay(router: "zmq.Socket[bytes]", wire: ssl.SSLSocket) -> None:
    """Pass cancels on and acks back, for ever."""
    decode = msgspec.msgpack.Decoder(Command).decode
    encode = msgspec.msgpack.encode
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
                command = decode(payload)
                reqid += 1
                asked[reqid] = identity, command.id
                text = f'{{"event":"cancelOrder","reqid":{reqid},"token":"{TOKEN}","txid":["{command.order_id}"]}}'
                wire.sendall(masked(text.encode(), key))
                continue
            buffer += wire.recv(READ_SIZE)
            while len(buffer) > 1 and len(buffer) >= (end := 2 + buffer[1]):
                text_back = buffer[2:end]
                buffer = buffer[end:]
                if b"cancelOrderStatus" in text_back:
                    at = text_back.index(b'"reqid":') + 8
                    identity, id = asked.pop(int(text_back[at : text_back.index(b",", at)]))
                    router.send_multipart([identity, encode({"type": "outcome", "id": id, "outcome": "acked"})])


def main() -> None:
    endpoint, port, ca_file = sys.argv[1:4]
    router = zmq.Context().socket(zmq.ROUTER)
    router.bind(endpoint)
    wire = connect(int(port), ca_file)
    lines.end_with_parent()
    print("{}", flush=True)
    relay(router, wire)


if __name__ == "__main__":
    main()
