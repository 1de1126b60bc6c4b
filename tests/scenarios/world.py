"""A whole world in one trio run: the daemon as app.py builds it, the simulated exchange, and strategies that ask.

Time is virtual (trio's MockClock, autojumping), bytes go over memory wires, messages over the memory bus. What rests is
always asked of the exchange's own book.
"""

import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import trio

from daemon.app import Daemon
from daemon.credentials import Credentials, Keys, Secret
from daemon.settings import Gateway, Log, Settings, Spot, State
from daemon.sim.server import SimulatedKraken
from daemon.transport.clock import VirtualClock
from daemon.transport.disk import MemoryDirectory
from daemon.transport.entropy import SeededEntropy
from daemon.transport.network import DialFailed
from daemon.transport.notify import Notifier
from daemon.transport.signals import MemorySignals, Signal
from daemon.transport.wire import Wire, memory_wire_pair
from daemon.transport.world import World
from daemon.transport.zeromq_memory import MemoryBus, MemoryDealer
from daemon.venues.signing import decode_spot_secret

COMMANDS = "ipc:///run/canceld/commands.sock"
CONTROL = "ipc:///run/canceld/control.sock"
EVENTS = "ipc:///run/canceld/events.sock"

SETTINGS = Settings(
    gateway=Gateway(commands=COMMANDS, control=CONTROL, events=EVENTS),
    spot=Spot(ws_url="wss://sim.invalid", rest_url="https://sim.invalid"),
    state=State(dir="/state"),
    log=Log(level="debug"),
)

PATIENCE_S = 300.0
"""Virtual seconds after which a wait in a scenario counts as a hang."""


class Strategy:
    """One client process: a DEALER that sends cancels and collects replies."""

    def __init__(self, world: "Stage", dealer: MemoryDealer) -> None:
        self._world = world
        self._dealer = dealer
        self._asked = 0
        self.asked_at: dict[Any, float] = {}
        self.answered_at: dict[Any, float] = {}
        self.replies: list[dict[str, Any]] = []

    def ask(self, type: str = "cancel", **fields: Any) -> Any:
        """Send one command; returns its id."""
        self._asked += 1
        command = {"type": type, "id": fields.pop("id", self._asked), **fields}
        if type in ("cancel", "cancel_batch"):
            command.setdefault("venue", "spot")
        self.asked_at[command["id"]] = trio.current_time()
        self._dealer.send_nowait([msgspec.msgpack.encode(command)])
        return command["id"]

    def say(self, frames: list[bytes]) -> None:
        """Send raw frames."""
        self._dealer.send_nowait(frames)

    async def hear(self) -> dict[str, Any]:
        """The next reply."""
        with trio.fail_after(PATIENCE_S):
            frames = await self._dealer.receive()
        payload = frames[-1]
        decode = msgspec.json.decode if payload[:1] == b"{" else msgspec.msgpack.decode
        reply: dict[str, Any] = decode(payload)
        self.answered_at[reply["id"]] = trio.current_time()
        self.replies.append(reply)
        return reply

    async def hear_all(self, count: int) -> dict[Any, dict[str, Any]]:
        """The next `count` replies by id; fails on two for one id."""
        heard: dict[Any, dict[str, Any]] = {}
        for _ in range(count):
            reply = await self.hear()
            assert reply["id"] not in heard, f"answered twice: {reply}"
            heard[reply["id"]] = reply
        return heard

    async def cancel(self, **fields: Any) -> dict[str, Any]:
        """Ask for one cancel and wait for its reply."""
        asked = self.ask(**fields)
        reply = await self.hear()
        assert reply["id"] == asked
        return reply

    async def nothing_more(self, seconds: float = 120.0) -> None:
        """Fail if any further reply comes within so many virtual seconds."""
        with trio.move_on_after(seconds):
            frames = await self._dealer.receive()
            raise AssertionError(f"one reply too many: {frames}")

    def took(self, id: Any) -> float:
        """Virtual seconds from asking to the reply."""
        return self.answered_at[id] - self.asked_at[id]


class Stage:
    """The world, and handles on its parts."""

    def __init__(self, settings: Settings, seed: int) -> None:
        self.settings = settings
        self.clock = VirtualClock()
        self.bus = MemoryBus()
        self.signals = MemorySignals()
        self.exchange = SimulatedKraken(now=lambda: self.clock.utc_ns() / 1e9, rng=random.Random(seed))
        self.directories: dict[str, MemoryDirectory] = {}
        self.ready = trio.Event()
        self.dials = 0
        self.network_up = True
        self._nursery: trio.Nursery | None = None
        self._entropy = SeededEntropy(seed)
        self.daemon: Daemon | None = None

    def directory(self, path: str) -> MemoryDirectory:
        return self.directories.setdefault(path, MemoryDirectory(path))

    async def dial(self, host: str, port: int) -> Wire:
        await trio.lowlevel.checkpoint()
        self.dials += 1
        if not self.network_up:
            raise DialFailed("connect", "no route to host")
        assert self._nursery is not None
        ours, theirs = memory_wire_pair()
        self._nursery.start_soon(self.exchange.serve_stream, theirs)
        return ours

    @property
    def world(self) -> World:
        return World(self.clock, self._entropy, self.dial, self.bus, self.directory)

    @property
    def credentials(self) -> Credentials:
        pair = self.exchange.credentials["spot"]
        return Credentials(spot=Keys(Secret(pair["key"]), Secret(decode_spot_secret(pair["secret"]))))

    def strategy(self) -> Strategy:
        return Strategy(self, self.bus.connect(COMMANDS))

    def operator(self) -> Strategy:
        return Strategy(self, self.bus.connect(CONTROL))

    @property
    def resting(self) -> list[str]:
        """What rests, as the exchange knows it."""
        return [order.order_id for order in self.exchange.resting("spot")]

    def place(self, count: int, **fields: Any) -> list[str]:
        """Put orders on the book, each as another client of the account would have done."""
        return [self.exchange.place("spot", **fields) for _ in range(count)]

    def inject(self, kind: str, **fields: Any) -> None:
        self.exchange.faults.inject({"kind": kind, **fields})

    def frames(self, operation: str) -> list[Mapping[str, Any]]:
        """Bodies of what the exchange received under an operation's name, in wire order."""
        return [received.body for received in self.exchange.operations(operation)]

    async def settled(self, seconds: float = 0.05) -> None:
        """Let so much virtual time pass."""
        await trio.sleep(seconds)

    async def live(self, lanes: int = 2) -> None:
        """Wait until that many sessions are live."""
        assert self.daemon is not None
        with trio.fail_after(PATIENCE_S):
            while len(self.daemon.desks["spot"].dispatcher.pursuits.live) < lanes:
                await trio.sleep(0.01)


@asynccontextmanager
async def stage(seed: int = 1, settings: Settings = SETTINGS, lanes: int = 2) -> AsyncIterator[Stage]:
    """The daemon, ready and with `lanes` live sessions; stopped cleanly at the end, when its tables must be empty."""
    set_ = Stage(settings, seed)
    async with trio.open_nursery() as exchange:
        set_._nursery = exchange
        daemon = set_.daemon = Daemon(settings, set_.credentials, set_.world)
        async with trio.open_nursery() as nursery:

            async def serve() -> None:
                await daemon.serve(set_.signals, Notifier({}), ready=set_.ready)

            nursery.start_soon(serve)
            with trio.fail_after(PATIENCE_S):
                await set_.ready.wait()
            await set_.live(lanes)
            yield set_
            set_.signals.raise_now(Signal.TERMINATE)
        for desk in daemon.desks.values():
            assert desk.dispatcher.pursuits.active == 0, "the daemon ended with pursuits open"
        exchange.cancel_scope.cancel()
