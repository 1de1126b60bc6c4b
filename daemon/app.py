"""The composition root: builds every part and opens every nursery. README.md draws the tree that `serve` opens.

Nesting is shutdown order. The desk ends first, so that replies go out before sessions close; the ground ends last.
"""

import gc
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec
import structlog
import trio

from . import __version__
from .contract.ids import Venue
from .credentials import BadCredentials, Credentials, Keys, Secret, load
from .engine.backoff import ConnectBudget
from .engine.budget import Budget, NoBudget, PointBudget, RestBudget
from .engine.deadman import Deadman
from .engine.inflight import Reqids
from .engine.instants import MS
from .engine.nonces import Nonces, format_mark, parse_mark
from .engine.policy import Policy
from .engine.pursuits.front import Pursuits
from .engine.resting import Resting
from .engine.venue_clock import VenueClock
from .logs import configure
from .settings import (
    DRAIN_ON_STOP_S,
    LATE_LIMIT,
    LATE_WINDOW_S,
    REST_SCHEMES,
    RESTING_LIMIT,
    WEBSOCKET_SCHEMES,
    Address,
    BadSettings,
    Settings,
    address_of,
    read,
    spot_ws_address,
)
from .tasks import watchdog
from .tasks.canary import Canary
from .tasks.connection import Connection, Parts
from .tasks.deadman import DeadmanSwitch
from .tasks.dispatcher import Dispatcher
from .tasks.events import Events
from .tasks.feed import Feed
from .tasks.futures import FuturesRest
from .tasks.gateway import Gateway
from .tasks.journal import Journal
from .tasks.killswitch import KillSwitch
from .tasks.leasing import Leasing
from .tasks.machine import Machine
from .tasks.prime import PrimeKeys, PrimeSession
from .tasks.recovery import Record, Recovery
from .tasks.rest_lane import RestLane
from .tasks.session import Session
from .tasks.spot import SpotRest
from .tasks.survey import Survey
from .tasks.telemetry import Histogram
from .tasks.unified import UnifiedSession
from .transport.clock import Clock
from .transport.descriptors import count_descriptors
from .transport.disk import AlreadyLocked, Directory, DiskFailed
from .transport.entropy import Entropy
from .transport.logsink import LogSink
from .transport.network import Network
from .transport.notify import Notifier
from .transport.signals import Signal, SignalSource, open_signals
from .transport.tls import client_context
from .transport.world import World
from .transport.zeromq import BindFailed, Bus
from .venues import futures_rest, prime_ws, spot_ws, spot_ws_v2

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

FIRST_TRY_S: Final = 8.0
"""How long READY waits for each venue's first try: a venue that is down must not keep the kill switch away."""

STATE_MODE: Final = 0o700
SOCKETS_MODE: Final = 0o750
"""Directories that are missing are made: nobody else looks into the state, the group reaches the sockets."""

OVERTAKE_MS: Final = 1500
"""How long "unknown order" is asked again on Prime and Futures, as Spot's setting has it by default."""

UNIFIED_SESSIONS: Final = 2
"""Sockets on the Unified WebSocket: one active, one warm, as on Spot."""

KEY_STAGGER_S: Final = 5.0
"""Between two connections that are dialled anew under a new key: one of them carries the cancels meanwhile."""

DISARM_ON_STOP_S: Final = 2.5
"""How long a clean stop tries to switch the dead man's timers off: enough for a second try."""

FAREWELL_S: Final = 0.2
"""Between the last reply and closing the sockets: libzmq hands replies over in a thread of its own."""

LOG_CLOSE_S: Final = 1.0
"""How long the last log lines may take to leave."""


class StartFailed(Exception):
    """The daemon cannot start; the text is one line that names the thing and the mend."""


class KeyHolder(Protocol):
    """Whatever signs for a venue: its keys may be replaced while it runs."""

    keys: Keys


@dataclass(slots=True)
class Desk:
    """One venue: its sessions, its REST lane where it has one, and the dispatcher that everything meets in.

    `feed` is a stream that tells of orders and takes no cancels, `survey` asks for what is open now and then: Futures
    has both.
    """

    dispatcher: Dispatcher
    sessions: Sequence[Session | PrimeSession]
    rest: RestLane | None
    signer: KeyHolder
    round_trips: Histogram
    venue_times: Histogram
    feed: Feed | None = None
    survey: Survey | None = None

    @property
    def connections(self) -> list[Connection]:
        """Every WebSocket of the venue."""
        return [*self.sessions, *([self.feed] if self.feed is not None else [])]

    @property
    def state(self) -> str:
        """`up` with every connection live, `degraded` with fewer ways to cancel, or in maintenance, else `down`."""
        live = len(self.dispatcher.live)
        rest_up = self.rest is not None and self.rest.status()["state"] == "up"
        if not live and not rest_up:
            return "down"
        whole = all(connection.live for connection in self.connections) and (bool(self.sessions) or rest_up)
        return "up" if whole and self.dispatcher.mode != "maintenance" else "degraded"

    def status(self) -> dict[str, Any]:
        """This venue for the `status` reply."""
        return {
            "state": self.state,
            "mode": self.dispatcher.mode,
            "sessions": [connection.status() for connection in self.connections],
            "rest": None if self.rest is None else self.rest.status(),
            "round_trips": self.round_trips.summary(),
            "venue_times": self.venue_times.summary(),
            "open_orders": len(self.dispatcher.resting),
        }

    def line(self) -> str:
        """This venue for the service manager's status line."""
        ways = [f"{connection.name}={connection.state.value}" for connection in self.connections]
        if self.rest is not None:
            ways.append(f"rest={self.rest.status()['state']}")
        return f"{self.dispatcher.venue} {self.state} ({' '.join(ways)})"

    async def run(self) -> None:
        """Keep the connections and the REST lane; ends by cancellation."""
        venue = self.dispatcher.venue
        async with trio.open_nursery() as desk:
            if self.rest is not None:
                desk.start_soon(self.rest.run, name=f"{venue} REST lane")
            for connection in self.connections:
                desk.start_soon(connection.run, name=f"session {connection.name}")
            if self.survey is not None:
                desk.start_soon(self.survey.run, name=f"{venue} survey")

    def take_keys(self, keys: Keys) -> None:
        """Another key from here on; what can go on with what it has goes on until it needs the new one."""
        self.signer.keys = keys
        if self.rest is not None:
            self.rest.reopen()
        self.dispatcher.key_replaced()
        for connection in self.connections:
            if isinstance(connection, Session):
                connection.renew_token()
            else:
                # The key is asked for at the next dial only, and a way that is down dials anyway.
                connection.redial_in(KEY_STAGGER_S * max(connection.lane, 0))

    def distrust(self, why: str) -> None:
        """Give every connection up for a new one, however alive it looks."""
        if self.rest is not None:
            self.rest.distrust()
        for connection in self.connections:
            connection.redial(why)

    async def tried(self) -> None:
        """Return when every way to the venue had its first try."""
        if self.rest is not None:
            await self.rest.tried.wait()
        for connection in self.connections:
            await connection.tried.wait()


class Daemon:
    """Every part of the running daemon; `serve` gives it life."""

    def __init__(
        self,
        settings: Settings,
        credentials: Credentials,
        world: World,
        *,
        conceal: Callable[[Secret[str]], None] = lambda _: None,
        censor: Callable[[bytes], bytes] = lambda encoded: encoded,
    ) -> None:
        """Take the locks, read the state, bind the sockets. Raises StartFailed; the process is then to end.

        conceal: told of every secret that is learnt while running, so that no log line shows it. censor: takes known
        secrets out of what the journal is about to write.
        """
        self.settings = settings
        self.world = world
        self._conceal = conceal
        self.state = "starting"
        try:
            self._directory = world.directory(settings.state.dir)
            if self._directory.make(STATE_MODE):
                # Worth a look when it was there before: what it held (the nonce mark) is not where it is looked for.
                log.warning("state directory made", directory=settings.state.dir)
            self._directory.check()
            self._locks = [self._directory.lock("lock"), *self._socket_locks()]
            self.journal = Journal(self._directory, world.clock, censor=censor)
            self.events = Events(
                world.bus.publisher(settings.gateway.events, mode=settings.gateway.mode),
                world.clock,
                self.journal.note,
            )
            commands = world.bus.router(settings.gateway.commands, mode=settings.gateway.mode)
            control = world.bus.router(settings.gateway.control, mode=settings.gateway.control_mode, closes_last=True)
            # Microseconds since 1970: a reqid is not met again after a restart, though the clock be set back.
            self._reqids = Reqids(world.clock.utc_ns() // 1000)
            # One budget of dials for all of them: the venues' edges count by address.
            self._connect_budget = ConnectBudget()
            self.desks: dict[Venue, Desk] = {}
            self._venue_clocks: dict[Venue, VenueClock] = {}
            self._tokens: RestLane | None = None
            self._token_signer: SpotRest | None = None
            if settings.spot.enabled:
                assert credentials.spot is not None
                self.desks["spot"] = self._spot(credentials.spot)
            if settings.prime.enabled:
                assert credentials.prime is not None
                self.desks["prime"] = self._prime(credentials.prime)
            if settings.futures.enabled:
                assert credentials.futures is not None
                self.desks["futures"] = self._futures(credentials.futures, credentials.spot)
        except AlreadyLocked as held:
            raise StartFailed(f"{held}; stop that instance, or give this one its own state.dir and sockets") from None
        except (DiskFailed, BindFailed, ValueError) as error:
            raise StartFailed(f"{error}") from None
        dispatchers = {venue: desk.dispatcher for venue, desk in self.desks.items()}
        self.kill = KillSwitch(dispatchers, self._directory, world.clock, world.entropy, self.events)
        record = Record(self._directory)
        self.recovery = Recovery(record, dispatchers, world.clock, self.events)
        self.leasing = Leasing(dispatchers, self._directory, world.clock, self.events, self.kill)
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
            deadline_ms=settings.gateway.deadline_ms,
        )
        self.deadmen = self._deadman_switches()
        self.machine = Machine(world, self.events, self._distrust, self._venue_clocks)

    def _deadman_switches(self) -> list[DeadmanSwitch]:
        """The dead man's timers that are asked for.

        On Futures by REST alone: whether the Unified WebSocket sets the same timer, no page says.
        """
        deadman = self.settings.deadman
        wanted: dict[Venue, bool] = {"spot": deadman.spot, "futures": deadman.futures}
        now_ns = self.world.clock.monotonic_ns()
        switches = []
        for venue in (venue for venue, on in wanted.items() if on):
            desk = self.desks[venue]
            assert desk.rest is not None
            sessions = [session for session in desk.sessions if isinstance(session, Session) and venue == "spot"]
            switches.append(
                DeadmanSwitch(
                    Deadman(venue, timeout_s=deadman.timeout_s, refresh_s=deadman.refresh_s, now_ns=now_ns),
                    desk.dispatcher,
                    {session.lane: session for session in sessions},
                    desk.rest,
                    self.world.clock,
                    self.events,
                    self.kill.covers,
                    self._beats,
                )
            )
        return switches

    def _socket_locks(self) -> list[Any]:
        """A second bind would take the address from a running daemon without a word, so each socket has a lock too."""
        locks = []
        for endpoint in (self.settings.gateway.commands, self.settings.gateway.control, self.settings.gateway.events):
            path = Path(endpoint.removeprefix("ipc://"))
            directory = self.world.directory(str(path.parent))
            directory.make(SOCKETS_MODE)
            locks.append(directory.lock(f"{path.name}.lock"))
        return locks

    def _spot(self, keys: Keys) -> Desk:
        spot = self.settings.spot
        policy = self._policy(spot.hedge_after_ms, spot.overtake_ms)._replace(relists=True)
        pursuits = Pursuits("spot", policy, self._reqids, Resting(RESTING_LIMIT))
        dispatcher = Dispatcher("spot", pursuits, self.world.clock, self.events, Budget())
        signer = SpotRest(keys)
        rest = self._spot_rest(signer, dispatcher)
        dispatcher.attach_rest(rest.wake, rest.told)
        parts = self._parts("spot", spot_ws_address(spot), dispatcher)
        dialect = spot_ws if spot.protocol == "v1" else spot_ws_v2.SPOT
        sessions = [Session(parts, lane, dialect, rest) for lane in range(spot.sessions)]
        for session in sessions:
            dispatcher.attach(session.lane, session)
        return Desk(dispatcher, sessions, rest, signer, parts.round_trips, parts.venue_times)

    def _spot_rest(self, signer: SpotRest, dispatcher: Dispatcher) -> RestLane:
        return RestLane(
            "spot",
            address_of(self.settings.spot.rest_url, REST_SCHEMES, "spot.rest_url"),
            signer,
            self.world,
            self._directory,
            self._nonces("spot"),
            dispatcher,
            self.events,
            RestBudget(),
            self._venue_clock("spot"),
            exclusive_s=self.settings.spot.hedge_after_ms / 1000,
            conceal=self._conceal,
        )

    def _prime(self, keys: Keys) -> Desk:
        prime = self.settings.prime
        policy = self._policy(prime.hedge_after_ms, OVERTAKE_MS)._replace(
            rest=False, mass=False, symbols=True, shared=True
        )
        pursuits = Pursuits("prime", policy, self._reqids, Resting(RESTING_LIMIT))
        dispatcher = Dispatcher("prime", pursuits, self.world.clock, self.events, NoBudget())
        signer = PrimeKeys(keys)
        dialect = prime_ws.Prime(self.world.entropy.bytes(prime_ws.TAG_CHARS).hex()[: prime_ws.TAG_CHARS])
        parts = self._parts("prime", address_of(prime.ws_url, WEBSOCKET_SCHEMES, "prime.ws_url"), dispatcher)
        sessions = [PrimeSession(parts, lane, dialect, signer) for lane in range(prime.sessions)]
        for session in sessions:
            dispatcher.attach(session.lane, session)
        return Desk(dispatcher, sessions, None, signer, parts.round_trips, parts.venue_times)

    def _futures(self, keys: Keys, spot_keys: Keys | None) -> Desk:
        futures = self.settings.futures
        clock = self.world.clock
        policy = self._policy(futures.hedge_after_ms, OVERTAKE_MS)._replace(
            batch_limit=futures_rest.BATCH_LIMIT,
            bundle_limit=spot_ws_v2.BATCH_LIMIT,
            query_limit=1,
            named_queries=True,
            sweeps=True,
            uuids=True,
            relists=True,
        )
        pursuits = Pursuits("futures", policy, self._reqids, Resting(RESTING_LIMIT))
        budget = PointBudget()
        dispatcher = Dispatcher("futures", pursuits, clock, self.events, budget)
        signer = FuturesRest(keys, clock)
        rest = RestLane(
            "futures",
            address_of(futures.rest_url, REST_SCHEMES, "futures.rest_url"),
            signer,
            self.world,
            self._directory,
            None,
            dispatcher,
            self.events,
            budget,
            self._venue_clock("futures"),
            exclusive_s=futures.hedge_after_ms / 1000,
            conceal=self._conceal,
        )
        dispatcher.attach_rest(rest.wake, rest.told)
        parts = self._parts("futures", address_of(futures.ws_url, WEBSOCKET_SCHEMES, "futures.ws_url"), dispatcher)
        feed = Feed(parts, signer)
        survey = Survey(dispatcher)
        desk = Desk(dispatcher, (), rest, signer, parts.round_trips, parts.venue_times, feed, survey)
        if futures.uws_url:
            assert spot_keys is not None
            unified = self._parts(
                "futures", address_of(futures.uws_url, WEBSOCKET_SCHEMES, "futures.uws_url"), dispatcher
            )
            desk.sessions = [
                UnifiedSession(unified, lane, self._token_source(spot_keys)) for lane in range(UNIFIED_SESSIONS)
            ]
            desk.round_trips, desk.venue_times = unified.round_trips, unified.venue_times
            for session in desk.sessions:
                dispatcher.attach(session.lane, session)
                assert isinstance(session, UnifiedSession)
                dispatcher.attach_bundler(session.lane, session.write_bundles)
        return desk

    def _token_source(self, keys: Keys) -> RestLane:
        """Spot's REST lane, or one that fetches tokens and nothing else where Spot itself is not enabled."""
        spot = self.desks.get("spot")
        if spot is not None and spot.rest is not None:
            return spot.rest
        if self._tokens is None:
            pursuits = Pursuits("spot", self._policy(1, 0), self._reqids, Resting(1))
            nobody = Dispatcher("spot", pursuits, self.world.clock, self.events, NoBudget())
            self._token_signer = SpotRest(keys)
            self._tokens = self._spot_rest(self._token_signer, nobody)
        return self._tokens

    def _policy(self, hedge_after_ms: int, overtake_ms: int) -> Policy:
        return Policy(
            hedge_ns=hedge_after_ms * MS,
            overtake_ns=overtake_ms * MS,
            late_ns=int(LATE_WINDOW_S * 1e9),
            late_limit=LATE_LIMIT,
        )

    def _parts(self, venue: Venue, address: Address, dispatcher: Dispatcher) -> Parts:
        return Parts(
            venue,
            address,
            self.world,
            dispatcher,
            self.events,
            self._connect_budget,
            self._reqids,
            Histogram(),
            Histogram(),
            self._venue_clock(venue),
        )

    def _venue_clock(self, venue: Venue) -> VenueClock:
        return self._venue_clocks.setdefault(venue, VenueClock())

    def _nonces(self, venue: Venue) -> Nonces:
        """Nonces that lie above every one that may have been used, also by a process that crashed."""
        name = f"nonce-{venue}"
        now_ns = self.world.clock.utc_ns()
        nonces = Nonces(parse_mark(self._directory.read(name)), now_ns)
        mark = nonces.mark_to_store()
        if mark is not None:
            try:
                self._directory.replace_now(name, format_mark(mark))
            except DiskFailed as failed:
                # A disk that is full when we come back from a crash is no reason to leave orders resting. The REST lane
                # keeps trying, and alerts.
                log.error("the nonce mark cannot be stored", venue=venue, why=str(failed))
                nonces.begin_unstored(now_ns)
                return nonces
            nonces.stored(mark)
        return nonces

    # ---------------------------------------------------------------- what is shown

    def status(self, detail: bool) -> dict[str, Any]:
        """The members of a `status` reply."""
        gateway = self.gateway
        venues = {venue: desk.status() for venue, desk in self.desks.items()}
        if "prime" in venues:
            venues["prime"]["signing"] = "degraded" if self.machine.clock_far_off else "good"
        shown: dict[str, Any] = {
            "version": __version__,
            "state": self.state,
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
                "refusals": gateway.refusals,
                "replayed": gateway.replayed,
                "forgotten_ids": gateway.forgotten,
                "undelivered_replies": gateway.undelivered,
                "dropped_events": self.events.dropped,
                "answer_times": gateway.answer_times.summary(),
                "queue_times": gateway.queue_times.summary(),
                "journal": self.journal.status(),
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
                self.journal.note("start", venues=self.settings.venues, **_build(self.settings))
                await self._serve(signals, notifier, ready, reload)
                record.cancel_scope.cancel()
        finally:
            with trio.CancelScope(shield=True):
                self.kill.close()
                await self.world.bus.aclose()
                self.journal.note("stop", in_flight=self.gateway.in_flight)
                await self.journal.close()
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
            ground.start_soon(self.world.bus.guard, self._turn_away, name="doors")
            ground.start_soon(self.machine.run, name="machine")
            async with trio.open_nursery() as venues:
                for venue, desk in self.desks.items():
                    venues.start_soon(desk.run, name=f"{venue} desk")
                venues.start_soon(self.kill.run, name="kill switch")
                for switch in self.deadmen:
                    venues.start_soon(switch.run, name=f"{switch.venue} dead man's timer")
                if self._tokens is not None:
                    venues.start_soon(self._tokens.run, name="token lane")
                async with trio.open_nursery() as front:
                    for desk in self.desks.values():
                        front.start_soon(desk.dispatcher.run, name=f"{desk.dispatcher.venue} dispatcher")
                    # Before the gateway: whoever asks again must find it.
                    await front.start(self.recovery.run, name="recovery")
                    front.start_soon(self.gateway.run, name="gateway")
                    front.start_soon(self.leasing.run, name="leases")
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
        notifier.ready()

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
            self.events.alert("warning", f"reload refused: {error}", "mend the file and reload again")
        else:
            for venue, desk in self.desks.items():
                keys: Keys | None = getattr(credentials, venue)
                if keys is not None and not _same_keys(keys, desk.signer.keys):
                    desk.take_keys(keys)
            if self._token_signer is not None and credentials.spot is not None:
                self._token_signer.keys = credentials.spot
            log.info("reloaded")
        notifier.ready()

    def _turn_away(self, turned_away: bool) -> None:
        """Descriptors run short, or do so no longer."""
        what = "new clients are turned away: descriptors run short"
        if turned_away:
            log.error(what)
            self.events.alert("critical", what, "see who holds so many connections, or raise LimitNOFILE")
        else:
            log.info("new clients are let in again")
            self.events.clear(what)

    def _distrust(self, why: str) -> None:
        """Something happened to this machine that no connection need have lived through."""
        for desk in self.desks.values():
            desk.distrust(why)
        if self._tokens is not None:
            self._tokens.distrust()

    def _beats(self) -> list[int]:
        dispatchers = (desk.dispatcher.beats for desk in self.desks.values())
        return [*self.gateway.beats, self.kill.beats, *dispatchers]


def real_world(settings: Settings) -> World:
    """The machine's own clock, network, sockets and files. Raises BadSettings."""
    network = Network()
    try:
        context = client_context(settings.tls.ca_file or None)
    except OSError as error:
        raise BadSettings(f"tls.ca_file: {settings.tls.ca_file}: {error.strerror or error}") from None
    return World(
        clock=Clock(),
        entropy=Entropy(),
        dial=partial(network.dial, tls=context),
        bus=Bus(),
        directory=Directory,
        descriptors=count_descriptors,
    )


def main(path: str) -> int:
    """`canceld run`: until stopped. Exit status 0 after a clean stop, 2 when it cannot start."""
    environ = os.environ
    try:
        settings = read(path)
        credentials = load(settings, environ)
        world = real_world(settings)
    except (BadSettings, BadCredentials) as error:
        return _cannot_start(error)
    # Lines leave through a thread of their own: a journal that stalls must not stall a cancel.
    sink = LogSink(sys.stderr.fileno())
    logs = configure(settings.log.level, settings.log.format, sink.write, world.clock, _secrets(credentials))

    def reload() -> Credentials:
        fresh = read(path)
        found = load(fresh, environ)
        logs.set_level(fresh.log.level)
        for secret in _secrets(found):
            logs.conceal(secret)
        return found

    async def run() -> None:
        async with open_signals() as signals:
            daemon = Daemon(settings, credentials, world, conceal=logs.conceal, censor=logs.censored)
            await daemon.serve(signals, Notifier(environ), ready=spare_the_collector, reload=reload)

    try:
        trio.run(run)
    except StartFailed as error:
        return _cannot_start(error)
    finally:
        logs.close()
        sink.close(LOG_CLOSE_S)
    return 0


def spare_the_collector() -> None:
    """Take everything loaded so far out of garbage collection, and make full collections rare.

    A full collection walks all that the libraries brought along, 4 to 10 ms each time, in the middle of a cancel. What
    a cancel leaves behind is freed by counting references; only the unexpected is left to the collector.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 1000)


def _secrets(credentials: Credentials) -> list[Secret[str] | Secret[bytes]]:
    return [secret for keys in credentials.all_keys() for secret in (keys.key, keys.secret)]


def _build(settings: Settings) -> dict[str, Any]:
    """What runs, so that any line of the record can be laid at its door: version, commit where known, configuration."""
    told = {"version": __version__, "config_sha256": sha256(msgspec.json.encode(settings)).hexdigest()}
    try:
        # Written by pip where it installed from a repository.
        origin = msgspec.json.decode(distribution("kraken-canceld").read_text("direct_url.json") or "{}")
        commit = origin.get("vcs_info", {}).get("commit_id")
    except (PackageNotFoundError, msgspec.DecodeError, AttributeError):
        commit = None
    return told if commit is None else {**told, "commit": commit}


def _same_keys(one: Keys, other: Keys) -> bool:
    return one.key.reveal() == other.key.reveal() and one.secret.reveal() == other.secret.reveal()


def _cannot_start(error: Exception) -> int:
    print(f"canceld: {error}", file=sys.stderr)
    return 2
