"""A whole world in one trio run: the daemon as app.py builds it, the simulated exchange, and strategies that ask.

Time is virtual (trio's MockClock, autojumping), bytes go over memory wires, messages over the memory bus. What rests is
always asked of the exchange's own book. Every reply is judged against that book the moment it arrives, and every story
ends by counting: no reply missing, none twice, none late, and nothing left in the engine's tables.
"""

import logging
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any, Final, NamedTuple

import msgspec
import structlog
import trio

from daemon.app import Daemon, Desk
from daemon.credentials import Credentials, Keys, Secret
from daemon.engine.nonces import format_mark
from daemon.engine.pursuits import Pursuits
from daemon.settings import LATE_WINDOW_S, Gateway, Log, Settings, Spot, State
from daemon.sim.exchange import Order
from daemon.sim.exchange import State as BookState
from daemon.sim.rates import UNLIMITED, Tier
from daemon.sim.server import DEFAULT_ACCOUNT, Received, SimulatedKraken
from daemon.transport.clock import VirtualClock
from daemon.transport.disk import MemoryDirectory
from daemon.transport.entropy import SeededEntropy
from daemon.transport.network import DialFailed
from daemon.transport.notify import Notifier
from daemon.transport.signals import MemorySignals, Signal
from daemon.transport.wire import Wire, memory_wire_pair
from daemon.transport.world import World
from daemon.transport.zeromq_memory import MemoryBus, MemoryDealer, MemorySubscriber
from daemon.venues.signing import decode_spot_secret

COMMANDS: Final = "ipc:///run/canceld/commands.sock"
CONTROL: Final = "ipc:///run/canceld/control.sock"
EVENTS: Final = "ipc:///run/canceld/events.sock"

WS_HOST: Final = "ws.sim.invalid"
REST_HOST: Final = "rest.sim.invalid"

SETTINGS: Final = Settings(
    gateway=Gateway(commands=COMMANDS, control=CONTROL, events=EVENTS),
    spot=Spot(ws_url=f"wss://{WS_HOST}", rest_url=f"https://{REST_HOST}"),
    state=State(dir="/state"),
    log=Log(level="debug"),
)

SEEDS: Final = (1, 2)
"""What a story is run with where chance has a part in it; a failing test's name holds its seed."""

PATIENCE_S: Final = 300.0
"""Virtual seconds after which a wait in a scenario counts as a hang."""

GRACE_S: Final = 0.05
"""What a reply may come after its deadline. Source: contract section 4."""

REPLIES_LIMIT: Final = 100_000
ALONE: Final = ("order_id", "cl_ord_id", "userref")

# Only what goes wrong is worth the time that printing takes.
structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))


class Asked(NamedTuple):
    """One asking: when, and by when the contract wants the reply. Trio's clock, seconds."""

    id: Any
    at_s: float
    due_s: float


class Heard(NamedTuple):
    """One reply and when it came."""

    reply: dict[str, Any]
    at_s: float


class Strategy:
    """One client process: a DEALER that sends commands and collects replies, each at the moment it arrives."""

    def __init__(self, world: "Stage", dealer: MemoryDealer) -> None:
        self.dealer = dealer
        self.asked: list[Asked] = []
        self.heard: list[Heard] = []
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
        if type in ("cancel", "cancel_batch"):
            command.setdefault("venue", "spot")
        payload = msgspec.json.encode(command) if encoding == "json" else msgspec.msgpack.encode(command)
        self.say([payload], id=command["id"], deadline_ms=command.get("deadline_ms", SETTINGS.gateway.deadline_ms))
        return command["id"]

    def say(self, frames: list[bytes], *, id: Any = None, deadline_ms: int = 0) -> None:
        """Send raw frames, to which one reply with this id is owed."""
        now_s = trio.current_time()
        self.asked.append(Asked(id, now_s, now_s + deadline_ms / 1000))
        self.dealer.send_nowait(frames)

    async def read(self) -> None:
        """Take replies for ever, as they come."""
        while True:
            frames = await self.dealer.receive()
            decode = msgspec.json.decode if frames[-1][:1] == b"{" else msgspec.msgpack.decode
            reply: dict[str, Any] = decode(frames[-1])
            self.heard.append(Heard(reply, trio.current_time()))
            self._world.judge(reply)
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
        self.clock = VirtualClock()
        self.bus = MemoryBus()
        self.signals = MemorySignals()
        self.exchange = SimulatedKraken(now=lambda: self.clock.utc_ns() / 1e9, rng=random.Random(seed), tier=tier)
        self.directories: dict[str, MemoryDirectory] = {}
        # Not the first start of this daemon: it knows how far it had counted.
        self.directory(settings.state.dir).replace_now("nonce-spot", format_mark(self.clock.utc_ns()))
        self.ready = trio.Event()
        self.ended = trio.Event()
        self.dials: list[Dial] = []
        self.unreachable: set[str] = set()
        self.lies = False
        """The exchange acks what it did not do: an ack is then not held against the book."""
        self._entropy = SeededEntropy(seed)
        self._strategies: list[Strategy] = []
        self._nursery: trio.Nursery | None = None
        self.daemon: Daemon | None = None

    # ---------------------------------------------------------------- what the daemon is given

    def directory(self, path: str) -> MemoryDirectory:
        return self.directories.setdefault(path, MemoryDirectory(path))

    async def dial(self, host: str, port: int) -> Wire:
        await trio.lowlevel.checkpoint()
        self.dials.append(Dial(trio.current_time(), host))
        if host in self.unreachable:
            raise DialFailed("connect", "connection refused")
        ours, theirs = memory_wire_pair()
        self.start(self.exchange.serve_stream, theirs)
        return ours

    @property
    def world(self) -> World:
        return World(self.clock, self._entropy, self.dial, self.bus, self.directory)

    @property
    def credentials(self) -> Credentials:
        pair = self.exchange.credentials["spot"]
        return Credentials(spot=Keys(Secret(pair["key"]), Secret(decode_spot_secret(pair["secret"]))))

    # ---------------------------------------------------------------- who acts

    def strategy(self, *, reads: bool = True, endpoint: str = COMMANDS) -> Strategy:
        """A client process. One that does not read is not counted; `start(strategy.read)` makes it begin later."""
        strategy = Strategy(self, self.bus.connect(endpoint))
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
        """What rests, as the exchange knows it."""
        return [order.order_id for order in self.exchange.resting("spot")]

    def place(self, count: int, **fields: Any) -> list[str]:
        """Put orders on the book, each as another client of the account would have done."""
        return [self.exchange.place("spot", **fields) for _ in range(count)]

    async def place_seen(self, count: int, **fields: Any) -> list[str]:
        """The same, and let the daemon's order stream tell of them."""
        placed = self.place(count, **fields)
        await trio.sleep(0.05)
        return placed

    def fill(self, order_id: str, quantity: str | None = None) -> None:
        """The market takes an order, wholly unless `quantity` says less."""
        order = self.exchange.exchange.known_order("spot", order_id)
        assert order is not None
        self.exchange.exchange.fill(order, None if quantity is None else Decimal(quantity))

    def inject(self, kind: str, **fields: Any) -> None:
        self.exchange.faults.inject({"kind": kind, **fields})

    def clear(self, kind: str | None = None) -> None:
        self.exchange.faults.clear(kind)

    def cut_off(self, *hosts: str) -> None:
        """No connection stands any more to these hosts, and none can be made until `reconnect`."""
        self.unreachable |= set(hosts)
        if WS_HOST in hosts:
            self.inject("reset_sockets", route="spot_ws")
        if REST_HOST in hosts:
            self.inject("reset_sockets", route="spot_rest")

    def reconnect(self) -> None:
        self.unreachable.clear()

    # ---------------------------------------------------------------- the wire log

    def received(self, operation: str) -> list[Received]:
        """What the exchange received under an operation's name, in wire order."""
        return self.exchange.operations(operation)

    def frames(self, operation: str) -> list[Mapping[str, Any]]:
        """The bodies of the same."""
        return [received.body for received in self.received(operation)]

    def asked_of_venue(self, name: str | int) -> list[Received]:
        """Every request that named this order (or userref, or cl_ord_id) in order to cancel it."""
        return [
            received
            for received in self.exchange.received
            if received.operation in ("cancelOrder", "CancelOrder", "CancelOrderBatch")
            and str(name) in _names(received.body)
        ]

    def dials_to(self, host: str) -> list[float]:
        """When the daemon tried to connect there."""
        return [dial.at_s for dial in self.dials if dial.host == host]

    # ---------------------------------------------------------------- the daemon

    @property
    def desk(self) -> Desk:
        assert self.daemon is not None
        return self.daemon.desks["spot"]

    @property
    def pursuits(self) -> Pursuits:
        return self.desk.dispatcher.pursuits

    async def live(self, lanes: int = 2) -> None:
        """Wait until that many sessions are live."""
        with trio.fail_after(PATIENCE_S):
            while len(self.pursuits.live) < lanes:  # noqa: ASYNC110 - the daemon owes nobody an event for this
                await trio.sleep(0.01)

    @property
    def now_s(self) -> float:
        """Seconds since the story's world began."""
        return trio.current_time()

    async def passed(self, seconds: float) -> None:
        """Let so much virtual time pass."""
        await trio.sleep(seconds)

    # ---------------------------------------------------------------- judging

    def judge(self, reply: Mapping[str, Any]) -> None:
        """Hold a reply against the book as it stands at this moment."""
        if reply["type"] == "outcome" and "outcome" in reply:
            self._judge_outcome(reply)
        for outcome in reply.get("outcomes", ()):
            self._judge_outcome(outcome)

    def _judge_outcome(self, told: Mapping[str, Any]) -> None:
        book = self.exchange.exchange
        if told["outcome"] in ("unknown", "rejected", "refused"):
            return
        if told["outcome"] == "not_open":
            # An order placed since the asking may bear the same name; one that was there then may not.
            as_client = book.open_by_client_id(DEFAULT_ACCOUNT, "spot", told.get("cl_ord_id", ""))
            bearers = book.open_by_userref(DEFAULT_ACCOUNT, "spot", told["userref"]) if "userref" in told else []
            for bearer in (*bearers, *([] if as_client is None else [as_client])):
                assert self._placed_after(bearer, told["received_ns"]), f"{told} while {bearer.order_id} rests"
        if "order_id" not in told:
            return
        order = book.order(DEFAULT_ACCOUNT, "spot", told["order_id"])
        if order is None:
            assert told["outcome"] == "not_open" or "cause" in told, f"{told} for an order that never was"
            return
        if told["outcome"] == "acked" and self.lies:
            return
        if told["outcome"] == "not_open" and self._placed_after(order, told["received_ns"]):
            return
        assert order.state is not BookState.OPEN, f"{told} for an order that rests"
        if told["outcome"] == "canceled":
            assert order.state is BookState.CANCELED, f"{told} for an order that is {order.state}"
        if "state" in told:
            assert told["state"] == order.state.value, told
        if "filled_qty" in told:
            assert Decimal(told["filled_qty"]) == order.filled, told

    def _placed_after(self, order: Order, monotonic_ns: int) -> bool:
        utc_ahead_ns = self.clock.utc_ns() - self.clock.monotonic_ns()
        return order.opened_s * 1e9 - utc_ahead_ns > monotonic_ns

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
            assert self.pursuits.idle, "the engine's tables are not empty"
        for strategy in reading:
            strategy.check()
        reqids = Counter(
            received.body["reqid"]
            for received in self.exchange.received
            if isinstance(received.body, dict) and "reqid" in received.body
        )
        assert all(count == 1 for count in reqids.values()), f"reqids used twice: {reqids.most_common(3)}"


def _names(body: Any) -> Sequence[str]:
    """Every identifier in the body of a cancel."""
    if not isinstance(body, dict):
        return ()
    names: list[str] = []
    for member in ("txid", "cl_ord_id", "orders"):
        value = body.get(member, [])
        names += [str(name) for name in (value if isinstance(value, list) else [value])]
    return names


@asynccontextmanager
async def stage(
    seed: int = 1,
    settings: Settings = SETTINGS,
    *,
    lanes: int = 2,
    tier: Tier = UNLIMITED,
    before: Callable[[Stage], None] = lambda _: None,
) -> AsyncIterator[Stage]:
    """The daemon, ready and with `lanes` live sessions. After the story the books are closed and it is stopped.

    before: called with the world before the daemon starts.
    """
    world = Stage(settings, seed, tier)
    before(world)
    # trio shuffles each round of tasks; in a fixed order before and from a seeded source, a seed replays the whole run.
    trio._core._run._ALLOW_DETERMINISTIC_SCHEDULING = True  # type: ignore[attr-defined]
    trio._core._run._r.seed(seed)  # type: ignore[attr-defined]
    failed: Exception | None = None
    async with trio.open_nursery() as around:
        world._nursery = around
        daemon = world.daemon = Daemon(settings, world.credentials, world.world)

        async def serve() -> None:
            await daemon.serve(world.signals, Notifier({}), ready=world.ready.set)
            world.ended.set()

        world.start(serve)
        try:
            with trio.fail_after(PATIENCE_S):
                await world.ready.wait()
            await world.live(lanes)
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
    assert world.pursuits.active == 0, "the daemon ended with pursuits open"
