"""The world of one run: the daemon as app.py builds it, life after life, and everything it touches.

Time is virtual, bytes go over `lines`, messages over the memory bus, files into a directory that forgets what was not
synced. The venues keep a clock of their own, so the daemon's wall clock may jump without theirs. Whatever happens is
noted in the trace; whoever finds something wrong calls `blame`.
"""

import base64
import math
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, cast

import trio
from trio.testing import MockClock

from canceld.app import Daemon, StartFailed
from canceld.contract.ids import Venue
from canceld.credentials import Credentials, Keys, Secret
from canceld.engine.nonces import format_mark
from canceld.logs import Logs, configure
from canceld.sim.server import SimulatedKraken
from canceld.transport.clock import NS_PER_S, VIRTUAL_UTC_START_NS, VirtualClock
from canceld.transport.entropy import SeededEntropy
from canceld.transport.memory.disk import MemoryDirectory
from canceld.transport.memory.zeromq import MemoryBus
from canceld.transport.messages import MessageBus
from canceld.transport.network import DialFailed
from canceld.transport.notify import Notifier
from canceld.transport.signals import MemorySignals, Signal
from canceld.transport.wire import Wire
from canceld.transport.world import World
from tests.scenarios.judge import Judge
from tests.scenarios.world import GRACE_S, HOSTS

from .lines import Courier, Line
from .plan import Plan
from .trace import Trace

CONNECT_TIMEOUT_S: Final = 3.0
"""How long a dial into a black hole takes to fail: what the network's own bound is."""

STATE_DIR: Final = "/state"


class _Bus:
    """The machine's bus as one life of the daemon sees it: a dead one no longer closes what its successor bound."""

    def __init__(self, bus: MemoryBus, life: "Life") -> None:
        self._bus = bus
        self._life = life

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bus, name)

    async def aclose(self) -> None:
        if not self._life.dead:
            self._bus.drop_process()
        await trio.lowlevel.checkpoint()


def _bus_of(bus: MemoryBus, life: "Life") -> MessageBus:
    seen: Any = _Bus(bus, life)
    return cast(MessageBus, seen)


class _Countdown(trio.abc.Instrument):
    """Does something once, between two steps."""

    def __init__(self, steps: int, happen: Callable[[], None]) -> None:
        self._left = steps
        self._happen = happen

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        self._left -= 1
        if self._left <= 0:
            trio.lowlevel.remove_instrument(self)
            self._happen()


class Life:
    """One process of the daemon, from its start to its end. began_s: when its sockets were bound. died_s: when it was
    killed, whatever of it ended only later here."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.began_s = trio.current_time()
        self.ended_s: float | None = None
        self.dead = False
        self.died_s = math.inf
        self.stopping = False
        self.ready = trio.Event()
        self.scope = trio.CancelScope()
        self.signals = MemorySignals()
        self.lines: list[Line] = []


class SimulatedWorld:
    """Everything around the daemon, and handles on what can go wrong with it."""

    def __init__(self, plan: Plan, clock: MockClock, courier: Courier) -> None:
        self.plan = plan
        self.trace = Trace()
        self.blamed: list[tuple[str, tuple[str, ...]]] = []
        self.clock = VirtualClock()
        venue_clock = VirtualClock(utc_start_ns=VIRTUAL_UTC_START_NS + round(plan.venue_ahead_s * NS_PER_S))
        self.exchange = SimulatedKraken(
            now=lambda: venue_clock.utc_ns() / 1e9, rng=random.Random(plan.seed * 7 + 1), tier=plan.tier
        )
        self.judge = Judge(self.exchange, venue_clock)
        self.judge.fills_get_lost = "event lost" in plan.kinds
        self.bus = MemoryBus()
        self.courier = courier
        courier.broke = lambda error: self.blame(f"the simulation itself broke: {_leaves(error)}")
        self.directories: dict[str, MemoryDirectory] = {}
        self.directory(STATE_DIR).replace_now("nonce-spot", format_mark(self.clock.utc_ns()))
        self.daemon: Daemon | None = None
        self.life: Life | None = None
        self.lives = 0
        self.over = False
        self.latched: bool | None = False
        """What must be true of the kill switch; None while nobody can know."""
        self.down_until_s = 0.0
        self.unreachable: dict[str, str] = {}
        self.frozen: frozenset[str] = frozenset()
        self.pauses: list[tuple[float, float]] = []
        self.dials: Counter[tuple[int, str]] = Counter()
        self.lines: list[Line] = []
        self.secrets: list[bytes] = []
        self.log_lines: list[bytes] = []
        self.logs: Logs | None = None
        self.coverage: Counter[tuple[int, str]] = Counter()
        self.pairs: set[tuple[int, int]] = set()
        self._felt: dict[int, float] = {}
        self.on_death: list[Callable[[Life], None]] = []
        self._mock = clock
        self._entropy = SeededEntropy(plan.seed)
        self._latencies = random.Random(plan.seed * 7 + 2)
        self._nursery: trio.Nursery | None = None
        self._life_over = trio.Event()
        self._credentials = self._make_credentials()

    # ---------------------------------------------------------------- verdicts

    def blame(self, what: str, *names: object) -> None:
        """Something is wrong. names: what the trace should be searched for."""
        self.trace.add("blame", what)
        if len(self.blamed) < 20:
            self.blamed.append((what, tuple(map(str, names))))

    @contextmanager
    def blaming(self, *names: object) -> Iterator[None]:
        """An assertion that fails in here is blamed."""
        try:
            yield
        except AssertionError as wrong:
            self.blame(str(wrong).splitlines()[0] if str(wrong) else "an assertion failed", *names)

    # ---------------------------------------------------------------- what the daemon is given

    def directory(self, path: str) -> MemoryDirectory:
        return self.directories.setdefault(path, MemoryDirectory(path))

    @property
    def disk(self) -> MemoryDirectory:
        """Its state directory."""
        return self.directory(STATE_DIR)

    async def dial(self, host: str, port: int) -> Wire:
        life = self.life
        assert life is not None
        await trio.lowlevel.checkpoint()
        how = self.unreachable.get(host)
        if how == "no name":
            raise DialFailed("resolve", "no address for this name")
        self.dials[life.number, host] += 1
        if how == "black hole":
            await trio.sleep(CONNECT_TIMEOUT_S)
            raise DialFailed("connect", "timed out")
        if how is not None:
            raise DialFailed("connect", "connection refused")
        if self.plan.latency_s:
            await trio.sleep(2 * self._latency())
            how = self.unreachable.get(host)
        line = Line(host, self._latency, self.courier, self.plan.slice_bytes)
        if how == "stalls":
            line.stall(there=True, back=True)
        life.lines.append(line)
        self.lines.append(line)
        self.start(self._serve, line)
        return line.ours

    async def _serve(self, line: Line) -> None:
        try:
            await self.exchange.serve_stream(line.theirs)
        finally:
            self.lines.remove(line)

    def _latency(self) -> float:
        plan = self.plan
        return plan.latency_s + (self._latencies.random() * plan.jitter_s if plan.jitter_s else 0.0)

    def _make_credentials(self) -> Credentials:
        wanted = set(self.plan.venues)
        if self.plan.settings.futures.enabled and self.plan.settings.futures.uws_url:
            wanted.add("spot")  # the Unified WebSocket takes a Spot token
        made: dict[str, Keys] = {}
        for venue in sorted(wanted):
            pair = self.exchange.credentials[venue]
            secret = pair["secret"].encode("ascii") if venue == "prime" else base64.b64decode(pair["secret"])
            made[venue] = Keys(Secret(pair["key"]), Secret(secret))
            self.secrets.append(pair["secret"].encode())
        return Credentials(**made)

    # ---------------------------------------------------------------- lives

    def start(self, task: Any, *args: Any) -> None:
        """Run something until the world ends."""
        assert self._nursery is not None
        self._nursery.start_soon(task, *args)

    @contextmanager
    def logging(self) -> Iterator[None]:
        """The daemon's own log, into `log_lines`, for as long as this lasts."""
        plan = self.plan
        secrets = [one for keys in self._credentials.all_keys() for one in (keys.key, keys.secret)]
        self.logs = configure("debug" if plan.logs else "error", "json", self.log_lines.append, self.clock, secrets)
        try:
            yield
        finally:
            self.logs.close()

    def live(self, nursery: trio.Nursery) -> None:
        """Start the first life, and what carries bytes; everything runs in this nursery."""
        self._nursery = nursery
        self.start(self._live_again_and_again)

    async def _live_again_and_again(self) -> None:
        while not self.over:
            wait_s = self.down_until_s - trio.current_time()
            if wait_s > 0:
                await trio.sleep(wait_s)
            await self._one_life()

    async def _one_life(self) -> None:
        life = self.life = Life(self.lives)
        self.lives += 1
        self.trace.add("start", life.number)
        self._life_over = trio.Event()
        try:
            with life.scope:
                assert self.logs is not None
                daemon = self.daemon = Daemon(
                    self.plan.settings,
                    self._credentials,
                    World(self.clock, self._entropy, self.dial, _bus_of(self.bus, life), self.directory),
                    conceal=self._learn_secret,
                    censor=self.logs.blotted,
                )
                for desk in daemon.desks.values():
                    desk.dispatcher.straight.on = self.plan.straight
                if self.latched is not None and daemon.kill.latched != self.latched:
                    self.blame(f"the kill switch came up with latched={daemon.kill.latched}, not {self.latched}")
                # A trigger file that was put there meanwhile is not looked at yet.
                self.latched = None if self.disk.exists("kill") else daemon.kill.latched
                await daemon.serve(life.signals, Notifier({}), ready=life.ready.set)
        except StartFailed as failed:
            if not life.dead:
                self.blame(f"the daemon did not start: {failed}")
        except Exception as error:
            if not life.dead:
                self.blame(f"the daemon fell over: {_leaves(error)}")
        life.ended_s = trio.current_time()
        if not life.dead and not life.stopping:
            self.blame("the daemon ended by itself")
            self.over = True
        self.trace.add("down", life.number)
        if not life.dead:
            still_open = [line.host for line in life.lines if not line.ours.closed]
            if still_open:
                self.blame(f"the daemon ended and left connections open: {still_open}")
            if self.bus_bound:
                self.blame("the daemon ended and left sockets bound")
        for line in life.lines:
            line.reset()
        for told in self.on_death:
            told(life)
        self._life_over.set()

    @property
    def bus_bound(self) -> bool:
        """Whether anybody has a socket bound."""
        return bool(self.bus._routers or self.bus._publishers)

    def crash(self, *, power_lost: bool, down_s: float) -> None:
        """The process is gone from this step on; of its files only what was synced is there, or what was written.

        A successor starts after `down_s`.
        """
        life = self.life
        if life is None or life.dead or life.ended_s is not None:
            return
        self.trace.add("crash", f"power_lost={power_lost} down_s={down_s:.3f}")
        life.dead, life.died_s = True, trio.current_time()
        if self.latched is False and self.daemon is not None and self.daemon.kill.latched:
            self.latched = None  # pulled, and not yet confirmed to anybody
        self.down_until_s = trio.current_time() + down_s
        for path, directory in list(self.directories.items()):
            directory.crash(power_lost=power_lost)
            self.directories[path] = _heir(directory)
        self.bus.drop_process()
        for line in life.lines:
            line.reset()
        life.scope.cancel()

    def terminate(self, down_s: float = 0.0) -> None:
        """Ask the process to stop; a successor starts `down_s` later, unless the world is over."""
        life = self.life
        if life is None or life.dead or life.ended_s is not None or life.stopping:
            return
        self.trace.add("stop", f"down_s={down_s:.3f}")
        life.stopping = True
        self.down_until_s = trio.current_time() + down_s
        life.signals.raise_now(Signal.TERMINATE)

    def may_die(self) -> bool:
        """Whether the plan has another life left, and the present one is under way."""
        life = self.life
        running = life is not None and not life.dead and not life.stopping and life.ended_s is None
        return running and self.lives < self.plan.lives and not self.over

    def after_steps(self, steps: int, happen: Callable[[], None]) -> None:
        """Let it happen between two steps of whatever runs, after so many of them."""
        trio.lowlevel.add_instrument(_Countdown(steps, happen))

    def damage(self, name: str, how: str) -> None:
        """Spoil a file of the state directory while nobody runs. how: "empty", "garbage" or "cut"."""
        directory = self.disk
        if name == "journal":
            directory = directory.subdirectory(name)
            name = next(iter(reversed(directory.names())), "")
        content = directory.read(name, limit_bytes=1 << 30) if name else None
        if content is None:
            return
        damaged = {"empty": b"", "garbage": b"\x00\xff garbage", "cut": content[: len(content) // 2]}[how]
        detail, directory.faults.detail = directory.faults.detail, None
        directory.replace_now(name, damaged)
        directory.faults.detail = detail
        self.trace.add("fault", f"{name} {how}")
        if name == "latch":
            self.latched = True

    async def gone(self) -> None:
        """Return when the present life is over."""
        await self._life_over.wait()

    def second_daemon(self) -> None:
        """Start another on the same directory and sockets: it must refuse, and the first must not notice."""
        life = self.life
        if life is None or life.dead or life.ended_s is not None:
            return
        other = Life(-1)
        try:
            Daemon(
                self.plan.settings,
                self._credentials,
                World(self.clock, self._entropy, self.dial, _bus_of(self.bus, other), self.directory),
            )
        except StartFailed:
            return
        self.blame("a second daemon started on the same state directory")

    def _learn_secret(self, secret: Secret[str]) -> None:
        self.secrets.append(secret.reveal().encode())
        assert self.logs is not None
        self.logs.conceal(secret)

    # ---------------------------------------------------------------- what goes wrong around it

    def hosts(self, venue: Venue | None = None) -> list[str]:
        """The hosts of one venue, or of every enabled one."""
        return [host for of in self.plan.venues for host in HOSTS[of] if venue in (None, of)]

    def cut_off(self, hosts: Sequence[str], how: str) -> None:
        """Lines to these hosts break, and new ones cannot be had. how: "refused", "black hole" or "no name"."""
        for host in hosts:
            self.unreachable[host] = how
        for line in list(self.lines):
            if line.host in hosts:
                line.reset()

    def stall(self, hosts: Sequence[str], *, there: bool, back: bool, new: bool) -> None:
        """Lines to these hosts stall; `new` ones too, as if the path itself were dead."""
        for line in list(self.lines):
            if line.host in hosts:
                line.stall(there=there, back=back)
        if new:
            self.unreachable.update(dict.fromkeys(hosts, "stalls"))

    def freeze(self, hosts: Sequence[str]) -> None:
        """The path to these hosts is dead until `thaw`, whoever mends it."""
        self.frozen = frozenset(hosts)
        self.stall(hosts, there=True, back=True, new=True)

    def vanish(self, hosts: Sequence[str]) -> list[Line]:
        """The machine at the other end of every line to these hosts has gone without a word; new lines find another."""
        vanished = [line for line in self.lines if line.host in hosts]
        for line in vanished:
            line.die()
        return vanished

    def thaw(self) -> None:
        """It is as it should be."""
        hosts, self.frozen = sorted(self.frozen), frozenset()
        self.mend(hosts)

    def mend(self, hosts: Sequence[str]) -> None:
        """The network to these hosts is as it should be."""
        hosts = [host for host in hosts if host not in self.frozen]
        for host in hosts:
            self.unreachable.pop(host, None)
        for line in list(self.lines):
            if line.host in hosts:
                line.heal()

    def pause(self, seconds: float) -> None:
        """Nothing at all runs for so long: a stopped process, a busy machine."""
        now_s = trio.current_time()
        self.trace.add("pause", f"{seconds:.3f}")
        self.pauses.append((now_s, now_s + seconds))
        self._mock.jump(seconds)

    def trio_s(self, venue_s: float) -> float:
        """A time of the venue's clock on trio's."""
        return venue_s - VIRTUAL_UTC_START_NS / NS_PER_S - self.plan.venue_ahead_s

    def due_after_pauses(self, asked_s: float, due_s: float) -> float:
        """When a reply was due, given that nothing ran for a while."""
        for start_s, end_s in self.pauses:
            if asked_s <= end_s and start_s <= due_s + GRACE_S:
                due_s = max(due_s, end_s)
        return due_s

    def mend_all(self) -> None:
        """Venues, network and disk are as they should be."""
        self.exchange.faults.clear()
        for route in ("spot", "futures"):
            self.exchange.faults.inject({"kind": "market_status", "route": route, "mode": "online"})
        self.mend(self.hosts())
        faults = self.disk.faults
        faults.detail, faults.hangs, faults.sync_s, faults.room_bytes = None, False, 0.0, None

    # ---------------------------------------------------------------- what was met

    @property
    def must_heal(self) -> bool:
        """Whether everything has to be up again soon after: then nothing may happen that asks for people's hands."""
        return self.plan.mode == "liveness"

    @property
    def running(self) -> bool:
        """Whether a daemon is under way and not about to end."""
        life = self.life
        return life is not None and not life.dead and not life.stopping and life.ended_s is None

    def state_of(self, venue: Venue) -> str:
        """In which state a fault at this venue meets the daemon."""
        daemon, life = self.daemon, self.life
        if daemon is None or life is None or life.dead or life.ended_s is not None:
            return "gone"
        if life.stopping:
            return "draining"
        if daemon.kill.latched:
            return "latched"
        state = daemon.desks[venue].state
        if daemon.state == "starting" or state != "up":
            return "starting" if daemon.state == "starting" else state
        return "busy" if daemon.gateway.in_flight else "idle"

    def cover(self, row: int, state: str | None = None, lasts_s: float = 0.0) -> None:
        """A row of the fault catalogue struck, in this state of the daemon, and is felt for so long."""
        now_s = trio.current_time()
        self.coverage[row, state or self.state_of(self.plan.venues[0])] += 1
        self._felt = {other: until_s for other, until_s in self._felt.items() if until_s > now_s}
        self.pairs.update((min(row, other), max(row, other)) for other in self._felt if other != row)
        self._felt[row] = max(self._felt.get(row, 0.0), now_s + lasts_s)

    # ---------------------------------------------------------------- the end

    def journal(self) -> list[bytes]:
        """The audit record's files, oldest first."""
        directory = self.disk.subdirectory("journal")
        names = sorted({name.removesuffix(".gz") for name in directory.names()})
        return [directory.read_part_packed(name, 0, 1 << 30) for name in names]


def _heir(directory: MemoryDirectory) -> MemoryDirectory:
    """A directory with what a crashed one holds: its dead process may go on writing to the old one, to no avail."""
    heir = MemoryDirectory(directory.root)
    for name in directory.names():
        content = directory.read(name, limit_bytes=1 << 30)
        if content is not None:
            heir.replace_now(name, content)
        else:
            _copy(directory.subdirectory(name), heir.subdirectory(name))
    faults = directory.faults
    heir.faults.detail, heir.faults.hangs = faults.detail, faults.hangs
    heir.faults.sync_s, heir.faults.room_bytes = faults.sync_s, faults.room_bytes
    # The dying process must not wait for its disk.
    faults.hangs, faults.sync_s = False, 0.0
    return heir


def _copy(of: MemoryDirectory, to: MemoryDirectory) -> None:
    for name in of.names():
        content = of.read(name, limit_bytes=1 << 30)
        if content is not None:
            to.replace_now(name, content)


def _leaves(error: BaseException) -> str:
    """Every exception inside a group, on one line."""
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(_leaves(one) for one in error.exceptions)
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    where = "" if frame is None else f" at {frame.tb_frame.f_code.co_filename.rsplit('/', 1)[-1]}:{frame.tb_lineno}"
    return f"{type(error).__name__}: {error}{where}"
