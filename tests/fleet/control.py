"""A control socket with nobody behind it but a switch: what an agent sees of its daemon, for tests of many agents."""

import asyncio
import contextlib
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec
import zmq
import zmq.asyncio

FILE_LOOK_S: Final = 0.1


@dataclass
class Right:
    """What the agent said of the timer. until_ns: monotonic; 0: may not renew."""

    token: int
    until_ns: int
    off: bool


@dataclass
class Control:
    """A switch behind a control socket, and its kill file. `answers`: False while nobody answers.

    latched_ns: when it was latched last. unlatched: when it was armed, as (from, to) of monotonic nanoseconds.
    """

    directory: Path
    latched: bool = False
    answers: bool = True
    pulls: int = 0
    reason: str = ""
    who: str = ""
    latched_ns: int = 0
    rearmed_ns: list[int] = field(default_factory=list)
    right: Right = field(default_factory=lambda: Right(0, 0, False))
    refused: list[str] = field(default_factory=list)
    _code: str = ""

    def __post_init__(self) -> None:
        self.state = self.directory / "state"
        self.state.mkdir(mode=0o700, exist_ok=True)
        self.endpoint = f"ipc://{self.directory}/control.sock"

    def may_renew(self, now_ns: int) -> bool:
        return now_ns < self.right.until_ns

    def pull(self, reason: str, who: str) -> None:
        self.pulls += 1
        if not self.latched:
            self.latched, self.latched_ns = True, time.monotonic_ns()
            self.reason, self.who = reason, who

    def rearm_by_hand(self) -> None:
        self.latched = False
        self.rearmed_ns.append(time.monotonic_ns())

    async def run(self) -> None:
        """Serve until cancelled."""
        socket = zmq.asyncio.Context.instance().socket(zmq.ROUTER)
        socket.linger = 0
        socket.bind(self.endpoint)
        watch = asyncio.create_task(self._watch_file())
        try:
            while True:
                if not self.answers:
                    # As a process that is stopped: what was sent to it waits.
                    await asyncio.sleep(FILE_LOOK_S)
                    continue
                if not await socket.poll(1000 * FILE_LOOK_S):
                    continue
                *route, payload = await socket.recv_multipart()
                command = msgspec.msgpack.decode(payload)
                reply = {"id": command["id"], **self._answer(command)}
                await socket.send_multipart([*route, msgspec.msgpack.encode(reply)])
        finally:
            watch.cancel()
            socket.close()

    async def _watch_file(self) -> None:
        while True:
            if self.answers:
                with contextlib.suppress(FileNotFoundError):
                    reason = (self.state / "kill").read_text()
                    self.pull(reason, "uid 0")
                    (self.state / "kill").unlink()
            await asyncio.sleep(FILE_LOOK_S)

    def _answer(self, command: dict[str, Any]) -> dict[str, Any]:
        match command["type"]:
            case "status":
                return {"type": "status", **self._status()}
            case "kill":
                self.pull(command["reason"], "agent")
                spot = {"state": "flat", "found": 0, "cancelled": 0, "residual": []}
                return {"type": "killed", "latched": True, "venues": {"spot": spot}}
            case "rearm" if command.get("confirm") is None:
                self._code = "ABCD" if self.latched else ""
                return {"type": "rearm", "latched": self.latched, **({"code": self._code} if self.latched else {})}
            case "rearm":
                assert command["confirm"] == self._code
                self.rearm_by_hand()
                return {"type": "rearm", "latched": False}
            case "timer_right":
                if command["token"] >= self.right.token:
                    until_ns = command["sent_ns"] + command["for_ms"] * 10**6 if command["for_ms"] else 0
                    self.right = Right(command["token"], until_ns, bool(command.get("off")))
                else:
                    self.refused.append(f"token {command['token']}")
                return {"type": "timer_right", "token": self.right.token}
            case other:
                raise AssertionError(f"an agent has no business with {other}")

    def _status(self) -> dict[str, Any]:
        kill: dict[str, Any] = {"latched": self.latched, "pulls": self.pulls, "drill": {"age_s": 3600.0}}
        if self.latched:
            kill |= {"reason": self.reason, "who": self.who, "venues": {"spot": {"state": "flat"}}}
        return {
            "state": "serving",
            "started_ns": 1,
            "kill": kill,
            "venues": {"spot": {"state": "up", "mode": "online"}},
        }
