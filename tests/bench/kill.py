"""From the trigger to the first byte that cancels everything, at each venue, while ten thousand commands are queued.

A daemon of its own serves all three: Spot at the bench's bare venue, the other two at the simulated exchange. When a
frame left is read from the daemon's own audit record. Alone: `python -m tests.bench.kill`.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any, Final

import msgspec
import zmq

from .asker import DEADLINE_MS, PATIENCE_MS, Asker
from .figures import Row, percentile, verdicts
from .isolation import SECTIONS
from .lines import ROOT
from .measures import FULL, Effort
from .stage import LIVE_TIMEOUT_S, LOOK_S, Daemon, NotReady, Stage, stage
from .trouble import Exchange

QUEUED: Final = 10_000
GOAL_MS: Final = 10.0
BEHIND_GOAL_MS: Final = 50.0
"""Everything before it has to be read first: some 3 us each."""

HAND_GOAL_S: Final = 0.15
RESTING: Final = 5
"""Orders on Prime, where nothing is sent when nothing rests."""

KILL_DEADLINE_MS: Final = 500
FIRST: Final = {
    "spot": ("cancelAll", "/CancelAll"),
    "prime": ("OrderCancelRequest",),
    "futures": ("/cancelallorders",),
}
"""What the first byte belongs to, as the record shows it."""

TRIGGERS: Final = ("operator", "strategy", "signal")
PROCESS: Final = "process"
"""An operator's `canceld kill`, from its start: the interpreter and what it imports are on the way."""

BEHIND: Final = "behind"
"""The strategy that queued the commands pulls too, after them and at the same socket."""


def kill_under_load(on: Stage, effort: Effort) -> list[Row]:
    """A row for each venue over the triggers that need not wait for others, and one for a kill behind its own queue."""
    queued = QUEUED if effort.repeats > 1 else QUEUED // 20
    took_ms: dict[str, list[float]] = defaultdict(list)
    with _daemon(on) as (daemon, exchange):
        scene = _Scene(daemon, exchange)
        # Of four kills three need not wait for others.
        for number in range(effort.kills * 4 // 3):
            trigger = (*TRIGGERS, BEHIND)[number % 4]
            for venue, ms in scene.kill(trigger, queued).items():
                took_ms[BEHIND if trigger == BEHIND else venue].append(ms)
        by_hand_s = [min(scene.kill(PROCESS, 0).values()) / 1000 for _ in range(effort.repeats)]
        scene.close()
    rows = [Row.at_most("`canceld kill` process: start → first byte at a venue", median(by_hand_s), HAND_GOAL_S, " s")]
    for name, all_ms in took_ms.items():
        what = "a kill behind them at the same socket" if name == BEHIND else f"kill → first byte to {name}"
        details = f" (p50 {percentile(all_ms, 50):.2f} ms)"
        text = f"{what}, {queued:,} commands queued: worst of {len(all_ms)}"
        goal = BEHIND_GOAL_MS if name == BEHIND else GOAL_MS
        rows.append(Row.at_most(text, max(all_ms), goal, " ms", details=details))
    return rows


class _Scene:
    """One daemon, killed again and again."""

    def __init__(self, daemon: Daemon, exchange: Exchange) -> None:
        self._daemon = daemon
        self._exchange = exchange
        self._flood: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.DEALER)
        for option, value in ((zmq.LINGER, 0), (zmq.SNDHWM, 0), (zmq.RCVHWM, 0), (zmq.RCVTIMEO, PATIENCE_MS)):
            self._flood.setsockopt(option, value)
        self._flood.connect(daemon.commands)
        self._strategy = Asker(daemon.commands, 951)
        self._operator = Asker(daemon.control, 952)
        self._ids = 0
        self._journal = daemon.config.parent / "state" / "journal"
        self._before = ("", 0)
        """The record's last file, and its size, before the kill."""

    def close(self) -> None:
        for asker in (self._flood, self._strategy, self._operator):
            asker.close()

    def kill(self, trigger: str, queued: int) -> dict[str, float]:
        """Pull once; milliseconds to the first byte at each venue."""
        for _ in range(RESTING):
            self._exchange.ask("POST", "/sim/orders", {"venue": "prime"})
        self._await(lambda status: status["venues"]["prime"]["open_orders"] >= RESTING, "Prime's orders are known")
        last = self._file()
        self._before = last.name, last.stat().st_size
        for payload in self._commands(queued):
            self._flood.send(payload)
        pulled_ns = time.monotonic_ns()
        command = {"type": "kill", "reason": "bench", "deadline_ms": KILL_DEADLINE_MS}
        if trigger == "signal":
            os.kill(self._daemon.pid, signal.SIGUSR1)
        elif trigger == BEHIND:
            self._flood.send(msgspec.json.encode({**command, "id": f"kill-{self._ids}"}))
        elif trigger == PROCESS:
            command_line = [sys.executable, "-m", "canceld", "kill", "--endpoint", self._daemon.control]
            subprocess.run([*command_line, "--deadline-ms", str(KILL_DEADLINE_MS)], cwd=ROOT, stdout=subprocess.DEVNULL)
        else:
            asker = self._operator if trigger == "operator" else self._strategy
            asker.request(command)
        for _ in range(queued + (trigger == BEHIND)):
            self._flood.recv()
        took = self._first_ms(pulled_ns)
        self._await(lambda status: status["kill"]["latched"] and status["kill"]["durable"], "it is latched")
        code = self._operator.request({"type": "rearm"})["code"]
        reply = self._operator.request({"type": "rearm", "confirm": code, "reason": "bench", "force": True})
        if reply.get("latched") is not False:
            raise RuntimeError(f"not re-armed: {reply}")
        return took

    def _commands(self, count: int) -> list[bytes]:
        """Cancels of as many orders, each of its own."""
        first, self._ids = self._ids, self._ids + count
        command = {"type": "cancel", "venue": "spot", "deadline_ms": DEADLINE_MS}
        return [
            msgspec.json.encode({**command, "id": number, "order_id": f"OBENCH-00950-{number % 10_000_000:07}"})
            for number in range(first, self._ids)
        ]

    def _await(self, look: Any, what: str) -> None:
        until = time.monotonic() + LIVE_TIMEOUT_S
        while not look(self._daemon.status(self._operator)):
            if time.monotonic() > until:
                raise NotReady(f"not within {LIVE_TIMEOUT_S} s: {what}")
            time.sleep(LOOK_S)

    def _first_ms(self, pulled_ns: int) -> dict[str, float]:
        """When the first byte left for each venue, from the record, which is a moment behind."""
        until = time.monotonic() + LIVE_TIMEOUT_S
        first: dict[str, float] = {}
        while first.keys() != FIRST.keys():
            if time.monotonic() > until:
                raise NotReady(f"the record tells of {sorted(first)} only")
            time.sleep(LOOK_S)
            for venue, left_ns in self._sent(pulled_ns):
                first.setdefault(venue, (left_ns - pulled_ns) / 1e6)
        return first

    def _file(self) -> Path:
        return max(self._journal.glob("*.jsonl"))

    def _sent(self, since_ns: int) -> Iterator[tuple[str, int]]:
        name, size = self._before
        written = b""
        for path in sorted(self._journal.glob("*.jsonl")):
            if path.name >= name:
                with path.open("rb") as file:
                    file.seek(size if path.name == name else 0)
                    written += file.read()
        for line in written[: written.rfind(b"\n") + 1].splitlines():
            if b'"frame_out"' not in line:
                continue
            record = json.loads(line)
            if record["monotonic_ns"] < since_ns:
                continue
            venue = record["session"].partition("-")[0]
            told = f"{record.get('asked', '')} {record['frame']}"
            if any(sign in told for sign in FIRST[venue]):
                yield venue, record["monotonic_ns"]


@contextmanager
def _daemon(on: Stage) -> Iterator[tuple[Daemon, Exchange]]:
    with ExitStack() as ending:
        home = on.ca_file.parent / "kill"
        home.mkdir(mode=0o700)
        exchange = Exchange(home / "exchange")
        ending.callback(exchange.end)
        roots = home / "roots.pem"
        roots.write_text(on.ca_file.read_text() + Path(exchange.told["ca_file"]).read_text())
        place = home / "daemon"
        place.mkdir(mode=0o700)
        daemon = Daemon(place, on.port, roots, more=SECTIONS.format(**exchange.told))
        for venue in ("prime", "futures"):
            for part in ("key", "secret"):
                daemon.give_credential(f"{venue}.{part}", exchange.told["credentials"][venue][part])
        ending.callback(daemon.stop)
        daemon.start()
        asker = Asker(daemon.control, 953)
        until = time.monotonic() + LIVE_TIMEOUT_S
        while any(venue["state"] != "up" for venue in daemon.status(asker)["venues"].values()):
            if time.monotonic() > until:
                raise NotReady(f"not every venue was up within {LIVE_TIMEOUT_S} s")
            time.sleep(LOOK_S)
        asker.close()
        yield daemon, exchange


if __name__ == "__main__":
    with stage() as on:
        print(verdicts(kill_under_load(on, FULL)))
