"""Keeps one WebSocket alive: dial, be admitted, serve, notice its death, back off, dial again.

What being admitted takes and what is heard differs from venue to venue: session.py, prime.py and feed.py say it.
"""

from collections.abc import Sequence
from functools import partial
from math import inf
from typing import Any, Final

import structlog
import trio

from ..contract.evidence import Fault
from ..contract.mends import MENDS
from ..engine.backoff import Backoff, Need, is_alarming
from ..engine.lane import Lane
from ..engine.lifecycle import Input, State, step
from ..transport.https import date_ns
from ..transport.network import DialFailed
from ..transport.websocket import HandshakeRefused, SessionEnded, WebSocket, connect_websocket
from .conversation import Conversation, Parts

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

HANDSHAKE_TIMEOUT_S: Final = 5.0
"""From the upgrade request to its answer; ten times what a slow edge takes."""

ADMIT_TIMEOUT_S: Final = 5.0
"""From the first request for the order stream to its confirmation."""

BUDGET_LOOK_S: Final = 0.5
"""How often a connection that waits for the budget looks again."""


class TokenFailed(Exception):
    """No token could be had; `fault` is None where the venue gave no verdict."""

    def __init__(self, why: str, fault: Fault | None = None) -> None:
        super().__init__(why)
        self.fault = fault


class NotAdmitted(Exception):
    """The venue's answers on the open socket forbid its use until people change something."""


class Connection(Conversation):
    """One lane. `run` keeps it alive until it is cancelled; `tried` is set after the first success or failure."""

    def __init__(self, parts: Parts, lane: Lane, name: str) -> None:
        super().__init__(parts, lane, name)
        self.state = State.DOWN
        self.tried = trio.Event()
        self.lives = 0
        self.why_down: str | None = None
        self.mend = ""
        """What to do about it, where the venue's words tell."""
        self._backoff = Backoff()
        self._stream_refused = False
        self._not_let_in = f"{self.name} is turned away"
        self._dialled: WebSocket | None = None
        self._socket: WebSocket | None = None
        self._asked_ns = 0
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
            self._life = life
            ended = await self._read(socket)
            life.cancel_scope.cancel()
        return ended

    def _forgives(self, cause: int | None) -> bool:
        """Whether to dial again at once after being refused or closed with this code or status."""
        return False

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
                if failed.phase == "resolve":
                    self._parts.budget.give_back()
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
                self._parts.events.alert("critical", self._not_let_in, f"{why}: {do}")
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
            self._lists.clear()
            self._parts.budget.lost(self._parts.venue, self._clock.monotonic_ns())
            self._went_down()

    async def _read(self, socket: WebSocket) -> SessionEnded:
        """Read until the session ends; what was in flight moves on before this returns."""

        try:
            await socket.deliver(partial(self._take_in, socket))
        except SessionEnded as ended:
            self._drop()
            return ended

    # ---------------------------------------------------------------- state

    def _step(self, happened: Input, why: str | None = None) -> None:
        before, self.state = self.state, step(self.state, happened)
        if before is not self.state:
            log.info("session", session=self.name, state=self.state.value, was=before.value, why=why)
            self._parts.events.session(self._parts.venue, self.name, self.state.value, why)
            if self.live:
                self._parts.events.clear(self._not_let_in)
