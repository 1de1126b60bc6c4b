"""A whole world in one trio run: the daemon as app.py builds it, the simulated exchange, and strategies that ask.

Time is virtual (trio's MockClock, autojumping), bytes go over memory wires, messages over the memory bus. What rests is
always asked of the exchange's own book. Every reply is judged against that book the moment it arrives, and every story
ends by counting: no reply missing, none twice, none late, and nothing left in the engine's tables.

A story is about one venue, the first that its settings enable, unless it names another.
"""

import base64
import logging
import math
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from decimal import Decimal
from typing import Any, Final, Literal, NamedTuple, Protocol, TypeAlias

import msgspec
import structlog
import trio
from msgspec.structs import replace

from canceld.app import Daemon
from canceld.contract.ids import Venue
from canceld.credentials import Credentials, Keys, Secret
from canceld.engine.nonces import format_mark
from canceld.engine.pursuits.front import Pursuits
from canceld.settings import LATE_WINDOW_S, Futures, Gateway, Log, Prime, Settings, Spot, State
from canceld.sim.rates import UNLIMITED, Tier
from canceld.sim.server import Received, SimulatedKraken
from canceld.tasks.desk import Desk
from canceld.transport.clock import VirtualClock
from canceld.transport.entropy import SeededEntropy
from canceld.transport.memory.disk import MemoryDirectory
from canceld.transport.memory.wire import memory_wire_pair
from canceld.transport.memory.zeromq import MEMORY_PEER, MemoryBus, MemoryDealer, MemorySubscriber
from canceld.transport.messages import Peer
from canceld.transport.network import DialFailed
from canceld.transport.notify import Notifier
from canceld.transport.signals import MemorySignals, Signal
from canceld.transport.wire import Wire
from canceld.transport.world import World

from . import wirelog
from .judge import Judge

COMMANDS: Final = "ipc:///run/canceld/commands.sock"
CONTROL: Final = "ipc:///run/canceld/control.sock"
EVENTS: Final = "ipc:///run/canceld/events.sock"

WS_HOST: Final = "ws.sim.invalid"
REST_HOST: Final = "rest.sim.invalid"
PRIME_HOST: Final = "prime.sim.invalid"
FUTURES_HOST: Final = "futures.sim.invalid"
FEED_HOST: Final = "feed.sim.invalid"
UWS_HOST: Final = "uws.sim.invalid"


def settings_for(*venues: Venue, uws: bool = False) -> Settings:
    """Settings that enable these venues. uws: cancels of Futures may go by the Unified WebSocket."""
    return Settings(
        gateway=Gateway(commands=COMMANDS, control=CONTROL, events=EVENTS),
        spot=Spot(enabled="spot" in venues, ws_url=f"wss://{WS_HOST}", rest_url=f"https://{REST_HOST}"),
        prime=Prime(enabled="prime" in venues, ws_url=f"wss://{PRIME_HOST}/ws/v1"),
        futures=Futures(
            enabled="futures" in venues,
            rest_url=f"https://{FUTURES_HOST}/derivatives/api/v3",
            ws_url=f"wss://{FEED_HOST}/ws/v1",
            uws_url=f"wss://{UWS_HOST}/v2/private" if uws else "",
        ),
        state=State(dir="/state"),
        log=Log(level="debug"),
    )


SETTINGS: Final = settings_for("spot")

SpotProtocol: TypeAlias = Literal["v1", "v2"]

HOSTS: Final[dict[Venue, tuple[str, ...]]] = {
    "spot": (WS_HOST, REST_HOST),
    "prime": (PRIME_HOST,),
    "futures": (FUTURES_HOST, FEED_HOST, UWS_HOST),
}

SEEDS: Final = (1, 2)
"""What a story is run with where chance has a part in it; a failing test's name holds its seed."""

PATIENCE_S: Final = 300.0
"""Virtual seconds after which a wait in a scenario counts as a hang."""

GRACE_S: Final = 0.05
"""What a reply may come after its deadline. Source: contract section 4."""

REPLIES_LIMIT: Final = 100_000

# Only what goes wrong is worth the time that printing takes.
structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))


class Asked(NamedTuple):
    """One asking: when, and by when the contract wants the reply. Trio's clock, seconds; at_ns: the daemon's."""

    id: Any
    at_s: float
    due_s: float
    at_ns: int


class Heard(NamedTuple):
    """One reply and when it came."""

    reply: dict[str, Any]
    at_s: float


class Strategy:
    """One client process: a DEALER that sends commands and collects replies, each at the moment it arrives.

    venue: where its cancels go unless they say otherwise.
    """

    def __init__(self, world: "Stage", dealer: MemoryDealer, venue: Venue) -> None:
        self.dealer = dealer
        self.venue = venue
        self.asked: list[Asked] = []
        self.heard: list[Heard] = []
        self.scopes: dict[Any, Any] = {}
        """The scope of each command that named one, by id."""
        self.counted = True
        """Whether the books are closed on it: every asking answered once and in time."""
        self._world = world
        self._ids = 0
        self._put, self._take = trio.open_memory_channel[dict[str, Any]](REPLIES_LIMIT)

    def ask(self, type: str = "cancel", *, encoding: str = "msgpack", **fields: Any) -> Any:
        """Send one command; returns its id."""
        if "id" not in fields:
            self._ids += 1
        command = {"type": type, "id": fields.pop("id", self._ids), **fields}
        if "scope" in fields and type != "lease":
            self.scopes[command["id"]] = fields["scope"]
        if type in ("cancel", "cancel_batch"):
            command.setdefault("venue", self.venue)
        payload = msgspec.json.encode(command) if encoding == "json" else msgspec.msgpack.encode(command)
        self.say([payload], id=command["id"], deadline_ms=command.get("deadline_ms", SETTINGS.gateway.deadline_ms))
        return command["id"]

    def say(self, frames: list[bytes], *, id: Any = None, deadline_ms: int = 0) -> None:
        """Send raw frames, to which one reply with this id is owed."""
        now_s = trio.current_time()
        self.asked.append(Asked(id, now_s, now_s + deadline_ms / 1000, self._world.clock.monotonic_ns()))
        self.dealer.send_nowait(frames)

    async def read(self) -> None:
        """Take replies for ever, as they come."""
        while True:
            frames = await self.dealer.receive()
            decode = msgspec.json.decode if frames[-1][:1] == b"{" else msgspec.msgpack.decode
            reply: dict[str, Any] = decode(frames[-1])
            self.heard.append(Heard(reply, trio.current_time()))
            self._world.judge.hear(reply, self._asked_ns(reply["id"]), self.scopes.get(reply["id"]))
            self._put.send_nowait(reply)

    async def hear(self) -> dict[str, Any]:
        """The next reply."""
        with trio.fail_after(PATIENCE_S):
            return await self._take.receive()

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
        return await self.do("cancel", **fields)

    async def do(self, type: str, **fields: Any) -> dict[str, Any]:
        """Send one command of any type and wait for its reply."""
        asked = self.ask(type, **fields)
        reply = await self.hear()
        assert reply["id"] == asked
        return reply

    def took(self, id: Any) -> float:
        """Virtual seconds from the (first) asking to the (first) reply."""
        asked_s = next(asked.at_s for asked in self.asked if asked.id == id)
        return next(heard.at_s for heard in self.heard if heard.reply["id"] == id) - asked_s

    def _asked_ns(self, id: Any) -> int:
        """When it was (first) asked; where the reply names nothing that was, the beginning of time."""
        return next((asked.at_ns for asked in self.asked if asked.id == id), 0)

    def check(self) -> None:
        """As many replies as askings for every id, each in time."""
        owed = Counter(asked.id for asked in self.asked)
        told = Counter(heard.reply["id"] for heard in self.heard)
        assert owed == told, f"missing {owed - told}, too many {told - owed}"
        came: dict[Any, list[float]] = {}
        for heard in self.heard:
            came.setdefault(heard.reply["id"], []).append(heard.at_s)
        for asked in self.asked:
            at_s = came[asked.id].pop(0)
            assert at_s <= asked.due_s + GRACE_S, f"{asked.id} was answered {at_s - asked.due_s} s past its deadline"


class Listener:
    """A subscriber of the event socket."""

    def __init__(self, subscriber: MemorySubscriber) -> None:
        self._subscriber = subscriber
        self._heard: list[dict[str, Any]] = []

    @property
    def events(self) -> list[dict[str, Any]]:
        """Every event so far, oldest first, its topic under `topic`."""
        while (event := self._subscriber.receive_nowait()) is not None:
            self._heard.append({**msgspec.json.decode(event[1]), "topic": event[0].decode()})
        return self._heard


class Dial(NamedTuple):
    """One connection attempt of the daemon."""

    at_s: float
    host: str


class Stage:
    """The world, and handles on its parts."""

    def __init__(self, settings: Settings, seed: int, tier: Tier) -> None:
        self.settings = settings
        self.venue = settings.venues[0]
        self.clock = VirtualClock()
        self.bus = MemoryBus()
        self.signals = MemorySignals()
        self.exchange = SimulatedKraken(now=lambda: self.clock.utc_ns() / 1e9, rng=random.Random(seed), tier=tier)
        self.directories: dict[str, MemoryDirectory] = {}
        self.judge = Judge(self.exchange, self.clock, msgspec.to_builtins(settings.strategies))
        # Not the first start of this daemon: it knows how far it had counted.
        self.directory(settings.state.dir).replace_now("nonce-spot", format_mark(self.clock.utc_ns()))
        self.ready = trio.Event()
        self.ended = trio.Event()
        self.dials: list[Dial] = []
        self.unreachable: set[str] = set()
        self.line_lives_s = math.inf
        """How long a WebSocket lives that is dialled from now on."""
        self._lines: list[tuple[str, trio.CancelScope]] = []
        self._entropy = SeededEntropy(seed)
        self._strategies: list[Strategy] = []
        self._nursery: trio.Nursery | None = None
        self.daemon: Daemon | None = None
        self._life = trio.CancelScope()

    # ---------------------------------------------------------------- what the daemon is given

    def directory(self, path: str) -> MemoryDirectory:
        return self.directories.setdefault(path, MemoryDirectory(path))

    async def dial(self, host: str, port: int) -> Wire:
        await trio.lowlevel.checkpoint()
        self.dials.append(Dial(trio.current_time(), host))
        if host in self.unreachable:
            raise DialFailed("connect", "connection refused")
        ours, theirs = memory_wire_pair()
        self.start(self._serve, theirs, host)
        return ours

    async def _serve(self, wire: Wire, host: str) -> None:
        """Let the exchange serve a connection until either side ends it or the line to the host is cut."""
        with trio.move_on_after(math.inf if host in (REST_HOST, FUTURES_HOST) else self.line_lives_s) as line:
            self._lines.append((host, line))
            await self.exchange.serve_stream(wire)
        self._lines.remove((host, line))

    @property
    def world(self) -> World:
        return World(self.clock, self._entropy, self.dial, self.bus, self.directory)

    @property
    def credentials(self) -> Credentials:
        wanted = set(self.settings.venues)
        if self.settings.futures.enabled and self.settings.futures.uws_url:
            wanted.add("spot")  # the Unified WebSocket takes a Spot token
        return Credentials(**{venue: self._keys(venue) for venue in wanted})

    def _keys(self, venue: Venue) -> Keys:
        pair = self.exchange.credentials[venue]
        # Prime keys its signatures with the text itself, the others with what it holds in base64.
        secret = pair["secret"].encode("ascii") if venue == "prime" else base64.b64decode(pair["secret"])
        return Keys(Secret(pair["key"]), Secret(secret))

    # ---------------------------------------------------------------- who acts

    def strategy(
        self,
        venue: Venue | None = None,
        *,
        reads: bool = True,
        endpoint: str = COMMANDS,
        peer: Peer = MEMORY_PEER,
    ) -> Strategy:
        """A client that trades at a venue, unless told otherwise the story's. peer: its process.

        One that does not read is not counted; `start(strategy.read)` makes it begin later.
        """
        strategy = Strategy(self, self.bus.connect(endpoint, peer=peer), venue or self.venue)
        self._strategies.append(strategy)
        strategy.counted = reads
        if reads:
            self.start(strategy.read)
        return strategy

    def listen(self, topic: str = "") -> Listener:
        """A listener for topics that begin with `topic`."""
        return Listener(self.bus.subscribe(EVENTS, topic.encode()))

    def start(self, task: Any, *args: Any) -> None:
        """Run something beside the story until it ends."""
        assert self._nursery is not None
        self._nursery.start_soon(task, *args)

    # ---------------------------------------------------------------- the exchange

    @property
    def resting(self) -> list[str]:
        """What rests at the story's venue, as the exchange knows it."""
        return self.resting_at(self.venue)

    def resting_at(self, venue: Venue) -> list[str]:
        """What rests at a venue, as the exchange knows it."""
        return [order.order_id for order in self.exchange.resting(venue)]

    def place(self, count: int, venue: Venue | None = None, **fields: Any) -> list[str]:
        """Put orders on the book, each as another client of the account would have done. Gives their order ids."""
        return [self.exchange.place(venue or self.venue, **fields) for _ in range(count)]

    async def place_seen(self, count: int, venue: Venue | None = None, **fields: Any) -> list[str]:
        """The same, and let the daemon's order stream tell of them."""
        placed = self.place(count, venue, **fields)
        await trio.sleep(0.05)
        return placed

    def fill(self, order_id: str, quantity: str | None = None, venue: Venue | None = None) -> None:
        """The market takes an order, wholly unless `quantity` says less."""
        order = self.exchange.exchange.known_order(venue or self.venue, order_id)
        assert order is not None
        self.exchange.exchange.fill(order, None if quantity is None else Decimal(quantity))

    def inject(self, kind: str, **fields: Any) -> None:
        """Make something go wrong. On Spot's WebSocket `route` and `match` may be told in the words of v1."""
        spoken = {member: self.spoken(fields[member]) for member in ("route", "match") if member in fields}
        self.exchange.faults.inject({"kind": kind, **fields, **spoken})

    def clear(self, kind: str | None = None) -> None:
        self.exchange.faults.clear(kind)

    def cut_off(self, *hosts: str) -> None:
        """No connection stands any more to these hosts, and none can be made until `reconnect`."""
        self.unreachable |= set(hosts)
        for host, line in self._lines:
            if host in hosts:
                line.cancel()

    def cut_off_venue(self, venue: Venue) -> None:
        """The same for every host of a venue."""
        self.cut_off(*HOSTS[venue])

    def reconnect(self) -> None:
        self.unreachable.clear()

    # ---------------------------------------------------------------- the wire log

    def received(self, operation: str, venue: Venue | None = None) -> list[Received]:
        """What a venue received under an operation's name, on Spot's WebSocket that of v1, in wire order."""
        of, spoken = venue or self.venue, self.spoken(operation)
        return [received for received in self.exchange.operations(spoken) if wirelog.venue_of(received) == of]

    def frames(self, operation: str, venue: Venue | None = None) -> list[Mapping[str, Any]]:
        """What the same asked for: the members of each request."""
        return [wirelog.asked(received) for received in self.received(operation, venue)]

    def asked_of_venue(self, name: str | int, venue: Venue | None = None) -> list[Received]:
        """Every request to a venue that named this order (or userref, or cl_ord_id) in order to cancel it."""
        of = venue or self.venue
        return [
            received
            for received in self.exchange.received
            if received.operation in wirelog.CANCELS
            and wirelog.venue_of(received) == of
            and str(name) in wirelog.names(received)
        ]

    def spoken(self, name: str) -> str:
        """A route or an operation, told in the words of v1, in those of the protocol that the daemon speaks."""
        return wirelog.IN_V2.get(name, name) if self.settings.spot.protocol == "v2" else name

    def connections_to(self, host: str) -> int:
        """How many connections to it are open."""
        return sum(of == host for of, _ in self._lines)

    def dials_to(self, host: str) -> list[float]:
        """When the daemon tried to connect there."""
        return [dial.at_s for dial in self.dials if dial.host == host]

    # ---------------------------------------------------------------- the daemon

    @property
    def desk(self) -> Desk:
        """The desk of the story's venue."""
        return self.desk_of(self.venue)

    def desk_of(self, venue: Venue) -> Desk:
        assert self.daemon is not None
        return self.daemon.desks[venue]

    @property
    def pursuits(self) -> Pursuits:
        """What the story's venue is pursued with."""
        return self.desk.dispatcher._pursuits

    async def _serve_daemon(self, daemon: Daemon) -> None:
        with self._life:
            await daemon.serve(self.signals, Notifier({}), ready=self.ready.set)
        self.ended.set()

    def begin(self) -> None:
        """Start the daemon."""
        self.ready, self.ended, self._life = trio.Event(), trio.Event(), trio.CancelScope()
        self.daemon = Daemon(self.settings, self.credentials, self.world)
        self.start(self._serve_daemon, self.daemon)

    async def die(self, *, power_lost: bool = False) -> None:
        """SIGKILL, or the power fails: what the process would still have done to the disk does not happen."""
        for directory in self.directories.values():
            directory.crash(power_lost=power_lost)
            directory.faults.detail = "the process is dead"
        self._life.cancel()
        await self.ended.wait()
        for directory in self.directories.values():
            directory.crash(power_lost=False)
            directory.faults.detail = None

    async def restart(self) -> None:
        """Start the daemon again on the state that the last one left; ready, if not with every session."""
        self.begin()
        await self.ready.wait()

    async def live(self, venue: Venue | None = None) -> None:
        """Wait until every session of a venue is live."""
        with trio.fail_after(PATIENCE_S):
            while self.desk_of(venue or self.venue).state != "up":  # noqa: ASYNC110 - the daemon owes no event for this
                await trio.sleep(0.01)

    @property
    def now_s(self) -> float:
        """Seconds since the story's world began."""
        return trio.current_time()

    async def passed(self, seconds: float) -> None:
        """Let so much virtual time pass."""
        await trio.sleep(seconds)

    # ---------------------------------------------------------------- the end

    async def close_the_books(self) -> None:
        """The end of every story: wait until nothing can come any more, then count."""
        reading = [strategy for strategy in self._strategies if strategy.counted]
        last_s = max((asked.due_s for strategy in reading for asked in strategy.asked), default=0.0)
        await trio.sleep(max(0.0, last_s - trio.current_time()) + 2 * GRACE_S)
        for strategy in reading:
            strategy.check()
        if not self.ended.is_set():
            await trio.sleep(LATE_WINDOW_S)
            assert self.daemon is not None
            assert self.daemon.gateway.in_flight == 0
            for venue, desk in self.daemon.desks.items():
                assert desk.dispatcher._pursuits.idle, f"the engine's tables for {venue} are not empty"
        for strategy in reading:
            strategy.check()
        reqids = Counter(
            number for received in self.exchange.received if (number := wirelog.reqid(received)) is not None
        )
        assert all(count == 1 for count in reqids.values()), f"reqids used twice: {reqids.most_common(3)}"


class Staging(Protocol):
    """What stages a story: `stage`, perhaps with some of its arguments chosen already."""

    def __call__(self, *args: Any, **kwargs: Any) -> AbstractAsyncContextManager[Stage]: ...


@asynccontextmanager
async def stage(
    seed: int = 1,
    settings: Settings = SETTINGS,
    *,
    protocol: SpotProtocol = "v1",
    up: bool = True,
    tier: Tier = UNLIMITED,
    before: Callable[[Stage], None] = lambda _: None,
) -> AsyncIterator[Stage]:
    """The daemon, ready and with every session live. After the story the books are closed and it is stopped.

    protocol: what is spoken on Spot's WebSocket. up: False for a story that begins before the sessions are live.
    before: called with the world before the daemon starts.
    """
    settings = replace(settings, spot=replace(settings.spot, protocol=protocol))
    world = Stage(settings, seed, tier)
    before(world)
    # trio shuffles each round of tasks; in a fixed order before and from a seeded source, a seed replays the whole run.
    trio._core._run._ALLOW_DETERMINISTIC_SCHEDULING = True  # type: ignore[attr-defined]
    trio._core._run._r.seed(seed)  # type: ignore[attr-defined]
    failed: Exception | None = None
    async with trio.open_nursery() as around:
        world._nursery = around
        world.begin()
        try:
            with trio.fail_after(PATIENCE_S):
                await world.ready.wait()
            for venue in settings.venues if up else ():
                await world.live(venue)
            yield world
            await world.close_the_books()
            world.signals.raise_now(Signal.TERMINATE)
            with trio.fail_after(PATIENCE_S):
                await world.ended.wait()
        except Exception as error:
            # Raised out here because the nursery would wrap it in a group.
            failed = error
        around.cancel_scope.cancel()
    if failed is not None:
        raise failed
    for venue in settings.venues:
        pursuits = world.desk_of(venue).dispatcher._pursuits
        assert pursuits.active == 0, f"the daemon ended with pursuits open on {venue}"
