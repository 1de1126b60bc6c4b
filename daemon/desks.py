"""Builds the venues' desks: which parts one is put together from, and what the desks share.

What a venue offers stands in venue_table.py; what a desk is while it runs, in tasks/desk.py.
"""

from collections.abc import Callable
from typing import Final

import structlog

from .contract.ids import Venue
from .credentials import Credentials, Keys, Secret
from .engine.backoff import CONNECT_WINDOW_NS, ConnectBudget
from .engine.budget import Budget, NoBudget, PointBudget, RestBudget
from .engine.deadman import Deadman
from .engine.inflight import Reqids
from .engine.instants import MS
from .engine.nonces import Nonces, format_mark, parse_mark
from .engine.policy import Policy
from .engine.pursuits.front import Pursuits
from .engine.resting import Resting
from .engine.timer_right import RightToRenew
from .engine.venue_clock import VenueClock
from .settings import (
    LATE_LIMIT,
    LATE_WINDOW_S,
    REST_SCHEMES,
    RESTING_LIMIT,
    WEBSOCKET_SCHEMES,
    Address,
    Settings,
    address_of,
    spot_ws_address,
)
from .tasks.conversation import Parts
from .tasks.deadman import DeadmanSwitch
from .tasks.desk import Desk
from .tasks.dispatcher import Dispatcher
from .tasks.events import Events
from .tasks.feed import Feed
from .tasks.futures import FuturesRest
from .tasks.prime import PrimeKeys, PrimeSession
from .tasks.rest_lane import RestLane
from .tasks.session import Session
from .tasks.spent_file import SpentFile
from .tasks.spot import SpotRest
from .tasks.survey import Survey
from .tasks.telemetry import Histogram
from .tasks.token_desk import TokenDesk
from .tasks.unified import UnifiedSession
from .transport.disk import Directory, DiskFailed
from .transport.world import World
from .venue_table import TRAITS
from .venues import prime_ws, spot_ws, spot_ws_v2

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

OVERTAKE_MS: Final = 1500
"""How long "unknown order" is asked again on Prime and Futures, as Spot's setting has it by default."""

UNIFIED_SESSIONS: Final = 2
"""Sockets on the Unified WebSocket: one active, one warm, as on Spot."""


class Desks:
    """The desks of the enabled venues, built once, with what they share.

    `token_lane` fetches WebSocket tokens and nothing else; there is one where Futures needs tokens and Spot is off.
    """

    def __init__(
        self,
        settings: Settings,
        credentials: Credentials,
        world: World,
        directory: Directory,
        events: Events,
        conceal: Callable[[Secret[str]], None],
    ) -> None:
        """Build them; nothing runs yet. conceal: told of every token. Raises ValueError and DiskFailed."""
        self._settings = settings
        self._world = world
        self._directory = directory
        self._events = events
        self._conceal = conceal
        # Microseconds since 1970: a reqid is not met again after a restart, though the clock be set back.
        self._reqids = Reqids(world.clock.utc_ns() // 1000)
        # One budget of dials for all of them: the venues' edges count by address.
        # And of those before us: whoever crashes again and again is not to dial this address into a ban.
        spent = self._spent = SpentFile(directory, world.clock, events)
        self._connect_budget = ConnectBudget(
            before_ns=spent.before("dial", CONNECT_WINDOW_NS),
            booked=lambda: spent.note("dial"),
            unbooked=lambda: spent.take_back("dial"),
        )
        self.by_venue: dict[Venue, Desk] = {}
        self.venue_clocks: dict[Venue, VenueClock] = {}
        self.token_lane: RestLane | None = None
        self._token_desk: TokenDesk | None = None
        self._token_signer: SpotRest | None = None
        if settings.spot.enabled:
            assert credentials.spot is not None
            self.by_venue["spot"] = self._spot(credentials.spot)
        if settings.prime.enabled:
            assert credentials.prime is not None
            self.by_venue["prime"] = self._prime(credentials.prime)
        if settings.futures.enabled:
            assert credentials.futures is not None
            self.by_venue["futures"] = self._futures(credentials.futures, credentials.spot)

    def take_keys(self, credentials: Credentials) -> None:
        """Hand each desk its keys where they are other ones than it has."""
        if self._token_desk is not None and credentials.spot is not None:
            self._token_desk.forget()
        for venue, desk in self.by_venue.items():
            keys: Keys | None = getattr(credentials, venue)
            if keys is not None and not _same_keys(keys, desk.signer.keys):
                desk.take_keys(keys)
        if self._token_signer is not None and credentials.spot is not None:
            self._token_signer.keys = credentials.spot

    def adopt_marks(self) -> None:
        """Another program, `panic` for instance, has used our keys: go on above the nonces that it has marked."""
        for desk in self.by_venue.values():
            if desk.rest is not None:
                desk.rest.adopt_mark()
        if self.token_lane is not None:
            self.token_lane.adopt_mark()

    def distrust(self, why: str) -> None:
        """Something happened to this machine that no connection need have lived through."""
        for desk in self.by_venue.values():
            desk.distrust(why)
        if self.token_lane is not None:
            self.token_lane.distrust()

    def deadman_switches(
        self, covers: Callable[[Venue], bool], beats: Callable[[], list[int]], right: RightToRenew
    ) -> list[DeadmanSwitch]:
        """The dead man's timers that are asked for."""
        deadman = self._settings.deadman
        wanted: dict[Venue, bool] = {"spot": deadman.spot, "futures": deadman.futures}
        now_ns = self._world.clock.monotonic_ns()
        switches = []
        for venue in (venue for venue, on in wanted.items() if on):
            desk = self.by_venue[venue]
            assert desk.rest is not None
            sessions = [session for session in desk.sessions if isinstance(session, Session)]
            switches.append(
                DeadmanSwitch(
                    Deadman(venue, timeout_s=deadman.timeout_s, refresh_s=deadman.refresh_s, now_ns=now_ns),
                    desk.dispatcher,
                    {session.lane: session for session in sessions},
                    desk.rest,
                    self._world.clock,
                    self._events,
                    covers,
                    beats,
                    right,
                )
            )
        return switches

    def _spot(self, keys: Keys) -> Desk:
        spot = self._settings.spot
        pursuits = self._pursuits("spot", spot.hedge_after_ms, spot.overtake_ms)
        dispatcher = Dispatcher("spot", pursuits, self._world.clock, self._events, Budget())
        signer = SpotRest(keys, self._spot_time)
        rest = self._spot_rest(signer, dispatcher)
        tokens = self._tokens_of(rest)
        dispatcher.attach_rest(rest.wake, rest.told, lambda: rest.up, rest.opens_ns)
        parts = self._parts("spot", spot_ws_address(spot), dispatcher)
        dialect = spot_ws if spot.protocol == "v1" else spot_ws_v2.SPOT
        sessions = [Session(parts, lane, dialect, tokens) for lane in range(spot.sessions)]
        for session in sessions:
            dispatcher.attach(session.lane, session)
            dispatcher.attach_line(session)
        return Desk(dispatcher, sessions, rest, signer, parts.round_trips, parts.venue_times)

    def _tokens_of(self, rest: RestLane) -> TokenDesk:
        self._token_desk = TokenDesk(rest, rest.budget, self._world.clock, self._spent)
        return self._token_desk

    def _spot_rest(self, signer: SpotRest, dispatcher: Dispatcher) -> RestLane:
        return RestLane(
            "spot",
            address_of(self._settings.spot.rest_url, REST_SCHEMES, "spot.rest_url"),
            signer,
            self._world,
            self._directory,
            self._nonces("spot"),
            dispatcher,
            self._events,
            RestBudget(),
            self._venue_clock("spot"),
            exclusive_s=self._settings.spot.hedge_after_ms / 1000,
            conceal=self._conceal,
            spent=self._spent,
        )

    def _prime(self, keys: Keys) -> Desk:
        prime = self._settings.prime
        pursuits = self._pursuits("prime", prime.hedge_after_ms, OVERTAKE_MS)
        dispatcher = Dispatcher("prime", pursuits, self._world.clock, self._events, NoBudget())
        signer = PrimeKeys(keys)
        dialect = prime_ws.Prime(self._world.entropy.bytes(prime_ws.TAG_CHARS).hex()[: prime_ws.TAG_CHARS])
        parts = self._parts("prime", address_of(prime.ws_url, WEBSOCKET_SCHEMES, "prime.ws_url"), dispatcher)
        sessions = [PrimeSession(parts, lane, dialect, signer) for lane in range(prime.sessions)]
        for session in sessions:
            dispatcher.attach(session.lane, session)
        return Desk(dispatcher, sessions, None, signer, parts.round_trips, parts.venue_times)

    def _futures(self, keys: Keys, spot_keys: Keys | None) -> Desk:
        futures = self._settings.futures
        clock = self._world.clock
        pursuits = self._pursuits("futures", futures.hedge_after_ms, OVERTAKE_MS)
        budget = PointBudget()
        dispatcher = Dispatcher("futures", pursuits, clock, self._events, budget)
        signer = FuturesRest(keys, clock)
        rest = RestLane(
            "futures",
            address_of(futures.rest_url, REST_SCHEMES, "futures.rest_url"),
            signer,
            self._world,
            self._directory,
            None,
            dispatcher,
            self._events,
            budget,
            self._venue_clock("futures"),
            exclusive_s=futures.hedge_after_ms / 1000,
            conceal=self._conceal,
        )
        dispatcher.attach_rest(rest.wake, rest.told, lambda: rest.up, rest.opens_ns)
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
                dispatcher.attach_line(session)
        return desk

    def _token_source(self, keys: Keys) -> TokenDesk:
        """The tokens of Spot's REST lane, or of one that fetches nothing else where Spot itself is not enabled."""
        if self._token_desk is not None:
            return self._token_desk
        pursuits = self._pursuits("spot", 1, 0)
        nobody = Dispatcher("spot", pursuits, self._world.clock, self._events, NoBudget())
        self._token_signer = SpotRest(keys)
        self.token_lane = self._spot_rest(self._token_signer, nobody)
        return self._tokens_of(self.token_lane)

    def _pursuits(self, venue: Venue, hedge_after_ms: int, overtake_ms: int) -> Pursuits:
        policy = Policy(
            hedge_ns=hedge_after_ms * MS,
            overtake_ns=overtake_ms * MS,
            late_ns=int(LATE_WINDOW_S * 1e9),
            late_limit=LATE_LIMIT,
            **TRAITS[venue],
        )
        return Pursuits(venue, policy, self._reqids, Resting(RESTING_LIMIT))

    def _parts(self, venue: Venue, address: Address, dispatcher: Dispatcher) -> Parts:
        return Parts(
            venue,
            address,
            self._world,
            dispatcher,
            self._events,
            self._connect_budget,
            self._reqids,
            Histogram(),
            Histogram(),
            self._venue_clock(venue),
        )

    def _venue_clock(self, venue: Venue) -> VenueClock:
        return self.venue_clocks.setdefault(venue, VenueClock())

    def _spot_time(self, at_ns: int, most: bool) -> int | None:
        """The least or the most that Spot's clock can have shown at a moment (CLOCK_MONOTONIC), Unix nanoseconds."""
        clock, venue_clock = self._world.clock, self._venue_clock("spot")
        now_ns = clock.boottime_ns()
        shown = venue_clock.latest_ns if most else venue_clock.earliest_ns
        return shown(now_ns - (clock.monotonic_ns() - at_ns), now_ns)

    def _nonces(self, venue: Venue) -> Nonces:
        """Nonces that lie above every one that may have been used, also by a process that crashed."""
        name = f"nonce-{venue}"
        now_ns = self._world.clock.utc_ns()
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


def _same_keys(one: Keys, other: Keys) -> bool:
    return one.key.reveal() == other.key.reveal() and one.secret.reveal() == other.secret.reveal()
