"""`python -m tests.transport.endings COUNT`: sockets bound, used and closed while junk connects, so many times."""

import faulthandler
import os
import random
import socket
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import trio

from canceld.transport.messages import Router
from canceld.transport.zeromq import Bus

PEERS: Final = 2
OPEN_S: Final = 0.01
"""The longest that one pair of sockets stays open: long enough for a few dozen newcomers."""

KEPT: Final = 50
NEW: Final = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)
OLD: Final = b"\xff" + bytes(8) + b"\x7f\x01\x05"
OLDEST: Final = b"\x01\x00"
GREETINGS: Final = (b"", NEW, NEW[:12], OLD, OLDEST)
READY: Final = b"\x04\x29\x05READY\x0bSocket-Type" + struct.pack(">I", 6) + b"DEALER\x08Identity" + bytes(4)


def be_junk(path: str, seed: int) -> None:
    """Connect for as long as our starter lives: a greeting, a half one or none, then bytes of any kind."""
    draw = random.Random(seed)
    kept: list[socket.socket] = []
    # The process that started us may be aborted, which is what is looked for.
    starter = os.getppid()
    while os.getppid() == starter:
        peer = socket.socket(socket.AF_UNIX)
        peer.settimeout(0.05)
        try:
            peer.connect(path)
            ready = READY if draw.random() < 0.5 else b""
            peer.sendall(draw.choice(GREETINGS) + ready + draw.randbytes(draw.randrange(1, 4_000)))
        except OSError:
            # Nobody listens in this moment, or has hung up already.
            peer.close()
            continue
        kept.append(peer)
        if len(kept) > KEPT or draw.random() < 0.7:
            kept.pop(draw.randrange(len(kept))).close()


def serve(router: Router) -> None:
    """Answer whatever came."""
    while (message := router.receive_nowait()) is not None:
        router.send_nowait(message.identity, [b"answer"])


async def end_often(path: Path, count: int) -> None:
    """Open and close so many times."""
    draw = random.Random(0)
    for _ in range(count):
        bus = Bus()
        router = bus.router(f"ipc://{path}", mode=0o600)
        bus.publisher(f"ipc://{path}-events", mode=0o600)
        by_s = time.monotonic() + draw.random() * OPEN_S
        while time.monotonic() < by_s:
            serve(router)
            await trio.sleep(0.001)
        await bus.aclose()


def main(count: int) -> None:
    """Print how many endings it lived through."""
    faulthandler.enable()
    with tempfile.TemporaryDirectory(prefix="cd") as room:
        path = Path(room, "s")
        junk = [
            subprocess.Popen([sys.executable, "-m", "tests.transport.endings", str(path) + suffix, str(seed)])
            for seed in range(PEERS)
            for suffix in ("", "-events")
        ]
        try:
            trio.run(end_often, path, count)
        finally:
            for one in junk:
                one.kill()
                one.wait()
    print(f"{count} endings of a process's sockets under junk, none of which aborted it")


if __name__ == "__main__":
    if len(sys.argv) == 3:
        be_junk(sys.argv[1], int(sys.argv[2]))
    else:
        main(int(sys.argv[1]))
