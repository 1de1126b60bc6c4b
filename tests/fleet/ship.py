"""A record shipped while its writer, its shipper and the bus are killed at random and the stream is full for a while.

    python -m tests.fleet.ship --lines 1000000 --seed 1

Judged by the lines alone: each line of the record has to be in the stream once, in order, and nothing else.
"""

import argparse
import asyncio
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import nats

from canceld.engine.journal import files_among
from canceld.engine.journal_check import lines_of, record_in
from canceld.fleet.place import Place
from canceld.fleet.sinks import stream_of, subject_of
from canceld.transport.disk import Directory
from tests.fleet.cluster import Cluster, cluster

PLACE: Final = Place("desk", "h1", "main")
ROOT: Final = Path(__file__).parent.parent.parent
PATIENCE_S: Final = 60.0


@dataclass
class Judged:
    """What was found, as lines; and the figures."""

    faults: list[str] = field(default_factory=list)
    lines: int = 0
    kills: dict[str, int] = field(default_factory=dict)
    took_s: float = 0.0


def configuration(directory: Path, servers: list[str], **members: Any) -> Path:
    """A daemon's configuration with a [fleet]."""
    (directory / "state").mkdir(exist_ok=True)
    fleet = {"servers": servers, "name": PLACE.fleet, "host": PLACE.host, "account": PLACE.account} | members
    lines = [f"{name} = {json.dumps(value)}" for name, value in fleet.items()]
    file = directory / "canceld.toml"
    file.write_text(f'[state]\ndir = "{directory}/state"\n[fleet]\n' + "\n".join(lines) + "\n")
    return file


def canceld(*arguments: str) -> subprocess.CompletedProcess[str]:
    """One verb, to its end."""
    command = [sys.executable, "-m", "canceld", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)


def record_lines(state: Path) -> list[bytes]:
    """The record's lines, torn ones excepted."""
    directory = Directory(state / "journal")
    lines = (line for file in files_among(directory.names()) for line in lines_of(directory.read_part, file))
    return [line.raw for line in lines if line.whole and record_in(line.raw) is not None]


async def stream_lines(servers: list[str]) -> list[bytes]:
    """What is in the stream."""
    client = await nats.connect(servers)
    js = client.jetstream()
    count = (await js.stream_info(stream_of(PLACE))).state.messages
    found: list[bytes] = []
    if count:
        sub = await js.subscribe(subject_of(PLACE), ordered_consumer=True)
        while len(found) < count:
            found.append((await sub.next_msg(timeout=PATIENCE_S)).data)
    await client.close()
    return found


async def set_limit(servers: list[str], limit_bytes: int) -> None:
    """As an operator changes how large the stream may become."""
    client = await nats.connect(servers)
    try:
        answer = await client.request(f"$JS.API.STREAM.INFO.{stream_of(PLACE)}", b"", timeout=5)
        config = json.loads(answer.data)["config"] | {"max_bytes": limit_bytes}
        answer = await client.request(
            f"$JS.API.STREAM.UPDATE.{stream_of(PLACE)}", json.dumps(config).encode(), timeout=5
        )
        assert "error" not in json.loads(answer.data), answer.data
    finally:
        await client.close()


def until(done: Callable[[], bool], why: Callable[[], str] = lambda: "") -> None:
    """Wait for it, within PATIENCE_S."""
    deadline = time.monotonic() + PATIENCE_S
    while not done():
        assert time.monotonic() < deadline, why()
        time.sleep(0.05)


def shipped(running: Cluster) -> int:
    """How many lines are in the stream; -1 where it does not answer."""

    async def ask() -> int:
        client = await nats.connect(running.servers, connect_timeout=2, allow_reconnect=False)
        try:
            return (await client.jetstream().stream_info(stream_of(PLACE))).state.messages
        finally:
            await client.close()

    async def quiet() -> int:
        try:
            return await asyncio.wait_for(ask(), 5)
        except Exception:
            return -1

    return asyncio.run(quiet())


def play(directory: Path, running: Cluster, lines: int, seed: int, kills: int) -> Judged:
    """One record of so many lines, shipped through so many kills."""
    chance = random.Random(seed)
    judged = Judged(kills={"writer": 0, "shipper": 0, "server": 0, "full": 0})
    config = configuration(directory, running.servers)
    state = directory / "state"
    made = canceld("ship", "--config", str(config), "--make", "--max-bytes", str(1 << 30))
    assert made.returncode == 0, made.stderr

    def begin(name: str) -> subprocess.Popen[bytes]:
        command = {
            "writer": [sys.executable, "-m", "tests.fleet.writer", str(state), str(lines)],
            "shipper": [sys.executable, "-m", "canceld", "ship", "--config", str(config)],
        }[name]
        with open(directory / f"{name}.log", "ab") as out:
            return subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=out)

    began_s = time.monotonic()
    running_ = {name: begin(name) for name in ("writer", "shipper")}
    try:
        for number in range(kills):
            time.sleep(chance.uniform(0.3, 1.2))
            what = ("full", "server", "shipper", "writer")[number] if number < 4 else chance.choice(list(judged.kills))
            judged.kills[what] += 1
            if what == "full":
                asyncio.run(set_limit(running.servers, 1 << 16))
                time.sleep(chance.uniform(0.2, 1.5))
                asyncio.run(set_limit(running.servers, 1 << 30))
            elif what == "server":
                node = chance.choice(running.nodes)
                node.kill()
                time.sleep(chance.uniform(0.0, 1.0))
                node.start()
                node.wait()
                until(lambda: shipped(running) >= 0, lambda: "the stream does not come back")
            elif running_[what].poll() is None:
                running_[what].kill()
                running_[what].wait()
                running_[what] = begin(what)
        until_written(running_["writer"], lines)
        total = len(record_lines(state))
        until(lambda: shipped(running) >= total, lambda: (directory / "shipper.log").read_text()[-2000:])
        judged.took_s = time.monotonic() - began_s
    finally:
        for process in running_.values():
            process.kill()
            process.wait()
    judge(judged, record_lines(state), asyncio.run(stream_lines(running.servers)))
    return judged


def until_written(writer: subprocess.Popen[bytes], lines: int) -> None:
    """The writer ends by itself."""
    assert writer.wait(PATIENCE_S + lines / 2_000) == 0


def judge(judged: Judged, record: list[bytes], stream: list[bytes]) -> None:
    """Each line once, in order."""
    judged.lines = len(record)
    held = {sha256(raw).digest() for raw in stream}
    judged.faults += [f"lost: {raw[:80]!r}" for raw in record if sha256(raw).digest() not in held][:5]
    if len(held) != len(stream):
        judged.faults.append(f"{len(stream) - len(held)} lines are there twice")
    if not judged.faults and stream != record:
        judged.faults.append("not in order, or lines that are not the record's")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--nodes", type=int, default=1, choices=(1, 3))
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, cluster(Path(name), asked.nodes, storage_mib=4096) as running:
        judged = play(Path(name), running, asked.lines, asked.seed, asked.kills)
    print(
        json.dumps(
            {"lines": judged.lines, "kills": judged.kills, "s": round(judged.took_s, 1), "faults": judged.faults}
        )
    )
    return bool(judged.faults)


if __name__ == "__main__":
    sys.exit(main())
