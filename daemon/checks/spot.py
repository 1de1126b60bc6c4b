"""Spot: what it says of itself and of the key, and a cancel over REST and over a session."""

from collections.abc import Callable
from typing import Final

import trio

from ..contract.evidence import Fault, RestFailed, RestToken
from ..contract.ids import Target
from ..credentials import Credentials, Keys, Secret
from ..engine.nobody import txid_of_nobody
from ..engine.nonces import BLOCK_NS, Nonces, parse_mark
from ..settings import REST_SCHEMES, Settings, address_of, spot_ws_address
from ..tasks.rest_dialect import Decode, SignedRequest
from ..tasks.session import Dialect
from ..transport.disk import DiskFailed
from ..transport.world import World
from ..venues import spot_rest, spot_ws, spot_ws_v2
from .findings import Verdict, cancel_verdict, clock_verdict, key_verdicts, mode_verdict, token_verdict
from .report import Report
from .routes import Answered, KeyRefused, Rest
from .spot_session import ask_on_session

SPOT_REST_CHECKS: Final = ("clock", "mode", "key", "REST cancel")
SPOT_CHECKS: Final = ("token", "session", "cancel")
"""In the order they are made."""


class SpotKey:
    """The Spot key on its REST endpoint. Calls take turns, since nonces have to arrive in order.

    The stored nonce mark is only read. Where a nonce is refused one jump is made, after which a running daemon has its
    own refused once, jumps too, and goes on.
    """

    def __init__(self, settings: Settings, credentials: Credentials, world: World) -> None:
        self.keys = credentials.spot
        self.tokens: list[Secret[str]] = []
        self.jumped = False
        self.mark_fault: str | None = None
        self._rest = Rest(world, address_of(settings.spot.rest_url, REST_SCHEMES, "spot.rest_url"))
        self._clock = world.clock
        self._turn = trio.Lock()
        self._refused = False
        self._nonces = nonces_beside(self._stored_mark(settings, world), self._clock.utc_ns())

    def _stored_mark(self, settings: Settings, world: World) -> int | None:
        try:
            return parse_mark(world.directory(settings.state.dir).read("nonce-spot"))
        except DiskFailed as failed:
            self.mark_fault = str(failed)
            return None

    async def public(self, request: SignedRequest, decode: Decode) -> Answered:
        """Raises NoAnswer."""
        async with self._turn:
            return await self._rest.ask(request, decode)

    async def private(self, build: Callable[[Keys, int], SignedRequest], decode: Decode) -> Answered:
        """A signed call. Raises NoAnswer, and KeyRefused for every call after the one that was refused."""
        assert self.keys is not None
        async with self._turn:
            if self._refused:
                raise KeyRefused
            answered = await self._rest.ask(build(self.keys, self._draw()), decode)
            if _fault(answered) is Fault.STALE_NONCE:
                self.jumped = True
                self._nonces.overtaken(self._clock.utc_ns())
                answered = await self._rest.ask(build(self.keys, self._draw()), decode)
            self._refused = _fault(answered) in (Fault.CREDENTIALS, Fault.LOCKOUT)
            return answered

    def _draw(self) -> int:
        return self._nonces.draw(self._clock.utc_ns())

    async def fetch_token(self) -> Answered:
        """A WebSocket token; what is taken for one is hidden from the findings. Raises NoAnswer."""
        answered = await self.private(spot_rest.token_request, spot_rest.decode_token)
        if isinstance(answered.answer, RestToken):
            self.tokens.append(Secret(answered.answer.token))
        return answered

    async def aclose(self) -> None:
        await self._rest.aclose()


def _fault(answered: Answered) -> Fault | None:
    return answered.answer.fault if isinstance(answered.answer, RestFailed) else None


def nonces_beside(mark: int | None, now_ns: int) -> Nonces:
    """Nonces that can be drawn while a daemon draws its own: they follow the clock, as that one's do.

    Only a mark that lies further ahead of the clock than a daemon reserves shows that its nonces have left the clock.
    Then they count on from the mark, which overtakes it.
    """
    nonces = Nonces(now_ns - 1 if mark is None or mark <= now_ns + BLOCK_NS else mark, now_ns)
    # Reserved in name only: what is not written binds nobody else.
    nonces.stored(now_ns + 2 * BLOCK_NS)
    return nonces


class Spot:
    """Spot: what it says of itself and of the key over REST, and a cancel over REST and over a session."""

    def __init__(self, settings: Settings, key: SpotKey, world: World) -> None:
        self._settings = settings.spot
        self._key = key
        self._world = world
        self._nobody = Target("order_id", txid_of_nobody("CHECKS", world.entropy.bytes(11)))

    async def ask_rest(self, report: Report) -> None:
        """What the venue says of itself and of the key, and a cancel."""
        key = self._key
        time = await key.public(spot_rest.time_request(), spot_rest.decode_time)
        report.tell("clock", clock_verdict(*time))
        mode = await key.public(spot_rest.system_status_request(), spot_rest.decode_mode)
        report.tell("mode", mode_verdict(mode.answer))
        await self._ask_of_key(report)
        cancel = await key.private(
            lambda keys, nonce: spot_rest.cancel_request(keys, nonce, self._nobody), spot_rest.decode_cancel
        )
        report.tell("REST cancel", cancel_verdict(cancel.answer, cancel.took_ns))

    async def ask_session(self, report: Report) -> None:
        """A token, and with it a session and a cancel on it."""
        answer = (await self._key.fetch_token()).answer
        report.tell("token", token_verdict(answer))
        if isinstance(answer, RestToken):
            address = spot_ws_address(self._settings)
            dialect: Dialect = spot_ws if self._settings.protocol == "v1" else spot_ws_v2.SPOT
            token = Secret(answer.token)
            await ask_on_session(report, "session", "cancel", self._world, address, dialect, token, self._nobody)

    async def _ask_of_key(self, report: Report) -> None:
        told = await self._key.private(spot_rest.key_info_request, spot_rest.decode_key_info)
        report.tell("key", *key_verdicts(told.answer, self._world.clock.utc_ns() / 1e9))
        if self._key.mark_fault is not None:
            mend = "run this as the daemon's user"
            report.tell("key", Verdict("warn", f"the nonce mark cannot be read: {self._key.mark_fault}", mend))
        if self._key.jumped:
            told_of = "its nonces are ahead of the clock; a daemon that is running jumps over ours and goes on"
            report.tell("key", Verdict("warn", told_of, "see that no other program uses this key"))
