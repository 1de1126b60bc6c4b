"""Keeps one WebSocket alive: dial, be admitted, serve, notice its death, back off, dial again.

What being admitted takes and what is heard differs from venue to venue: session.py, prime.py and feed.py say it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import Any, Final

import structlog
import trio

from ..contract.evidence import CancelAck, Evidence, Fault, Heartbeat, Orders, Pong, Unreadable
from ..contract.ids import Reqid, Venue
from ..contract.mends import MENDS
from ..engine.backoff import Backoff, ConnectBudget, Need, is_alarming
from ..engine.inflight import Reqids
from ..engine.journal import clipped
from ..engine.lane import Lane
from ..engine.lifecycle import Input, State, step
from ..engine.venue_clock import VenueClock
from ..settings import Address
from ..transport.https import date_ns
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
"""From the first request for the order stream to its confirmation."""

SILENCE_LOOK_S: Final = 0.25

BUDGET_LOOK_S: Final = 0.5
"""How often a connection that waits for the budget looks again."""

_SIGNS_OF_LIFE: Final = (Heartbeat, Pong)
"""Not recorded when they come alone, one a second on each session; nor is the ping. Their absence ends the session."""


class TokenFailed(Exception):
    """No token could be had; `fault` is None where the venue gave no verdict."""

    def __init__(self, why: str, fault: Fault | None = None) -> None:
        super().__init__(why)
        self.fault = fault


class NotAdmitted(Exception):
    """The venue's answers on the open socket forbid its use until people change something."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What the connections of one venue share."""

    venue: Venue
    address: Address
    world: World
    dispatcher: Dispatcher
    events: Events
    budget: ConnectBudget
    reqids: Reqids
    round_trips: Histogram
    venue_times: Histogram
    """The venue's own share of each cancel, where its acks tell it."""

    venue_clock: VenueClock


class Connection:
    """One lane. `run` keeps it alive until it is cancelled; `tried` is set after the first success or failure."""

    silence_s = 5.0
    """After this long without a byte the connection is given up: Spot sends a heartbeat each second."""

    ping_every_s = 10.0
    """Measures the round trip, and keeps a connection whose subscription is quiet below the venue's idle limit."""

    def __init__(self, parts: Parts, lane: Lane, name: str) -> None:
        self.lane = lane
        self.name = name
        self.state = State.DOWN
        self.tried = trio.Event()
        self.lives = 0
        self.unreadable = 0
        self.why_down: str | None = None
        self.mend = ""
        """What to do about it, where the venue's words tell."""
        self._parts = parts
        self._clock = parts.world.clock
        self._note = parts.events.note
        self._backoff = Backoff()
        self._stream_refused = False
        self._dialled: WebSocket | None = None
        self._socket: WebSocket | None = None
        self._asked_ns = 0
        self._heard_ns = 0
        self._ping: tuple[Reqid, int] | None = None
        self._round_trip_ns: int | None = None
        self._renew_at = inf
        self._pausing: trio.CancelScope | None = None

    # ---------------------------------------------------------------- what differs from venue to venue

    def _headers(self) -> list[tuple[bytes, bytes]]:
        """What the upgrade request carries beside the usual."""
        return []

    async def _prepare(self) -> None:
        """Have what the dial would be in vain without. Raises TokenFailed."""

    async def _admit(self, socket: WebSocket) -> None:
        """From the open socket to the confirmed order stream, under a bound of its own.

        Raises SessionEnded, TokenFailed or NotAdmitted.
        """
        raise NotImplementedError

    async def _live(self, socket: WebSocket) -> SessionEnded:
        """Serve until the session ends; how it ended. Whatever else runs meanwhile is opened here."""
        async with trio.open_nursery() as life:
            life.start_soon(self._watch, socket, name=f"{self.name} keepalive")
            ended = await self._read(socket)
            life.cancel_scope.cancel()
        return ended

    def _decode(self, messages: Sequence[str | bytes]) -> Sequence[Evidence]:
        raise NotImplementedError

    def _ping_frame(self, reqid: Reqid) -> bytes:
        raise NotImplementedError

    def _heed(self, socket: WebSocket, one: Evidence) -> bool:
        """Act on what concerns this connection; whether the dispatcher is to hear it too."""
        return True

    def _overdue(self) -> str | None:
        """Why a connection that hears enough is to be given up all the same."""
        return None

    def _forgives(self, cause: int | None) -> bool:
        """Whether to dial again at once after being refused or closed with this code or status."""
        return False

    def _may_renew(self) -> bool:
        """Whether this connection, which works, can be given up now for a new one that may not."""
        return True

    def _need(self) -> Need:
        """What this connection is missed for now: the budget of dials has more for the only one of a venue."""
        parts = self._parts
        live = bool(parts.dispatcher.live)
        return parts.budget.need(parts.venue, self.lane, self._clock.monotonic_ns(), live=live)

    def _is_missed(self) -> bool:
        """Whether it is to be dialled again as soon as the budget bears it, since no other is there in its place."""
        return self._parts.dispatcher.pressing or not self._parts.dispatcher.live

    def _went_live(self) -> None:
        self._parts.dispatcher.session_up(self.lane)

    def _went_down(self) -> None:
        self._parts.dispatcher.session_down(self.lane)

    # ---------------------------------------------------------------- plain calls

    @property
    def live(self) -> bool:
        """Whether it was admitted and is up."""
        return self.state is State.LIVE

    def _refuse_stream(self, socket: WebSocket, why: str) -> None:
        """The venue refused or ended the order stream: without it the connection is of no use."""
        self._stream_refused = True
        socket.abandon(why)

    def redial(self, why: str) -> None:
        """Give this connection up, also one that is not admitted yet, and dial again."""
        if self._dialled is not None:
            self._dialled.abandon(why)

    def redial_in(self, seconds: float) -> None:
        """Give the connection that is up now up for a new one, after a while; one that is down dials by then."""
        self._renew_at = trio.current_time() + seconds
        if self._pausing is not None:
            # Whoever was turned away for minutes is not to wait them out with a key that is good.
            self._pausing.deadline = min(self._pausing.deadline, self._renew_at)

    def hurry(self) -> None:
        """Dial now instead of waiting out a pause, and pause briefly from here on: a kill was pulled."""
        self._backoff.forgive()
        if self._pausing is not None:
            self._pausing.deadline = trio.current_time()

    def status(self) -> dict[str, Any]:
        """This connection for the `status` reply."""
        shown: dict[str, Any] = {"name": self.name, "state": self.state.value, "lives": self.lives}
        if self.state is not State.LIVE and self.why_down is not None:
            shown["why"] = self.why_down
        if self._round_trip_ns is not None:
            shown["round_trip_us"] = self._round_trip_ns / 1000
        if self._heard_ns:
            shown["heard_ms_ago"] = (self._clock.monotonic_ns() - self._heard_ns) // 1_000_000
        return shown

    # ---------------------------------------------------------------- the task

    async def run(self) -> None:
        """Live again and again. Ends only by cancellation."""
        while True:
            cause: int | None = None
            try:
                await self._prepare()
                await self._wait_for_budget()
                self.mend = ""
                await self._live_once()
            except DialFailed as failed:
                why = str(failed)
            except HandshakeRefused as refused:
                # Mostly told in the refusal, too, that our clock is the reason for it.
                self._heed_date(refused.headers)
                why, cause = str(refused), refused.status
            except SessionEnded as ended:
                why, cause = str(ended), ended.close_code
            except TokenFailed as failed:
                why = f"no token: {failed}"
                self.mend = "" if failed.fault is None else MENDS[failed.fault]
            except NotAdmitted as refused:
                # Repeating it helps nobody, and with a wrong key leads to a lockout.
                why, cause = str(refused), 401
            self._parts.budget.settled(self._parts.venue, self.lane)
            self.why_down = why
            self._step(Input.LOST, why)
            self.tried.set()
            if self._forgives(cause):
                continue
            if is_alarming(cause):
                # The clock, as it is in what Prime has us sign.
                do = "check key, permissions, address allow-list, and whether this machine's clock is right"
                self._parts.events.alert("critical", f"{self.name} is turned away: {why}", do)
            now_ns = self._clock.monotonic_ns()
            delay_s = self._backoff.delay_s(
                now_ns,
                self._parts.world.entropy.uniform(0.0, 1.0),
                mode=self._parts.dispatcher.mode,
                cause=cause,
                pressing=self._parts.dispatcher.pressing,
                refused=self._stream_refused,
                pace_s=self._parts.budget.pace_s(now_ns) if self._is_missed() else None,
            )
            await self._pause(delay_s)

    async def _pause(self, seconds: float) -> None:
        """Wait so long, unless a kill or a new key ends it sooner."""
        with trio.move_on_after(seconds) as self._pausing:
            await trio.sleep_forever()
        self._pausing = None

    async def _wait_for_budget(self) -> None:
        spent = f"{self.name} waits: the connection budget of this address is spent"
        while wait_ns := self._parts.budget.take(
            self._clock.monotonic_ns(), pressing=self._parts.dispatcher.pressing, need=self._need()
        ):
            self.tried.set()
            self._parts.events.alert("warning", spent, "look for a drop loop")
            # What it is missed for may change meanwhile.
            await self._pause(min(wait_ns / 1e9, BUDGET_LOOK_S))
        self._parts.events.clear(spent)
        self._backoff.dialled(self._clock.monotonic_ns())

    async def _live_once(self) -> None:
        """One life. Raises how it ended: DialFailed, SessionEnded, TokenFailed or NotAdmitted."""
        address = self._parts.address
        self._stream_refused = False
        self._step(Input.DIAL)
        wire = await self._parts.world.dial(address.host, address.port)
        self._asked_ns = self._clock.boottime_ns()
        async with connect_websocket(
            wire,
            address.authority,
            address.path or "/",
            headers=self._headers(),
            entropy=self._parts.world.entropy.bytes,
            handshake_timeout_s=HANDSHAKE_TIMEOUT_S,
        ) as socket:
            self._dialled = socket
            self._heed_date(socket.handshake_headers)
            try:
                self._step(Input.OPENED)
                await self._admit(socket)
                self._socket = socket
                self._renew_at = inf
                self.lives += 1
                self._backoff.live(self._clock.monotonic_ns())
                self._step(Input.ADMITTED)
                self._parts.budget.settled(self._parts.venue, self.lane)
                self._went_live()
                self.tried.set()
                ended = await self._live(socket)
            finally:
                self._dialled = None
                self._drop()
        raise ended

    def _heed_date(self, headers: Sequence[tuple[bytes, bytes]]) -> None:
        """What the answer to the upgrade request tells of the venue's clock."""
        told_ns = date_ns(headers)
        if told_ns is not None:
            self._parts.venue_clock.dated(told_ns, self._asked_ns, self._clock.boottime_ns())

    def _drop(self) -> None:
        if self._socket is not None:
            self._socket = None
            self._ping = None
            self._parts.budget.lost(self._parts.venue, self._clock.monotonic_ns())
            self._went_down()

    def _send(self, socket: WebSocket, *frames: bytes) -> None:
        """Write frames, all in one write, then record them. Raises SessionEnded; they may have left all the same."""
        try:
            if len(frames) == 1:
                socket.send_now(frames[0])
            else:
                socket.send_many_now(frames)
        except SessionEnded:
            for frame in frames:
                self._note("frame_out", session=self.name, frame=clipped(frame), left="unknown")
            raise
        for frame in frames:
            self._note("frame_out", session=self.name, frame=clipped(frame))

    def _record_heard(self, messages: Sequence[str | bytes], evidence: Sequence[Evidence]) -> None:
        if len(evidence) == 1 and type(evidence[0]) in _SIGNS_OF_LIFE:
            return
        for message in messages:
            self._note("frame_in", session=self.name, frame=clipped(message))

    async def _hear(self, socket: WebSocket) -> Sequence[Evidence]:
        """The next message while not yet admitted. Raises SessionEnded."""
        messages = [await socket.receive()]
        evidence = self._decode(messages)
        self._record_heard(messages, evidence)
        self._take(socket, evidence)
        return evidence

    async def _read(self, socket: WebSocket) -> SessionEnded:
        """Read until the session ends; what was in flight moves on before this returns."""

        try:
            await socket.deliver(partial(self._take_in, socket))
        except SessionEnded as ended:
            self._drop()
            return ended

    def _take_in(self, socket: WebSocket, messages: Sequence[str | bytes]) -> None:
        """What one read brought."""
        evidence = self._decode(messages)
        self._record_heard(messages, evidence)
        self._take(socket, evidence)

    def _take(self, socket: WebSocket, evidence: Sequence[Evidence]) -> None:
        """Everything read in one go: what concerns the connection here, the rest to the dispatcher."""
        now_ns = self._heard_ns = self._clock.monotonic_ns()
        kept: set[int] = set()
        for place, one in enumerate(evidence):
            if type(one) is CancelAck:
                # Nearly all there is, and but for its time the dispatcher's alone.
                if one.venue_ns is not None:
                    self._parts.venue_times.record(one.venue_ns)
                continue
            if type(one) is Pong and self._ping is not None and one.reqid in (self._ping[0], None):
                self._round_trip_ns = now_ns - self._ping[1]
                self._parts.round_trips.record(self._round_trip_ns)
                self._ping = None
            elif type(one) is Orders and one.orders and (event_ns := one.orders[-1].event_ns) is not None:
                self._parts.venue_clock.happened(event_ns, self._clock.boottime_ns())
            elif type(one) is Unreadable:
                self.unreadable += 1
                # The 1st, 2nd, 4th and so on: a line for each frame of a flood would hold up every venue's cancels.
                if self.unreadable.bit_count() == 1:
                    log.warning("unreadable frame", session=self.name, why=one.why, count=self.unreadable)
            if not self._heed(socket, one):
                kept.add(place)
        if kept:
            evidence = [one for place, one in enumerate(evidence) if place not in kept]
        self._parts.dispatcher.heard(self.lane, evidence)

    async def _watch(self, socket: WebSocket) -> None:
        """Ping now and then, and call a silent connection dead without waiting for TCP to notice."""
        ping_at = trio.current_time()
        while True:
            if trio.current_time() >= ping_at:
                ping_at += self.ping_every_s
                reqid = self._parts.reqids.draw()
                self._ping = (reqid, self._clock.monotonic_ns())
                try:
                    socket.send_now(self._ping_frame(reqid))
                except SessionEnded:
                    return
            await trio.sleep(SILENCE_LOOK_S)
            if trio.current_time() >= self._renew_at and self._may_renew():
                socket.abandon("dialled anew under a new key")
            if (why := self._overdue()) is not None:
                socket.abandon(why)
            if self._silent():
                # After a pause of this whole process the bytes may be there unread: let the reader have its turn.
                await trio.sleep(SILENCE_LOOK_S)
                if self._silent():
                    socket.abandon(f"silent for {self.silence_s} s")

    def _silent(self) -> bool:
        return self._clock.monotonic_ns() - self._heard_ns > self.silence_s * 1e9

    # ---------------------------------------------------------------- state

    def _step(self, happened: Input, why: str | None = None) -> None:
        before, self.state = self.state, step(self.state, happened)
        if before is not self.state:
            log.info("session", session=self.name, state=self.state.value, was=before.value, why=why)
            self._parts.events.session(self._parts.venue, self.name, self.state.value, why)
