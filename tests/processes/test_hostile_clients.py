"""Clients that send nonsense, junk bytes, monsters and floods, while a good one cancels its orders."""

import json
import random
import socket
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import zmq

from tests.processes.peers import Dealer
from tests.processes.stage import Exchange, Service, until

Shared = tuple[Exchange, Service]

MALFORMED = 500
JUNK_CONNECTIONS = 200
JUNK_BYTES = 4096
FLOOD = 20_000
GOOD_CANCELS = 40
GROWTH_MIB = 64
"""What the whole ordeal may cost: most of it is libzmq's queues and the ids that are remembered."""

WITHIN_S = 20.0
ORDER_ID = "OAAAAA-BBBBB-CCCCCC"


def cancel(**fields: Any) -> bytes:
    return json.dumps({"type": "cancel", "id": "x", "venue": "spot", "order_id": ORDER_ID, **fields}).encode()


def without(*names: str, **fields: Any) -> bytes:
    command = {"type": "cancel", "id": "x", "venue": "spot", "order_id": ORDER_ID, **fields}
    return json.dumps({name: value for name, value in command.items() if name not in names}).encode()


# Payloads of which each is no command, and owed one refusal.
NONSENSE: tuple[bytes, ...] = (
    b"",
    b"{",
    b"{}",
    b"[]",
    b"null",
    b"\x00",
    b"\xc1",
    b"\x80",
    b"\xff" * 100,
    b"GET / HTTP/1.1\r\n\r\n",
    b'{"type":"cancel"',
    b'{"type":"cancel","id":"x"}',
    b'{"type":"\xff\xfe"}',
    b'{"id":"x","a":' * 2000,
    b"\x81\xa1a" * 4000,
    cancel(type="cancle"),
    cancel(type=7),
    cancel(venue="mars"),
    cancel(id=""),
    cancel(id=-1),
    cancel(id=True),
    cancel(id="x" * 65),
    cancel(id=1.5),
    cancel(order_id="no id"),
    cancel(order_id="A-B\n"),
    cancel(order_id=None),
    cancel(cl_ord_id="two"),
    cancel(userref=5),
    cancel(deadline_ms=0),
    cancel(deadline_ms=10**9),
    cancel(until="forever"),
    cancel(strategy=""),
    cancel(sent_ns=-5),
    cancel(colour="red"),
    without("order_id", userref=0),
    without("order_id", userref=2**40),
    without("venue"),
    without("id"),
    cancel(strategy="s" * 20_000),
    msgspec.msgpack.encode({"type": "cancel_batch", "id": 1, "venue": "spot", "orders": []}),
    msgspec.msgpack.encode({"type": "rearm", "id": 1}),
    msgspec.msgpack.encode({"type": "lease", "id": 1, "strategy": "s", "ttl_ms": 1}),
)


def rss_mib(service: Service) -> float:
    """Resident memory."""
    status = Path(f"/proc/{service.program.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def good_cancels(exchange: Exchange, good: Dealer, count: int = GOOD_CANCELS) -> Iterator[float]:
    """Cancels one after the other; how many milliseconds each took."""
    for order_id in exchange.place(count):
        began_s = time.monotonic()
        [reply] = good.hear_all([good.cancel(order_id, deadline_ms=5000)], WITHIN_S)
        yield (time.monotonic() - began_s) * 1000
        assert reply["outcome"] in ("acked", "canceled"), reply


def connected(client: socket.socket, path: str) -> bool:
    """Whether it could be connected; the line of those that wait to be accepted is a hundred long."""
    try:
        client.connect(path)
    except BlockingIOError:
        return False
    return True


def test_nonsense_gets_one_refusal_each_and_disturbs_nobody(shared: Shared) -> None:
    exchange, service = shared
    dice = random.Random(1)
    with Dealer(service.commands) as good, Dealer(service.commands) as bad:
        bad_ones = [NONSENSE[n % len(NONSENSE)] for n in range(MALFORMED)]
        dice.shuffle(bad_ones)
        for payload in bad_ones:
            bad.socket.send(payload)
        assert len(list(good_cancels(exchange, good))) == GOOD_CANCELS
        for payload in bad_ones:
            [reply] = bad.receive(WITHIN_S)
            decoded = json.loads(reply) if reply[:1] == b"{" else msgspec.msgpack.decode(reply)
            assert (decoded["type"], decoded["outcome"]) == ("refused", "refused"), payload[:80]
            assert decoded["reason"] in ("invalid", "too_large", "unsupported"), payload[:80]
            assert decoded["detail"], payload[:80]
        bad.fence()
        assert set(bad.replies) == {"c1"}, "an answer that nobody asked for"
        # Frames in numbers that no client of ours sends.
        for frames in ([b"", b"", b"{}"], [b"x"] * 4, [b"x"] * 5, [b"x"] * 2000, [b"", b""]):
            bad.socket.send_multipart(frames)
            reply = bad.receive(WITHIN_S)[-1]
            assert b"refused" in reply, frames[:6]
    assert exchange.resting() == []
    assert service.status()["in_flight"] == 0
    assert "Traceback" not in service.program.err


def test_junk_connections_and_monsters_cost_nobody_anything(shared: Shared) -> None:
    exchange, service = shared
    dice = random.Random(2)
    path = service.commands.removeprefix("ipc://")
    before_mib = rss_mib(service)
    connections: list[socket.socket] = []
    try:
        with Dealer(service.commands) as good:
            for number in range(JUNK_CONNECTIONS):
                junk = socket.socket(socket.AF_UNIX)
                junk.settimeout(WITHIN_S)
                connections.append(junk)
                until(partial(connected, junk, path), WITHIN_S, "the line of waiting connections moves")
                start = b"\xff\0\0\0\0\0\0\0\x01\x7f\x03" if number % 2 else b""
                try:
                    junk.sendall(start + dice.randbytes(dice.randrange(JUNK_BYTES)))
                except OSError:
                    continue  # it was seen through before everything was sent
            assert len(list(good_cancels(exchange, good))) == GOOD_CANCELS
            with Dealer(service.commands) as monster:
                monster.socket.send(b"{" * (2 << 20))
                assert len(list(good_cancels(exchange, good))) == GOOD_CANCELS
    finally:
        for junk in connections:
            junk.close()
    assert exchange.resting() == []
    assert service.sessions() == {"spot-0": "live", "spot-1": "live"}
    assert rss_mib(service) - before_mib < GROWTH_MIB
    assert "Traceback" not in service.program.err


def undelivered(service: Service) -> int:
    """Replies that no client took."""
    return int(service.status(detail=True)["detail"]["undelivered_replies"])


def test_a_flood_starves_nobody(shared: Shared) -> None:
    exchange, service = shared
    before_mib, before = rss_mib(service), undelivered(service)
    with Dealer(service.commands, "msgpack") as good, Dealer(service.commands, "msgpack") as flooder:
        good.fence()  # its door is open before the flood comes
        ids = [flooder.send("ping") for _ in range(FLOOD)]
        took_ms = sorted(good_cancels(exchange, good, GOOD_CANCELS))
        # Each ping has its pong, also of a client that asks faster than it reads.
        assert {reply["type"] for reply in flooder.hear_all(ids, WITHIN_S)} == {"pong"}
    assert len(took_ms) == GOOD_CANCELS
    assert took_ms[-1] < 1000
    assert exchange.resting() == []
    assert rss_mib(service) - before_mib < GROWTH_MIB
    assert undelivered(service) == before


def test_a_client_that_never_reads_costs_bounded_memory(shared: Shared) -> None:
    exchange, service = shared
    before_mib, before = rss_mib(service), undelivered(service)
    context = zmq.Context()
    deaf = context.socket(zmq.DEALER)
    deaf.linger = 0
    # A short queue on its side, so that the replies come to a stop at the daemon.
    deaf.rcvhwm, deaf.sndhwm = 1, 0
    deaf.connect(service.commands)
    try:
        for number in range(FLOOD):
            deaf.send(json.dumps({"type": "ping", "id": number}).encode())
        with Dealer(service.commands) as good:
            assert len(list(good_cancels(exchange, good))) == GOOD_CANCELS
        until(lambda: undelivered(service) > before, WITHIN_S, "some are given up")
        assert "a client does not read its replies" in [alert["what"] for alert in service.status()["alerts"]]
        assert rss_mib(service) - before_mib < GROWTH_MIB
    finally:
        deaf.close()
        context.term()
    assert exchange.resting() == []
