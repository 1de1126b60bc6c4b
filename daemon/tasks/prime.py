"""A session with Prime: signed as it dials, cancelling by frames that nobody acknowledges, and able to look.

Prime has neither REST for orders nor a snapshot with an end. So what is open is asked for on the session itself, by a
subscription that lives as long as the question: after its last row comes the answer to a ping sent behind it.
"""

from collections.abc import Iterator, Sequence
from typing import Final

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
    OrderState,
    Permissions,
    Pong,
    Subscribed,
    SubscriptionLost,
    TimerAck,
    Unattributed,
    Unlisted,
    Unreadable,
)
from ..contract.ids import Reqid
from ..credentials import Keys
from ..engine.effects import Send
from ..engine.lane import Lane
from ..transport.websocket import SessionEnded, WebSocket
from ..venues.prime_ws import Prime
from ..venues.signing import prime_headers, prime_timestamp
from .connection import ADMIT_TIMEOUT_S, Connection, NotAdmitted
from .conversation import Parts

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

HISTORY_NS: Final = 90 * 86_400 * 1_000_000_000
"""How old an order may be that still rests: the stream filters by the time at which an order was submitted."""

REPLAY_NS: Final = 30 * 1_000_000_000
"""How far before the last event that was heard the event stream is taken up again after a drop."""

LOOK_QUIET_S: Final = 0.25
"""How long after the ping's answer and the last row a look waits for more: the end of a list is not marked."""

EMPTY_QUIET_S: Final = 0.75
"""The same where not one row came: an account without orders may be told of by silence, and so may a slow list. Two
such looks in a row fit into the usual deadline."""

LOOK_TIMEOUT_S: Final = 2.0
"""How long a look may take before it has failed."""

ORDERS_RIGHT: Final = "write::orders"
"""What the key must be allowed to do."""

TURNED_AWAY: Final = (401, 403)
"""What a refused signature may be answered with. The venue's clock judges the time in it, so once is no verdict."""


class PrimeKeys:
    """The key in use; it may be replaced at any time, and signs the next dial. `lanes` are the sessions that use it."""

    def __init__(self, keys: Keys) -> None:
        self.keys = keys
        self.lanes: set[Lane] = set()


class _Looking:
    """A look that is under way. `answered` is set by the answer to `ping`, which left behind it."""

    def __init__(self, reqid: Reqid, ping: Reqid, order_id: str | None, asked_ns: int) -> None:
        self.reqid = reqid
        self.ping = ping
        self.order_id = order_id
        self.asked_ns = asked_ns
        self.orders: list[OrderState] = []
        self.ids: set[str] = set()
        self.truncated = False
        self.total = 0
        self.answered = trio.Event()
        self.heard_at = trio.current_time()
        self.begun_ns: int | None = None
        """When the first of its orders came."""

    @property
    def whole(self) -> bool:
        """Whether everything came of what the venue said there was."""
        return not self.truncated and len(self.orders) >= self.total

    @property
    def quiet_at(self) -> float:
        """When it will have been quiet for long enough, unless something comes before; trio's clock."""
        bare = self.order_id is None and not self.orders
        return self.heard_at + (EMPTY_QUIET_S if bare else LOOK_QUIET_S)


class PrimeSession(Connection):
    """One lane, signed in with its upgrade request."""

    # Two pings unanswered. No heartbeat is documented and an idle account's streams are silent, so the pings are as
    # frequent as they must be to know within five seconds that nobody is there.
    silence_s = 5.0
    ping_every_s = 2.0

    def __init__(self, parts: Parts, lane: Lane, dialect: Prime, holder: PrimeKeys) -> None:
        super().__init__(parts, lane, f"{parts.venue}-{lane}")
        self._dialect = dialect
        self._holder = holder
        holder.lanes.add(lane)
        self._turned_away = False
        self._filtered = True
        """Whether the streams are asked for from a time on; a venue that refuses that is asked without."""
        self._last_event_ns: int | None = None
        self._permissions: Permissions | None = None
        self._greeted = False
        self._looking: dict[Reqid, _Looking] = {}
        self._pings: dict[Reqid, _Looking] = {}
        self._streams: set[Reqid] = set()
        self._refused: CancelReject | None = None
        self._seen: list[_Looking] = []
        """Looks at one order that have shown it."""
        self._lookers: trio.Nursery | None = None

    # ---------------------------------------------------------------- plain calls

    def write_cancels(self, cancels: Sequence[Send]) -> bool:
        """One frame per cancel, all in one write; False when the session is over."""
        socket = self._socket
        if socket is None:
            return False
        utc_ns = self._clock.utc_ns()
        frames = []
        for _, reqid, target, symbol in cancels:
            assert symbol is not None, "a Prime cancel names its symbol"
            frames.append(self._dialect.cancel_frame(reqid, target, symbol, utc_ns))
        try:
            self._send(socket, *frames)
        except SessionEnded:
            return False
        return True

    def look(self, reqid: Reqid, order_id: str | None) -> None:
        """Ask for the state of one order, or for all that is open; the dispatcher hears a Looked."""
        socket = self._socket
        if socket is None:
            self._parts.dispatcher.heard(self.lane, (Looked(reqid, (), False, self._clock.monotonic_ns()),))
            return
        looking = _Looking(reqid, self._parts.reqids.draw(), order_id, self._clock.monotonic_ns())
        since_ns = self._since_ns(HISTORY_NS)
        frame = (
            self._dialect.orders_frame(reqid, since_ns)
            if order_id is None
            else self._dialect.query_frame(reqid, order_id, since_ns)
        )
        self._begin_look(socket, looking, frame)

    def renew_token(self) -> None:
        """Never asked for: there is no token."""
        raise AssertionError("Prime has no tokens")

    # ---------------------------------------------------------------- life

    def _headers(self) -> list[tuple[bytes, bytes]]:
        address, keys = self._parts.address, self._holder.keys
        timestamp = prime_timestamp(self._clock.utc_ns())
        signed = prime_headers(keys.key, keys.secret, timestamp, address.host, address.path or "/")
        return [(name.encode(), value.encode()) for name, value in signed]

    def _forgives(self, cause: int | None) -> bool:
        turned_away, self._turned_away = self._turned_away, cause in TURNED_AWAY
        return self._turned_away and not turned_away

    def _may_renew(self) -> bool:
        # A new key that is not taken must cost one session and not each of them in turn.
        alone = len(self._holder.lanes) == 1
        return alone or any(lane != self.lane for lane in self._parts.dispatcher.live)

    async def _admit(self, socket: WebSocket) -> None:
        """Greeting, rights, both order streams, and an answered ping behind them."""
        self._greeted = False
        self._permissions = self._refused = None
        self._looking, self._pings, self._streams = {}, {}, set()
        with trio.move_on_after(ADMIT_TIMEOUT_S):
            while not self._greeted:
                await self._hear(socket)
            utc_ns = self._clock.utc_ns()
            draw = self._parts.reqids.draw
            user, orders, reports, ping = draw(), draw(), draw(), draw()
            self._streams = {user, orders, reports}
            began = _Looking(orders, ping, None, self._clock.monotonic_ns())
            self._looking[orders] = self._pings[ping] = began
            self._send(socket, self._dialect.user_frame(user))
            self._send(socket, self._dialect.orders_frame(orders, self._since_ns(HISTORY_NS)))
            self._send(socket, self._dialect.reports_frame(reports, self._since_ns(REPLAY_NS, self._last_event_ns)))
            self._send(socket, self._dialect.ping_frame(ping, utc_ns))
            while self._permissions is None or not began.answered.is_set():
                await self._hear(socket)
                if self._refused is not None:
                    raise self._not_admitted(self._refused)
            if ORDERS_RIGHT not in self._permissions.names:
                raise NotAdmitted(f"the key lacks {ORDERS_RIGHT}")
            return
        raise SessionEnded(f"the order streams were not confirmed in {ADMIT_TIMEOUT_S} s")

    def _since_ns(self, before_ns: int, utc_ns: int | None = None) -> int | None:
        return (self._clock.utc_ns() if utc_ns is None else utc_ns) - before_ns if self._filtered else None

    def _not_admitted(self, refused: CancelReject) -> SessionEnded | NotAdmitted:
        why = f"a stream was refused: {refused.error}"
        if refused.fault is Fault.INVALID and self._filtered:
            self._filtered = False
            return SessionEnded(why)
        return NotAdmitted(why) if refused.fault in (Fault.INVALID, Fault.PERMISSION) else SessionEnded(why)

    async def _live(self, socket: WebSocket) -> SessionEnded:
        async with trio.open_nursery() as lookers:
            self._lookers = lookers
            try:
                for looking in list(self._looking.values()):
                    lookers.start_soon(self._finish_look, socket, looking, name=f"{self.name} open orders")
                ended = await super()._live(socket)
            finally:
                # Before the nursery closes: another session that goes down in that moment asks for a look here.
                self._lookers = None
            lookers.cancel_scope.cancel()
        return ended

    def _decode(self, messages: Sequence[str | bytes]) -> Sequence[Evidence]:
        decode = self._dialect.decode
        return [one for message in messages for one in decode(message)]

    def _pieces(self, message: str | bytes) -> Iterator[Evidence | None] | None:
        return self._dialect.pieces(message)

    def _ping_frame(self, reqid: Reqid) -> bytes:
        return self._dialect.ping_frame(reqid, self._clock.utc_ns())

    def _heed(self, socket: WebSocket, one: Evidence) -> bool:
        match one:
            case Hello(session_id=session_id):
                self._greeted = True
                log.info("greeted", session=self.name, session_id=session_id)
            case Permissions():
                self._permissions = one
            case Pong(reqid=reqid) if reqid is not None and reqid in self._pings:
                looking = self._pings.pop(reqid)
                looking.heard_at = trio.current_time()
                looking.answered.set()
            case CancelReject(reqid=reqid, error=error) if reqid in self._streams:
                self._refused = one
                socket.abandon(f"a stream was refused: {error}")
                return False
            case CancelReject(reqid=reqid) if reqid in self._looking:
                self._end_look(self._looking[reqid], complete=False)
                return False
            case Orders():
                self._heed_orders(one)
            case Unreadable():
                # Perhaps of rows that a look was to show: without them it is no list of all there is.
                for looking in self._looking.values():
                    looking.truncated = True
            case (
                CancelAck()
                | CancelReject()
                | CancelAllAck()
                | TimerAck()
                | Orders()
                | Unlisted()
                | Looked()
                | Subscribed()
                | SubscriptionLost()
                | ModeChanged()
                | Heartbeat()
                | Pong()
                | Challenge()
                | Unattributed()
                | Irrelevant()
            ):
                pass
        return True

    def _heed_orders(self, told: Orders) -> None:
        for state in told.orders:
            if state.event_ns is not None:
                self._last_event_ns = max(self._last_event_ns or 0, state.event_ns)
        looking = None if told.reqid is None else self._looking.get(told.reqid)
        if looking is None or not told.initial:
            return
        if looking.begun_ns is None:
            looking.begun_ns = self._clock.monotonic_ns()
        looking.orders += told.orders
        looking.ids.update([state.order_id for state in told.orders])
        looking.truncated = looking.truncated or told.truncated
        looking.total = max(looking.total, told.total or 0)
        looking.heard_at = trio.current_time()
        if looking.order_id is not None and told.orders:
            self._seen.append(looking)

    def _take(self, socket: WebSocket, evidence: Sequence[Evidence]) -> None:
        super()._take(socket, evidence)
        # Only now: a row may answer the cancel too, and a look that says "open" first would have it sent again.
        seen, self._seen = self._seen, []
        for looking in seen:
            if looking.reqid in self._looking:
                self._end_look(looking, complete=True)
                self._unsubscribe(socket, looking)

    # ---------------------------------------------------------------- looks

    def _begin_look(self, socket: WebSocket, looking: _Looking, frame: bytes) -> None:
        self._looking[looking.reqid] = self._pings[looking.ping] = looking
        try:
            self._send(socket, frame, self._dialect.ping_frame(looking.ping, self._clock.utc_ns()))
        except SessionEnded:
            return  # the session's end fails every look
        # One that was asked for as the session came up is waited for once the session lives.
        if self._lookers is not None:
            self._lookers.start_soon(self._finish_look, socket, looking, name=f"{self.name} look")

    async def _finish_look(self, socket: WebSocket, looking: _Looking) -> None:
        """Wait for the end of what a look brings, which is not marked."""
        with trio.move_on_after(LOOK_TIMEOUT_S):
            await looking.answered.wait()
        answered = looking.answered.is_set()
        while answered and looking.reqid in self._looking:
            quiet_at = looking.quiet_at
            if self._lists:
                # Received, and not all taken in: the answer to the ping did not wait for it.
                quiet_at = trio.current_time() + LOOK_QUIET_S
            if trio.current_time() >= quiet_at:
                break
            # Until a time and not for a while: the remainder can be too small to move the clock.
            await trio.sleep_until(quiet_at)
        complete = answered and looking.whole and not self._hides(looking)
        if complete and looking.order_id is None:
            await self._parts.dispatcher.let_go(looking.ids, looking.asked_ns)
        if looking.reqid in self._looking:
            self._end_look(looking, complete=complete and looking.whole)
            if looking.reqid not in self._streams:
                self._unsubscribe(socket, looking)

    def _hides(self, looking: _Looking) -> bool:
        """Whether a look at all there is came back without a row although orders are known that it had to show."""
        told_ns = self._last_event_ns
        since_ns = self._since_ns(HISTORY_NS)
        known = told_ns is not None and since_ns is not None and told_ns > since_ns
        return known and looking.order_id is None and not looking.orders

    def _end_look(self, looking: _Looking, *, complete: bool) -> None:
        del self._looking[looking.reqid]
        self._pings.pop(looking.ping, None)
        if complete and looking.order_id is None:
            begun_ns = self._clock.monotonic_ns() if looking.begun_ns is None else looking.begun_ns
            self._parts.dispatcher.long_lists.took(len(looking.orders), begun_ns)
        looked = Looked(looking.reqid, tuple(looking.orders), complete, looking.asked_ns, looking.ids)
        self._parts.dispatcher.heard(self.lane, (looked,))

    def _unsubscribe(self, socket: WebSocket, looking: _Looking) -> None:
        try:
            self._send(socket, self._dialect.unsubscribe_frame(looking.reqid))
        except SessionEnded:
            log.debug("look ended with its session", session=self.name)
