"""Prime: a signed session, what the key may do, both order streams, and a cancel."""

from collections.abc import Callable
from typing import Final

from ..contract.evidence import CancelReject, Evidence, Hello, Orders, Permissions, Pong, SubscriptionLost
from ..contract.ids import Reqid, Target
from ..credentials import Keys
from ..engine.inflight import Reqids
from ..engine.nobody import uuid_of_nobody
from ..settings import WEBSOCKET_SCHEMES, Settings, address_of
from ..tasks.connection import ADMIT_TIMEOUT_S
from ..transport.websocket import WebSocket
from ..transport.world import World
from ..venues.prime_ws import TAG_CHARS, Prime
from ..venues.signing import prime_headers, prime_timestamp
from .findings import Verdict, permissions_verdict, prime_cancel_verdict, subscription_verdict, unreached
from .report import Report
from .routes import hear, hear_verdict, open_session

PRIME_CHECKS: Final = ("session", "permissions", "order streams", "cancel")
"""In the order they are made."""

REPORTS_BACK_NS: Final = 30_000_000_000
"""How far back Prime's reports are asked for: enough to have the subscription judged, too little to drown in."""

PRIME_SYMBOL: Final = "BTC-USD"
"""What the cancel on Prime names where the account shows no symbol of its own."""


class PrimeRoute:
    """Prime: a signed session, what the key may do, both order streams, and a cancel."""

    def __init__(self, settings: Settings, keys: Keys, world: World) -> None:
        self._address = address_of(settings.prime.ws_url, WEBSOCKET_SCHEMES, "prime.ws_url")
        self._keys = keys
        self._world = world
        self._dialect = Prime(world.entropy.bytes(TAG_CHARS).hex()[:TAG_CHARS])
        self._reqids = Reqids(1)
        self._symbol: str | None = None

    async def ask(self, report: Report) -> None:
        address, clock = self._address, self._world.clock
        stamp = prime_timestamp(clock.utc_ns())
        headers = prime_headers(self._keys.key, self._keys.secret, stamp, address.host, address.path or "/")
        async with open_session(self._world, address, headers) as socket:
            if not await self._hear(socket, lambda evidence: isinstance(evidence, Hello), ADMIT_TIMEOUT_S):
                report.tell("session", unreached(f"admitted, but not greeted in {ADMIT_TIMEOUT_S} s"))
                return
            report.tell("session", Verdict("ok", "signed in and greeted"))
            await self._ask_of_streams(report, socket)
            nobody = Target("order_id", uuid_of_nobody(self._world.entropy.bytes(16)))
            cancel, sent_ns = self._reqids.draw(), clock.monotonic_ns()
            socket.send_now(self._dialect.cancel_frame(cancel, nobody, self._symbol or PRIME_SYMBOL, clock.utc_ns()))
            answer = await hear_verdict(socket, self._dialect.decode, cancel)
            report.tell("cancel", prime_cancel_verdict(answer, clock.monotonic_ns() - sent_ns))

    async def _ask_of_streams(self, report: Report, socket: WebSocket) -> None:
        """Nothing confirms a stream: a ping is sent after them, and their refusals come before its pong."""
        now_ns = self._world.clock.utc_ns()
        user, orders, reports, ping = (self._reqids.draw() for _ in range(4))
        socket.send_many_now(
            [
                self._dialect.user_frame(user),
                self._dialect.orders_frame(orders),
                self._dialect.reports_frame(reports, now_ns - REPORTS_BACK_NS),
                self._dialect.ping_frame(ping, now_ns),
            ]
        )
        permissions: list[Permissions] = []
        refused: dict[Reqid, CancelReject] = {}
        answered: set[Reqid | None] = set()

        def enough(evidence: Evidence) -> bool:
            match evidence:
                case Permissions():
                    permissions.append(evidence)
                case CancelReject(reqid=reqid):
                    refused[reqid] = evidence
                case Pong(reqid=reqid):
                    answered.add(reqid)
                case _:
                    pass
            return ping in answered | refused.keys() and bool(permissions or user in refused)

        await self._hear(socket, enough, ADMIT_TIMEOUT_S)
        report.tell("permissions", permissions_verdict(permissions[0] if permissions else None))
        turned_away = [refused[reqid] for reqid in (orders, reports) if reqid in refused]
        if turned_away:
            lost = SubscriptionLost(turned_away[0].reqid, turned_away[0].fault, turned_away[0].error)
            report.tell("order streams", subscription_verdict(lost, ADMIT_TIMEOUT_S))
        elif ping not in answered:
            report.tell("order streams", subscription_verdict(None, ADMIT_TIMEOUT_S))
        else:
            report.tell("order streams", Verdict("ok", "both taken, and the ping after them answered"))

    async def _hear(self, socket: WebSocket, enough: Callable[[Evidence], bool], within_s: float) -> bool:
        """As routes.hear, and the first symbol that an order shows is kept."""

        def noted(evidence: Evidence) -> bool:
            if isinstance(evidence, Orders) and self._symbol is None:
                self._symbol = next((order.symbol for order in evidence.orders if order.symbol), None)
            return enough(evidence)

        return await hear(socket, self._dialect.decode, noted, within_s)
