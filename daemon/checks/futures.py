"""Futures: a cancel over REST, the feed that witnesses it, and the Unified WebSocket where that is set up."""

from collections.abc import Sequence
from functools import partial
from typing import Final

from ..contract.evidence import Challenge, Evidence, Orders, RestToken, Subscribed, SubscriptionLost
from ..contract.ids import Target
from ..credentials import Keys, Secret
from ..engine.nobody import uuid_of_nobody
from ..settings import REST_SCHEMES, WEBSOCKET_SCHEMES, Settings, address_of
from ..tasks.connection import ADMIT_TIMEOUT_S
from ..transport.world import World
from ..venues import futures_feed, futures_requests, futures_rest, spot_ws_v2
from .findings import Verdict, cancel_verdict, subscription_verdict, token_verdict
from .report import Report
from .routes import Rest, hear, open_session
from .spot import SpotKey
from .spot_session import ask_on_session

FUTURES_REST_CHECKS: Final = ("REST cancel",)
FEED_CHECKS: Final = ("feed",)
UNIFIED_CHECKS: Final = ("unified token", "unified session", "unified cancel")
"""In the order they are made."""


class Futures:
    """Futures: a cancel over REST, the feed that witnesses it, and the Unified WebSocket where that is set up."""

    def __init__(self, settings: Settings, keys: Keys, spot: SpotKey, world: World) -> None:
        self._settings = settings.futures
        self._keys = keys
        self._spot = spot
        self._world = world
        self._nobody = Target("order_id", uuid_of_nobody(world.entropy.bytes(16)))

    async def ask_rest(self, report: Report) -> None:
        """A cancel over REST."""
        rest = Rest(self._world, address_of(self._settings.rest_url, REST_SCHEMES, "futures.rest_url"))
        request = futures_requests.cancel_request(self._keys, self._nobody)
        try:
            answered = await rest.ask(request, partial(futures_rest.decode_cancel, asked=self._nobody))
        finally:
            await rest.aclose()
        report.tell("REST cancel", cancel_verdict(answered.answer, answered.took_ns))

    async def ask_feed(self, report: Report) -> None:
        """The challenge, the subscription that it is signed for, and the snapshot."""
        lost: list[SubscriptionLost] = []
        wanted: set[type[Evidence]] = {Subscribed, Orders}
        asked: list[Challenge] = []

        def admitted(evidence: Evidence) -> bool:
            wanted.discard(type(evidence))
            match evidence:
                case Challenge(text=text) if not asked:
                    asked.append(evidence)
                    socket.send_now(futures_feed.subscribe_frame(self._keys, text))
                case SubscriptionLost():
                    lost.append(evidence)
                case _:
                    pass
            return not wanted or bool(lost)

        def read(frame: str | bytes) -> Sequence[Evidence]:
            return (futures_feed.decode(frame),)

        address = address_of(self._settings.ws_url, WEBSOCKET_SCHEMES, "futures.ws_url")
        async with open_session(self._world, address) as socket:
            socket.send_now(futures_feed.challenge_frame(self._keys))
            if not await hear(socket, read, admitted, ADMIT_TIMEOUT_S) or lost:
                report.tell("feed", subscription_verdict(lost[0] if lost else None, ADMIT_TIMEOUT_S))
            else:
                report.tell("feed", Verdict("ok", "challenge, subscription and snapshot"))

    async def ask_unified(self, report: Report) -> None:
        """A session of the Unified WebSocket, which takes a token of the Spot key, and a cancel on it."""
        if self._spot.keys is None:
            needed = Verdict("fail", "there is no Spot key to have a token with", "provide spot.key and spot.secret")
            report.tell("unified token", needed)
            return
        answer = (await self._spot.fetch_token()).answer
        report.tell("unified token", token_verdict(answer))
        if isinstance(answer, RestToken):
            await ask_on_session(
                report,
                "unified session",
                "unified cancel",
                self._world,
                address_of(self._settings.uws_url, WEBSOCKET_SCHEMES, "futures.uws_url"),
                spot_ws_v2.UNIFIED,
                Secret(answer.token),
                self._nobody,
                with_snapshot=True,
            )
