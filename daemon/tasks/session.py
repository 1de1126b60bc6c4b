"""Keeps one WebSocket session alive: dial, authenticate, serve, notice its death, back off, dial again.

The session is subscribed to the account's order stream for three reasons: the venue closes private sockets without a
subscription, the token stays valid while one is held, and the stream is the proof of what was cancelled.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import structlog
import trio

from ..contract.evidence import (
    CancelAck,
    Evidence,
    Fault,
    ModeChanged,
    Orders,
    Pong,
    Subscribed,
    SubscriptionLost,
    Unreadable,
)
from ..contract.ids import Reqid, Target, Venue
from ..credentials import Secret
from ..engine.backoff import Backoff, ConnectBudget, is_alarming
from ..engine.inflight import Reqids
from ..engine.lifecycle import Input, State, step
from ..engine.routing import Lane
from ..engine.tokens import Freshness
from ..settings import Address
from ..transport.network import DialFailed
from ..transport.websocket import HandshakeRefused, SessionEnded, WebSocket, connect_websocket
from ..transport.world import World
from .dispatcher import Dispatcher
from .events import Events
from .telemetry import Histogram

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

HANDSHAKE_TIMEOUT_S: Final = 5.0
"""From the upgrade request to its answer; ten times what a slow edge takes."""

ADMIT_TIMEOUT_S: Final = 5.0
"""From the subscription to its confirmation."""

TOKEN_TIMEOUT_S: Final = 5.0
"""For one token, its queue on the REST lane included."""

SILENCE_S: Final = 5.0
"""The venue sends a heartbeat each second; after this long without a byte it asks us to reconnect."""

SILENCE_LOOK_S: Final = 0.25
PING_EVERY_S: Final = 10.0
"""Measures the round trip, and keeps a session whose subscription is quiet below the 60 s idle limit."""

TOKEN_RETRY_S: Final = 5.0


class Dialect(Protocol):
    """What a session needs of a venue dialect: functions from venues/spot_ws.py or its likes."""

    def cancel_frame(self, token: Secret[str], reqid: Reqid, target: Target) -> bytes: ...

    def cancel_all_frame(self, token: Secret[str], reqid: Reqid) -> bytes: ...

    def subscribe_frame(self, token: Secret[str], reqid: Reqid) -> bytes: ...

    def ping_frame(self, reqid: Reqid) -> bytes: ...

    def decode(self, frame: str | bytes) -> Evidence: ...


class TokenFailed(Exception):
    """No token could be had; `fault` is None where the venue gave no verdict."""

    def __init__(self, why: str, fault: Fault | None = None) -> None:
        super().__init__(why)
        self.fault = fault


class TokenSource(Protocol):
    """Where tokens come from: the REST lane."""

    async def fetch_token(self) -> tuple[Secret[str], float]:
        """A fresh token and its validity in seconds. Raises TokenFailed."""
        ...


@dataclass(frozen=True, slots=True)
class Parts:
    """What the sessions of one venue share."""

    venue: Venue
    address: Address
    dialect: Dialect
    world: World
    tokens: TokenSource
    dispatcher: Dispatcher
    events: Events
    budget: ConnectBudget
    reqids: Reqids
    round_trips: Histogram
    venue_times: Histogram
    """The venue's own share of each cancel, where its acks tell it."""


class Session:
    """One lane. `run` keeps it alive until it is cancelled; `tried` is set after the first success or failure."""

    def __init__(self, parts: Parts, lane: Lane) -> None:
        self.lane = lane
        self.name = f"{parts.venue}-{lane}"
        self.state = State.DOWN
        self.tried = trio.Event()
        self.lives = 0
        self.unreadable = 0
        self.why_down: str | None = None
        self._parts = parts
        self._dialect = parts.dialect
        self._clock = parts.world.clock
        self._backoff = Backoff()
        self._socket: WebSocket | None = None
        self._token: Secret[str] | None = None
        self._freshness: Freshness | None = None
        self._renewal_wanted = False
        self._renewal = trio.Event()
        self._sequence: int | None = None
        self._heard_ns = 0
        self._ping: tuple[Reqid, int] | None = None
        self._round_trip_ns: int | None = None

    # ---------------------------------------------------------------- plain calls

    def write_cancels(self, cancels: Sequence[tuple[Reqid, Target]]) -> bool:
        """One frame per cancel, all in one write; False when the session is over."""
        socket, token = self._socket, self._token
        if socket is None or token is None:
            return False
        cancel_frame = self._dialect.cancel_frame
        try:
            if len(cancels) == 1:
                reqid, target = cancels[0]
                if target.kind == "all":
                    socket.send_now(self._dialect.cancel_all_frame(token, reqid))
                else:
                    socket.send_now(cancel_frame(token, reqid, target))
            else:
                socket.send_many_now(
                    [
                        self._dialect.cancel_all_frame(token, reqid)
                        if target.kind == "all"
                        else cancel_frame(token, reqid, target)
                        for reqid, target in cancels
                    ]
                )
        except SessionEnded:
            return False
        return True

    def renew_token(self) -> None:
        """Have a new token fetched now, because the venue refused this one."""
        self._renewal_wanted = True
        self._renewal.set()

    def redial(self, why: str) -> None:
        """Give this connection up and dial again."""
        if self._socket is not None:
            self._socket.abandon(why)

    def status(self) -> dict[str, Any]:
        """This session for the `status` reply."""
        shown: dict[str, Any] = {"name": self.name, "state": self.state.value, "lives": self.lives}
        if self.state is not State.LIVE and self.why_down is not None:
            shown["why"] = self.why_down
        if self._round_trip_ns is not None:
            shown["round_trip_us"] = self._round_trip_ns / 1000
        if self._heard_ns:
            shown["heard_ms_ago"] = (self._clock.monotonic_ns() - self._heard_ns) // 1_000_000
        if self._freshness is not None:
            left_ns = self._freshness.expires_ns - self._clock.monotonic_ns()
            shown["token_expires_in_s"] = max(left_ns // 1_000_000_000, 0)
        return shown

    # ---------------------------------------------------------------- the task

    async def run(self) -> None:
        """Live again and again. Ends only by cancellation."""
        while True:
            await self._wait_for_budget()
            cause: int | None = None
            try:
                await self._live_once()
            except DialFailed as failed:
                why = str(failed)
            except HandshakeRefused as refused:
                why, cause = str(refused), refused.status
            except SessionEnded as ended:
                why, cause = str(ended), ended.close_code
            except TokenFailed as failed:
                why = f"no token: {failed}"
            self.why_down = why
            self._step(Input.LOST, why)
            self.tried.set()
            if is_alarming(cause):
                self._parts.events.alert(
                    "critical", f"{self.name} is turned away: {why}", "check key, permissions and address allow-list"
                )
            delay_s = self._backoff.delay_s(
                self._clock.monotonic_ns(),
                self._parts.world.entropy.uniform(0.0, 1.0),
                mode=self._parts.dispatcher.pursuits.mode,
                cause=cause,
            )
            await trio.sleep(delay_s)

    async def _wait_for_budget(self) -> None:
        while wait_ns := self._parts.budget.take(self._clock.monotonic_ns()):
            self.tried.set()
            self._parts.events.alert(
                "warning", f"{self.name} waits: the connection budget of this address is spent", "look for a drop loop"
            )
            await trio.sleep(wait_ns / 1e9)

    async def _live_once(self) -> None:
        """One life of the session. Raises how it ended: DialFailed, SessionEnded or TokenFailed."""
        address = self._parts.address
        self._step(Input.DIAL)
        wire = await self._parts.world.dial(address.host, address.port)
        async with connect_websocket(
            wire,
            address.authority,
            address.path or "/",
            headers=[],
            entropy=self._parts.world.entropy.bytes,
            handshake_timeout_s=HANDSHAKE_TIMEOUT_S,
        ) as socket:
            self._step(Input.OPENED)
            await self._fetch_token(self._usable_token())
            await self._admit(socket)
            self._socket = socket
            self.lives += 1
            self._backoff.live(self._clock.monotonic_ns())
            self._step(Input.ADMITTED)
            self._parts.dispatcher.session_up(self.lane)
            self.tried.set()
            try:
                async with trio.open_nursery() as life:
                    life.start_soon(self._watch, socket, name=f"{self.name} keepalive")
                    life.start_soon(self._keep_token, name=f"{self.name} token keeper")
                    ended = await self._read(socket)
                    life.cancel_scope.cancel()
            finally:
                self._drop()
        raise ended

    def _drop(self) -> None:
        if self._socket is not None:
            self._socket = None
            self._parts.dispatcher.session_down(self.lane)

    async def _admit(self, socket: WebSocket) -> None:
        """Subscribe to the order stream and wait until the venue confirms. Raises SessionEnded."""
        assert self._token is not None
        self._sequence = None
        socket.send_now(self._dialect.subscribe_frame(self._token, self._parts.reqids.draw()))
        with trio.move_on_after(ADMIT_TIMEOUT_S):
            while True:
                evidence = self._dialect.decode(await socket.receive())
                self._take(socket, (evidence,))
                if isinstance(evidence, Subscribed):
                    return
        raise SessionEnded(f"the order stream was not confirmed in {ADMIT_TIMEOUT_S} s")

    async def _read(self, socket: WebSocket) -> SessionEnded:
        """Read until the session ends; what was in flight moves on before this returns."""
        decode = self._dialect.decode

        def take(messages: Sequence[str | bytes]) -> None:
            self._take(socket, [decode(message) for message in messages])

        try:
            await socket.deliver(take)
        except SessionEnded as ended:
            self._drop()
            return ended

    def _take(self, socket: WebSocket, evidence: Sequence[Evidence]) -> None:
        """Everything read in one go: what concerns the session here, the rest to the dispatcher."""
        now_ns = self._heard_ns = self._clock.monotonic_ns()
        for one in evidence:
            if type(one) is CancelAck:
                # Nearly all there is, and but for its time the dispatcher's alone.
                if one.venue_ns is not None:
                    self._parts.venue_times.record(one.venue_ns)
                continue
            match one:
                case ModeChanged(mode=mode):
                    self._parts.dispatcher.mode_changed(mode)
                case Orders(sequence=sequence, snapshot=snapshot) if sequence is not None:
                    if not snapshot and self._sequence is not None and sequence != self._sequence + 1:
                        # Something was lost on the way; only a new snapshot tells what.
                        socket.abandon(f"order stream gap: {self._sequence} then {sequence}")
                    self._sequence = sequence
                case Pong(reqid=reqid) if self._ping is not None and reqid == self._ping[0]:
                    self._round_trip_ns = now_ns - self._ping[1]
                    self._parts.round_trips.record(self._round_trip_ns)
                    self._ping = None
                case SubscriptionLost(error=error, fault=fault):
                    if fault is Fault.STALE_TOKEN:
                        self._freshness = self._token = None
                    socket.abandon(f"order stream refused: {error}")
                case Unreadable(why=why):
                    self.unreadable += 1
                    log.warning("unreadable frame", session=self.name, why=why)
                case _:
                    pass
        self._parts.dispatcher.heard(self.lane, evidence)

    async def _watch(self, socket: WebSocket) -> None:
        """Ping now and then, and call a silent session dead without waiting for TCP to notice."""
        ping_at = trio.current_time()
        while True:
            if trio.current_time() >= ping_at:
                ping_at += PING_EVERY_S
                reqid = self._parts.reqids.draw()
                self._ping = (reqid, self._clock.monotonic_ns())
                try:
                    socket.send_now(self._dialect.ping_frame(reqid))
                except SessionEnded:
                    return
            await trio.sleep(SILENCE_LOOK_S)
            if self._silent():
                # After a pause of this whole process the bytes may be there unread: let the reader have its turn.
                await trio.sleep(SILENCE_LOOK_S)
                if self._silent():
                    socket.abandon(f"silent for {SILENCE_S} s")

    def _silent(self) -> bool:
        return self._clock.monotonic_ns() - self._heard_ns > SILENCE_S * 1e9

    # ---------------------------------------------------------------- the token

    def _usable_token(self) -> Secret[str] | None:
        now_ns = self._clock.monotonic_ns()
        return None if self._freshness is None or self._freshness.expired(now_ns) else self._token

    async def _fetch_token(self, fallback: Secret[str] | None) -> None:
        """A fresh token for this session; where none can be had, `fallback` has to do. Raises TokenFailed."""
        asked_ns = self._clock.monotonic_ns()
        try:
            with trio.fail_after(TOKEN_TIMEOUT_S):
                token, expires_s = await self._parts.tokens.fetch_token()
        except (TokenFailed, trio.TooSlowError) as failed:
            if fallback is None:
                if isinstance(failed, TokenFailed):
                    raise
                raise TokenFailed(f"no answer in {TOKEN_TIMEOUT_S} s") from None
            log.warning("token kept", session=self.name, why=str(failed))
            return
        self._token = token
        self._freshness = Freshness(asked_ns, expires_s, self._parts.world.entropy.uniform(0.0, 1.0))

    async def _keep_token(self) -> None:
        """Have the next token before this one ends, and at once when the venue refused this one."""
        while True:
            assert self._freshness is not None
            wait_s = (self._freshness.due_ns - self._clock.monotonic_ns()) / 1e9
            with trio.move_on_after(max(wait_s, 0.0)):
                await self._renewal.wait()
            wanted, self._renewal_wanted = self._renewal_wanted, False
            self._renewal = trio.Event()
            try:
                await self._fetch_token(None)
            except TokenFailed as failed:
                self._parts.events.alert(
                    "warning", f"{self.name} gets no new token: {failed}", "check REST and the key; cancels go on"
                )
                if wanted:
                    self._parts.dispatcher.token_renewed(self.lane, fresh=False)
                await trio.sleep(TOKEN_RETRY_S)
            else:
                if wanted:
                    self._parts.dispatcher.token_renewed(self.lane, fresh=True)

    # ---------------------------------------------------------------- state

    def _step(self, happened: Input, why: str | None = None) -> None:
        before, self.state = self.state, step(self.state, happened)
        if before is not self.state:
            log.info("session", session=self.name, state=self.state.value, was=before.value, why=why)
            self._parts.events.session(self._parts.venue, self.name, self.state.value, why)
