"""A line whose packets are lost, late, doubled and overtaken: what TCP makes of that no proxy above TCP can show.

As a process of its own, `python -m tests.hurt.packets SEED`, in a network namespace that nobody else uses: it makes a
device there to which everything for `FAR` goes. A packet comes back with both addresses exchanged, so that who dials
`FAR` meets what listens at `NEAR` on the same machine, over this line. It prints one JSON line once the line stands,
loses packets from the line `storm` on stdin until the line `calm`, upon which it prints what became of them, and ends
at the end of stdin.
"""

import fcntl
import heapq
import json
import os
import random
import select
import shutil
import struct
import subprocess
import sys
import time
from collections import Counter
from typing import Final, NamedTuple

NEAR: Final = "10.203.0.1"
FAR: Final = "10.203.0.9"
DEVICE: Final = "/dev/net/tun"
NAME: Final = "line0"
SET_NAME: Final = 0x400454CA
TUN_WITHOUT_HEADER: Final = 0x1001
PACKET_BYTES: Final = 65_536
DELAY_S: Final = (0.001, 0.004)
OVERTAKEN_S: Final = (0.01, 0.08)
LOOK_S: Final = 0.05
TCP: Final = 6
SYN, ACK = 0x02, 0x10


class Weather(NamedTuple):
    """How likely a packet meets what, by direction where that matters: towards the exchange, towards the daemon."""

    name: str
    lost_up: float
    lost_down: float
    overtaken: float
    doubled: float


FAIR: Final = Weather("fair", 0.005, 0.005, 0.01, 0.001)
WEATHERS: Final = (
    Weather("lossy", 0.05, 0.05, 0.02, 0.01),
    Weather("foul", 0.25, 0.25, 0.1, 0.05),
    Weather("shuffled", 0.01, 0.01, 0.5, 0.02),
    Weather("nothing up", 1.0, 0.0, 0.0, 0.0),
    Weather("nothing down", 0.0, 1.0, 0.0, 0.0),
    Weather("nothing", 1.0, 1.0, 0.0, 0.0),
)
LASTS_S: Final = (0.3, 3.0)
FAIR_S: Final = (2.0, 8.0)


def cannot() -> str:
    """Why there can be no such line here; empty where there can."""
    if os.geteuid() != 0:
        return "only root can make a network of its own"
    if missing := [tool for tool in ("unshare", "ip", "mount") if shutil.which(tool) is None]:
        return f"not installed here: {', '.join(missing)}"
    if not os.path.exists(DEVICE):
        return f"no {DEVICE} here"
    tried = subprocess.run(
        ["unshare", "--net", "--mount", "ip", "tuntap", "add", "dev", NAME, "mode", "tun"],
        capture_output=True,
        text=True,
    )
    return tried.stderr.strip()


class Line:
    """Packets under way, and what becomes of them."""

    def __init__(self, seed: int) -> None:
        self.became: Counter[str] = Counter()
        self.storms = False
        self._rng = random.Random(f"packets {seed}")
        self._under_way: list[tuple[float, int, bytes]] = []
        self._count = 0
        self._servers: set[bytes] = set()
        self.weather = FAIR
        self.until_s = 0.0

    def take(self, packet: bytes, now_s: float) -> None:
        """What the kernel sends: it is lost, or comes back later, once or twice, its addresses exchanged."""
        if packet[0] >> 4 != 4 or packet[9] != TCP:
            return
        at = (packet[0] & 0x0F) * 4
        source, target, flags = packet[at : at + 2], packet[at + 2 : at + 4], packet[at + 13]
        if flags & (SYN | ACK) == SYN:
            self._servers.add(target)
        weather, rng = self._now(now_s), self._rng
        up = target in self._servers and source not in self._servers
        if rng.random() < (weather.lost_up if up else weather.lost_down):
            self.became["lost"] += 1
            return
        # The sum over both addresses stays what it was, so every checksum still holds.
        back = packet[:12] + packet[16:20] + packet[12:16] + packet[20:]
        for copies in range(2):
            if copies and rng.random() >= weather.doubled:
                return
            overtaken = rng.random() < weather.overtaken
            self.became["doubled" if copies else "overtaken" if overtaken else "passed"] += 1
            self._count += 1
            due_s = now_s + rng.uniform(*(OVERTAKEN_S if overtaken else DELAY_S))
            heapq.heappush(self._under_way, (due_s, self._count, back))

    def due(self, now_s: float) -> list[bytes]:
        """What arrives now."""
        arrived = []
        while self._under_way and self._under_way[0][0] <= now_s:
            arrived.append(heapq.heappop(self._under_way)[2])
        return arrived

    def next_s(self, now_s: float) -> float:
        """For so long nothing arrives."""
        return min(LOOK_S, max(0.0, self._under_way[0][0] - now_s)) if self._under_way else LOOK_S

    def _now(self, now_s: float) -> Weather:
        if now_s >= self.until_s:
            # Foul and fair take turns.
            foul = self.storms and self.weather is FAIR
            self.weather = self._rng.choice(WEATHERS) if foul else FAIR
            self.until_s = now_s + self._rng.uniform(*(LASTS_S if foul else FAIR_S))
            if foul:
                self.became[self.weather.name] += 1
        return self.weather


def _device() -> int:
    device = os.open(DEVICE, os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, SET_NAME, struct.pack("16sH22x", NAME.encode(), TUN_WITHOUT_HEADER))
    for words in (
        f"addr add {NEAR}/24 dev {NAME}",
        f"link set {NAME} up",
    ):
        subprocess.run(["ip", *words.split()], check=True)
    return device


def main(seed: int) -> None:
    """Carry packets until stdin ends."""
    device, line = _device(), Line(seed)
    print(json.dumps({"line": NAME}), flush=True)
    while True:
        readable, _, _ = select.select([device, sys.stdin], [], [], line.next_s(time.monotonic()))
        if sys.stdin in readable:
            match sys.stdin.readline().strip():
                case "storm":
                    line.storms = True
                case "calm":
                    line.storms = False
                    print(json.dumps(line.became), flush=True)
                case _:
                    return
        if device in readable:
            line.take(os.read(device, PACKET_BYTES), time.monotonic())
        for packet in line.due(time.monotonic()):
            os.write(device, packet)


if __name__ == "__main__":
    main(int(sys.argv[1]))
