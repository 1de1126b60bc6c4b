"""What the process before this one took and did not answer is settled first, and told as `late`.

An order named by its own id is gone on after at once: its state is asked for, and a cancel is sent again where it
rests. A client order id, a userref and "everything" may by now mean orders that were placed since; they are never sent
again. What they meant, as far as it is open, is looked up in a list of open orders and cancelled order by order.

A client that asks again with the same id hears what became of the first asking, and nothing is sent for the second.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import structlog
import trio

from ..contract.evidence import RestAnswer, RestOrders
from ..contract.frames import same_command
from ..contract.ids import CommandID, Venue
from ..contract.outcomes import (
    NAMES,
    Rejected,
    Settlement,
)
from ..engine.calls import Call
from ..engine.intents import (
    HEADER,
    NOBODY,
    NOTHING,
    RECORD_BYTES,
    BadRecord,
    Client,
    Found,
    Intents,
    client_of,
    read,
)
from ..engine.scope import Own
from ..settings import REPLAY_WINDOW_S
from ..transport.clock import Clock
from ..transport.disk import Directory, DiskFailed
from .dispatcher import Dispatcher
from .events import Events
from .tickets import Asked
from .unsettled import Goal, Unsettled, look_up

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

INFLIGHT_FILE: Final = "inflight"

ROUND_S: Final = 5.0
"""How long a round of cancels may take; what is not settled then has another."""

PAUSES_S: Final = (0.25, 0.5, 1.0, 2.0, 5.0)
"""Between two rounds: soon at first, since a venue's first session is up in a second."""

PATIENCE_S: Final = float(REPLAY_WINDOW_S)
"""After this an order is given up as `unknown`: for as long a client may ask what became of its command."""

SAME_BOOT_NS: Final = 1_000_000_000
"""Wall and monotonic clock ran side by side to within this, unless the machine was started again or slept."""

UNDER_WAY: Final = "commands of the process before are being settled"
GIVEN_UP: Final = "commands of the process before could not be settled"
UNREADABLE: Final = "the record of commands in flight was torn"
UNRECORDED: Final = "commands in flight are not recorded"


class Record:
    """The file of intents: what the process before left in it, and where this one writes.

    What is wrong with it is kept in `trouble`, (what, do) each: it never keeps the daemon from starting.
    """

    def __init__(self, directory: Directory) -> None:
        self.found: Found = NOTHING
        self.trouble: list[tuple[str, str]] = []
        try:
            content = directory.read(INFLIGHT_FILE)
            if content is not None:
                self.found = read(content)
            self.intents = Intents(directory.map(INFLIGHT_FILE, RECORD_BYTES, HEADER), self.found)
        except (DiskFailed, BadRecord) as bad:
            self.intents = Intents(None)
            told = bad.detail if isinstance(bad, DiskFailed) else str(bad)
            mend = "see what rests, mend it or move it away, and restart: a crash would forget cancels"
            self.trouble.append((UNRECORDED, f"{INFLIGHT_FILE} in state.dir {told}; {mend}"))
        if self.found.torn:
            count = len(self.found.torn)
            self.trouble.append((UNREADABLE, f"{count} slots say nothing: see what rests at the venues, and cancel it"))


class _Round:
    """Counts the orders of a round that are not answered yet."""

    def __init__(self) -> None:
        self.missing = 0
        self.over = trio.Event()

    def answered(self) -> None:
        self.missing -= 1
        if not self.missing:
            self.over.set()


class _Ticket:
    """The dispatcher's ticket for one order of a goal."""

    __slots__ = ("goal", "order_id", "recovery", "round")

    def __init__(self, recovery: "Recovery", round: _Round, goal: Goal, order_id: str) -> None:
        self.recovery = recovery
        self.round = round
        self.goal = goal
        self.order_id = order_id

    def answered(self, settlement: Settlement) -> None:
        self.recovery.told(self.goal, self.order_id, settlement)
        self.round.answered()

    def late(self, settlement: Settlement) -> None:
        self.recovery.told(self.goal, self.order_id, settlement)


class _Listing:
    """One asking for all that is open; `good` once the engine has taken the list in."""

    def __init__(self) -> None:
        self.good = False
        self.over = trio.Event()

    def call_answered(self, call: Call, answer: RestAnswer, now_ns: int) -> None:
        self.good = isinstance(answer, RestOrders)
        self.over.set()

    def call_failed(self, call: Call, left: bool, why: str, now_ns: int) -> None:
        self.over.set()


class Recovery:
    """Settles what a record held. `takes` is the gateway's Successor; `run` is the task."""

    def __init__(
        self,
        record: Record,
        desks: Mapping[Venue, Dispatcher],
        clock: Clock,
        events: Events,
        strategies: Mapping[str, Own],
    ) -> None:
        """strategies: as configured now."""
        self._intents = record.intents
        self._trouble = record.trouble
        self._desks = desks
        self._clock = clock
        self._events = events
        ahead_ns = clock.utc_ns() - clock.monotonic_ns()
        self._unsettled: dict[Unsettled, None] = {}
        self._known: dict[tuple[Client, CommandID | None], Unsettled] = {}
        for intent in record.found.intents:
            same_boot = abs(intent.utc_ns - intent.received_ns - ahead_ns) < SAME_BOOT_NS
            unsettled = Unsettled(intent, intent.received_ns if same_boot else None, tuple(desks), strategies)
            self._unsettled[unsettled] = None
            if intent.client.uid != NOBODY or intent.client.identity:
                self._known[intent.client, intent.command.id] = unsettled
        self.expects = bool(self._known)
        self._askers: dict[Asked, Unsettled] = {}
        self._given_up = False
        self._nursery: trio.Nursery | None = None

    @property
    def unsettled(self) -> int:
        """How many commands of the process before are not settled."""
        return len(self._unsettled)

    # ---------------------------------------------------------------- asked again

    def takes(self, asked: Asked, deadline_ns: int) -> bool:
        """Whether the process before took this very command: it gets that one's outcome, in time for its own deadline.

        Another command under the same id is no mistake: a process may have several clients, each with ids of its own.
        """
        peer = asked.peer
        client = client_of(asked.identity, *((NOBODY, NOBODY) if peer is None else (peer.uid, peer.pid)))
        unsettled = self._known.get((client, asked.command.id))
        if unsettled is None or not same_command(unsettled.command, asked.command):
            return False
        if unsettled.over.is_set() or self._given_up:
            self._answer(asked, unsettled)
        else:
            assert self._nursery is not None
            self._askers[asked] = unsettled
            self._nursery.start_soon(self._await, asked, unsettled, deadline_ns, name=f"asked again {asked.command.id}")
        return True

    async def _await(self, asked: Asked, unsettled: Unsettled, deadline_ns: int) -> None:
        with trio.move_on_after(max(0.0, (deadline_ns - self._clock.monotonic_ns()) / 1e9)):
            await unsettled.over.wait()
        if self._askers.pop(asked, None) is not None:
            self._answer(asked, unsettled)

    def _answer(self, asked: Asked, unsettled: Unsettled) -> None:
        asked.answer(*unsettled.reply())

    def give_up(self) -> None:
        """The process is about to end: answer whoever asked again, and begin nothing more.

        The record keeps what is not settled.
        """
        self._given_up = True
        if self._nursery is not None:
            self._nursery.cancel_scope.cancel()
        askers, self._askers = self._askers, {}
        for asked, unsettled in askers.items():
            self._answer(asked, unsettled)

    # ---------------------------------------------------------------- settling

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Settle everything, and go on answering those who ask again for as long as an id is remembered."""
        for what, do in self._trouble:
            log.error(what, do=do)
            self._events.alert("critical" if what == UNREADABLE else "warning", what, do)
        async with trio.open_nursery() as self._nursery:
            task_status.started()
            if not self._unsettled:
                return
            ids = [unsettled.command.id for unsettled in self._unsettled]
            log.warning("settling what the process before left", commands=len(ids), ids=ids[:20])
            self._events.alert("warning", UNDER_WAY, f"{len(ids)} of them; `late` events tell what becomes of each")
            by_venue: dict[Venue, list[Goal]] = {}
            for unsettled in self._unsettled:
                for goal in unsettled.goals:
                    by_venue.setdefault(goal.venue, []).append(goal)
            async with trio.open_nursery() as venues:
                for venue, goals in by_venue.items():
                    venues.start_soon(self._settle_all, venue, goals, name=f"{venue} recovery")
            self._events.clear(UNDER_WAY)
            await trio.sleep(REPLAY_WINDOW_S)
            self.expects = False
            self._known.clear()

    async def _settle_all(self, venue: Venue, goals: list[Goal]) -> None:
        desk = self._desks.get(venue)
        if desk is not None:
            try:
                with trio.move_on_after(PATIENCE_S):
                    await self._in_rounds(desk, goals)
            except Exception:
                # The record stays as it is, so this would end every process after this one too.
                log.exception("recovery broke down", venue=venue)
        for goal in goals:
            if goal.settlement is None:
                log.error("given up", venue=venue, id=goal.of.command.id, **{goal.target.kind: goal.target.value})
                do = "they may rest: see the `late` events, and cancel what rests at the venue"
                self._events.alert("critical", GIVEN_UP, do if desk is not None else f"{venue} is not enabled: {do}")
                self._conclude(goal)

    async def _in_rounds(self, desk: Dispatcher, goals: list[Goal]) -> None:
        rounds = 0
        while goals := [goal for goal in goals if goal.settlement is None]:
            if rounds:
                await trio.sleep(PAUSES_S[min(rounds, len(PAUSES_S)) - 1])
            rounds += 1
            await self._round(desk, goals)

    async def _round(self, desk: Dispatcher, goals: Sequence[Goal]) -> None:
        """Look up what is named otherwise than by order id, go after every order that is left, and conclude."""
        by_name = [goal for goal in goals if goal.target.kind != "order_id"]
        # A list asked for now knows of every order that may still have been on its way in then.
        asked_utc_ns = self._clock.utc_ns()
        listed = await self._list(desk) if by_name else False
        if self._given_up:
            return  # in the very step in which the list came: the next stop for a cancellation is too late
        if listed:
            for goal in by_name:
                look_up(desk.resting, goal)
        now_ns = self._clock.monotonic_ns()
        round = _Round()
        wanted = [(goal, order_id) for goal in goals for order_id in goal.left]
        round.missing = len(wanted)
        for goal, order_id in wanted:
            ticket = _Ticket(self, round, goal, order_id)
            desk.resume(ticket, order_id, now_ns + int(ROUND_S * 1e9), now_ns, goal.symbol)
        desk.perform()
        if wanted:
            await round.over.wait()
        if listed:
            for goal in by_name:
                goal.listed = asked_utc_ns >= goal.of.utc_ns + desk.policy.overtake_ns
                if goal.listed and not goal.left:
                    self._conclude(goal)

    async def _list(self, desk: Dispatcher) -> bool:
        listing = _Listing()
        desk.request("open_orders", listing, urgent=False)
        with trio.move_on_after(ROUND_S):
            await listing.over.wait()
        return listing.good

    def told(self, goal: Goal, order_id: str, settlement: Settlement) -> None:
        """What became of one order of a goal, in time or late."""
        if goal.settlement is None:
            goal.orders[order_id] = settlement
            if goal.target.kind == "order_id" and not goal.left:
                self._conclude(goal)

    def _conclude(self, goal: Goal) -> None:
        """Tell what a goal came to; with the last goal of a command the command is settled."""
        settlement = goal.settlement = goal.settle()
        unsettled = goal.of
        self._events.late(unsettled.command.id, unsettled.received_ns, settlement)
        outcome = NAMES[type(settlement.outcome)]
        log.warning("settled after a crash", id=unsettled.command.id, venue=goal.venue, outcome=outcome)
        if isinstance(settlement.outcome, Rejected):
            self._events.alert("critical", GIVEN_UP, "the venue refuses their cancels: see the `late` events")
        if all(one.settlement is not None for one in unsettled.goals):
            unsettled.over.set()
            del self._unsettled[unsettled]
            self._intents.settle(unsettled.slots)
