"""`canceld agent`: one daemon's part in a fleet. A process of its own, so that no bus can delay a cancel.

It watches the fleet's bucket, pulls and re-arms the local switch through the daemon's control socket, tells the others
how the daemon stands, and agrees with them on who keeps the account's timers. What to do is decided in follower.py and
timer_lease.py; here it is done. Silence of the bus kills nothing and ends no kill.
"""

import asyncio
import time
from collections.abc import Coroutine
from typing import Any, Final

import msgspec

from ..contract.plain_text import plain
from ..transport.disk import DiskFailed
from ..verbs.output import complain
from .bucket import Bucket, Entry, Overtaken
from .bus import Bus, BusFailed
from .code_book import CodeBook
from .daemon_status import can_renew, shown, told_of
from .door import DoorFailed, check_free, door_of, gone, opened
from .follower import Announce, Follower, Memory, Pull, Rearm, Refused, Remember
from .local_switch import LocalSwitch
from .nearest import connect_nearest
from .orders import Approval, Codes, E, KillOrder, LocalKill, Report, TimerClaim, Unfit, read, write
from .orders import Entry as SignedEntry
from .outbox import PUT_S, Outbox
from .place import Place
from .settings import FleetSettings
from .signing import Signer, check, keys_of
from .timer_lease import Claim, GiveUp, Right, TimerLease
from .troubles import Troubles

TICK_S: Final = 0.2
REPORT_S: Final = 1.0
"""How often a daemon's report is told; each agent hears its own too, and knows by that whether the bus still tells."""

DEAF_S: Final = 3.0
"""A bus that has told nothing for so long is watched anew: a watch dies silently with the server that kept it."""

LOST_S: Final = 2.0
"""When a connection that does not come back is given up, and every server tried."""

SILENT_S: Final = 10.0
"""When people hear of a bus that is not there."""

CLOCK_S: Final = 10.0
"""How far this host's clock may be from the bus's before people hear of it. No decision hangs on a clock."""

TWIN_NS: Final = 10 * 10**9
"""For so long nobody else has to have spoken in our name before that is over."""

RETRY_S: Final = 1.0
START_S: Final = 2.0
"""How long a start of the daemon waits for the bus to tell what stands."""

MEMORY_FILE: Final = "agent"

BUS: Final = "bus"
DOOR: Final = "door"
SILENT: Final = "silent"
CLOCK: Final = "clock"
TWIN: Final = "twin"
MEMORY: Final = "memory"
"""Troubles."""


class Agent:
    """One daemon's agent."""

    def __init__(self, settings: FleetSettings, signer: Signer) -> None:
        fleet = settings.fleet
        self.place = Place(fleet.name, settings.host, fleet.account, fleet.groups, fleet.follow)
        self.troubles = Troubles(complain)
        self.outbox = Outbox(self.troubles)
        self._settings = settings
        self._signer = signer
        self._keys = keys_of(fleet.operators, fleet.hosts)
        self._memory = Memory()
        self.follower = Follower(self.place, self._memory)
        self.switch = LocalSwitch(settings.daemon, self.follower, self.troubles, self._seen)
        self._recall()
        shared = settings.daemon.deadman.owner == "fleet"
        self._lease = TimerLease(settings.host, time.monotonic_ns()) if shared else None
        self._shown: Any = None
        self._over = asyncio.Event()
        self._heard_s = self._watched_s = time.monotonic()
        self._live = False
        self._twin_ns = 0
        self._unstored = False
        self._storing = False
        self._codes = CodeBook(fleet.operators)
        self._tasks: asyncio.TaskGroup | None = None
        self._counter = max(self._memory.written, time.time_ns())

    # ---------------------------------------------------------------- the agent's life

    async def run(self) -> None:
        """Until it is stopped. Raises DoorFailed where another agent serves this daemon."""
        door = door_of(self._settings.daemon.gateway.control)
        await check_free(door)
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            tasks.create_task(self._keep_door(door), name="door")
            tasks.create_task(self._keep_bus(), name="bus")
            tasks.create_task(self.switch.run(), name="daemon")
            tasks.create_task(self.outbox.run(), name="outbox")
            tasks.create_task(self._tick(), name="tick")

    async def _keep_door(self, path: str) -> None:
        """Serve at our socket, and anew whenever its directory was made anew: it is the daemon's."""
        while True:
            try:
                async with opened(path, self.asked):
                    self.troubles.end(DOOR, f"{path}: codes can be had again")
                    await gone(path)
            except DoorFailed as failed:
                self.troubles.begin(DOOR, str(failed), time.monotonic_ns())
            await asyncio.sleep(RETRY_S)

    async def _tick(self) -> None:
        report_s = 0.0
        while True:
            now_s, now_ns = time.monotonic(), time.monotonic_ns()
            if self._lease is not None:
                self._lease.able(can_renew(self.switch.status), now_ns)
                self._lease.on_time(now_ns)
            self.perform()
            if now_s - report_s >= REPORT_S:
                report_s = now_s
                self._tell_report()
            self._watch_silence(now_s)
            await asyncio.sleep(TICK_S)

    def _watch_silence(self, now_s: float) -> None:
        silent_s = now_s - self._heard_s
        if silent_s < DEAF_S:
            self.troubles.end(SILENT, "the bus is back")
            return
        if now_s - self._watched_s >= DEAF_S:
            # Our own report would have come back.
            self._over.set()
        if silent_s >= SILENT_S:
            stands = "the kills that stand go on standing" if self._memory.standing else "no kill is pulled for that"
            text = f"the bus is silent: this host hears of no kill and tells of none; {stands}; a local kill works"
            self.troubles.begin(SILENT, text, time.monotonic_ns())

    # ---------------------------------------------------------------- the bus

    async def _keep_bus(self) -> None:
        while True:
            try:
                async with connect_nearest(
                    self._settings, "canceld agent", self._open, on_change=self._bus_changed
                ) as bus:
                    bucket = await self._open(bus)
                    while True:
                        await self._follow(bus, bucket)
            except BusFailed as failed:
                self.troubles.begin(BUS, str(failed), time.monotonic_ns())
            finally:
                self.outbox.back(None)
            await asyncio.sleep(RETRY_S)

    async def _open(self, bus: Bus) -> Bucket:
        return await Bucket.open(bus, self.place.fleet)

    def _bus_changed(self, bus: Bus, why: str | None) -> None:
        if why is not None:
            self.troubles.begin(BUS, f"{bus.where}: {why}", time.monotonic_ns())
        # Lost or found again: what stands is told anew, so that nothing that was missed meanwhile is missed for good.
        self._over.set()

    async def _follow(self, bus: Bus, bucket: Bucket) -> None:
        """Hear all that stands and each change, until the connection changes or nothing more is heard."""
        lost_s = time.monotonic()
        while not bus.connected:
            self.outbox.back(None)
            if time.monotonic() - lost_s >= LOST_S:
                raise BusFailed(f"{bus.where}: the connection was lost")
            await asyncio.sleep(TICK_S)
        self._over = asyncio.Event()
        self._live = False
        self.follower.connected(time.monotonic_ns())
        async with bucket.watch(self._over) as entries:
            self._watched_s = time.monotonic()
            self.outbox.back(bucket)
            async for entry in entries:
                self._heard_s = time.monotonic()
                self.hear(entry)
                self.perform()
        # Whoever watched in vain must not ask the servers without a pause.
        await asyncio.sleep(TICK_S)

    def hear(self, entry: Entry | None) -> None:
        """What the bucket told: an entry, or (None) that this was all that stands."""
        now_ns = time.monotonic_ns()
        if entry is None:
            self._live = True
            self.troubles.end(BUS, "the bus answers")
            self.follower.caught_up(now_ns)
            if self._lease is not None and self._lease.holder is None:
                self._lease.seen(0, None, now_ns)
            return
        kind, _, rest = entry.key.partition(".")
        if kind == "kill":
            self.follower.order(entry.key, self._read(entry, KillOrder), now_ns)
        elif kind == "rearm":
            self.follower.approval(entry.key, self._read(entry, Approval), now_ns)
        elif kind == "code":
            self.follower.codes(entry.key, self._read(entry, Codes), now_ns)
        elif kind == "local":
            self.follower.neighbour(entry.key, self._read(entry, LocalKill), now_ns)
        elif kind == "report" and rest == f"{self.place.host}.{self.place.account}":
            self._hear_oneself(entry, now_ns)
        elif kind == "timer" and rest == self.place.account and self._lease is not None:
            claim = self._read(entry, TimerClaim)
            if isinstance(claim, Unfit):
                self._refuse(entry.key, claim.why)
            else:
                self._lease.seen(entry.revision, None if claim.given_up else claim.by, now_ns)

    def _hear_oneself(self, entry: Entry, now_ns: int) -> None:
        """Our own report: whether nobody else speaks in our name, and how far the clocks are apart."""
        report = self._read(entry, Report)
        if not self._live:
            return
        if isinstance(report, Unfit):
            self._refuse(entry.key, report.why)
            return
        if report.counter > self._counter:
            text = f"another agent tells of {self.place.host} {self.place.account} on the bus; stop one of the two"
            self.troubles.begin(TWIN, text, now_ns)
            self._twin_ns = now_ns
        elif now_ns - self._twin_ns >= TWIN_NS:
            self.troubles.end(TWIN, "no other agent tells of this daemon any more")
        apart_s = time.time() - entry.created_s
        if entry.created_s and abs(apart_s) >= CLOCK_S:
            text = f"this host's clock and the bus's are {abs(apart_s):.0f} s apart: set the wrong one (timedatectl)"
            self.troubles.begin(CLOCK, text, now_ns)
        else:
            self.troubles.end(CLOCK, "the clocks agree again")

    def _read(self, entry: Entry, kind: type[E]) -> E | Unfit:
        return read(entry.value, kind, self._keys, self.place.fleet, check)

    def _tell(self, key: str, entry: SignedEntry) -> None:
        self.outbox.tell(key, write(entry, self._signer.sign))

    def _stamp(self) -> dict[str, Any]:
        """The members that everything signed has."""
        self._counter = max(self._counter + 1, time.time_ns())
        return {"fleet": self.place.fleet, "by": self.place.host, "at_ns": time.time_ns(), "counter": self._counter}

    # ---------------------------------------------------------------- what was decided

    def _seen(self) -> None:
        """The local daemon was looked at, or its switch was touched."""
        self.perform()
        if self._shown != (now := shown(self.switch.status)):
            self._shown = now
            self._tell_report()

    def perform(self) -> None:
        """Do what was decided. A pull waits for no disk: what is forgotten by a crash is told by the bus again."""
        effects, self.follower.effects = self.follower.effects, []
        for effect in effects:
            match effect:
                case Remember():
                    self._unstored = True
                case Refused(key=key, why=why):
                    self._refuse(key, why)
                case Announce(latched=latched, reason=reason, who=who):
                    own = LocalKill(
                        **self._stamp(), account=self.place.account, latched=latched, reason=reason, who=who
                    )
                    self._tell(f"local.{self.place.host}.{self.place.account}", own)
                case Pull(reason=reason) if not self.switch.acting:
                    self.switch.acting = True
                    self._spawn(self.switch.pull(reason))
                case Rearm(reason=reason) if not self.switch.acting:
                    self.switch.acting = True
                    self._spawn(self.switch.rearm(reason))
                case _:
                    pass
        if self._unstored and not self._storing:
            self._storing = True
            self._spawn(self._store())
        if self._lease is not None:
            wanted, self._lease.effects = self._lease.effects, []
            for one in wanted:
                self._spawn(self._serve_timer(self._lease, one))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        assert self._tasks is not None
        self._tasks.create_task(work)

    async def _serve_timer(self, lease: TimerLease, effect: Claim | GiveUp | Right) -> None:
        if isinstance(effect, Right):
            await self.switch.may_renew(effect.token, effect.until_ns, effect.off)
            return
        given_up = isinstance(effect, GiveUp)
        claim = TimerClaim(**self._stamp(), account=self.place.account, given_up=given_up)
        try:
            if self.outbox.bucket is None:
                raise BusFailed("the bus is not there")
            key, value = f"timer.{self.place.account}", write(claim, self._signer.sign)
            revision = await self.outbox.bucket.put(key, value, after=effect.after, timeout_s=PUT_S)
        except (BusFailed, Overtaken):
            if not given_up:
                lease.lost(time.monotonic_ns())
        else:
            if not given_up:
                lease.claimed(revision, time.monotonic_ns())
        self.perform()

    # ---------------------------------------------------------------- before the daemon starts

    async def before_start(self) -> None:
        """Where a kill stands, have the daemon that is about to start begin latched. Never holds it up for long."""
        try:
            async with (
                asyncio.timeout(START_S),
                connect_nearest(self._settings, "canceld agent", self._open) as bus,
            ):
                for entry in await (await self._open(bus)).entries():
                    self.hear(entry)
        except (BusFailed, TimeoutError) as failed:
            why = str(failed) or "the bus does not answer in time"
            complain(f"{why}; the daemon starts with what this host knew: {len(self.follower.standing)} kills stand")
        self.follower.effects.clear()
        if self.follower.standing:
            self.switch.left(self.switch.leave_file(self.follower.reason), "the daemon is about to start")
        try:
            self.switch.state.replace_now(MEMORY_FILE, self._content())
        except DiskFailed as failed:
            complain(f"what this agent knows cannot be stored: {failed}")

    # ---------------------------------------------------------------- what is told

    def _tell_report(self) -> None:
        report = Report(
            **self._stamp(),
            **told_of(self.switch.status),
            account=self.place.account,
            groups=self.place.groups,
            standing=tuple(one.kill for one in self.follower.standing),
            timer_owner=self._lease is not None and self._lease.owner,
            alerts=self.troubles.lines,
        )
        self._tell(f"report.{self.place.host}.{self.place.account}", report)

    def _refuse(self, key: str, why: str) -> None:
        self.troubles.refuse(plain(f"{key}: not followed: {why}"), time.monotonic_ns())

    def asked(self, question: dict[str, Any], who: str) -> dict[str, Any]:
        """A person at this host asks how the agent is, or (for a scope, as an operator) for the code of a re-arming."""
        if question.get("what") == "status":
            told = told_of(self.switch.status)
            return {**told, "host": self.place.host, "account": self.place.account, "alerts": self.troubles.lines}
        answer = self._codes.answer(question, self.follower)
        if "code" in answer:
            codes = Codes(**self._stamp(), marks=self._codes.marks)
            self._tell(f"code.{self.place.host}.{self.place.account}", codes)
            complain(f"a code for re-arming {question['scope']} was given to {question['operator']}, {who}")
            answer |= {"host": self.place.host, "account": self.place.account}
        return answer

    # ---------------------------------------------------------------- memory

    def _recall(self) -> None:
        try:
            found = self.switch.state.read(MEMORY_FILE)
            if found is not None:
                self._memory = self.follower.memory = msgspec.json.decode(found, type=Memory)
        except (DiskFailed, msgspec.MsgspecError) as failed:
            # What stands is told by the bus again; what was counted is not, and an old order could be put back.
            complain(f"what this agent knew cannot be read, it begins anew: {failed}")

    async def _store(self) -> None:
        """Put the memory on disk in another thread, and once more if it has changed meanwhile."""
        while self._unstored:
            self._unstored = False
            content = self._content()
            try:
                await asyncio.to_thread(self.switch.state.replace_now, MEMORY_FILE, content)
            except DiskFailed as failed:
                text = f"what this agent knows cannot be stored, a restart has to ask the bus: {failed}"
                self.troubles.begin(MEMORY, text, time.monotonic_ns())
            else:
                self.troubles.end(MEMORY, "what this agent knows is stored again")
        self._storing = False

    def _content(self) -> bytes:
        self._memory.written = self._counter
        return msgspec.json.encode(self._memory)
