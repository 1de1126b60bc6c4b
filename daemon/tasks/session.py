"""A session that cancels with a token: Spot's sockets, and Futures' on the Unified WebSocket.

It is subscribed to the account's order stream for three reasons: the venue closes private sockets without a
subscription, the token stays valid while one is held, and the stream is the proof of what was cancelled.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final, Protocol

import structlog
import trio

from ..contract.evidence import (
    CancelAck,
    CancelAllAck,
    CancelReject,
    Challenge,
    Evidence,
    Fault,
    Heartbeat,
    Hello,
    Irrelevant,
    Looked,
    ModeChanged,
    Orders,
    Permissions,
    Pong,
    Subscribed,
    SubscriptionLost,
    TimerAck,
    Unattributed,
    Unlisted,
    Unreadable,
)
from ..contract.ids import Reqid, Target
from ..credentials import Secret
from ..engine.budget import Use
from ..engine.effects import Send
from ..engine.lane import Lane
from ..engine.tokens import Freshness
from ..transport.websocket import SessionEnded, WebSocket
from .connection import ADMIT_TIMEOUT_S, Connection, TokenFailed
from .conversation import Parts, write
from .token_desk import Token

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

TOKEN_LOOK_S: Final = 1.0
"""How often a session that needs a token looks whether one can be had."""


class Dialect(Protocol):
    """What a session needs of a venue dialect: functions from venues/spot_ws.py or its likes."""

    def cancel_frame(self, token: Secret[str], reqid: Reqid, target: Target) -> bytes: ...

    def cancel_all_frame(self, token: Secret[str], reqid: Reqid) -> bytes: ...

    def timer_frame(self, token: Secret[str], reqid: Reqid, timeout_s: int) -> bytes: ...

    def subscribe_frame(self, token: Secret[str], reqid: Reqid) -> bytes: ...

    def unsubscribe_frame(self, token: Secret[str], reqid: Reqid) -> bytes: ...

    def ping_frame(self, reqid: Reqid) -> bytes: ...

    def decode(self, frame: str | bytes) -> Evidence: ...

    def pieces(self, frame: str | bytes) -> Iterator[Evidence | None] | None: ...


class TokenSource(Protocol):
    """Where tokens come from: token_desk.py."""

    def wait_s(self, use: Use, *, fresh: bool = False) -> float:
        """How long no token for this use can be had; 0.0 when one can. fresh: one that is there will not do."""
        ...

    async def token(self, use: Use, *, fresh: bool = False) -> Token:
        """A token. fresh: only one that is fetched now will do. Raises TokenFailed."""
        ...

    def refused(self, token: Secret[str]) -> None:
        """The venue takes this one no more."""
        ...


class TimerAsker(Protocol):
    """Who had the account's cancel-all timer set, and is told once what that came to."""

    def timer_answered(self, trigger_s: float | None) -> None:
        """The venue took it. trigger_s: when the timer fires, Unix seconds of the venue; None when it is off."""
        ...

    def timer_failed(self, why: str) -> None:
        """It was refused, or its answer is lost."""
        ...


class Session(Connection):
    """One lane under a token of its own."""

    def __init__(self, parts: Parts, lane: Lane, dialect: Dialect, tokens: TokenSource) -> None:
        super().__init__(parts, lane, f"{parts.venue}-{lane}")
        self._dialect = dialect
        self._tokens = tokens
        self._token: Secret[str] | None = None
        self._freshness: Freshness | None = None
        self._unused = False
        """The token was fetched for the next session and has not been shown."""
        self._renewal_wanted = False
        self._renewal = trio.Event()
        self._fetching: trio.CancelScope | None = None
        """While a token is waited for, unless it is for a kill."""
        self._sequence: int | None = None
        self._timer: tuple[Reqid, TimerAsker] | None = None
        self._leaving: Reqid | None = None
        self._subscribing: Reqid | None = None
        """The subscribe that is not answered yet."""
        self._subscribed: Reqid | None = None
        """The subscribe that the order stream came by."""
        self._relisting: tuple[Reqid, int] | None = None

    # ---------------------------------------------------------------- plain calls

    def write_cancels(self, cancels: Sequence[Send]) -> bool:
        """One frame per cancel, all in one write; False when the session is over."""
        socket, token = self._socket, self._token
        if socket is None or token is None:
            return False
        one, everything = self._dialect.cancel_frame, self._dialect.cancel_all_frame
        frames = [
            everything(token, reqid) if target.kind == "all" else one(token, reqid, target)
            for _, reqid, target, _ in cancels
        ]
        try:
            self._send(socket, *frames)
        except SessionEnded:
            return False
        return True

    @property
    def ready(self) -> bool:
        """Whether a cancel can be written now."""
        return self._socket is not None and self._token is not None

    def write_plain(self, cancels: Sequence[tuple[Reqid, Target]]) -> tuple[Sequence[bytes], bool]:
        """As hand.Line has it."""
        socket, token, cancel_frame = self._socket, self._token, self._dialect.cancel_frame
        assert socket is not None and token is not None, f"{self.name} was not ready"  # noqa: PT018
        frames = [cancel_frame(token, reqid, target) for reqid, target in cancels]
        try:
            write(socket, frames)
        except SessionEnded:
            return frames, False
        return frames, True

    def write_timer(self, timeout_s: int, asker: TimerAsker) -> bool:
        """Arm or renew the account's cancel-all timer, or with 0 switch it off; False when the session is over.

        An earlier one that is not answered yet is not waited for any more.
        """
        socket, token = self._socket, self._token
        if socket is None or token is None:
            return False
        reqid = self._parts.reqids.draw()
        try:
            self._send(socket, self._dialect.timer_frame(token, reqid, timeout_s))
        except SessionEnded:
            return False
        self._timer = (reqid, asker)
        return True

    def look(self, reqid: Reqid, order_id: str | None) -> None:
        """Have all that is open listed anew, by ending the order stream and asking for it again.

        The dispatcher hears a Looked. Single orders are never asked for here.
        """
        assert order_id is None, f"{self.name} cannot look at one order"
        socket, token, now_ns = self._socket, self._token, self._clock.monotonic_ns()
        if socket is None or token is None or self._relisting is not None:
            # One at a time: what is asked for behind an unanswered one would be told of with its list.
            self._parts.dispatcher.heard(self.lane, (Looked(reqid, (), False, now_ns),))
            return
        self._relisting = (reqid, now_ns)
        draw = self._parts.reqids.draw
        self._leaving, self._subscribing = draw(), draw()
        frames = [
            self._dialect.unsubscribe_frame(token, self._leaving),
            self._dialect.subscribe_frame(token, self._subscribing),
        ]
        try:
            socket.send_many_now(frames)
        except SessionEnded:
            log.debug("list not asked for: the session is over", session=self.name)

    def _overdue(self) -> str | None:
        """Without its order stream a session has no proof to give, however alive it is."""
        asked = self._relisting
        if asked is None or self._clock.monotonic_ns() - asked[1] < ADMIT_TIMEOUT_S * 1e9:
            return None
        return f"the order stream was not confirmed anew in {ADMIT_TIMEOUT_S} s"

    def _relisted(self, orders: Orders) -> None:
        assert self._relisting is not None
        (reqid, asked_ns), self._relisting = self._relisting, None
        looked = Looked(reqid, orders.orders, True, asked_ns, taken=orders.taken)
        self._parts.dispatcher.heard(self.lane, (looked,))

    def renew_token(self) -> None:
        """Have a new token fetched now, because the venue refused this one."""
        if self._token is not None:
            self._tokens.refused(self._token)
        self._renewal_wanted = True
        self._renewal.set()

    def hurry(self) -> None:
        """Dial now, and wait for no token that was asked for before the kill: REST may be silent for long."""
        super().hurry()
        if self._fetching is not None:
            self._fetching.cancel()

    def status(self) -> dict[str, Any]:
        """This session for the `status` reply."""
        shown = super().status()
        if self._freshness is not None:
            left_ns = self._freshness.expires_ns - self._clock.monotonic_ns()
            shown["token_expires_in_s"] = max(left_ns // 1_000_000_000, 0)
        return shown

    # ---------------------------------------------------------------- life

    async def _prepare(self) -> None:
        """Have some token before the dial: where none can be had that must not cost a dial each time."""
        while self._usable_token() is None:
            if wait_s := self._tokens.wait_s(self._use()):
                self.tried.set()
                await self._pause(min(wait_s, TOKEN_LOOK_S))
            else:
                await self._fetch_token(None)
                self._unused = True

    async def _admit(self, socket: WebSocket) -> None:
        """Get a new token if it may be, subscribe to the order stream and wait until the venue confirms."""
        usable, use = self._usable_token(), self._use()
        # One that serves is not changed where the calls are needed for something else, nor while a kill waits for it.
        if usable is None or not (self._unused or use == "kill" or self._tokens.wait_s(use)):
            await self._fetch_token(usable)
        self._unused = False
        assert self._token is not None
        self._sequence = self._leaving = self._relisting = self._subscribed = None
        self._subscribing = self._parts.reqids.draw()
        self._send(socket, self._dialect.subscribe_frame(self._token, self._subscribing))
        with trio.move_on_after(ADMIT_TIMEOUT_S):
            while True:
                for one in await self._hear(socket):
                    if isinstance(one, Subscribed):
                        return
        raise SessionEnded(f"the order stream was not confirmed in {ADMIT_TIMEOUT_S} s")

    async def _live(self, socket: WebSocket) -> SessionEnded:
        async with trio.open_nursery() as life:
            life.start_soon(self._keep_token, name=f"{self.name} token keeper")
            ended = await super()._live(socket)
            life.cancel_scope.cancel()
        return ended

    def _decode(self, messages: Sequence[str | bytes]) -> Sequence[Evidence]:
        decode = self._dialect.decode
        return [decode(message) for message in messages]

    def _pieces(self, message: str | bytes) -> Iterator[Evidence | None] | None:
        return self._dialect.pieces(message)

    def _ping_frame(self, reqid: Reqid) -> bytes:
        return self._dialect.ping_frame(reqid)

    def _heed(self, socket: WebSocket, one: Evidence) -> bool:
        match one:
            case ModeChanged(mode=mode):
                self._parts.dispatcher.mode_changed(mode)
            case Orders(snapshot=True, sequence=sequence) if self._relisting is not None:
                self._sequence = sequence
                self._relisted(one)
            case Orders(sequence=sequence, snapshot=snapshot) if sequence is not None:
                if not snapshot and self._sequence is not None and sequence != self._sequence + 1:
                    # Something was lost on the way; only a new snapshot tells what.
                    socket.abandon(f"order stream gap: {self._sequence} then {sequence}")
                self._sequence = sequence
            case Subscribed(reqid=reqid) if reqid in (None, self._subscribing):
                self._subscribed, self._subscribing = self._subscribing, None
            case SubscriptionLost(reqid=reqid) if reqid is not None and reqid == self._leaving:
                return False
            case SubscriptionLost(error=error, fault=fault) if self._is_ours(one):
                self._stream_lost(socket, error, fault)
            case SubscriptionLost(error=error):
                log.warning("refusal of a subscription of nobody's", session=self.name, error=error)
            case CancelReject(reqid=reqid, error=error, fault=fault) if reqid == self._subscribing:
                self._stream_lost(socket, error, fault)
                return False
            case Unattributed(error=error, fault=fault) if not self.live and fault is not Fault.ROUTE_BUSY:
                # Nothing else than the subscribe was asked for yet. A rate notice does not refuse it.
                self._stream_lost(socket, error, fault)
            case TimerAck(reqid=reqid, trigger_s=trigger_s):
                if (asker := self._timer_asker(reqid)) is not None:
                    asker.timer_answered(trigger_s)
                return False
            case CancelReject(reqid=reqid, error=error, fault=fault) if (asker := self._timer_asker(reqid)) is not None:
                if fault is Fault.STALE_TOKEN:
                    self.renew_token()
                asker.timer_failed(error)
                return False
            case (
                CancelAck()
                | CancelReject()
                | CancelAllAck()
                | Orders()
                | Unlisted()
                | Looked()
                | Subscribed()
                | Heartbeat()
                | Pong()
                | Hello()
                | Challenge()
                | Permissions()
                | Unattributed()
                | Irrelevant()
                | Unreadable()
            ):
                pass
        return True

    def _is_ours(self, lost: SubscriptionLost) -> bool:
        """Whether it is our order stream that was refused or ended.

        A message that names neither a request nor the stream is about ours only while a subscribe of ours is out.
        """
        if lost.reqid is None:
            return lost.named or self._subscribing is not None
        return lost.named or lost.reqid in (self._subscribing, self._subscribed)

    def _stream_lost(self, socket: WebSocket, error: str, fault: Fault) -> None:
        if fault is Fault.STALE_TOKEN and self._token is not None:
            self._tokens.refused(self._token)
            self._freshness = self._token = None
        self._refuse_stream(socket, f"order stream refused: {error}")

    def _timer_asker(self, reqid: Reqid) -> TimerAsker | None:
        """Who waits for the answer to this request, if it is the timer's; it is told only once."""
        if self._timer is None or self._timer[0] != reqid:
            return None
        asker = self._timer[1]
        self._timer = None
        return asker

    def _went_down(self) -> None:
        super()._went_down()
        if self._timer is not None and (asker := self._timer_asker(self._timer[0])) is not None:
            asker.timer_failed("the session was lost before its answer")

    # ---------------------------------------------------------------- the token

    def _usable_token(self) -> Secret[str] | None:
        now_ns = self._clock.monotonic_ns()
        return None if self._freshness is None or self._freshness.expired(now_ns) else self._token

    def _use(self) -> Use:
        dispatcher = self._parts.dispatcher
        return "kill" if dispatcher.pressing else "token" if dispatcher.live else "first token"

    async def _fetch_token(self, fallback: Secret[str] | None, *, fresh: bool = False) -> None:
        """A token for this session; where none can be had, `fallback` has to do. Raises TokenFailed.

        A kill that is pulled meanwhile makes do with the fallback at once, or else asks anew past everybody's turn.
        """
        token: Token | None = None
        while token is None:
            use = self._use()
            with trio.CancelScope() as asking:
                self._fetching = None if use == "kill" else asking
                try:
                    token = await self._tokens.token(use, fresh=fresh)
                except TokenFailed as failed:
                    if fallback is None:
                        raise
                    log.warning("token kept", session=self.name, why=str(failed))
                    return
                finally:
                    self._fetching = None
            if token is None and fallback is not None:
                return
        self._token = token.text
        self._freshness = Freshness(token.asked_ns, token.expires_s, self._parts.world.entropy.uniform(0.0, 1.0))

    async def _keep_token(self) -> None:
        """Have the next token before this one ends, and as soon as can be when the venue refused this one."""
        refused, no_token = False, f"{self.name} gets no new token"
        while True:
            assert self._freshness is not None
            wait_s = TOKEN_LOOK_S if refused else (self._freshness.due_ns - self._clock.monotonic_ns()) / 1e9
            with trio.move_on_after(max(wait_s, 0.0)):
                await self._renewal.wait()
            wanted, self._renewal_wanted = self._renewal_wanted, False
            refused = refused or wanted
            self._renewal = trio.Event()
            use: Use = self._use() if not refused or self._parts.dispatcher.pressing else "first token"
            failed: Exception | None = None
            if not self._tokens.wait_s(use, fresh=not refused):
                try:
                    await self._fetch_token(None, fresh=not refused)
                    refused = False
                except TokenFailed as error:
                    failed = error
                    self._parts.events.alert("warning", no_token, f"{error}: check REST and the key; cancels go on")
                else:
                    self._parts.events.clear(no_token)
            if wanted:
                self._parts.dispatcher.token_renewed(self.lane, fresh=not refused)
            if refused or failed is not None or self._freshness.due(self._clock.monotonic_ns()):
                await trio.sleep(TOKEN_LOOK_S)
