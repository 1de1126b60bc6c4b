"""Makes the calls that the engine, the sessions and the kill want of one REST endpoint.

Workers ask the dispatcher for a call when they are free to make one; no call waits anywhere else. Those of a kill have
workers of their own.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Final

import structlog
import trio

from ..contract.evidence import RestAnswer, RestFailed, RestMode, RestOrders, RestPart, RestTimer, RestToken, Window
from ..contract.ids import EVERYTHING, Venue
from ..credentials import Secret
from ..engine.budget import CallBudget
from ..engine.calls import Call, Form
from ..engine.nonces import Nonces, format_mark, parse_mark
from ..engine.venue_clock import VenueClock
from ..settings import Address
from ..transport.disk import Directory, DiskFailed
from ..transport.https import AnswerLost, HttpConnection, NotSent
from ..transport.world import World
from .connection import TokenFailed
from .dispatcher import Dispatcher
from .events import Events
from .rest_dialect import Plan, RestDialect
from .rest_exchange import CALL_TIMEOUT_S, Exchanges
from .rest_pool import CallFailed, Pool
from .spent_file import SpentFile

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

OVERDUE: Final = 2
"""Calls that may be under way beside those in their turns, because their answers are overdue."""

WARM_AFTER_S: Final = 15.0
"""An idle connection is used for a cheap public call this often, below the idle limits of usual edges."""

MODE_AFTER_S: Final = 2.0
"""The same while the venue is in maintenance as far as we know, and no session is there to tell of its end."""

IDLE_LOOK_S: Final = 1.0
"""How often an idle worker looks for work nobody woke it for: calls that had to wait for the lane to reopen."""

MARK_LOOK_S: Final = 0.5

URGENT: Final = 8
"""Urgent calls that may be under way at once: a cancel-all and the look behind it, of as many rounds as a silent venue
can hold up. What is asked anew each second must find somebody free, or the first answer would come to nobody."""


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
        spent: SpentFile | None = None,
    ) -> None:
        """nonces: None where the venue wants none. exclusive_s: how long a silent request keeps its turn.

        conceal: told of every token. spent: where refused nonces outlive the process.
        """
        self.venue = venue
        self.maintenance: tuple[Window, ...] = ()
        self._pool = Pool(address, world)
        self._exchanges = Exchanges(
            venue,
            self._pool,
            world,
            nonces,
            events,
            venue_clock,
            exclusive_s=exclusive_s,
            killed=lambda: dispatcher.pressing,
            spent=spent,
        )
        self._dialect = dialect
        self._world = world
        self._state = state
        self._nonces = nonces
        self._mark_file = f"nonce-{venue}"
        self._dispatcher = dispatcher
        self._events = events
        self._conceal = conceal
        self.budget = budget
        self._work_there = trio.Event()
        self._urgent_there = trio.Event()
        self._pulls = 0
        self._listing: dict[Call, tuple[int, int]] = {}
        """The long lists that are being taken in: how many orders by now, and since when."""

    def told(self, ceiling: float | None) -> None:
        """The venue told the account's rate threshold, and with it the tier of this key."""
        self.budget.told(ceiling)

    def wake(self) -> None:
        """There may be a call to make."""
        self._work_there.set()
        if self._pulls != self._dispatcher.pulls:
            self._pulls = self._dispatcher.pulls
            self._exchanges.pulled()
        if not self._dispatcher.pressing:
            self._exchanges.released()
        if self._dispatcher.wants_urgent:
            self._urgent_there.set()

    @property
    def tried(self) -> trio.Event:
        """Set once the endpoint was first dialled."""
        return self._pool.tried

    @property
    def reachable(self) -> bool:
        """Whether a call would leave as far as we know: the key is not refused, and the venue could be dialled."""
        return self._exchanges.closed is None and self._pool.reachable

    def reopen(self) -> None:
        """Another key is in use from here on."""
        self._exchanges.reopen()

    def distrust(self) -> None:
        """Use no connection again that is open and idle now: it may be dead without a sign."""
        self._pool.distrust()

    @property
    def up(self) -> bool:
        """Whether a call could leave now on a connection that is warm."""
        return bool(self._pool.warm) and self._exchanges.closed is None

    def status(self) -> dict[str, Any]:
        """This lane for the `status` reply."""
        warm, exchanges = self._pool.warm, self._exchanges
        shown: dict[str, Any] = {"state": "up" if warm else "down", "warm": warm, "calls": exchanges.calls}
        if exchanges.closed is not None:
            shown["state"], shown["why"] = "closed", exchanges.closed
        elif not warm and self._pool.last_error:
            shown["why"] = self._pool.last_error
        if exchanges.round_trips.count:
            shown["round_trips"] = exchanges.round_trips.summary()
        return shown

    async def run(self) -> None:
        """Serve until cancelled."""
        try:
            async with trio.open_nursery() as lane:
                if self._nonces is not None:
                    lane.start_soon(self._keep_mark, self._nonces, name=f"{self.venue} nonce mark")
                lane.start_soon(self._pool.keep_warm, self._use, self._use_after_s, name=f"{self.venue} REST keep-warm")
                for number in range(self._exchanges.turns + OVERDUE):
                    lane.start_soon(self._work, name=f"{self.venue} REST worker {number}")
                for number in range(URGENT):
                    lane.start_soon(self._work_urgent, name=f"{self.venue} REST urgent worker {number}")
        finally:
            with trio.CancelScope(shield=True):
                await self._pool.close()

    # ---------------------------------------------------------------- calls

    async def _work(self) -> None:
        """Make the engine's calls."""
        while True:
            with trio.move_on_after(IDLE_LOOK_S):
                await self._work_there.wait()
            self._work_there = trio.Event()
            while await self._work_once():
                pass

    async def _work_once(self) -> bool:
        """Make the most important call; False when there is none."""
        taken: list[Call] = []

        def choose() -> Plan | None:
            call = self._next_call()
            if call is None:
                return None
            self.budget.called(call.form, len(call.targets), self._world.clock.monotonic_ns())
            taken.append(call)
            return self._dialect.plan(call)

        if not self._dispatcher.wants_call:
            return False
        try:
            answer = await self._exchanges.exchange(choose, told=lambda part: self._told(taken[0], part))
        except CallFailed as failed:
            # Nothing was chosen when not even a connection could be had: the call that wanted it has failed, unsent.
            call = taken[0] if taken else self._next_call()
            if call is None:
                self._pool.last_error = failed.why
                return False
            self._failed(call, failed)
            return True
        if answer is None:
            return False
        await self._answered(taken[0], answer)
        return True

    def _next_call(self) -> Call | None:
        now_ns = self._world.clock.monotonic_ns()
        spares = self.budget.spares
        return self._dispatcher.next_call(settles=spares("settle", now_ns), looks=spares("look", now_ns))

    async def _work_urgent(self) -> None:
        """Make the calls that wait for nothing.

        Not even for their turn: one that overtakes another's nonce costs that one a second try, and they are a kill's.
        """
        while True:
            with trio.move_on_after(IDLE_LOOK_S):
                await self._urgent_there.wait()
            self._urgent_there = trio.Event()
            while (call := self._dispatcher.next_urgent()) is not None:
                await self._press(call)

    async def _press(self, call: Call) -> None:
        def choose() -> Plan:
            self.budget.called(call.form, len(call.targets), self._world.clock.monotonic_ns())
            return self._dialect.plan(call)

        try:
            answer = await self._exchanges.exchange(choose, pressing=call.form, told=partial(self._told, call))
        except CallFailed as failed:
            self._failed(call, failed)
            return
        assert answer is not None
        await self._answered(call, answer)

    def _failed(self, call: Call, failed: CallFailed) -> None:
        self._pool.last_error = failed.why
        log.warning("REST call failed", venue=self.venue, form=call.form, left=failed.left, why=failed.why)
        self._dispatcher.call_failed(call, failed.left, failed.why)

    def _told(self, call: Call, part: RestPart) -> None:
        """Some of a long list; what it lacks is not known before all of it was taken in."""
        count, begun_ns = self._listing.get(call, (0, self._world.clock.monotonic_ns()))
        count += len(part.orders)
        self._listing[call] = (count, begun_ns)
        self._dispatcher.call_told(call, part)
        self._dispatcher.long_lists.taking(count, begun_ns)

    async def _answered(self, call: Call, answer: RestAnswer) -> None:
        _, begun_ns = self._listing.pop(call, (0, self._world.clock.monotonic_ns()))
        if isinstance(answer, RestOrders) and call.form == "open_orders":
            if call.owner is not None:
                taken = answer.taken
                listed = {state.order_id for state in answer.orders} if taken is None else taken
                await self._dispatcher.let_go(listed, call.asked_ns)
            if call.targets == (EVERYTHING,):
                self._dispatcher.long_lists.took(len(answer.orders), begun_ns)
        if isinstance(answer, RestFailed):
            log.info("REST refused", venue=self.venue, form=call.form, fault=answer.fault.name, error=answer.error)
        self._dispatcher.call_answered(call, answer)
        self._ease()

    def opens_ns(self, form: Form) -> int:
        """When a kill's calls of this form may be made: in the past where they may be made now."""
        return self._exchanges.opens_ns(form)

    def _ease(self) -> None:
        """After an answer was taken in: it may have shown that the venue takes the key again."""
        if self._exchanges.eased:
            self._exchanges.eased = False
            self._dispatcher.rest_eased()

    async def fetch_token(self, *, pressing: bool = False) -> tuple[Secret[str], float]:
        """A fresh WebSocket token and its validity in seconds. pressing: for a kill. Raises TokenFailed."""
        self.budget.called("token", 0, self._world.clock.monotonic_ns())
        try:
            answer = await self._exchanges.exchange(self._dialect.token, pressing="token" if pressing else None)
        except CallFailed as failed:
            raise TokenFailed(failed.why) from None
        self._ease()
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
        self.budget.called("timer", 0, self._world.clock.monotonic_ns())
        answer = await self._exchanges.exchange(lambda: self._dialect.timer(timeout_s))
        if isinstance(answer, RestTimer):
            return answer.trigger_s
        raise CallFailed(str(getattr(answer, "error", None) or getattr(answer, "why", "no timer")), left=True)

    # ---------------------------------------------------------------- while nobody calls

    def _use_after_s(self) -> float:
        """How long a connection may be idle: not long while nobody else could tell that maintenance is over."""
        unheard = self._dispatcher.mode == "maintenance" and not self._dispatcher.live
        return MODE_AFTER_S if unheard else WARM_AFTER_S

    async def _use(self, connection: HttpConnection) -> bool:
        """The cheap public call; it also tells the venue's mode to a daemon that has no session to hear it on.

        Whether the connection is good for more.
        """
        build, decode = self._dialect.mode()
        request = build(0)
        headers = [(name.encode(), value.encode()) for name, value in request.headers]
        try:
            response = await connection.request(request.method, request.path, headers, b"", timeout_s=CALL_TIMEOUT_S)
        except (NotSent, AnswerLost):
            return False
        answer = decode(response.status, response.body)
        if isinstance(answer, RestMode):
            self.maintenance = answer.maintenance
            if not self._dispatcher.live:
                self._dispatcher.mode_changed(answer.mode)
        return connection.is_open

    def adopt_mark(self) -> None:
        """Go on above the nonces that another program, `panic` for instance, has used and marked in the file."""
        if self._nonces is None:
            return
        try:
            mark = parse_mark(self._state.read(self._mark_file))
        except DiskFailed as failed:
            log.warning("the nonce mark cannot be read", venue=self.venue, why=failed.detail)
            return
        if mark is not None:
            self._nonces.adopt(mark)

    async def _keep_mark(self, nonces: Nonces) -> None:
        """Keep the nonce mark on disk ahead of the nonces in use."""
        unstored = f"the nonce mark of {self.venue} cannot be stored"
        while True:
            mark = nonces.mark_to_store()
            if mark is not None:
                try:
                    await self._state.replace(self._mark_file, format_mark(mark))
                except DiskFailed as failed:
                    self._events.alert("critical", unstored, f"mend the disk: {failed.detail}")
                else:
                    nonces.stored(mark)
                    self._events.clear(unstored)
            self._exchanges.look_for_others()
            await trio.sleep(MARK_LOOK_S)
