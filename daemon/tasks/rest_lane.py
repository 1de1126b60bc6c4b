"""Keeps one REST endpoint warm, and makes the calls that the engine, the sessions and the kill want of it.

Where the venue wants nonces they must arrive in order, so requests take turns; else some go side by side. A turn ends
with the answer, or when the venue has been silent for so long that waiting for it would hold up every other cancel; the
silent request is then still awaited.
"""

from collections.abc import Callable
from typing import Any, Final, Protocol

import structlog
import trio

from ..contract.evidence import Fault, RestAnswer, RestFailed, RestMode, RestTimer, RestToken, Window
from ..contract.ids import Venue
from ..credentials import Secret
from ..engine.budget import CallBudget
from ..engine.calls import Call
from ..engine.journal import clipped
from ..engine.nonces import Nonces, format_mark
from ..engine.reactions import RULES
from ..engine.venue_clock import VenueClock
from ..settings import Address
from ..transport.disk import Directory, DiskFailed
from ..transport.https import AnswerLost, HttpConnection, NotSent, Response, date_ns
from ..transport.network import DialFailed
from ..transport.world import World
from .connection import TokenFailed
from .dispatcher import Dispatcher
from .events import Events
from .telemetry import Histogram

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

OVERDUE: Final = 2
"""Calls that may be under way beside those in their turns, because their answers are overdue."""

PARALLEL: Final = 4
"""Calls side by side where no nonce puts them in sequence: enough for 500 cancels in batches of 20 inside a default
deadline, and few enough for the venue's own limits."""

WARM: Final = 2
"""Connections kept open: one for the next call, one for when that turns out dead."""

CALL_TIMEOUT_S: Final = 2.5
"""From the request to its whole answer; above the slowest honest answers, below a patient caller's deadline."""

WARM_AFTER_S: Final = 15.0
"""An idle connection is used for a cheap public call this often, below the idle limits of usual edges."""

MODE_AFTER_S: Final = 2.0
"""The same while the venue is in maintenance as far as we know, and no session is there to tell of its end."""

RENEW_AFTER_S: Final = 240.0
"""Old connections are known to be refused without a reason after some five minutes."""

WARM_LOOK_S: Final = 1.0
IDLE_LOOK_S: Final = 1.0
"""How often an idle worker looks for work nobody woke it for: calls that had to wait for the lane to reopen."""

DIAL_PAUSE_S: Final = 0.2
"""Least time between two failed dials; calls in between fail at once and take their other routes."""

DIAL_TIMEOUT_S: Final = 8.0
"""Above the bounds of the dial's own phases, which give the better message."""

MARK_LOOK_S: Final = 0.5
URGENT: Final = 2
"""Urgent calls that may be under way at once: a cancel-all and the look behind it."""

STALE_TRIES: Final = 3
"""Connections tried for one call when each turns out to have been closed while idle."""


class SignedRequest(Protocol):
    """What a dialect builds."""

    @property
    def method(self) -> str: ...

    @property
    def path(self) -> str: ...

    @property
    def body(self) -> bytes: ...

    @property
    def headers(self) -> tuple[tuple[str, str], ...]: ...


Build = Callable[[int], SignedRequest]
Decode = Callable[[int, bytes], RestAnswer]
Plan = tuple[Build, Decode]


class RestDialect(Protocol):
    """What the lane needs of a venue dialect."""

    def plan(self, call: Call) -> Plan:
        """How to build the request of an engine's call from a nonce, and how to read its answer."""
        ...

    def token(self) -> Plan: ...

    def timer(self, timeout_s: int) -> Plan: ...

    def mode(self) -> Plan: ...


class CallFailed(Exception):
    """No HTTP answer. left: whether a byte of the request may have reached the venue."""

    def __init__(self, why: str, *, left: bool) -> None:
        super().__init__(why)
        self.why = why
        self.left = left


class RestLane:
    """One venue's REST endpoint under one key."""

    def __init__(
        self,
        venue: Venue,
        address: Address,
        dialect: RestDialect,
        world: World,
        state: Directory,
        nonces: Nonces | None,
        dispatcher: Dispatcher,
        events: Events,
        budget: CallBudget,
        venue_clock: VenueClock,
        *,
        exclusive_s: float,
        conceal: Callable[[Secret[str]], None],
    ) -> None:
        """nonces: None where the venue wants none. exclusive_s: how long a silent request keeps its turn.

        conceal: told of every token.
        """
        self.venue = venue
        self.calls = 0
        self.round_trips = Histogram()
        self.tried = trio.Event()
        self.last_error: str | None = None
        self.maintenance: tuple[Window, ...] = ()
        self._address = address
        self._dialect = dialect
        self._world = world
        self._state = state
        self._nonces = nonces
        self._dispatcher = dispatcher
        self._events = events
        self._exclusive_s = exclusive_s
        self._conceal = conceal
        self._budget = budget
        self._venue_clock = venue_clock
        self._turns = PARALLEL if nonces is None else 1
        self._turn = trio.Semaphore(self._turns, max_value=self._turns)
        self._idle: list[tuple[HttpConnection, float]] = []
        self._distrusted: list[HttpConnection] = []
        self._work_there = trio.Event()
        self._urgent_there = trio.Event()
        self._closed_until_ns = 0
        self._closed_why = ""
        self._dial_failed_at = -DIAL_PAUSE_S
        self._dial_fault = ""

    def told(self, ceiling: float | None) -> None:
        """The venue told the account's rate threshold, and with it the tier of this key."""
        self._budget.told(ceiling)

    def wake(self) -> None:
        """There may be a call to make."""
        self._work_there.set()
        if self._dispatcher.wants_urgent:
            self._urgent_there.set()

    @property
    def reachable(self) -> bool:
        """Whether a call would leave as far as we know: the key is not refused, and the venue could be dialled."""
        return self._world.clock.monotonic_ns() >= self._closed_until_ns and (bool(self._idle) or not self._dial_fault)

    def reopen(self) -> None:
        """Another key is in use from here on: what the venue refused to the last one says nothing about it."""
        self._closed_until_ns = 0

    def distrust(self) -> None:
        """Use no connection that is open and idle again: it may be dead without a sign. Calls dial until others are."""
        self._distrusted += [connection for connection, _ in self._idle]
        self._idle.clear()

    def status(self) -> dict[str, Any]:
        """This lane for the `status` reply."""
        warm = sum(connection.is_open for connection, _ in self._idle)
        shown: dict[str, Any] = {"state": "up" if warm else "down", "warm": warm, "calls": self.calls}
        if self._world.clock.monotonic_ns() < self._closed_until_ns:
            shown["state"], shown["why"] = "closed", self._closed_why
        elif not warm and self.last_error:
            shown["why"] = self.last_error
        if self.round_trips.count:
            shown["round_trips"] = self.round_trips.summary()
        return shown

    async def run(self) -> None:
        """Serve until cancelled."""
        try:
            async with trio.open_nursery() as lane:
                if self._nonces is not None:
                    lane.start_soon(self._keep_mark, self._nonces, name=f"{self.venue} nonce mark")
                lane.start_soon(self._keep_warm, name=f"{self.venue} REST keep-warm")
                for number in range(self._turns + OVERDUE):
                    lane.start_soon(self._work, name=f"{self.venue} REST worker {number}")
                for number in range(URGENT):
                    lane.start_soon(self._work_urgent, name=f"{self.venue} REST urgent worker {number}")
        finally:
            self.distrust()
            with trio.CancelScope(shield=True):
                await self._close_distrusted()

    # ---------------------------------------------------------------- calls

    async def _work(self) -> None:
        """Make the engine's calls."""
        while True:
            with trio.move_on_after(IDLE_LOOK_S):
                await self._work_there.wait()
            self._work_there = trio.Event()
            while await self._work_once():
                pass

    async def _work_urgent(self) -> None:
        """Make the calls that wait for nothing.

        Not even for their turn: one that overtakes another's nonce costs that one a second try, and they are a kill's.
        """
        while True:
            with trio.move_on_after(IDLE_LOOK_S):
                await self._urgent_there.wait()
            self._urgent_there = trio.Event()
            while self._dispatcher.wants_urgent:
                await self._work_once(urgent=True)

    async def _work_once(self, *, urgent: bool = False) -> bool:
        """Make the most important call; False when there is none."""
        taken: list[Call] = []

        def next_call(now_ns: int) -> Call | None:
            if urgent:
                return self._dispatcher.next_urgent()
            return self._dispatcher.next_call(queries=self._budget.spares_query(now_ns))

        def choose() -> Plan | None:
            now_ns = self._world.clock.monotonic_ns()
            call = next_call(now_ns)
            if call is None:
                return None
            self._budget.called(call.form, len(call.targets), now_ns)
            taken.append(call)
            return self._dialect.plan(call)

        if not urgent and not self._dispatcher.wants_call:
            return False
        try:
            answer = await self._exchange(choose, takes_turn=not urgent)
        except CallFailed as failed:
            self.last_error = failed.why
            # Nothing was chosen when not even a connection could be had: the call that wanted it has failed, unsent.
            call = taken[0] if taken else next_call(self._world.clock.monotonic_ns())
            if call is None:
                return False
            log.warning("REST call failed", venue=self.venue, form=call.form, left=failed.left, why=failed.why)
            self._dispatcher.call_failed(call, failed.left, failed.why)
            return True
        if answer is None:
            return False
        if isinstance(answer, RestFailed):
            log.info("REST refused", venue=self.venue, form=taken[0].form, fault=answer.fault.name, error=answer.error)
        self._dispatcher.call_answered(taken[0], answer)
        return True

    async def fetch_token(self) -> tuple[Secret[str], float]:
        """A fresh WebSocket token and its validity in seconds. Raises TokenFailed."""
        self._budget.called("token", 0, self._world.clock.monotonic_ns())
        try:
            answer = await self._exchange(self._dialect.token)
        except CallFailed as failed:
            raise TokenFailed(failed.why) from None
        if isinstance(answer, RestToken):
            token = Secret(answer.token)
            self._conceal(token)
            return token, answer.expires_s
        if isinstance(answer, RestFailed):
            raise TokenFailed(answer.error, answer.fault)
        raise TokenFailed(getattr(answer, "why", "not a token"))

    async def set_timer(self, timeout_s: int) -> float | None:
        """Arm or renew the account's cancel-all timer, or with 0 switch it off.

        When it will fire, Unix seconds of the venue; None when it is off. Raises CallFailed.
        """
        self._budget.called("timer", 0, self._world.clock.monotonic_ns())
        answer = await self._exchange(lambda: self._dialect.timer(timeout_s))
        if isinstance(answer, RestTimer):
            return answer.trigger_s
        raise CallFailed(str(getattr(answer, "error", None) or getattr(answer, "why", "no timer")), left=True)

    async def _exchange(
        self, choose: Callable[[], Plan | None], *, takes_turn: bool = True
    ) -> RestAnswer | None:
        """Take a turn, then do what `choose` says at that moment; None when it says that there is nothing to do.

        A nonce that another one overtook is replaced once. Where that cannot be sent any more, the refusal is the
        answer: a request did leave. Raises CallFailed.
        """
        chosen: Plan | None = None
        overtaken: RestFailed | None = None
        for _ in range(STALE_TRIES):
            try:
                self._raise_if_closed()
                connection = await self._connection()
            except CallFailed:
                if overtaken is None:
                    raise
                return overtaken
            if takes_turn:
                await self._wait_for_turn(connection)
            turn = _Turn(self._turn if takes_turn else None)
            try:
                chosen = chosen or choose()
            except BaseException:
                turn.end()
                raise
            if chosen is None:
                turn.end()
                self._idle.append((connection, trio.current_time()))
                return None
            build, decode = chosen
            request = build(0 if self._nonces is None else self._nonces.draw(self._world.clock.utc_ns()))
            try:
                response = await self._request(connection, request, turn)
            except NotSent as stale:
                fault = stale.detail
                continue
            except AnswerLost as lost:
                raise CallFailed(lost.detail, left=True) from None
            answer = decode(response.status, response.body)
            refused = isinstance(answer, RestFailed) and answer.fault is Fault.STALE_NONCE
            if refused and self._nonces is not None and overtaken is None:
                assert isinstance(answer, RestFailed)
                overtaken = answer
                self._nonces.overtaken(self._world.clock.utc_ns())
                log.warning("nonce overtaken", venue=self.venue, error=answer.error)
                continue
            self._heed(answer)
            return answer
        if overtaken is not None:
            return overtaken
        raise CallFailed(fault, left=False)

    async def _wait_for_turn(self, connection: HttpConnection) -> None:
        """Take a turn; whoever gives up waiting for it leaves the connection to the next."""
        try:
            await self._turn.acquire()
        except trio.Cancelled:
            self._idle.append((connection, trio.current_time()))
            raise

    async def _request(self, connection: HttpConnection, request: SignedRequest, turn: "_Turn") -> Response:
        """One request in the turn that the caller took. Raises NotSent or AnswerLost."""
        headers = [(name.encode(), value.encode()) for name, value in request.headers]
        failure: NotSent | AnswerLost | None = None
        response: Response | None = None
        sent_ns, asked_ns = self._world.clock.monotonic_ns(), self._world.clock.boottime_ns()
        self.calls += 1
        # What pairs an answer with its request in the record.
        told = {"session": f"{self.venue}-rest", "call": self.calls}
        self._events.note("frame_out", **told, asked=f"{request.method} {request.path}", frame=clipped(request.body))
        try:
            async with trio.open_nursery() as overdue:
                overdue.start_soon(turn.end_after, self._exclusive_s)
                try:
                    response = await connection.request(
                        request.method, request.path, headers, request.body, timeout_s=CALL_TIMEOUT_S
                    )
                except (NotSent, AnswerLost) as error:
                    failure = error
                overdue.cancel_scope.cancel()
        except BaseException:
            # Cancelled with the whole answer read, it is still open, and nobody else holds it.
            self._distrusted.append(connection)
            raise
        finally:
            turn.end()
        if failure is not None:
            self._events.note("frame_in", **told, error=failure.detail, left=isinstance(failure, AnswerLost))
            raise failure
        assert response is not None
        self._events.note("frame_in", **told, status=response.status, frame=clipped(response.body))
        self.round_trips.record(self._world.clock.monotonic_ns() - sent_ns)
        served_ns = date_ns(response.headers)
        if served_ns is not None:
            self._venue_clock.dated(served_ns, asked_ns, self._world.clock.boottime_ns())
        if connection.is_open:
            self._idle.append((connection, trio.current_time()))
        return response

    def _heed(self, answer: RestAnswer) -> None:
        """After a refusal of the key itself nothing is sent for a while: repeating it leads to a lockout."""
        if not isinstance(answer, RestFailed):
            return
        if answer.fault in (Fault.CREDENTIALS, Fault.LOCKOUT):
            self._closed_until_ns = self._world.clock.monotonic_ns() + RULES[answer.fault].closes_ms * 1_000_000
            self._closed_why = answer.error
            self._events.alert(
                "critical", f"{self.venue} REST refuses the key: {answer.error}", "check the key; sessions are kept"
            )

    def _raise_if_closed(self) -> None:
        if self._world.clock.monotonic_ns() < self._closed_until_ns:
            raise CallFailed(f"REST is left alone after: {self._closed_why}", left=False)

    # ---------------------------------------------------------------- connections

    async def _connection(self) -> HttpConnection:
        """A warm connection, else a new one. Raises CallFailed."""
        while self._idle:
            connection, _ = self._idle.pop()
            if connection.is_open:
                return connection
            await connection.aclose()
        return await self._dial()

    async def _dial(self) -> HttpConnection:
        if trio.current_time() - self._dial_failed_at < DIAL_PAUSE_S:
            raise CallFailed(self._dial_fault, left=False)
        try:
            with trio.fail_after(DIAL_TIMEOUT_S):
                wire = await self._world.dial(self._address.host, self._address.port)
        except (DialFailed, trio.TooSlowError) as error:
            self._dial_failed_at = trio.current_time()
            self.last_error = self._dial_fault = f"REST: {error or 'no connection'}"
            raise CallFailed(self._dial_fault, left=False) from None
        self._dial_fault, self._dial_failed_at = "", -DIAL_PAUSE_S
        return HttpConnection(wire, self._address.authority)

    async def _close_distrusted(self) -> None:
        while self._distrusted:
            await self._distrusted.pop().aclose()

    async def _keep_warm(self) -> None:
        """Have WARM connections open, use each now and then, and replace old ones before the venue refuses them."""
        born: dict[HttpConnection, float] = {}
        while True:
            await self._close_distrusted()
            now = trio.current_time()
            for connection, idle_since in list(self._idle):
                if (connection, idle_since) not in self._idle:
                    continue  # taken for a call while an earlier one was looked after
                born.setdefault(connection, now)
                if not connection.is_open or now - born[connection] > RENEW_AFTER_S:
                    self._idle.remove((connection, idle_since))
                    await connection.aclose()
                elif now - max(idle_since, connection.idle_since) > self._warm_after_s:
                    self._idle.remove((connection, idle_since))
                    await self._use(connection)
            for connection in [old for old in born if not old.is_open]:
                del born[connection]
            # So many a look and no more: a venue that takes connections and drops them must not be dialled in a circle.
            for _ in range(WARM - len(self._idle)):
                try:
                    self._idle.insert(0, (await self._dial(), trio.current_time()))
                except CallFailed:
                    break
            self.tried.set()
            await trio.sleep(WARM_LOOK_S)

    @property
    def _warm_after_s(self) -> float:
        """How long a connection may be idle: not long while nobody else could tell that maintenance is over."""
        unheard = self._dispatcher.mode == "maintenance" and not self._dispatcher.live
        return MODE_AFTER_S if unheard else WARM_AFTER_S

    async def _use(self, connection: HttpConnection) -> None:
        """The cheap public call; it also tells the venue's mode to a daemon that has no session to hear it on."""
        build, decode = self._dialect.mode()
        request = build(0)
        headers = [(name.encode(), value.encode()) for name, value in request.headers]
        try:
            response = await connection.request(request.method, request.path, headers, b"", timeout_s=CALL_TIMEOUT_S)
        except (NotSent, AnswerLost):
            return
        answer = decode(response.status, response.body)
        if isinstance(answer, RestMode):
            self.maintenance = answer.maintenance
            if not self._dispatcher.live:
                self._dispatcher.mode_changed(answer.mode)
        if connection.is_open:
            self._idle.insert(0, (connection, trio.current_time()))

    async def _keep_mark(self, nonces: Nonces) -> None:
        """Keep the nonce mark on disk ahead of the nonces in use."""
        name = f"nonce-{self.venue}"
        while True:
            mark = nonces.mark_to_store()
            if mark is not None:
                try:
                    await self._state.replace(name, format_mark(mark))
                except DiskFailed as failed:
                    self._events.alert("critical", f"the nonce mark cannot be stored: {failed.detail}", "mend the disk")
                else:
                    nonces.stored(mark)
            await trio.sleep(MARK_LOOK_S)


class _Turn:
    """One request's turn: ended once, by its answer or by its silence. turns: None for one that took none."""

    def __init__(self, turns: trio.Semaphore | None) -> None:
        self._turns = turns

    def end(self) -> None:
        turns, self._turns = self._turns, None
        if turns is not None:
            turns.release()

    async def end_after(self, seconds: float) -> None:
        await trio.sleep(seconds)
        self.end()
