"""The bare venue of the bench: blocking TLS sockets, one thread each, just enough of Kraken Spot to cancel orders at.

It knows no orders and checks no signatures: it answers every cancel at once and notes when it had the frame, so that
next to nothing of what is measured is its own. Run as a process: `python -m tests.bench.venue CERT KEY`.
"""

import base64
import contextlib
import hashlib
import queue
import re
import socket
import ssl
import struct
import sys
import threading
import time
from typing import Final

from . import lines

HEARTBEAT_S: Final = 1
"""After this long without a request each WebSocket gets a heartbeat, as the exchange sends them."""

HANG_LOOK_S: Final = 0.05

READ_SIZE: Final = 64 * 1024
ORDER_ID: Final = re.compile(rb"OBENCH-\d{5}-\d{7}")
_CANCEL: Final = re.compile(rb'\{"(?:event|method)": ?"cancel_?[oO]rder"')
_REQID: Final = re.compile(rb'"req_?id":\s*(\d+)')
_HANDSHAKE_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_TEXT: Final = 1
_CLOSE: Final = 8
_PING: Final = 9

TOKEN: Final = "WW91ckF1dGhlbnRpY2F0aW9uVG9rZW5Hb2VzSGVyZTE"
"""As long as the venue's tokens are."""


class Wire:
    """Server TLS on a blocking socket. Over memory buffers, because a blocking ssl socket cannot time out a read."""

    def __init__(self, carrier: socket.socket, context: ssl.SSLContext) -> None:
        carrier.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._carrier = carrier
        self._arriving = ssl.MemoryBIO()
        self._leaving = ssl.MemoryBIO()
        self._writing = threading.Lock()
        self._session = context.wrap_bio(self._arriving, self._leaving, server_side=True)
        while True:
            try:
                self._session.do_handshake()
                break
            except ssl.SSLWantReadError:
                self._flush()
                if not self._feed():
                    raise ConnectionError("ended in the handshake") from None
        self._flush()
        # From here on a read that waits longer raises BlockingIOError.
        carrier.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", HEARTBEAT_S, 0))

    def read(self) -> bytes | None:
        """What has arrived; None after HEARTBEAT_S of silence, b"" at the end."""
        while True:
            try:
                return self._session.read(READ_SIZE)
            except ssl.SSLWantReadError:
                try:
                    if not self._feed():
                        return b""
                except BlockingIOError:
                    return None

    def write(self, data: bytes) -> None:
        with self._writing:
            self._session.write(data)
            self._flush()

    def kill(self) -> None:
        """End the connection from another thread, without a word to the peer."""
        self._carrier.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._carrier.close()

    def _feed(self) -> int:
        arrived = self._carrier.recv(READ_SIZE)
        self._arriving.write(arrived)
        return len(arrived)

    def _flush(self) -> None:
        self._carrier.sendall(self._leaving.read())


class Venue:
    """Every connection of the venue, and how it behaves towards them."""

    def __init__(self, certificate: str, key: str) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate, key)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._late_s = 0.0
        self._answers = True
        self._admits = True
        self._hangs = False
        self._records = False
        self._arrivals: list[tuple[int, bytes]] = []
        self._sockets: set[Wire] = set()
        self._last_used: Wire | None = None
        self._late: queue.SimpleQueue[tuple[float, Wire, bytes]] = queue.SimpleQueue()
        threading.Thread(target=self._accept, daemon=True).start()
        threading.Thread(target=self._answer_late, daemon=True).start()

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    # ---------------------------------------------------------------- orders of the bench

    def behave(self, *, answers: bool, admits: bool, late_s: float = 0.0, hangs: bool = False) -> int:
        """answers: WebSocket cancels are acked, so much later. admits: WebSocket upgrades are accepted.

        hangs: REST calls about orders have no answer while it lasts.
        """
        self._answers, self._admits, self._late_s, self._hangs = answers, admits, late_s, hangs
        return time.monotonic_ns()

    def record(self) -> None:
        """Note arrivals from now on, forgetting earlier ones."""
        self._arrivals = []
        self._records = True

    def recorded(self) -> list[tuple[str, int]]:
        """Every cancel since `record`: order id and CLOCK_MONOTONIC ns of its arrival."""
        self._records = False
        found = ((ORDER_ID.findall(payload), now_ns) for now_ns, payload in self._arrivals)
        return [(order_id.decode(), now_ns) for order_ids, now_ns in found for order_id in order_ids]

    def arrived(self) -> int:
        """How many cancel requests were recorded so far."""
        return len(self._arrivals)

    def kill_sockets(self, *, every: bool) -> int:
        """End the WebSocket that had the last cancel, or every one; the moment, in CLOCK_MONOTONIC ns."""
        chosen = list(self._sockets) if every or self._last_used is None else [self._last_used]
        now_ns = time.monotonic_ns()
        for wire in chosen:
            wire.kill()
        return now_ns

    def _answer_late(self) -> None:
        """One thread for all late answers: one for each would cost the bench more than what it measures."""
        while True:
            due_s, wire, answers = self._late.get()
            time.sleep(max(0.0, due_s - time.monotonic()))
            with contextlib.suppress(OSError):  # the peer may be gone
                wire.write(answers)

    # ---------------------------------------------------------------- connections

    def _accept(self) -> None:
        while True:
            carrier, _ = self._listener.accept()
            threading.Thread(target=self._serve, args=(carrier,), daemon=True).start()

    def _serve(self, carrier: socket.socket) -> None:
        try:
            wire = Wire(carrier, self._context)
            try:
                self._http(wire)
            finally:
                self._sockets.discard(wire)
        except (OSError, ssl.SSLError):
            pass
        finally:
            carrier.close()

    def _http(self, wire: Wire) -> None:
        buffer = b""
        while True:
            head, separator, rest = buffer.partition(b"\r\n\r\n")
            size = re.search(rb"(?i)content-length:\s*(\d+)", head)
            if not separator or len(rest) < (length := int(size[1]) if size else 0):
                data = wire.read()
                if data == b"":
                    return
                buffer += data or b""
                continue
            now_ns = time.monotonic_ns()
            body, buffer = rest[:length], rest[length:]
            path = head.split(b" ", 2)[1].partition(b"?")[0]
            if key := re.search(rb"(?i)sec-websocket-key:\s*(\S+)", head):
                if not self._admits:
                    wire.write(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                    return
                accept = base64.b64encode(hashlib.sha1(key[1] + _HANDSHAKE_GUID).digest())
                wire.write(
                    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                    b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
                )
                self._sockets.add(wire)
                self._websocket(wire, v2=path.startswith(b"/v2"))
                return
            answer = self._rest(path, body, now_ns)
            wire.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
                % (len(answer), answer)
            )

    def _rest(self, path: bytes, body: bytes, now_ns: int) -> bytes:
        name = path.rpartition(b"/")[2]
        while self._hangs and b"Order" in name:
            time.sleep(HANG_LOOK_S)
        match name:
            case b"GetWebSocketsToken":
                return b'{"error":[],"result":{"token":"%b","expires":900}}' % TOKEN.encode()
            case b"CancelOrder" | b"CancelOrderBatch":
                if self._records:
                    self._arrivals.append((now_ns, body))
                return b'{"error":[],"result":{"count":%d}}' % len(ORDER_ID.findall(body))
            case b"SystemStatus":
                return b'{"error":[],"result":{"status":"online","timestamp":"2026-01-01T00:00:00Z"}}'
            case b"Time":
                return b'{"error":[],"result":{"unixtime":1767225600,"rfc1123":"Thu,  1 Jan 26 00:00:00 +0000"}}'
            case b"QueryOrders":
                return b'{"error":[],"result":{}}'
            case _:
                return b'{"error":["EGeneral:Unknown method"]}'

    def _websocket(self, wire: Wire, *, v2: bool) -> None:
        heartbeat = _frame(b'{"channel":"heartbeat"}' if v2 else b'{"event":"heartbeat"}')
        if not v2:
            wire.write(
                _frame(
                    b'{"connectionID":8628615390848610000,"event":"systemStatus","status":"online","version":"1.9.6"}'
                )
            )
        buffer = b""
        while True:
            data = wire.read()
            if data is None:
                wire.write(heartbeat)
                continue
            now_ns = time.monotonic_ns()
            if not data:
                return
            buffer = buffer + data if buffer else data
            answers: list[bytes] = []
            start = 0
            while (frame := _parse(buffer, start)) is not None:
                opcode, payload, start = frame
                if opcode == _TEXT and _CANCEL.match(payload):
                    if self._records:
                        self._arrivals.append((now_ns, payload))
                    if self._answers:
                        answers.append(_ack(payload, v2=v2))
                    self._last_used = wire
                elif opcode == _TEXT:
                    answers += _answer(payload)
                elif opcode == _PING:
                    answers.append(b"\x8a" + bytes((len(payload),)) + payload)
                elif opcode == _CLOSE:
                    wire.write(b"\x88\x02" + payload[:2])
                    return
            if answers and self._late_s:
                self._late.put((time.monotonic() + self._late_s, wire, b"".join(answers)))
            elif answers:
                wire.write(b"".join(answers))
            buffer = buffer[start:]


def _parse(buffer: bytes, start: int) -> tuple[int, bytes, int] | None:
    """The client frame at `start`: opcode, unmasked payload and where it ends; None when it has not fully come."""
    if len(buffer) - start < 6:
        return None
    size, at = buffer[start + 1] & 127, start + 2
    if size == 126:
        size, at = int.from_bytes(buffer[at : at + 2], "big"), at + 2
    elif size == 127:
        size, at = int.from_bytes(buffer[at : at + 8], "big"), at + 8
    end = at + 4 + size
    if len(buffer) < end:
        return None
    mask = (buffer[at : at + 4] * (size // 4 + 1))[:size]
    masked = buffer[at + 4 : end]
    payload = (int.from_bytes(masked, "little") ^ int.from_bytes(mask, "little")).to_bytes(size, "little")
    return buffer[start] & 15, payload, end


def _frame(payload: bytes) -> bytes:
    size = len(payload)
    return (b"\x81" + bytes((size,)) if size < 126 else b"\x81\x7e" + size.to_bytes(2, "big")) + payload


def _ack(payload: bytes, *, v2: bool) -> bytes:
    found = _REQID.search(payload)
    assert found is not None, "a cancel without a request id"
    if not v2:
        return _frame(b'{"event":"cancelOrderStatus","reqid":%b,"status":"ok"}' % found[1])
    return _frame(
        b'{"method":"cancel_order","req_id":%b,"result":{"order_id":"%b"},"success":true,'
        b'"time_in":"2026-01-01T00:00:00.000001Z","time_out":"2026-01-01T00:00:00.000002Z"}'
        % (found[1], ORDER_ID.findall(payload)[0])
    )


def _answer(payload: bytes) -> list[bytes]:
    """What is not a cancel: the subscription that keeps a session alive, and pings."""
    found = _REQID.search(payload)
    reqid = found[1] if found else b"0"
    if b'"subscribe"' in payload:
        return [
            _frame(
                b'{"channelName":"openOrders","event":"subscriptionStatus","reqid":%b,"status":"subscribed",'
                b'"subscription":{"maxratecount":180,"name":"openOrders"}}' % reqid
            ),
            _frame(b'[[],"openOrders",{"sequence":1}]'),
        ]
    return [_frame(b'{"event":"pong","reqid":%b}' % reqid)] if b'"ping"' in payload else []


def main() -> None:
    venue = Venue(*sys.argv[1:3])
    lines.serve(
        {"port": venue.port},
        {
            "behave": venue.behave,
            "record": venue.record,
            "recorded": venue.recorded,
            "arrived": venue.arrived,
            "kill_sockets": venue.kill_sockets,
        },
    )


if __name__ == "__main__":
    main()
