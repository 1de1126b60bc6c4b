"""`canceld agent`: one daemon's part in a fleet. A process of its own, so that no bus can delay a cancel.

It watches the fleet's bucket, pulls and re-arms the local switch through the daemon's control socket, tells the others
how the daemon stands, and agrees with them on who keeps the account's timers. What to do is decided in follower.py and
timer_lease.py; here it is done. Silence of the bus kills nothing and ends no kill.
"""

import asyncio
import contextlib
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Final

import msgspec

from ..client import CommandRefused, DaemonUnreachable
from ..client.async_io import AsyncioClient
from ..client.async_io import connect as connect_daemon
from ..contract.plain_text import plain
from ..transport.disk import Directory, DiskFailed
from ..verbs.output import complain
from .bucket import Bucket, Entry, Overtaken
from .bus import Bus, BusFailed, connect
from .code_book import CodeBook
from .daemon_status import can_renew, local_of, shown, told_of
from .door import door_of, opened
from .follower import Announce, Follower, Memory, Pull, Rearm, Refused, Remember
from .orders import (
    Approval,
    Codes,
    E,
    KillOrder,
    LocalKill,
    Report,
    TimerClaim,
    Unfit,
    read,
    write,
)
from .orders import Entry as SignedEntry
from .place import Place
from .settings import FleetSettings
from .signing import Signer, check, keys_of
from .timer_lease import Claim, GiveUp, Right, TimerLease

TICK_S: Final = 0.2
LOOK_S: Final = 0.25
"""How often the daemon is asked how it is."""

STATUS_MS: Final = 1_000
PULL_MS: Final = 2_000
"""How long a pull waits for its reply; the switch is latched when the daemon reads it."""

REPORT_S: Final = 2.0
SILENT_S: Final = 10.0
"""When people hear of a bus that is not there."""

RETRY_S: Final = 1.0
START_S: Final = 4.0
"""How long a start of the daemon waits for the bus to tell what stands."""

MEMORY_FILE: Final = "agent"
TRIGGER_FILE: Final = "kill"
"""The daemon's own trigger file, for a daemon that does not answer, or is yet to start."""

REFUSED_KEPT: Final = 8


class Agent:
    """One daemon's agent."""

    def __init__(self, settings: FleetSettings, signer: Signer) -> None:
        fleet = settings.fleet
        self.place = Place(fleet.name, settings.host, fleet.account, fleet.groups, fleet.follow)
        self._settings = settings
        self._signer = signer
        self._keys = keys_of(fleet.operators, fleet.hosts)
        self._state = Directory(Path(settings.daemon.state.dir))
        self._memory = self._read_memory()
        self.follower = Follower(self.place, self._memory)
        now_ns = time.monotonic_ns()
        shared = settings.daemon.deadman.owner == "fleet"
        self._lease = TimerLease(settings.host, now_ns) if shared else None
        self._daemon: AsyncioClient | None = None
        self._status: dict[str, Any] | None = None
        self._bucket: Bucket | None = None
        self._over = asyncio.Event()
        self._heard_s = time.monotonic()
        self._silent = False
        self._acting = False
        self._outbox: dict[str, bytes] = {}
        self._posting = asyncio.Event()
        self._codes = CodeBook(fleet.operators)
        self._refused: list[str] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._counter = max(self._memory.written, time.time_ns())

    # ---------------------------------------------------------------- the agent's life

    async def run(self) -> None:
        """Until it is stopped. Raises DoorFailed where another agent serves this daemon."""
        door = door_of(self._settings.daemon.gateway.control)
        async with opened(door, self.asked), asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep_bus(), name="bus")
            tasks.create_task(self._keep_daemon(), name="daemon")
            tasks.create_task(self._post(), name="post")
            tasks.create_task(self._tick(), name="tick")

    async def _tick(self) -> None:
        report_s = 0.0
        while True:
            now_s, now_ns = time.monotonic(), time.monotonic_ns()
            if self._lease is not None:
                self._lease.able(can_renew(self._status), now_ns)
                self._lease.on_time(now_ns)
            self.perform()
            if now_s - report_s >= REPORT_S:
                report_s = now_s
                self._tell_report()
            self._watch_silence(now_s)
            await asyncio.sleep(TICK_S)

    def _watch_silence(self, now_s: float) -> None:
        if self._bucket is not None:
            self._heard_s = now_s
            if self._silent:
                self._silent = False
                complain("the bus is back")
        elif now_s - self._heard_s >= SILENT_S and not self._silent:
            self._silent = True
            stands = "the kills that stand go on standing" if self._memory.standing else "no kill is pulled for that"
            complain(f"the bus is silent: this host hears of no kill and tells of none; {stands}; a local kill works")

    # ---------------------------------------------------------------- the bus

    async def _keep_bus(self) -> None:
        told = ""
        while True:
            try:
                async with connect(self._settings, "canceld agent", on_change=self._bus_changed) as bus:
                    bucket = await Bucket.open(bus, self.place.fleet)
                    told = ""
                    while True:
                        await self._follow(bus, bucket)
            except BusFailed as failed:
                if str(failed) != told:
                    told = str(failed)
                    complain(told)
            finally:
                self._bucket = None
            await asyncio.sleep(RETRY_S)

    def _bus_changed(self, bus: Bus, why: str | None) -> None:
        if why is not None:
            complain(f"{bus.where}: {why}")
        # Lost or found again: what stands is told anew, so that nothing that was missed meanwhile is missed for good.
        self._over.set()

    async def _follow(self, bus: Bus, bucket: Bucket) -> None:
        """Hear all that stands and each change, until the connection changes."""
        while not bus.connected:
            self._bucket = None
            await asyncio.sleep(TICK_S)
        self._over = asyncio.Event()
        self.follower.connected(time.monotonic_ns())
        async with bucket.watch(self._over) as entries:
            self._bucket = bucket
            self._posting.set()
            async for entry in entries:
                self.hear(entry)
                self.perform()

    def hear(self, entry: Entry | None) -> None:
        """What the bucket told: an entry, or (None) that this was all that stands."""
        now_ns = time.monotonic_ns()
        if entry is None:
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
        elif kind == "timer" and rest == self.place.account and self._lease is not None:
            claim = self._read(entry, TimerClaim)
            if isinstance(claim, Unfit):
                self._refuse(entry.key, claim.why)
            else:
                self._lease.seen(entry.revision, None if claim.given_up else claim.by, now_ns)

    def _read(self, entry: Entry, kind: type[E]) -> E | Unfit:
        return read(entry.value, kind, self._keys, self.place.fleet, check)

    async def _post(self) -> None:
        """Put what is to be told, the newest of each key, while the bus is there."""
        while True:
            await self._posting.wait()
            self._posting.clear()
            while self._outbox and self._bucket is not None:
                key, value = next(iter(self._outbox.items()))
                try:
                    await self._bucket.put(key, value)
                except (BusFailed, Overtaken) as failed:
                    complain(f"not told: {failed}")
                    await asyncio.sleep(RETRY_S)
                    continue
                if self._outbox.get(key) == value:
                    del self._outbox[key]

    def _tell(self, key: str, entry: SignedEntry) -> None:
        self._outbox.pop(key, None)
        self._outbox[key] = write(entry, self._signer.sign)
        self._posting.set()

    def _stamp(self) -> dict[str, Any]:
        """The members that everything signed has."""
        self._counter = max(self._counter + 1, time.time_ns())
        return {
            "fleet": self.place.fleet,
            "by": self.place.host,
            "at_ns": time.time_ns(),
            "counter": self._counter,
        }

    # ---------------------------------------------------------------- the daemon

    async def _keep_daemon(self) -> None:
        control = self._settings.daemon.gateway.control
        async with connect_daemon(control, deadline_ms=STATUS_MS, strategy="canceld-agent") as client:
            self._daemon = client
            while True:
                await self._look(client)
                await asyncio.sleep(LOOK_S)

    async def _look(self, client: AsyncioClient) -> None:
        if self._acting:
            # A pull or a re-arming is under way: what is seen beside it would be taken for somebody else's.
            return
        try:
            status = await client.status()
        except (DaemonUnreachable, CommandRefused):
            status = None
        if self._acting:
            return
        before, self._status = self._status, status
        self.follower.local(None if status is None else local_of(status), time.monotonic_ns())
        self.perform()
        if shown(before) != shown(status):
            self._tell_report()

    def perform(self) -> None:
        """Do what was decided."""
        effects, self.follower.effects = self.follower.effects, []
        for effect in effects:
            match effect:
                case Remember():
                    self._remember()
                case Refused(key=key, why=why):
                    self._refuse(key, why)
                case Announce(latched=latched, reason=reason, who=who):
                    own = LocalKill(
                        **self._stamp(), account=self.place.account, latched=latched, reason=reason, who=who
                    )
                    self._tell(f"local.{self.place.host}.{self.place.account}", own)
                case Pull(reason=reason) if not self._acting:
                    self._begin(self._pull(reason))
                case Rearm(reason=reason) if not self._acting:
                    self._begin(self._rearm(reason))
                case _:
                    pass
        if self._lease is not None:
            wanted, self._lease.effects = self._lease.effects, []
            for one in wanted:
                self._spawn(self._serve_timer(self._lease, one))

    def _begin(self, acting: Coroutine[Any, Any, None]) -> None:
        self._acting = True
        self._spawn(acting)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _pull(self, reason: str) -> None:
        """Pull the local switch: by the control socket, and where nobody answers there by the daemon's kill file."""
        try:
            assert self._daemon is not None
            complain(f"pulling the local kill switch: {plain(reason)}")
            await self._daemon.kill(reason, deadline_ms=PULL_MS)
            status = await self._daemon.status()
        except (DaemonUnreachable, CommandRefused) as failed:
            self._leave_file(reason, str(failed))
        else:
            self._status = status
            self.follower.pulled(local_of(status), time.monotonic_ns())
        finally:
            self._acting = False
        self.perform()
        self._tell_report()

    def _leave_file(self, reason: str, why: str) -> None:
        try:
            if self._state.exists(TRIGGER_FILE):
                return
            self._state.replace_now(TRIGGER_FILE, reason.encode("utf-8", "replace"))
        except DiskFailed as failed:
            complain(f"the kill cannot be pulled: {why}; and {failed}")
            return
        complain(f"the daemon does not answer ({why}); its kill file is written, it is pulled when the daemon looks")
        self.follower.left_by_file()

    async def _rearm(self, reason: str) -> None:
        try:
            assert self._daemon is not None
            first = await self._daemon.rearm()
            if first.latched and first.code is not None:
                await self._daemon.rearm(confirm=first.code, reason=reason)
                complain("the local kill switch is re-armed: the fleet's kill was ended by two persons")
        except (DaemonUnreachable, CommandRefused) as failed:
            self._refuse("rearm", f"the local switch stays latched: {failed}")
        finally:
            self._acting = False

    async def _serve_timer(self, lease: TimerLease, effect: Claim | GiveUp | Right) -> None:
        match effect:
            case Right(token=token, for_ns=for_ns, off=off):
                with contextlib.suppress(DaemonUnreachable, CommandRefused):
                    if self._daemon is not None:
                        await self._daemon.timer_right(token, for_ns // 10**6, off=off)
            case Claim(after=after) | GiveUp(after=after):
                given_up = isinstance(effect, GiveUp)
                claim = TimerClaim(**self._stamp(), account=self.place.account, given_up=given_up)
                try:
                    if self._bucket is None:
                        raise BusFailed("the bus is not there")
                    key = f"timer.{self.place.account}"
                    revision = await self._bucket.put(key, write(claim, self._signer.sign), after=after)
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
        with contextlib.suppress(BusFailed, TimeoutError):
            async with asyncio.timeout(START_S), connect(self._settings, "canceld agent") as bus:
                for entry in (await (await Bucket.open(bus, self.place.fleet)).entries()).values():
                    self.hear(entry)
        self.follower.effects.clear()
        if self.follower.standing:
            self._leave_file(self.follower.reason, "it is about to start")
        self._remember()

    # ---------------------------------------------------------------- what is told

    def _tell_report(self) -> None:
        report = Report(
            **self._stamp(),
            **told_of(self._status),
            account=self.place.account,
            groups=self.place.groups,
            standing=tuple(one.kill for one in self.follower.standing),
            timer_owner=self._lease is not None and self._lease.owner,
            alerts=tuple(self._refused[-REFUSED_KEPT:]),
        )
        self._tell(f"report.{self.place.host}.{self.place.account}", report)

    def _refuse(self, key: str, why: str) -> None:
        line = plain(f"{key}: not followed: {why}")
        if line not in self._refused:
            self._refused = [*self._refused[-REFUSED_KEPT:], line]
            complain(line)

    # ---------------------------------------------------------------- codes

    def asked(self, question: dict[str, Any], who: str) -> dict[str, Any]:
        """A person at this host asks for the code of a re-arming: for a scope, and for the operator whom he is."""
        answer = self._codes.answer(question, self.follower)
        if "code" in answer:
            codes = Codes(**self._stamp(), marks=self._codes.marks)
            self._tell(f"code.{self.place.host}.{self.place.account}", codes)
            complain(f"a code for re-arming {question['scope']} was given to {question['operator']}, {who}")
            answer |= {"host": self.place.host, "account": self.place.account}
        return answer

    # ---------------------------------------------------------------- memory

    def _read_memory(self) -> Memory:
        try:
            found = self._state.read(MEMORY_FILE)
            return Memory() if found is None else msgspec.json.decode(found, type=Memory)
        except (DiskFailed, msgspec.MsgspecError) as failed:
            # What stood is told by the bus again; what was counted is not, and an old order could be put back.
            complain(f"what this agent knew cannot be read ({failed}); it begins anew")
            return Memory()

    def _remember(self) -> None:
        self._memory.written = self._counter
        try:
            self._state.replace_now(MEMORY_FILE, msgspec.json.encode(self._memory))
        except DiskFailed as failed:
            complain(f"what this agent knows cannot be stored: {failed}; a restart would ask the bus")
