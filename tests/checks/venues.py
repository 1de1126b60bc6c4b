"""A world of virtual time and memory wires: the simulated exchange is every venue, each host by its own name."""

import json
import random
from collections.abc import Sequence
from typing import Any, Final, Literal

import msgspec
import trio

from canceld.checks.findings import Finding
from canceld.checks.online import check_online
from canceld.credentials import Credentials, Keys, Secret
from canceld.settings import Futures, Prime, Settings, Spot, State
from canceld.sim.server import SimulatedKraken
from canceld.transport.clock import VirtualClock
from canceld.transport.entropy import SeededEntropy
from canceld.transport.memory.disk import MemoryDirectory
from canceld.transport.memory.wire import memory_wire_pair
from canceld.transport.memory.zeromq import MemoryBus
from canceld.transport.network import DialFailed
from canceld.transport.wire import Wire
from canceld.transport.world import World
from canceld.venues.signing import decode_spot_secret

SPOT: Final = Spot(ws_url="wss://ws.spot.invalid", rest_url="https://rest.spot.invalid")
NO_SPOT: Final = msgspec.structs.replace(SPOT, enabled=False)
PRIME: Final = Prime(enabled=True, ws_url="wss://ws.prime.invalid/ws/v1")
FUTURES: Final = Futures(
    enabled=True, rest_url="https://rest.futures.invalid/derivatives/api/v3", ws_url="wss://ws.futures.invalid/ws/v1"
)
UWS: Final = "wss://uws.invalid/v2/private"

LEAST: Final = ("close-trades", "create-ws-token", "query-open-trades")
"""The rights of a Spot key that just fits."""

HTML: Final = "<html><title>Attention Required</title></html>"

Row = tuple[str, str, str]


class Venues:
    """The world. `exchange` is there to be put in trouble; after `check` the findings are in `found`."""

    def __init__(self, settings: Settings, *, ahead_s: float = 0.0, rights: Sequence[str] = LEAST) -> None:
        """ahead_s: of this machine's clock. rights: of the Spot key."""
        self.settings = settings
        self.clock = VirtualClock()
        self.directory = MemoryDirectory("/state")
        venue_clock = VirtualClock()
        self.clock.step_utc(round(ahead_s * 1e9))
        self.exchange = SimulatedKraken(now=lambda: venue_clock.utc_ns() / 1e9, rng=random.Random(3))
        self.unreachable: set[str] = set()
        self.found: list[Finding] = []
        self.took_s = 0.0
        self.credentials = Credentials(
            spot=self._key("spot", rights), prime=self._key("prime"), futures=self._key("futures")
        )
        self._nursery: trio.Nursery | None = None

    def _key(self, venue: Any, rights: Sequence[str] | None = None) -> Keys:
        pair = self.exchange.credentials[venue]
        if rights is not None:
            key = self.exchange.keys.find(venue, pair["key"])
            assert key is not None
            key.rights = frozenset(rights)
        secret = pair["secret"].encode() if venue == "prime" else decode_spot_secret(pair["secret"])
        return Keys(Secret(pair["key"]), Secret(secret))

    def grant(self, venue: Any, *rights: str) -> None:
        """Let a venue's key have just these rights."""
        self._key(venue, rights)

    def mistake_secret(self, venue: str) -> None:
        """Sign at this venue with another secret from now on."""
        keys: Keys = getattr(self.credentials, venue)
        wrong = Keys(keys.key, Secret(keys.secret.reveal()[::-1]))
        self.credentials = msgspec.structs.replace(self.credentials, **{venue: wrong})

    def inject(self, kind: str, **fields: Any) -> None:
        self.exchange.faults.inject({"kind": kind, **fields})

    def answer_with(self, operation: str, body: Any) -> None:
        """Have a REST operation answered by this JSON value, or by this text."""
        text = body if isinstance(body, str) else json.dumps(body)
        self.inject("rest_status", status=200, body=text, match=operation)

    async def dial(self, host: str, port: int) -> Wire:
        await trio.lowlevel.checkpoint()
        if host in self.unreachable:
            raise DialFailed("connect", "connection refused")
        ours, theirs = memory_wire_pair()
        assert self._nursery is not None
        self._nursery.start_soon(self.exchange.serve_stream, theirs)
        return ours

    def world(self) -> World:
        return World(self.clock, SeededEntropy(5), self.dial, MemoryBus(), lambda _: self.directory)

    async def check(self) -> list[Row]:
        """Ask all venues; gives (venue, check, level) of every finding."""
        async with trio.open_nursery() as self._nursery:
            began_s = trio.current_time()
            self.found = await check_online(self.settings, self.credentials, self.world())
            self.took_s = trio.current_time() - began_s
            self._nursery.cancel_scope.cancel()
        return [(one.venue, one.check, one.level) for one in self.found]

    def of(self, check: str, venue: str | None = None) -> Finding:
        """The one finding of a check."""
        [found] = [one for one in self.found if one.check == check and venue in (None, one.venue)]
        return found

    def operations(self) -> list[str | None]:
        """What the venues received, in wire order."""
        return [received.operation for received in self.exchange.received]


def spot(protocol: Literal["v1", "v2"] = "v1", **fields: Any) -> Venues:
    """A world with Spot alone. fields: of Venues."""
    return Venues(Settings(spot=msgspec.structs.replace(SPOT, protocol=protocol), state=State(dir="/state")), **fields)


def prime(**fields: Any) -> Venues:
    """A world with Prime alone."""
    return Venues(Settings(spot=NO_SPOT, prime=PRIME), **fields)


def futures(uws_url: str = "", **fields: Any) -> Venues:
    """A world with Futures alone; with `uws_url` by the Unified WebSocket too."""
    return Venues(Settings(spot=NO_SPOT, futures=msgspec.structs.replace(FUTURES, uws_url=uws_url)), **fields)
