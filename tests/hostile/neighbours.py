"""Neighbours on the commands socket that mean no good. `python -m tests.hostile.neighbours KIND PATH`.

Each prints `ready` once its trouble has begun and goes on until its stdin ends or somebody ends it; what it has to tell
at its end is one more line. They are bare sockets and bare ZeroMQ, and processes of their own: their time is not ours.
"""

import itertools
import json
import os
import random
import resource
import select
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Final

import zmq

CROWD: Final = 10_000
PACED_S: Final = 0.002
"""Between the connections that follow the burst."""

MONSTER_BYTES: Final = 2 << 20
MANY_FRAMES: Final = 2_000
ENDLESS_BYTES: Final = 100 << 20
ENDLESS_FRAME_BYTES: Final = 64 << 10
BURST: Final = 500
"""What a neighbour sends before it looks whether it is to end."""

GREETING: Final = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + b"\0" + bytes(31)
IMPOSTOR: Final = b"the-good-one"
"""The identity that the impostor takes, while its owner is connected."""

ORDER_ID: Final = "OAAAAA-BBBBB-CCCCCC"


def command(**members: Any) -> bytes:
    """A cancel with these members changed; those set to `...` left out."""
    whole = {"type": "cancel", "id": "x", "venue": "spot", "order_id": ORDER_ID, **members}
    return json.dumps({name: value for name, value in whole.items() if value is not ...}).encode()


NONSENSE: Final[dict[str, bytes]] = {
    "nothing": b"",
    "half a map": b"{",
    "no member": b"{}",
    "an array": b"[]",
    "null": b"null",
    "zero": b"\x00",
    "no msgpack": b"\xc1",
    "msgpack's empty map": b"\x80",
    "noise": b"\xff" * 100,
    "another protocol": b"GET / HTTP/1.1\r\n\r\n",
    "cut off": command()[:-1],
    "no text": b'{"type":"\xff\xfe"}',
    "deep JSON": b'{"id":"x","a":' * 1_100,
    "deep msgpack": b"\x81\xa1a" * 5_000,
    "unknown type": command(type="cancle"),
    "type no text": command(type=7),
    "unknown venue": command(venue="mars"),
    "id empty": command(id=""),
    "id negative": command(id=-1),
    "id true": command(id=True),
    "id too long": command(id="x" * 65),
    "id a fraction": command(id=1.5),
    "id missing": command(id=...),
    "order id with a blank": command(order_id="no id"),
    "order id with a line end": command(order_id="A-B\n"),
    "two ids": command(cl_ord_id="two"),
    "no id of an order": command(order_id=...),
    "userref 0": command(order_id=..., userref=0),
    "userref too large": command(order_id=..., userref=2**40),
    "deadline 0": command(deadline_ms=0),
    "deadline too far": command(deadline_ms=10**9),
    "deadline null": command(deadline_ms=None),
    "until what": command(until="forever"),
    "strategy empty": command(strategy=""),
    "sent before time": command(sent_ns=-5),
    "unknown member": command(colour="red"),
    "venue missing": command(venue=...),
    "oversize": command(strategy="s" * 20_000),
    "oversize and wide": b"\x82\xa2id\xa1x\xa1a\xdd" + (120_000).to_bytes(4) + b"\x80" * 120_000,
    "an empty batch": command(type="cancel_batch", order_id=..., orders=[]),
    "a batch too long": command(type="cancel_batch", order_id=..., orders=[{"userref": 1}] * 501),
    "rearm at the wrong door": command(type="rearm", venue=..., order_id=...),
    "a lease too short": command(type="lease", venue=..., order_id=..., strategy="s", ttl_ms=1),
    "a drill without a reason": command(type="drill", venue=..., order_id=...),
}
"""Payloads that are no command; each is owed one refusal."""


def _wanted() -> bool:
    """Whether to go on: our stdin is still open."""
    readable, _, _ = select.select([sys.stdin], [], [], 0)
    return not readable


def _ready() -> None:
    print("ready", flush=True)


def _dealer(path: str, identity: bytes = b"", *, kept: int = 0) -> "zmq.Socket[bytes]":
    dealer: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.DEALER)
    dealer.linger = 0
    dealer.sndhwm = 0
    dealer.rcvhwm = kept
    if identity:
        dealer.setsockopt(zmq.IDENTITY, identity)
    dealer.connect(f"ipc://{path}")
    return dealer


def connect(path: str) -> socket.socket:
    """A bare connection. Blocks while the line of those that wait to be accepted is full."""
    bare = socket.socket(socket.AF_UNIX)
    # As a timeout of Python's it would be no wait at all: a full line is EAGAIN to a socket that does not block.
    bare.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", 10, 0))
    bare.connect(path)
    return bare


def speak_zmtp(bare: socket.socket) -> None:
    """Introduce a bare connection as a DEALER, so that its frames are taken."""
    bare.settimeout(10)
    bare.sendall(GREETING)
    _receive(bare, len(GREETING))
    ready = b"\x05READY\x0bSocket-Type\x00\x00\x00\x06DEALER\x08Identity\x00\x00\x00\x00"
    bare.sendall(bytes((4, len(ready))) + ready)
    _receive(bare, _receive(bare, 2)[1])


def _receive(bare: socket.socket, size: int) -> bytes:
    got = b""
    while len(got) < size:
        got += bare.recv(size - len(got)) or b"\0" * size
    return got


def crowd(path: str) -> None:
    """Ten thousand connections as fast as they are taken, held; then more, at a pace. Most say nothing, some junk."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    room = min(CROWD, hard - 64)
    dice = random.Random(1)
    held: list[socket.socket] = []
    opened = 0
    for opened in itertools.count(1):
        bare = connect(path)
        junk = (b"", b"", GREETING[:11], dice.randbytes(64), GREETING + dice.randbytes(512), b"GET / HTTP/1.1\r\n\r\n")
        with suppress(OSError):  # it may have been seen through already
            bare.sendall(dice.choice(junk))
        held.append(bare)
        if len(held) > room:
            held.pop(0).close()
        if opened == CROWD:
            _ready()
        elif opened > CROWD:
            time.sleep(PACED_S)
            if not _wanted():
                break
    print(json.dumps({"opened": opened}))


def flood(path: str) -> None:
    """Pings as fast as they go out, and every pong is read."""
    dealer = _dealer(path)
    sent = heard = 0
    while sent == 0 or _wanted():
        for _ in range(BURST):
            dealer.send(b'{"type":"ping","id":%d}' % sent)
            sent += 1
        # Not further ahead than this, so that the end does not take long.
        while sent - heard > 10 * BURST:
            dealer.recv()
            heard += 1
        if sent == 20 * BURST:
            _ready()
    while heard < sent and dealer.poll(10_000):
        dealer.recv()
        heard += 1
    print(json.dumps({"sent": sent, "heard": heard}))


def deaf(path: str) -> None:
    """Pings without a pause, and nothing is ever read."""
    dealer = _dealer(path, kept=1)
    sent = 0
    while sent < 20_000:
        dealer.send(b'{"type":"ping","id":%d}' % sent)
        sent += 1
    _ready()
    while _wanted():
        time.sleep(0.01)
        dealer.send(b'{"type":"ping","id":%d}' % sent)
        sent += 1
    # All of it is to arrive: while others cancel it is taken slowly.
    dealer.close(linger=10_000)
    zmq.Context.instance().term()
    print(json.dumps({"sent": sent}))


def impostor(path: str) -> None:
    """Connects again and again under the identity of another, asks, and listens for that other's replies."""
    stolen: list[str] = []
    tries = 0
    while tries == 0 or _wanted():
        dealer = _dealer(path, IMPOSTOR)
        dealer.send(b'{"type":"ping","id":"impostor"}')
        if dealer.poll(20):
            stolen.append(json.loads(dealer.recv())["id"])
        dealer.close()
        tries += 1
        if tries == 5:
            _ready()
    print(json.dumps({"tries": tries, "stolen": stolen}))


def endless(path: str) -> None:
    """One message that never ends, frame after frame, each of them small enough."""
    bare = connect(path)
    speak_zmtp(bare)
    frame = b"\x03" + ENDLESS_FRAME_BYTES.to_bytes(8) + bytes(ENDLESS_FRAME_BYTES)
    frames = ENDLESS_BYTES // ENDLESS_FRAME_BYTES
    for _ in range(frames):
        bare.sendall(frame)
    _ready()
    while _wanted():
        time.sleep(0.01)
        bare.sendall(b"\x01\x00")
    bare.close()
    print(json.dumps({"sent_mib": frames * ENDLESS_FRAME_BYTES / (1 << 20)}))


def monster(path: str) -> None:
    """Messages of thousands of frames, commands of 100 KiB, and frames that end the connection."""
    dealer = _dealer(path)
    huge = _dealer(path)
    sent = heard = 0
    for turn in itertools.count(1):
        dealer.send_multipart([b"x"] * MANY_FRAMES)
        dealer.send_multipart([b""] * 5)
        dealer.send(command(strategy="s" * 100_000))
        sent += 3
        if turn % 20 == 1:
            huge.send(b"{" * MONSTER_BYTES)
        # A reply may be of two frames.
        while heard < sent - 6:
            dealer.recv_multipart()
            heard += 1
        if turn == 5:
            _ready()
        if turn > 5 and not _wanted():
            break
    while heard < sent and dealer.poll(10_000):
        dealer.recv_multipart()
        heard += 1
    print(json.dumps({"sent": sent, "heard": heard}))


def nonsense(path: str) -> None:
    """Whatever is no command, over and over; each is refused."""
    dealer = _dealer(path)
    sent = heard = 0
    for payload in itertools.cycle(NONSENSE.values()):
        dealer.send(payload)
        sent += 1
        while sent - heard > BURST:
            dealer.recv()
            heard += 1
        if sent == 2 * BURST:
            _ready()
        if sent > 2 * BURST and not sent % BURST and not _wanted():
            break
    while heard < sent and dealer.poll(10_000):
        dealer.recv()
        heard += 1
    print(json.dumps({"sent": sent, "heard": heard}))


KINDS: Final[dict[str, Callable[[str], None]]] = {
    "crowd": crowd,
    "flood": flood,
    "deaf": deaf,
    "impostor": impostor,
    "monster": monster,
    "endless": endless,
    "nonsense": nonsense,
}


def kinds() -> Iterator[tuple[str, str]]:
    """Each kind with the first line of what it does."""
    for name, kind in KINDS.items():
        yield name, (kind.__doc__ or "").splitlines()[0]


if __name__ == "__main__":
    KINDS[sys.argv[1]](sys.argv[2])
    sys.stdout.flush()
    # Without the goodbyes of a ZeroMQ context.
    os._exit(0)
