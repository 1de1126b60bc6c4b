"""The front door: both command sockets, whose turn it is at them, and a kill found ahead of its turn.

The reader decodes, admits and hands over in one step, so that a burst of commands leaves for the venue in one write.
Nothing here waits for a client, and what a command means is the admission's.
"""

from collections.abc import Callable, Mapping
from math import inf
from typing import Any, Final

import trio

from ..contract.commands import Cancel, CancelAll, CancelBatch, Command, Kill, KillScope, Lease
from ..contract.frames import Malformed, decode_command
from ..contract.ids import Venue
from ..contract.kills import may_be_kill, read_kill
from ..engine.intents import Intents
from ..engine.timer_right import RightToRenew
from ..settings import (
    BACKLOG_BYTES,
    BACKLOG_LIMIT,
    DRAIN_AHEAD,
    DRAIN_LIMIT,
    IN_FLIGHT_LIMIT,
    LOOK_AHEAD,
)
from ..transport.clock import Clock
from ..transport.messages import Message, Router
from .admission import Admission
from .backlog import Backlog
from .dispatcher import Dispatcher
from .events import Events
from .fair_use import FairUse
from .killswitch import KillSwitch
from .leasing import Leasing
from .origins import Origins
from .outbox import Door, Outbox, Outlet
from .replies import Replies
from .scoping import Scoping
from .straight import StraightLine
from .tickets import Successor, who_sent

FORGET_LOOK_S: Final = 5.0
"""How often ids whose time is over are dropped."""

BEAT_S: Final = 0.5
"""How often a door at which nobody knocks shows that its reader still goes round: well inside a watchdog interval."""

STAND_BACK: Final = 8
"""Rounds in which the doors take nothing in after a kill: its REST calls are made by other tasks, which go first."""

LOOK_PAST_HELD: Final = 32
"""LOOK_AHEAD while somebody is held back: rounds of 0.1 ms. A round stands between somebody else's command and its
frame, and another between the ack and the reply."""

_CANCELING: Final = (Cancel, CancelBatch, CancelAll, Kill, KillScope, Lease)


class Wicket:
    """One command socket: what was read ahead of its turn, and who of its peers has to wait."""

    def __init__(self, door: Door, router: Router) -> None:
        self.router = router
        self.outlet = Outlet(door, router)
        self.backlog = Backlog(BACKLOG_LIMIT, BACKLOG_BYTES)
        self.fair_use = FairUse()
        self.held_some = trio.Event()
        self.beats = 0
        # Whether the last round took several messages, and how many pulls of the kill switch it knew of.
        self.burst = False
        self.pulls = 0


class Gateway:
    """Both command sockets and the turns at them."""

    def __init__(
        self,
        commands: Router,
        control: Router,
        desks: Mapping[Venue, Dispatcher],
        clock: Clock,
        events: Events,
        status: Callable[[bool], dict[str, Any]],
        *,
        kill: KillSwitch,
        intents: Intents,
        successor: Successor,
        leasing: Leasing,
        scoping: Scoping,
        origins: Origins,
        timer_right: RightToRenew,
        deadline_ms: int,
    ) -> None:
        """status: makes the members of a `status` reply; its argument says whether detail is wanted."""
        self._wickets = (Wicket("commands", commands), Wicket("control", control))
        self._desks = desks
        self._clock = clock
        self._events = events
        self._killswitch = kill
        self.outbox = Outbox([wicket.outlet for wicket in self._wickets], events)
        self.replies = Replies(self.outbox, intents, clock, events)
        self.admission = Admission(
            self.replies,
            desks,
            clock,
            events,
            status,
            kill=kill,
            intents=intents,
            successor=successor,
            leasing=leasing,
            scoping=scoping,
            origins=origins,
            timer_right=timer_right,
            deadline_ms=deadline_ms,
        )
        self._straight = StraightLine(
            self.admission, self.replies, desks, intents, successor, clock, deadline_ms=deadline_ms
        )
        # Whether a message took the long way since the dispatchers performed last.
        self._took_long_way = False

    @property
    def in_flight(self) -> int:
        """Commands that were admitted and have no reply yet."""
        return self.replies.in_flight

    @property
    def beats(self) -> list[int]:
        """A number for each door that grows for as long as its reader goes round."""
        return [wicket.beats for wicket in self._wickets]

    def detail(self) -> dict[str, Any]:
        """What a detailed `status` tells of the doors."""
        replies = self.replies
        return {
            "refusals": replies.refusals,
            "replayed": replies.replayed,
            "forgotten_ids": replies.replays.forgotten,
            "undelivered_replies": self.outbox.undelivered,
            "answer_times": replies.answer_times.summary(),
            "cancels": replies.ledger.rows(),
            "queue_times": self.admission.queue_times.summary(),
        }

    # ---------------------------------------------------------------- tasks

    async def run(self) -> None:
        """Serve both sockets until cancelled."""
        async with trio.open_nursery() as nursery:
            for wicket in self._wickets:
                nursery.start_soon(self._serve, wicket, name=f"gateway {wicket.outlet.door}")
                nursery.start_soon(self._release_held, wicket, name=f"gateway {wicket.outlet.door} held")
            nursery.start_soon(self._tidy, name="gateway outbox")
            nursery.start_soon(self.replies.tell_on, name="gateway crowd")

    async def drained(self) -> None:
        """Refuse new commands from now on, and return when the last one in flight is answered."""
        self.admission.draining = True
        await self.replies.all_given()

    def close(self) -> None:
        """Answer what has come and take nothing more: what a client asks from here on waits for our successor."""
        for wicket in self._wickets:
            wicket.backlog.release(inf)
            for _ in range(BACKLOG_LIMIT + IN_FLIGHT_LIMIT):
                message = wicket.backlog.take()[0] if wicket.backlog else wicket.router.receive_nowait()
                if message is None:
                    break
                self._take(wicket, message)
        self._killswitch.give_up()
        for wicket in self._wickets:
            wicket.router.close()

    async def _serve(self, wicket: Wicket) -> None:
        wicket.pulls = self._killswitch.pulls
        while True:
            # Around many rounds, so that a round costs no scope; it strikes only where we wait, with nothing half done.
            with trio.move_on_after(BEAT_S):
                while True:
                    await self._round(wicket)

    async def _tidy(self) -> None:
        """Offer replies again that were not taken, and forget what is too old to be asked again."""
        while True:
            await self.outbox.offer_kept(FORGET_LOOK_S)
            self.replies.replays.forget_old(self._clock.monotonic_ns())

    async def _release_held(self, wicket: Wicket) -> None:
        """Give those who were held back their turn again."""
        while True:
            await wicket.held_some.wait()
            due_ns = wicket.backlog.release(self._clock.monotonic_ns())
            if wicket.backlog:
                wicket.router.rouse()
            if due_ns is None:
                wicket.held_some = trio.Event()
            else:
                await trio.sleep(max(due_ns - self._clock.monotonic_ns(), 0) / 1_000_000_000)

    # ---------------------------------------------------------------- rounds

    async def _round(self, wicket: Wicket) -> None:
        """Take what has come, as much as one round may, then let others run until there is more."""
        if wicket.pulls != self._killswitch.pulls:
            await self._stand_back(wicket)
        if wicket.backlog.full:
            # Whoever is held back goes on: nothing is read past it, and others have to be heard.
            wicket.backlog.release(inf)
        more = self._look_ahead(wicket)
        taken = self._take_turns(wicket, DRAIN_AHEAD if more else DRAIN_LIMIT)
        if taken:
            self._perform()
            wicket.burst = taken > 1
        wicket.beats += 1
        if wicket.backlog:
            await trio.lowlevel.checkpoint()
        else:
            await wicket.router.readable()

    async def _stand_back(self, wicket: Wicket) -> None:
        """A kill was pulled: the tasks that make its REST calls go first."""
        wicket.pulls = self._killswitch.pulls
        for _ in range(STAND_BACK):
            await trio.lowlevel.checkpoint()

    def _look_ahead(self, wicket: Wicket) -> bool:
        """Read on past the messages whose turn it is, and act on a kill among them now; whether there may be more.

        Three cases. Somebody is held back: a short look, since rounds are to be short. The last round took several:
        there may be thousands. Else commands come singly, and no look is taken.
        """
        backlog = wicket.backlog
        count = LOOK_PAST_HELD if backlog.holds else LOOK_AHEAD if wicket.burst else 0
        for _ in range(count):
            message = None if backlog.full else wicket.router.receive_nowait()
            if message is None:
                return False
            if _is_kill(message):
                self._take(wicket, message)
            else:
                backlog.put(message)
        return count > 0

    def _take_turns(self, wicket: Wicket, limit: int) -> int:
        """Take the messages whose turn it is, so many at most; how many there were."""
        backlog = wicket.backlog
        for taken in range(limit):
            message, waited = self._next(wicket)
            if message is None:
                return taken
            if not waited and backlog.lags(message.identity) and _can_wait(message):
                backlog.put_aside(message)
                continue
            # Where commands come singly, this one does not wait for the look that finds no second.
            alone = not taken and not wicket.burst
            self._take(wicket, message, alone=alone)
            if alone:
                self._perform()
        return limit

    def _next(self, wicket: Wicket) -> tuple[Message | None, bool]:
        """The next message, None for none, and whether it has waited already."""
        if wicket.backlog:
            return wicket.backlog.take()
        # What is held back fills the backlog: no more is read, so that nobody's message is read past its bounds.
        return (None if wicket.backlog.full else wicket.router.receive_nowait()), False

    def _take(self, wicket: Wicket, message: Message, *, alone: bool = False) -> None:
        """By the straight line, or by the long way where anything is odd. alone: it leaves at once, without others."""
        now_ns = self._clock.monotonic_ns()
        command = read(message)
        if type(command) is Cancel:
            enveloped = len(message.frames) > 1
            if self._straight.take(wicket.outlet, message, enveloped, command, now_ns, alone=alone):
                return
        # What was asked before goes before.
        self._straight.join_long_way()
        self._took_long_way = True
        began_ns = self.admission.take(wicket.outlet, message, command, now_ns)
        if began_ns is not None:
            self._charge(wicket, message, began_ns)

    def _charge(self, wicket: Wicket, message: Message, began_ns: int) -> None:
        """Charge a peer for what it sent that cancels nothing; more of that waits while somebody cancels."""
        now_ns = self._clock.monotonic_ns()
        wait_ns = wicket.fair_use.charge(message.identity, now_ns - began_ns, now_ns)
        if wait_ns and self.admission.has_company(now_ns):
            wicket.backlog.hold(message.identity, now_ns + wait_ns)
            wicket.held_some.set()
            what = "a client keeps the daemon busy with what cancels nothing"
            do = f"{who_sent(message)}: all but its cancels waits while somebody cancels; mend or stop it"
            self._events.alert("warning", what, do)

    def _perform(self) -> None:
        self._straight.leave()
        if self._took_long_way:
            self._took_long_way = False
            for desk in self._desks.values():
                desk.perform()


def read(message: Message) -> Command | Malformed | None:
    """The one command of a message; None where its frames are not those of a message of ours."""
    frames = message.frames
    # One frame from a DEALER, an empty one before it from a REQ.
    if len(frames) == 1 or (len(frames) == 2 and not frames[0]):
        return decode_command(frames[-1])
    return None


def _is_kill(message: Message) -> bool:
    """Whether a message is a kill, in whichever of its frames."""
    # Asked of every message of a flood: nearly all are told by a search for four letters.
    for frame in message.frames:
        if may_be_kill(frame):
            return any(read_kill(one) is not None for one in message.frames)
    return False


def _can_wait(message: Message) -> bool:
    """Whether a message cancels nothing, neither now nor later."""
    if len(message.frames) > 2:
        return not _is_kill(message)
    return not isinstance(decode_command(message.frames[-1]), _CANCELING)
