"""One venue of the daemon without trio: its own dispatcher, kill switch, REST lane and gate, with hand-driven time.

What stands in for something is the socket (tasks/connection.py, with the real backoff and budget of dials), the
workers' loops of the REST lane, and the two alarms that wake the dispatcher and the kill switch.
"""

from collections.abc import Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from canceld.contract.commands import Rearm
from canceld.contract.evidence import Evidence, Orders
from canceld.contract.ids import Target
from canceld.contract.outcomes import SAFE, Settlement
from canceld.credentials import Keys, Secret
from canceld.engine.backoff import Backoff, ConnectBudget
from canceld.engine.budget import Budget, NoBudget, PointBudget, RestBudget
from canceld.engine.effects import Bundle, Send
from canceld.engine.inflight import Reqids
from canceld.engine.instants import FAR_NS, MS
from canceld.engine.lane import FEED, Lane
from canceld.engine.nonces import Nonces
from canceld.engine.policy import Policy
from canceld.engine.pursuits.front import Pursuits
from canceld.engine.resting import Resting
from canceld.engine.sweep import FLAT_LOOK_NS, GAP_NS
from canceld.engine.venue_clock import VenueClock
from canceld.settings import Address
from canceld.tasks.connection import TokenFailed
from canceld.tasks.dispatcher import Dispatcher
from canceld.tasks.futures import FuturesRest
from canceld.tasks.killswitch import KillSwitch
from canceld.tasks.latch_file import LATCH_FILE
from canceld.tasks.rest_lane import OVERDUE, URGENT, RestLane
from canceld.tasks.scoping import Scoping
from canceld.tasks.spot import SpotRest
from canceld.transport.disk import Identity
from canceld.transport.files import DiskFailed
from canceld.transport.https import Response
from canceld.transport.network import DialFailed
from canceld.venue_table import TRAITS

from .kernel import Kernel, Task, Trio, Until
from .venue import HOP_NS, SYMBOL, Exchange, Told

HEDGE_MS: Final = 400
DEADLINE_NS: Final = 2_000 * MS
FIRST_REQID: Final = 7 * 10**12
SWITCH_PAUSE_NS: Final = 1 * MS
"""Least time between two alarms of the kill switch. Source: KillSwitch._next_at."""

IDLE_LOOK_NS: Final = 1_000 * MS
"""How often an idle worker of the REST lane looks for work. Source: tasks/rest_lane.py."""

TOKEN_RETRY_NS: Final = 5_000 * MS
"""Pause after a token that could not be had. Source: tasks/session.py."""

SLACK_NS: Final = 1_000 * MS

KEYS: Final = Keys(key=Secret("key"), secret=Secret(b"secret"))


class Quiet:
    """Events that nobody hears."""

    def note(self, kind: str, /, **fields: Any) -> None: ...
    def order(self, *_: Any) -> None: ...
    def session(self, *_: Any) -> None: ...
    def kill(self, event: Mapping[str, Any]) -> None: ...
    def alert(self, severity: str, what: str, do: str) -> None: ...
    def clear(self, what: str) -> None: ...


class Disk:
    """A directory that keeps what is written over the daemon's death."""

    root = Path("/explored")

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.fails = False

    def read(self, name: str) -> bytes | None:
        return self.files.get(name)

    def exists(self, name: str) -> bool:
        return name in self.files

    def identity(self, name: str) -> Identity | None:
        return Identity(0, 0, 0, 0) if name in self.files else None

    def replace_now(self, name: str, data: bytes) -> None:
        if self.fails:
            raise DiskFailed(name, "the disk is full")  # type: ignore[arg-type]
        self.files[name] = data

    async def remove(self, name: str) -> None:
        self.files.pop(name, None)


class Steady:
    """Randomness that is always the same."""

    def bytes(self, count: int) -> bytes:
        return bytes(count)

    def uniform(self, low: float, high: float) -> float:
        return (low + high) / 2


class Body(bytes):
    """What a request carries, unspelled."""

    form: str
    targets: Sequence[Target]


class Asked:
    """A request as a dialect builds it."""

    method, path, headers = "POST", "/", ()

    def __init__(self, form: str, targets: Sequence[Target]) -> None:
        self.body = Body()
        self.body.form, self.body.targets = form, targets


class Dialect:
    """The venue's real reader of answers; requests and good answers are not spelled."""

    def __init__(self, real: SpotRest | FuturesRest) -> None:
        self._real = real

    def plan(self, call: Any) -> Any:
        return self._of(call.form, call.targets, self._real.plan(call)[1])

    def token(self) -> Any:
        return self._of("token", (), self._real.token()[1])

    def mode(self) -> Any:
        return self._of("mode", (), self._real.mode()[1])

    def _of(self, form: str, targets: Sequence[Target], decode: Any) -> Any:
        def read(status: int, body: bytes) -> Any:
            return body.answer if isinstance(body, Told) else decode(status, body)

        return (lambda _: Asked(form, targets)), read


class Connection:
    """One connection to the REST endpoint; what it carries is in the venue's hands."""

    def __init__(self, wire: Exchange, host: str = "") -> None:
        self._exchange = wire
        self.is_open = True
        self.idle_since = 0.0

    async def request(self, method: str, path: str, headers: Any, body: Body, *, timeout_s: float) -> Response:
        try:
            return await Until(lambda task: self._exchange.called(body.form, body.targets, task))
        except Exception:
            self.is_open = False
            raise

    async def aclose(self) -> None:
        self.is_open = False


class World:
    def __init__(self, kernel: Kernel, exchange: Exchange) -> None:
        self.clock = kernel
        self.entropy = Steady()
        self._exchange = exchange

    async def dial(self, host: str, port: int) -> Exchange:
        self._exchange.arrived["dial rest"] = self.clock.now_ns
        if self._exchange.rest == "refuses connections":
            raise DialFailed("dial", "connection refused")
        return self._exchange


class Socket:
    """A session: dials by the real backoff, is admitted at once, and is lost when the venue says so."""

    def __init__(self, daemon: "Daemon", lane: Lane) -> None:
        self.lane = lane
        self.name = f"{daemon.exchange.venue}-{lane}"
        self.token: int | None = None
        self._daemon = daemon
        self._backoff = Backoff()
        self._live = False
        self._dialling = False
        self._epoch = 0
        self._waits = False
        """For a token that was asked for before a kill."""
        self._renewing = False

    def dial(self) -> None:
        """Dial now."""
        daemon = self._daemon
        self._epoch += 1
        self._dialling = True
        if wait_ns := daemon.take_dial():
            self._pause(wait_ns)
            return
        daemon.exchange.arrived[f"dial {self.lane}"] = daemon.kernel.now_ns
        self._then(HOP_NS, self._arrive)

    def _then(self, delay_ns: int, action: Any) -> None:
        epoch = self._epoch
        self._daemon.kernel.at(delay_ns, lambda: action() if self._epoch == epoch and not self._daemon.dead else None)

    def _pause(self, delay_ns: int) -> None:
        self._dialling = False
        self._then(delay_ns, self.dial)

    def _arrive(self) -> None:
        daemon = self._daemon
        if not daemon.exchange.serves_sockets:
            self.lost()
        elif daemon.needs_token and self.lane != FEED:
            self._admit()
        else:
            self._went_live()

    def _see_bytes(self) -> None:
        """It came up as the only one while a kill was on: what rested went by it at once."""
        exchange = self._daemon.exchange
        since_ns = self._daemon.kernel.now_ns - GAP_NS - 1 * MS
        if self._live and exchange.mass and exchange.book and exchange.arrived.get(self.lane, 0) < since_ns:
            self._daemon.blame("kill: no byte on a session that came up")

    def _admit(self) -> None:
        """With a new token; the one that is there does under a kill, and where no new one is to be had."""
        pressing = self._daemon.dispatcher.pressing
        if pressing and self.token is not None:
            self._subscribe()
            return
        self._waits = not pressing
        self._daemon.tasks.append(Task(self._admit_anew(self._epoch)))

    async def _admit_anew(self, epoch: int) -> None:
        try:
            await self._fetch()
        except TokenFailed:
            if self.token is None and self._epoch == epoch:
                self.lost()
        if self._epoch == epoch:
            self._subscribe()

    def _subscribe(self) -> None:
        self._waits = False
        self._daemon.exchange.arrived[f"dial {self.lane}"] = self._daemon.kernel.now_ns
        if self.token in self._daemon.exchange.good_tokens:
            self._went_live()
        else:
            self.token = None
            self.lost()

    async def _fetch(self) -> None:
        self.token = await self._daemon.fetch_token()

    def _went_live(self) -> None:
        daemon = self._daemon
        exchange = daemon.exchange
        self._backoff.live(daemon.kernel.now_ns)
        self._live, self._dialling = True, False
        exchange.sockets[self.lane] = self
        dispatcher = daemon.dispatcher
        if exchange.book:
            exchange.told_ns = exchange.appeared_ns = daemon.kernel.now_ns
        if daemon.needs_mode and not exchange.maintenance:
            dispatcher.mode_changed("online")
        dispatcher.heard(self.lane, (Orders(exchange.list_open(), snapshot=exchange.mass, initial=not exchange.mass),))
        if self.lane == FEED:
            dispatcher.outages.feed_up()
            return
        dispatcher.session_up(self.lane)
        if daemon.pulled_ns is not None and dispatcher.live == (self.lane,) and exchange.book:
            self._then(GAP_NS + 1 * MS, self._see_bytes)

    def lost(self) -> None:
        """It is over, or could not be had."""
        daemon = self._daemon
        if daemon.dead:
            return
        self._epoch += 1
        self._waits = False
        if self._live:
            self._live = False
            if daemon.exchange.sockets.get(self.lane) is self:
                del daemon.exchange.sockets[self.lane]
            if self.lane == FEED:
                daemon.dispatcher.outages.feed_down()
            else:
                daemon.dispatcher.session_down(self.lane)
        self._pause(round(daemon.delay_s(self._backoff) * 1000) * MS)

    def hear(self, evidence: Evidence) -> None:
        daemon = self._daemon
        mode = getattr(evidence, "mode", None)
        if mode is not None:
            daemon.dispatcher.mode_changed(mode)
        daemon.dispatcher.heard(self.lane, (evidence,))

    # ---------------------------------------------------------------- what the dispatcher wants of it

    def write_cancels(self, cancels: Sequence[Send]) -> bool:
        if not self._live:
            return False
        self._daemon.exchange.write(self, cancels)
        return True

    def write_bundles(self, bundles: Sequence[Bundle]) -> bool:
        if not self._live:
            return False
        self._daemon.exchange.write_bundles(self, bundles)
        return True

    def look(self, reqid: Any, order_id: str | None) -> None:
        if self._live:
            self._daemon.exchange.look(self, reqid, order_id)

    def redial(self, why: str) -> None:
        if self._live:
            self._daemon.exchange.drop(self.lane)

    def hurry(self) -> None:
        """A kill was pulled."""
        self._backoff.forgive()
        if not self._live and not self._dialling:
            self.dial()
        elif self._waits:
            # No token is waited for that was asked for before.
            self._epoch += 1
            self._admit()

    def renew_token(self) -> None:
        if not self._renewing:
            self._renewing = True
            self._daemon.tasks.append(Task(self._renew(self._epoch)))

    async def _renew(self, epoch: int) -> None:
        try:
            await self._fetch()
            fresh = True
        except TokenFailed:
            fresh = False
        self._renewing = False
        if self._epoch == epoch and not self._daemon.dead:
            self._daemon.dispatcher.token_renewed(self.lane, fresh=fresh)
            if not fresh:
                self._then(self._daemon.token_retry_ns, self.renew_token)


class Ticket:
    """A command: answered once, and honestly."""

    def __init__(self, daemon: "Daemon", target: Target) -> None:
        self._daemon = daemon
        self._target = target
        self.settlement: Settlement | None = None

    def answered(self, settlement: Settlement) -> None:
        assert self.settlement is None, "answered twice"
        self.settlement = settlement
        rests = self._target.value in self._daemon.exchange.book
        if isinstance(settlement.outcome, SAFE) and rests:
            self._daemon.blame(f"{settlement.outcome} of an order that rests")

    def late(self, settlement: Settlement) -> None: ...


class Operator:
    """Asks for a re-arm, and hears the answers."""

    id = "r-1"

    def __init__(self) -> None:
        self.replies: list[Mapping[str, Any]] = []

    def answer(self, reply: Mapping[str, Any]) -> None:
        self.replies.append(reply)


class Nobody:
    """Asked for a list, as the survey does."""

    def call_answered(self, call: Any, answer: Any, now_ns: int) -> None: ...
    def call_failed(self, call: Any, left: bool, why: str, now_ns: int) -> None: ...


NOBODY: Final = Nobody()


class Daemon:
    """From its start to its death. `blamed` is what it did that it must not do."""

    def __init__(self, kernel: Kernel, exchange: Exchange, disk: Disk, dials: ConnectBudget, reqids: Reqids) -> None:
        self.kernel = kernel
        self.exchange = exchange
        self.disk = disk
        self.dead = False
        self.blamed: list[str] = []
        self.tasks: list[Task] = []
        self.pulled_ns: int | None = None
        self._dials = dials
        self._switch_ns = 0
        self._flat_ns: int | None = None
        venue = exchange.venue
        events: Any = Quiet()
        policy = Policy(HEDGE_MS * MS, 1_500 * MS, 60_000 * MS, 1000, **TRAITS[venue])
        self._pursuits = Pursuits(venue, policy, reqids, Resting(1000))
        points = PointBudget()
        budget = {"spot": Budget(), "prime": NoBudget(), "futures": points}[venue]
        self.dispatcher = Dispatcher(venue, self._pursuits, kernel, events, budget)
        self.needs_token = venue == "spot" or exchange.unified
        self.needs_mode = venue == "spot" or exchange.unified
        self.lane: RestLane | None = None
        if policy.rest:
            self._build_lane(RestBudget() if venue == "spot" else points, events)
        lanes: tuple[Lane, ...] = (0, 1)
        if venue == "futures":
            lanes = (FEED, 0, 1) if exchange.unified else (FEED,)
        self.sockets = [Socket(self, lane) for lane in lanes]
        for socket in self.sockets:
            if socket.lane != FEED:
                self.dispatcher.attach(socket.lane, socket)
                if exchange.unified:
                    self.dispatcher.attach_bundler(socket.lane, socket.write_bundles)
        desks = {venue: self.dispatcher}
        scoping = Scoping(desks, kernel, {})  # type: ignore[arg-type]
        self.switch = KillSwitch(desks, disk, kernel, Steady(), events, scoping)  # type: ignore[arg-type]
        if self.switch.latched:
            self.pulled_ns = kernel.now_ns
        for socket in self.sockets:
            socket.dial()
        self._watch()

    def _build_lane(self, budget: Any, events: Any) -> None:
        venue, kernel = self.exchange.venue, self.kernel
        real = SpotRest(KEYS) if venue == "spot" else FuturesRest(KEYS, kernel)
        lane = RestLane(
            venue,
            Address(True, "venue", 443, ""),
            Dialect(real),  # type: ignore[arg-type]
            World(kernel, self.exchange),  # type: ignore[arg-type]
            self.disk,  # type: ignore[arg-type]
            Nonces(kernel.utc_ns(), kernel.utc_ns()) if venue == "spot" else None,
            self.dispatcher,
            events,
            budget,
            VenueClock(),
            exclusive_s=HEDGE_MS / 1000,
            conceal=lambda _: None,
        )
        self.lane = lane
        self._free = lane._exchanges.turns + OVERDUE
        self._free_urgent = URGENT
        for _ in range(2):
            lane._pool.give_back(Connection(self.exchange))  # type: ignore[arg-type]
        self.dispatcher.attach_rest(self._wake_rest, lane.told, lambda: True, lane.opens_ns)
        self._look_for_calls()

    # ---------------------------------------------------------------- the REST lane's workers

    def _look_for_calls(self) -> None:
        if not self.dead:
            self._wake_rest()
            self.kernel.at(IDLE_LOOK_NS, self._look_for_calls)

    def _wake_rest(self) -> None:
        assert self.lane is not None
        self.lane.wake()
        self.kernel.at(0, self._work)

    def _work(self) -> None:
        if self.dead:
            return
        while self._free_urgent and self.dispatcher.wants_urgent:
            self._free_urgent -= 1
            if self._begin(self._work_urgent()).over:
                break
        while self._free and self.dispatcher.wants_call:
            self._free -= 1
            if self._begin(self._work_ordinary()).over:
                # There was nothing to do after all, or nothing that could be done now.
                break

    def _begin(self, work: Coroutine[Any, Any, None]) -> Task:
        task = Task(work)
        self.tasks.append(task)
        return task

    async def _work_ordinary(self) -> None:
        assert self.lane is not None
        while await self.lane._work_once():
            pass
        self._free += 1

    async def _work_urgent(self) -> None:
        assert self.lane is not None
        while (call := self.dispatcher.next_urgent()) is not None:
            await self.lane._press(call)
        self._free_urgent += 1

    async def fetch_token(self) -> int:
        """A token, as a session fetches it: from this venue's own REST lane, or from another's. Raises TokenFailed."""
        if self.exchange.unified:
            number: int | None = await Until(self.exchange.token_for)
            if number is None:
                raise TokenFailed("not to be had")
            return number
        assert self.lane is not None
        token, _ = await self.lane.fetch_token(pressing=self.dispatcher.pressing)
        return int(token.reveal()[1:])

    # ---------------------------------------------------------------- what differs under a kill

    def take_dial(self) -> int:
        return self._dials.take(self.kernel.now_ns, pressing=self.dispatcher.pressing)

    def delay_s(self, backoff: Backoff) -> float:
        dispatcher = self.dispatcher
        return backoff.delay_s(self.kernel.now_ns, 0.5, mode=dispatcher.mode, pressing=dispatcher.pressing)

    @property
    def token_retry_ns(self) -> int:
        return 1_000 * MS if self.dispatcher.pressing else TOKEN_RETRY_NS

    # ---------------------------------------------------------------- what people do

    def cancel(self, order_id: str, *, proof: bool = False) -> Ticket:
        ticket = Ticket(self, Target("order_id", order_id))
        now_ns = self.kernel.now_ns
        symbol = SYMBOL if self.exchange.venue == "prime" else None
        self.dispatcher.submit(ticket, Target("order_id", order_id), proof, now_ns + DEADLINE_NS, now_ns, symbol)
        self.dispatcher.perform()
        return ticket

    def survey(self) -> None:
        """An ordinary call, which only asks."""
        self.dispatcher.request("open_orders", NOBODY, urgent=False)

    def kill(self) -> None:
        self.pulled_ns = self.kernel.now_ns
        self.exchange.pressed = True
        self.switch.pull("command", "explored")
        self.switch.close()

    def rearm(self) -> None:
        """Both steps, by force."""
        operator = Operator()
        self.switch._nursery = Trio.Nursery()  # type: ignore[assignment]
        self.switch.rearm(operator, Rearm(id=operator.id), "somebody", self.kernel.now_ns + DEADLINE_NS)
        code = operator.replies[-1].get("code")
        if code is not None:
            command = Rearm(id=operator.id, confirm=code, force=True)
            self.switch.rearm(operator, command, "somebody", self.kernel.now_ns + DEADLINE_NS)
            self.pulled_ns = None
            self.exchange.pressed = False
            assert not self.switch.latched
            assert LATCH_FILE not in self.disk.files

    def die(self) -> None:
        """The process is gone; the venue sees its sockets close."""
        self.dead = True
        for task in self.tasks:
            task.over = True
        for task in self.tasks:
            task.drop()
        self.exchange.sockets.clear()
        self.exchange.mute.clear()

    # ---------------------------------------------------------------- time

    @property
    def due_ns(self) -> int:
        """When an alarm goes off."""
        fronts = self.switch._fronts.values()
        wakes = [max(front.sweep.wake_ns, self._switch_ns) for front in fronts]
        return min([self._pursuits.next_wake_ns, *wakes], default=FAR_NS)

    def turn(self) -> None:
        """Do what is due now."""
        now_ns = self.kernel.now_ns
        if self._pursuits.next_wake_ns <= now_ns:
            self._pursuits.on_time(now_ns)
            self.dispatcher.perform()
        for front in list(self.switch._fronts.values()):
            if front.sweep.wake_ns <= now_ns and self._switch_ns <= now_ns:
                front.on_time(now_ns)
                self._switch_ns = now_ns + SWITCH_PAUSE_NS
        self._watch()

    def _watch(self) -> None:
        """What must never happen, whatever happens."""
        self.tasks = [task for task in self.tasks if not task.over]
        if not self.flat:
            self._flat_ns = None
            return
        if self._flat_ns is None:
            self._flat_ns = self.kernel.now_ns
            since_ns = self.exchange.listed_ns
        else:
            # Nobody need have told of an order that was placed since; the looks while flat show it.
            since_ns = self.kernel.now_ns - FLAT_LOOK_NS - SLACK_NS
        if rests := [order for order in self.exchange.book.values() if order.shown_ns < since_ns]:
            self.blame(f"flat while {len(rests)} rest")

    @property
    def flat(self) -> bool:
        """Whether the venue is said to be flat."""
        fronts = self.switch._fronts.values()
        return bool(fronts) and all(front.sweep.state(self.kernel.now_ns) == "flat" for front in fronts)

    def blame(self, what: str) -> None:
        self.blamed.append(what)
