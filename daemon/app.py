"""The composition root: builds every part and opens every nursery. README.md draws the tree that `serve` opens.

Nesting is shutdown order. The desk ends first, so that replies go out before sessions close; the ground ends last.
"""

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog
import trio

from . import __version__
from .contract.version import CONTRACT
from .credentials import BadCredentials, Credentials, Secret
from .desks import Desks
from .engine.scope import Own
from .engine.timer_right import RightToRenew
from .settings import DRAIN_ON_STOP_S, BadSettings, Settings
from .tasks import busy_poll, keep_warm, watchdog
from .tasks.canary import Canary
from .tasks.events import Events
from .tasks.garbage import Garbage
from .tasks.gateway import Gateway
from .tasks.journal import Journal
from .tasks.key_owner import KeyOwner, KeyTaken
from .tasks.killswitch import KillSwitch
from .tasks.latch_file import LATCH_FILE
from .tasks.leasing import Leasing
from .tasks.machine import Machine
from .tasks.origins import Origins
from .tasks.recovery import Record, Recovery
from .tasks.scoping import Scoping
from .tasks.trigger_file import TRIGGER_FILE
from .transport.disk import AlreadyLocked, DiskFailed
from .transport.doors import DoorNews, Fault
from .transport.notify import Notifier
from .transport.origins import installed_commit
from .transport.signals import Signal, SignalSource
from .transport.world import World
from .transport.zeromq import BindFailed

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

RELOAD_REFUSED: Final = "the last reload was refused"

FIRST_TRY_S: Final = 8.0
"""How long READY waits for each venue's first try: a venue that is down must not keep the kill switch away."""

STATE_MODE: Final = 0o700
SOCKETS_MODE: Final = 0o750
"""Directories that are missing are made: nobody else looks into the state, the group reaches the sockets."""

DISARM_ON_STOP_S: Final = 2.5
"""How long a clean stop tries to switch the dead man's timers off: enough for a second try."""

FAREWELL_S: Final = 0.2
"""Between the last reply and closing the sockets: libzmq hands replies over in a thread of its own."""


class StartFailed(Exception):
    """The daemon cannot start; the text is one line that names the thing and the mend."""


class Daemon:
    """Every part of the running daemon; `serve` gives it life."""

    def __init__(
        self,
        settings: Settings,
        credentials: Credentials,
        world: World,
        *,
        killed: bool = False,
        conceal: Callable[[Secret[str]], None] = lambda _: None,
        censor: Callable[[bytes], bytes] = lambda encoded: encoded,
    ) -> None:
        """Take the locks, read the state, bind the sockets. Raises StartFailed; the process is then to end.

        killed: a kill waits for this daemon already. conceal: told of every secret that is learnt while running, so
        that no log line shows it. censor: takes known secrets out of what the journal is about to hand on, and leaves
        its length.
        """
        self.settings = settings
        self.world = world
        self.state = "starting"
        try:
            self._directory = world.directory(settings.state.dir)
            if self._directory.make(STATE_MODE):
                # Worth a look when it was there before: what it held (the nonce mark) is not where it is looked for.
                log.warning("state directory made", directory=settings.state.dir)
            self._directory.check()
            self._locks = [self._directory.lock("lock"), *self._socket_locks()]
            scribe = world.scribe(settings.state.dir)
            self.journal = Journal(self._directory, world.clock, censor=censor, scribe=scribe)
            self.events = Events(
                world.bus.publisher(settings.gateway.events, mode=settings.gateway.mode),
                world.clock,
                self.journal.note,
            )
            commands = world.bus.router(settings.gateway.commands, mode=settings.gateway.mode)
            control = world.bus.router(settings.gateway.control, mode=settings.gateway.control_mode, closes_last=True)
            self._owner = KeyOwner(world.claim)
            self._owner.take(credentials, whatever=killed or self._is_latched())
            self._desks = Desks(settings, credentials, world, self._directory, self.events, conceal)
        except AlreadyLocked as held:
            raise StartFailed(f"{held}; stop that instance, or give this one its own state.dir and sockets") from None
        except (DiskFailed, BindFailed, KeyTaken, ValueError) as error:
            raise StartFailed(f"{error}") from None
        self._owner.tell(self.events)
        self.desks = self._desks.by_venue
        dispatchers = {venue: desk.dispatcher for venue, desk in self.desks.items()}
        strategies = {
            name: Own(strategy.cl_ord_id_prefix or None, frozenset(strategy.userrefs))
            for name, strategy in settings.strategies.items()
        }
        self.scoping = Scoping(dispatchers, world.clock, strategies)
        adopted = self._desks.adopt_marks
        self.kill = KillSwitch(
            dispatchers, self._directory, world.clock, world.entropy, self.events, self.scoping, adopted=adopted
        )
        right = RightToRenew(shared=settings.deadman.owner == "fleet")
        record = Record(self._directory)
        self.recovery = Recovery(record, dispatchers, world.clock, self.events, strategies)
        self.origins = Origins(world.origin, self.events)
        self.leasing = Leasing(dispatchers, self._directory, world.clock, self.events, self.kill, self.scoping)
        self.gateway = Gateway(
            commands,
            control,
            dispatchers,
            world.clock,
            self.events,
            self.status,
            kill=self.kill,
            intents=record.intents,
            successor=self.recovery,
            leasing=self.leasing,
            scoping=self.scoping,
            origins=self.origins,
            timer_right=right,
            deadline_ms=settings.gateway.deadline_ms,
        )
        self.deadmen = self._desks.deadman_switches(self.kill.covers, self._beats, right)
        self.machine = Machine(world, self.events, self._desks.distrust, self._desks.venue_clocks)
        self._garbage: Garbage | None = None
        if world.collector is not None:
            self._garbage = Garbage(
                world.collector, self._in_flight, self._answered, self._took_ns, world.clock, self.events
            )

    def _is_latched(self) -> bool:
        """Whether a kill was asked for before this start, by either of its files; in doubt it was."""
        try:
            return any(self._directory.exists(name) for name in (LATCH_FILE, TRIGGER_FILE))
        except DiskFailed:
            return True

    def _socket_locks(self) -> list[Any]:
        """A second bind would take the address from a running daemon without a word, so each socket has a lock too."""
        locks = []
        for endpoint in (self.settings.gateway.commands, self.settings.gateway.control, self.settings.gateway.events):
            path = Path(endpoint.removeprefix("ipc://"))
            directory = self.world.directory(str(path.parent))
            directory.make(SOCKETS_MODE)
            locks.append(directory.lock(f"{path.name}.lock"))
        return locks

    # ---------------------------------------------------------------- what is shown

    def status(self, detail: bool) -> dict[str, Any]:
        """The members of a `status` reply."""
        gateway = self.gateway
        venues = {venue: desk.status() for venue, desk in self.desks.items()}
        if "prime" in venues:
            venues["prime"]["signing"] = "degraded" if self.machine.clock_far_off else "good"
        shown: dict[str, Any] = {
            "version": __version__,
            "contract": CONTRACT,
            "state": self.state,
            "started_ns": self.events.started_ns,
            "in_flight": gateway.in_flight,
            "venues": venues,
            "kill": self.kill.status(),
            "leases": self.leasing.status(),
            "deadman": {switch.venue: switch.status() for switch in self.deadmen},
            "process": self.machine.status(),
            "clock": self.machine.clock(),
            "alerts": self.events.alerts,
        }
        if detail:
            shown["detail"] = {
                **gateway.detail(),
                "dropped_events": self.events.dropped,
                "journal": self.journal.status(),
                "garbage": {} if self._garbage is None else self._garbage.status(),
                "venues": {venue: desk.dispatcher.detail() for venue, desk in self.desks.items()},
            }
        return shown

    def _line(self) -> str:
        return f"{self.state}, {self.gateway.in_flight} in flight; " + "; ".join(d.line() for d in self.desks.values())

    # ---------------------------------------------------------------- life

    async def serve(
        self,
        signals: SignalSource,
        notifier: Notifier,
        *,
        ready: Callable[[], None] = lambda: None,
        reload: Callable[[], Credentials] | None = None,
    ) -> None:
        """Run until told to stop, then answer what is in flight and close.

        ready: called right before READY is told. reload: reads everything that SIGHUP may change and gives the new
        keys; it raises BadSettings or BadCredentials when any of it is bad, and has then changed nothing.
        """
        try:
            async with trio.open_nursery() as record:
                record.start_soon(self.journal.run, self.events, name="journal")
                told = {**_build(self.settings), **self.world.host()}
                self.journal.note("start", venues=self.settings.venues, **told)
                await self._serve(signals, notifier, ready, reload)
                record.cancel_scope.cancel()
        finally:
            with trio.CancelScope(shield=True):
                self.kill.close()
                await self.world.bus.aclose()
                self.journal.note("stop", in_flight=self.gateway.in_flight)
                await self.journal.close()
            self._owner.release()
            for lock in self._locks:
                lock.release()

    async def _serve(
        self,
        signals: SignalSource,
        notifier: Notifier,
        ready: Callable[[], None],
        reload: Callable[[], Credentials] | None,
    ) -> None:
        stop = trio.Event()
        async with trio.open_nursery() as ground:
            ground.start_soon(self._heed_signals, signals, stop, notifier, reload, name="signals")
            ground.start_soon(watchdog.tell_status, notifier, self._line, name="status line")
            ground.start_soon(watchdog.keep_alive, notifier, self._beats, name="watchdog")
            ground.start_soon(self.world.bus.guard, self._turn_away, self._door_news, name="doors")
            ground.start_soon(self.machine.run, name="machine")
            if self._garbage is not None:
                ground.start_soon(self._garbage.run, name="garbage")
            ground.start_soon(self.origins.run, name="origins")
            async with trio.open_nursery() as venues:
                for venue, desk in self.desks.items():
                    venues.start_soon(desk.run, name=f"{venue} desk")
                venues.start_soon(self.kill.run, name="kill switch")
                for switch in self.deadmen:
                    venues.start_soon(switch.run, name=f"{switch.venue} dead man's timer")
                if self._desks.token_lane is not None:
                    venues.start_soon(self._desks.token_lane.run, name="token lane")
                async with trio.open_nursery() as front:
                    for desk in self.desks.values():
                        front.start_soon(desk.dispatcher.run, name=f"{desk.dispatcher.venue} dispatcher")
                    # Before the gateway: whoever asks again must find it.
                    await front.start(self.recovery.run, name="recovery")
                    front.start_soon(self.gateway.run, name="gateway")
                    front.start_soon(self.leasing.run, name="leases")
                    front.start_soon(self.scoping.run, name="scopes")
                    every_ms = self.settings.gateway.keep_warm_ms
                    if every_ms and self.world.real_time:
                        walk = keep_warm.Walk(self.world, self.kill, self.leasing, self.scoping)
                        front.start_soon(keep_warm.run, walk, every_ms, self._took_ns, name="keep warm")
                    if self.settings.gateway.busy_poll and self.world.real_time:
                        front.start_soon(busy_poll.run, name="busy poll")
                    if "spot" in self.desks and self.settings.spot.canary_s:
                        canary = Canary(
                            self.desks["spot"].dispatcher, self.world.clock, self.world.entropy, self.events
                        )
                        front.start_soon(canary.run, self.settings.spot.canary_s, name="spot canary")
                    front.start_soon(self._announce, notifier, ready, name="announcer")
                    await stop.wait()
                    notifier.stopping()
                    await self._drain()
                    front.cancel_scope.cancel()
                # Closing the venues' connections takes a while, and nobody would read what came meanwhile.
                self.gateway.close()
                await self._disarm()
                # Sessions end now because we end them: no deployment is to page anybody.
                self.events.hush()
                venues.cancel_scope.cancel()
            ground.cancel_scope.cancel()

    async def _announce(self, notifier: Notifier, ready: Callable[[], None]) -> None:
        """READY once the gateway is bound, which it is, and every enabled venue had its first try."""
        with trio.move_on_after(FIRST_TRY_S):
            for desk in self.desks.values():
                await desk.tried()
        if self.state == "starting":
            self.state = "serving"
        log.info("ready", venues={venue: desk.state for venue, desk in self.desks.items()})
        ready()
        notifier.ready(self._line())

    async def _drain(self) -> None:
        self.state = "draining"
        log.info("draining", in_flight=self.gateway.in_flight)
        self.leasing.halt()
        with trio.move_on_after(DRAIN_ON_STOP_S) as patience:
            await self.gateway.drained()
            await self.leasing.settled()
        if patience.cancelled_caught or self.recovery.unsettled:
            for desk in self.desks.values():
                desk.dispatcher.give_up()
            self.scoping.give_up()
            self.kill.give_up()
            self.recovery.give_up()
        await self.leasing.close()
        await trio.sleep(FAREWELL_S)

    async def _disarm(self) -> None:
        """Switch the dead man's timers off while there are still ways to do so: nobody will renew them any more."""
        with trio.move_on_after(DISARM_ON_STOP_S):
            async with trio.open_nursery() as nursery:
                for switch in self.deadmen:
                    nursery.start_soon(switch.stop, name=f"{switch.venue} disarming")
        for switch in self.deadmen:
            switch.left()

    async def _heed_signals(
        self, signals: SignalSource, stop: trio.Event, notifier: Notifier, reload: Callable[[], Credentials] | None
    ) -> None:
        while True:
            match await signals.receive():
                case Signal.TERMINATE | Signal.INTERRUPT:
                    stop.set()
                case Signal.USER1:
                    self.kill.pull("signal", "SIGUSR1")
                case Signal.HANGUP if reload is not None:
                    self._reload(reload, notifier)
                case other:
                    log.warning("signal not served", signal=other.name)

    def _reload(self, reload: Callable[[], Credentials], notifier: Notifier) -> None:
        """Take over new keys and the log level; sessions live on and get a token under a new key at once."""
        notifier.reloading(self.world.clock.monotonic_ns())
        try:
            credentials = reload()
        except (BadSettings, BadCredentials) as error:
            log.error("reload refused, nothing changed", error=str(error))
            self.events.alert("warning", RELOAD_REFUSED, f"{error}: mend the file and reload again")
        else:
            self.events.clear(RELOAD_REFUSED)
            self._owner.take(credentials, whatever=True)
            self._owner.tell(self.events)
            self._desks.take_keys(credentials)
            log.info("reloaded")
        notifier.ready(self._line())

    def _turn_away(self, turned_away: bool) -> None:
        """Descriptors run short, or do so no longer."""
        what = "new clients are turned away: descriptors run short"
        if turned_away:
            log.error(what)
            self.events.alert("critical", what, "see who holds so many connections, or raise LimitNOFILE")
        else:
            log.info("new clients are let in again")
            self.events.clear(what)

    def _in_flight(self) -> int:
        """How many commands have no reply yet."""
        return self.gateway.in_flight

    def _answered(self) -> int:
        """How many commands had their reply."""
        return self.gateway.replies.answer_times.count

    def _took_ns(self) -> int:
        """When the last cancel came."""
        return self.gateway.admission.admitted_ns

    def _door_news(self, news: DoorNews) -> None:
        """Somebody removed, replaced or changed a socket's file.

        The socket is bound again rather than the daemon ended: those who are connected go on, and so does a kill.
        """
        what = f"the socket file {news.path} {news.fault.value}"
        shut = f"nobody new can connect to {news.path}"
        told = f"{what} ({news.detail})" if news.detail else what
        if news.fault is Fault.FLOODED:
            log.error("subscribers cut off", path=news.path, why=news.detail)
            do = f"{news.detail}: stop it; the others come back by themselves and have missed events, cancels go on"
            self.events.alert("critical", what, do)
        elif news.mended:
            log.warning("socket file mended", path=news.path, why=told)
            self.events.clear(shut)
            self.events.alert("warning", told, f"it was put right; see who changes files in {Path(news.path).parent}")
        else:
            log.error("socket file not as it should be", path=news.path, why=told)
            do = "remove what lies there, or make its directory again: it is tried every second, whoever is connected"
            self.events.alert("critical", shut, f"{told}: {do} is served; a kill by SIGUSR1 or the kill file works")

    def _beats(self) -> list[int]:
        dispatchers = (desk.dispatcher.beats for desk in self.desks.values())
        return [*self.gateway.beats, self.kill.beats, *dispatchers]


def _build(settings: Settings) -> dict[str, Any]:
    """What runs, so that any line of the record can be laid at its door: version, commit where known, configuration."""
    told = {"version": __version__, "config_sha256": sha256(msgspec.json.encode(settings)).hexdigest()}
    commit = installed_commit()
    return told if commit is None else {**told, "commit": commit}
