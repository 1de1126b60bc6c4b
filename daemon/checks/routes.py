"""The ways to a venue for one-shot questions: a REST connection, a WebSocket session, and listening with a bound."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple, TypeAlias

import trio

from ..contract.evidence import CancelAck, CancelReject, Evidence, RestAnswer
from ..contract.ids import Reqid
from ..settings import Address
from ..tasks.connection import ADMIT_TIMEOUT_S, HANDSHAKE_TIMEOUT_S
from ..tasks.rest_dialect import Decode, SignedRequest, whole
from ..tasks.rest_exchange import CALL_TIMEOUT_S
from ..tasks.rest_pool import DIAL_TIMEOUT_S
from ..transport.https import AnswerLost, HttpConnection, NotSent
from ..transport.network import DialFailed
from ..transport.websocket import WebSocket, connect_websocket
from ..transport.wire import Wire
from ..transport.world import World


class NoAnswer(Exception):
    """No HTTP answer; the text says why."""


class KeyRefused(Exception):
    """The venue has refused this very key before: shown again it would be locked out."""


class Answered(NamedTuple):
    """An answer, when it was asked for (Unix ns, by this machine) and what the round trip took."""

    answer: RestAnswer
    sent_utc_ns: int
    took_ns: int


class Rest:
    """One REST endpoint, over one connection. Raises NoAnswer, and after that for every further call."""

    def __init__(self, world: World, address: Address) -> None:
        self._world = world
        self._address = address
        self._connection: HttpConnection | None = None
        self._lost: str | None = None

    async def ask(self, request: SignedRequest, decode: Decode) -> Answered:
        """One request and the reading of its answer."""
        if self._lost is not None:
            raise NoAnswer(self._lost)
        headers = [(name.encode(), value.encode()) for name, value in request.headers]
        clock = self._world.clock
        try:
            if self._connection is None or not self._connection.is_open:
                self._connection = HttpConnection(await dial(self._world, self._address), self._address.authority)
            sent_utc_ns, sent_ns = clock.utc_ns(), clock.monotonic_ns()
            response = await self._connection.request(
                request.method, request.path, headers, request.body, timeout_s=CALL_TIMEOUT_S
            )
        except (DialFailed, NotSent, AnswerLost) as error:
            self._lost = str(error) if isinstance(error, DialFailed) else error.detail
            raise NoAnswer(self._lost) from None
        return Answered(whole(decode(response.status, response.body)), sent_utc_ns, clock.monotonic_ns() - sent_ns)

    async def aclose(self) -> None:
        if self._connection is not None:
            await self._connection.aclose()


async def dial(world: World, address: Address) -> Wire:
    """Raises DialFailed."""
    try:
        with trio.fail_after(DIAL_TIMEOUT_S):
            return await world.dial(address.host, address.port)
    except trio.TooSlowError:
        raise DialFailed("connect", f"no connection in {DIAL_TIMEOUT_S} s") from None


@asynccontextmanager
async def open_session(
    world: World, address: Address, headers: Sequence[tuple[str, str]] = ()
) -> AsyncIterator[WebSocket]:
    """Raises DialFailed, HandshakeRefused and SessionEnded."""
    wire = await dial(world, address)
    async with connect_websocket(
        wire,
        address.authority,
        address.path or "/",
        headers=[(name.encode(), value.encode()) for name, value in headers],
        entropy=world.entropy.bytes,
        handshake_timeout_s=HANDSHAKE_TIMEOUT_S,
    ) as socket:
        yield socket


Reader: TypeAlias = Callable[[str | bytes], Sequence[Evidence]]


async def hear(socket: WebSocket, read: Reader, enough: Callable[[Evidence], bool], within_s: float) -> bool:
    """Hand everything that comes to `enough` until it says so; False when it did not in `within_s`.

    A frame is always handed over whole. Raises SessionEnded.
    """
    with trio.move_on_after(within_s):
        heard_enough = False
        while not heard_enough:
            for evidence in read(await socket.receive()):
                heard_enough = enough(evidence) or heard_enough
        return True
    return False


async def hear_verdict(socket: WebSocket, read: Reader, reqid: Reqid) -> CancelAck | CancelReject | None:
    """What the venue says to the cancel `reqid`; None for silence. Raises SessionEnded."""
    heard: list[CancelAck | CancelReject] = []

    def about_it(evidence: Evidence) -> bool:
        if isinstance(evidence, CancelAck | CancelReject) and evidence.reqid == reqid:
            heard.append(evidence)
        return bool(heard)

    await hear(socket, read, about_it, ADMIT_TIMEOUT_S)
    return heard[0] if heard else None
