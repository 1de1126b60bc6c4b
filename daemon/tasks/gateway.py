"""The front door: takes commands from the local sockets, admits or refuses them, and gives each its one reply.

The reader decodes, admits and hands over in one step, so that a burst of commands leaves for the venue in one write.
A reply that a client does not take is kept for it within bounds; nothing here waits for a client.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Mapping, Sequence
from math import inf
from typing import Any, Final, Literal, Protocol

import structlog
import trio
from msgspec import UNSET

from ..contract.commands import Cancel, CancelAll, CancelBatch, Command, Kill, Lease, Ping, Rearm, Status
from ..contract.frames import (
    BATCH_BYTES,
    COMMAND_BYTES,
    MESSAGE_FRAMES,
    Encoding,
    Malformed,
    decode_command,
    decode_reply,
    encode,
    encoding_of,
    outcome_map,
    refusal_map,
    same_command,
)
from ..contract.ids import EVERYTHING, CommandID, Target, Venue
from ..contract.outcomes import NAMES, RefusalReason, Refused, Settlement
from ..engine.intents import NOBODY, Intended, Intents, Slots
from ..settings import (
    BACKLOG_BYTES,
    BACKLOG_LIMIT,
    DRAIN_AHEAD,
    DRAIN_LIMIT,
    IN_FLIGHT_LIMIT,
    LOOK_AHEAD,
    OUTBOX_BYTES,
    OUTBOX_REPLIES,
    OUTBOX_TOTAL_BYTES,
    REPLAY_LIMIT,
    REPLAY_WINDOW_S,
)
from ..transport.clock import Clock
from ..transport.messages import Message, Peer, Router, Sent
from .backlog import Backlog
from .dispatcher import Dispatcher
from .events import Events
from .fair_use import FairUse
from .killswitch import KILL_DEADLINE_MS, KillSwitch
from .leasing import Leasing
from .telemetry import Histogram

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

MS: Final = 1_000_000
OUTBOX_LOOKS_S: Final = (0.001, 0.02)
"""When a kept reply is offered again: soon while it gets anywhere, since a burst fills the socket of a client that
reads well and its replies have 50 ms; doubling up to the longer pause while not, since many clients may be stuck."""

FORGET_LOOK_S: Final = 5.0
"""How often ids whose time is over are dropped."""

BEAT_S: Final = 0.5
"""How often a door at which nobody knocks shows that its reader still goes round: well inside a watchdog interval."""

STAND_BACK: Final = 3
"""Rounds in which the doors take nothing in after a kill: its REST calls are made by other tasks, which go first."""

AHEAD_NS: Final = 1_000 * MS
"""How far after its receipt a command may claim to have been sent. On one clock it cannot be after at all; a client on
another one (the wall's, mostly) would never find a command too old, so it is told at its first."""

COMPANY_NS: Final = 1_000 * MS
"""For how long after a cancel was taken those who keep us busy with anything else are held back: while nobody cancels
they may have all our time. Their own cancels never wait."""

UNSEEN_NS: Final = 2 * MS
"""What a message of too many frames is charged beyond its refusal: thousands may be thrown away that nobody here sees,
and nobody else's are read meanwhile."""

LOOK_PAST_HELD: Final = 32
"""LOOK_AHEAD while somebody is held back: rounds of 0.1 ms. A round stands between somebody else's command and its
frame, and another between the ack and the reply."""

KILL_SIGN: Final = b"kill"
"""What every `kill` command contains in either encoding, and few others do: those alone are decoded ahead of time."""

Door = Literal["commands", "control"]

_CANCELING: Final = (Cancel, CancelBatch, CancelAll, Kill, Lease)

_WORTH_A_LINE: Final = frozenset({"unknown", "rejected", "refused"})
"""Outcomes that leave an order resting, or may: they are logged. The others are on the event socket."""

_LINE: Final = ("id", "venue", "order_id", "cl_ord_id", "userref", "outcome", "route", "attempts", "error", "reason")


class Wicket:
    """One router with the replies that its clients have not taken yet."""

    def __init__(self, door: Door, router: Router) -> None:
        self.door = door
        self.router = router
        self.backlog = Backlog(BACKLOG_LIMIT, BACKLOG_BYTES)
        self.fair_use = FairUse()
        self.held_some = trio.Event()
        self.beats = 0
        self.outbox: dict[bytes, deque[list[bytes]]] = {}
        self.kept_bytes: dict[bytes, int] = {}


class Asked:
    """A command that was admitted, and where its reply goes. The dispatcher's ticket for a single cancel."""

    __slots__ = (
        "command",
        "enveloped",
        "gateway",
        "identity",
        "joined",
        "message",
        "peer",
        "received_ns",
        "slots",
        "wicket",
    )

    def __init__(
        self, gateway: "Gateway", wicket: Wicket, message: Message, enveloped: bool, command: Command, received_ns: int
    ) -> None:
        self.gateway = gateway
        self.wicket = wicket
        self.message = message
        self.identity = message.identity
        self.enveloped = enveloped
        self.command = command
        self.received_ns = received_ns
        # What the kernel tells of who asks, once it was asked.
        self.peer: Peer | None = None
        # Where it stands in the record of what is in flight.
        self.slots: Slots = ()
        # Later askings of the same command while it is in flight: each gets its own reply when this one does.
        self.joined: list[tuple[Wicket, bytes, bool, Encoding]] | None = None

    @property
    def encoding(self) -> Encoding:
        return encoding_of(self.message.frames[-1])

    def answered(self, settlement: Settlement) -> None:
        """The one outcome of a cancel."""
        reply = outcome_map(self.command.id, self.received_ns, settlement)
        self.gateway.settle(self, reply, (reply,))

    def late(self, settlement: Settlement) -> None:
        """What the venue said after an `unknown`."""
        self.gateway.late(self, settlement)

    @property
    def id(self) -> CommandID:
        """What the client calls the command."""
        return self.command.id

    @property
    def who(self) -> str:
        """Who sent it, as the kernel tells."""
        return _who(self.message)

    def answer(self, reply: Mapping[str, Any]) -> None:
        """The one reply to a command that is about no order."""
        self.gateway.settle(self, reply, ())


def _can_wait(message: Message) -> bool:
    """Whether a message cancels nothing, neither now nor later."""
    return len(message.frames) > 2 or not isinstance(decode_command(message.frames[-1]), _CANCELING)


def _who(message: Message) -> str:
    peer = message.peer
    return "" if peer is None else f"uid {peer.uid} pid {peer.pid}"


class _Part:
    """The dispatcher's ticket for one order of a batch, or for one venue of a cancel_all."""

    __slots__ = ("asked", "place", "whole")

    def __init__(self, whole: "_Whole", place: int) -> None:
        self.whole = whole
        self.place = place

    def answered(self, settlement: Settlement) -> None:
        self.whole.answered(self.place, settlement)

    def late(self, settlement: Settlement) -> None:
        self.whole.asked.gateway.late(self.whole.asked, settlement)


class _Whole:
    """A command with several outcomes: replied to when the last one is there."""

    def __init__(self, asked: Asked, size: int) -> None:
        self.asked = asked
        self._settlements: list[Settlement | None] = [None] * size
        self._missing = size

    def answered(self, place: int, settlement: Settlement) -> None:
        assert self._settlements[place] is None, "one order of a batch was answered twice"
        self._settlements[place] = settlement
        self._missing -= 1
        if self._missing == 0:
            told = [s for s in self._settlements if s is not None]
            asked = self.asked
            assert isinstance(asked.command, CancelBatch | CancelAll)
            asked.gateway.settle(asked, *reply_of(asked.command, asked.received_ns, told))


def reply_of(
    command: Intended, received_ns: int | None, settlements: Sequence[Settlement]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The one reply to a command that cancels, and its outcomes. settlements: one per order, or venue, asked for."""
    outcomes = [outcome_map(command.id, received_ns, settlement) for settlement in settlements]
    match command:
        case CancelBatch(id=id, venue=venue):
            return {"type": "batch", "id": id, "venue": venue, "outcomes": outcomes}, outcomes
        case CancelAll(id=id):
            return {"type": "all", "id": id, "venues": dict(map(_venue_part, outcomes, settlements))}, outcomes
        case Cancel():
            return outcomes[0], outcomes


def _venue_part(outcome: dict[str, Any], settlement: Settlement) -> tuple[Venue, dict[str, Any]]:
    """One venue's part of the reply to a cancel_all."""
    part = {name: value for name, value in outcome.items() if name not in ("type", "id", "venue", "all")}
    if settlement.count is not None:
        part["count"] = settlement.count
    part["residual"] = settlement.residual
    return settlement.venue, part


class Successor(Protocol):
    """Who answers commands that the process before this one took and did not settle."""

    expects: bool
    """Whether there are any; nearly always there are none."""

    def takes(self, asked: Asked, deadline_ns: int) -> bool:
        """Whether this is one of them: it is answered then, by the deadline at the latest, and nothing is sent."""
        ...


class _Remembered:
    """One command id of one client: in flight while `reply` is None. Replies are kept as they were encoded: small."""

    __slots__ = ("asked", "command", "expires_ns", "reply")

    def __init__(self, asked: Asked, expires_ns: int) -> None:
        self.asked: Asked | None = asked
        self.command = asked.command
        self.reply: bytes | None = None
        self.expires_ns = expires_ns


class Gateway:
    """Both command sockets and everything between a message and its reply."""

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
        deadline_ms: int,
    ) -> None:
        """status: makes the members of a `status` reply; its argument says whether detail is wanted."""
        self.in_flight = 0
        self.draining = False
        self.refusals = 0
        self.replayed = 0
        self.forgotten = 0
        self.undelivered = 0
        self.queue_times = Histogram()
        self.answer_times = Histogram()
        self._wickets = (Wicket("commands", commands), Wicket("control", control))
        self._desks = desks
        self._clock = clock
        self._events = events
        self._status = status
        self._killswitch = kill
        self._intents = intents
        self._successor = successor
        self._leasing = leasing
        self._deadline_ns = deadline_ms * MS
        self._remembered: OrderedDict[tuple[bytes, CommandID], _Remembered] = OrderedDict()
        self._admitted_ns = -COMPANY_NS
        self._kept_bytes = 0
        self._kept_some = trio.Event()
        self._emptied = trio.Event()

    @property
    def beats(self) -> list[int]:
        """A number for each door that grows for as long as its reader goes round."""
        return [wicket.beats for wicket in self._wickets]

    # ---------------------------------------------------------------- tasks

    async def run(self) -> None:
        """Serve both sockets until cancelled."""
        async with trio.open_nursery() as nursery:
            for wicket in self._wickets:
                nursery.start_soon(self._serve, wicket, name=f"gateway {wicket.door}")
                nursery.start_soon(self._release_held, wicket, name=f"gateway {wicket.door} held")
            nursery.start_soon(self._offer_kept, name="gateway outbox")

    async def drained(self) -> None:
        """Refuse new commands from now on, and return when the last one in flight is answered."""
        self.draining = True
        while self.in_flight:
            self._emptied = trio.Event()
            await self._emptied.wait()

    def close(self) -> None:
        """Answer what has come and take nothing more: what a client asks from here on waits for our successor."""
        for wicket in self._wickets:
            router, backlog = wicket.router, wicket.backlog
            backlog.release(inf)
            for _ in range(BACKLOG_LIMIT + IN_FLIGHT_LIMIT):
                message = backlog.take()[0] if backlog else router.receive_nowait()
                if message is None:
                    break
                self._take(wicket, message)
        self._killswitch.give_up()
        for wicket in self._wickets:
            wicket.router.close()

    async def _serve(self, wicket: Wicket) -> None:
        router, backlog = wicket.router, wicket.backlog
        burst = False
        pulls = self._killswitch.pulls
        while True:
            # Around many rounds, so that a round costs no scope; it strikes only where we wait, with nothing half done.
            with trio.move_on_after(BEAT_S):
                while True:
                    if pulls != self._killswitch.pulls:
                        pulls = self._killswitch.pulls
                        for _ in range(STAND_BACK):
                            await trio.lowlevel.checkpoint()
                    taken = 0
                    if backlog.full:
                        # Whoever is held back goes on: nothing is read past it, and others have to be heard.
                        backlog.release(inf)
                    ahead = LOOK_PAST_HELD if backlog.holds else LOOK_AHEAD if burst else 0
                    limit = DRAIN_AHEAD if ahead and self._look_ahead(wicket, ahead) else DRAIN_LIMIT
                    while taken < limit:
                        waited = False
                        message: Message | None = None
                        if backlog:
                            message, waited = backlog.take()
                        elif not backlog.full:
                            message = router.receive_nowait()
                        if message is None:
                            break
                        taken += 1
                        if not waited and backlog.lags(message.identity) and _can_wait(message):
                            backlog.put_aside(message)
                            continue
                        self._take(wicket, message)
                        if taken == 1 and not burst:
                            # Commands come singly: this one does not wait for the look that finds no second.
                            self._perform()
                    if taken:
                        self._perform()
                        burst = taken > 1
                    wicket.beats += 1
                    if backlog:
                        await trio.lowlevel.checkpoint()
                    else:
                        await router.readable()

    def _look_ahead(self, wicket: Wicket, count: int) -> bool:
        """Read on past the commands whose turn it is, and act on a kill among them now; whether there may be more."""
        router, backlog = wicket.router, wicket.backlog
        for _ in range(count):
            if backlog.full:
                return False
            message = router.receive_nowait()
            if message is None:
                return False
            payload = message.frames[-1]
            if KILL_SIGN in payload and len(payload) <= COMMAND_BYTES and type(decode_command(payload)) is Kill:
                self._take(wicket, message)
            else:
                backlog.put(message)
        return True

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

    def _perform(self) -> None:
        for desk in self._desks.values():
            desk.perform()

    async def _offer_kept(self) -> None:
        soonest_s, longest_s = OUTBOX_LOOKS_S
        pause_s = soonest_s
        while True:
            if any(wicket.outbox for wicket in self._wickets):
                await trio.sleep(pause_s)
            else:
                self._kept_some = trio.Event()
                with trio.move_on_after(FORGET_LOOK_S):
                    await self._kept_some.wait()
            taken = [self._offer(wicket, identity) for wicket in self._wickets for identity in list(wicket.outbox)]
            pause_s = soonest_s if any(taken) else min(2 * pause_s, longest_s)
            self._forget_old()

    # ---------------------------------------------------------------- admission

    def _take(self, wicket: Wicket, message: Message) -> None:
        now_ns = self._clock.monotonic_ns()
        frames = message.frames
        if len(frames) == 1:
            enveloped = False
        elif len(frames) == 2 and not frames[0]:
            enveloped = True
        else:
            self._refuse_frames(wicket, message)
            unseen_ns = UNSEEN_NS if len(frames) > MESSAGE_FRAMES else 0
            self._charge(wicket, message, now_ns - unseen_ns)
            return
        payload = frames[-1]
        command = decode_command(payload)
        if isinstance(command, Malformed):
            refusal = refusal_map(command.id, command.reason, command.detail)
            self._refuse(wicket, message.identity, enveloped, encoding_of(payload), refusal)
            self._charge(wicket, message, now_ns)
            return
        if command.sent_ns is not UNSET and command.sent_ns - now_ns > AHEAD_NS and type(command) is not Kill:
            ahead_ms = (command.sent_ns - now_ns) // MS
            detail = f"sent_ns: {ahead_ms} ms from now; expected CLOCK_MONOTONIC nanoseconds of this machine"
            refusal = refusal_map(command.id, "invalid", detail)
            self._refuse(wicket, message.identity, enveloped, encoding_of(payload), refusal)
            return
        asked = Asked(self, wicket, message, enveloped, command, now_ns)
        if type(command) is Cancel:
            self._cancel(asked, command, now_ns)
        else:
            self._other(asked, now_ns)

    def _charge(self, wicket: Wicket, message: Message, began_ns: int) -> None:
        """Charge a peer for what it sent that cancels nothing; more of that waits while somebody cancels."""
        now_ns = self._clock.monotonic_ns()
        wait_ns = wicket.fair_use.charge(message.identity, now_ns - began_ns, now_ns)
        if wait_ns and now_ns - self._admitted_ns < COMPANY_NS and not self.draining:
            wicket.backlog.hold(message.identity, now_ns + wait_ns)
            wicket.held_some.set()
            what = "a client keeps the daemon busy with what cancels nothing"
            do = f"{_who(message)}: all but its cancels waits while somebody cancels; mend or stop it"
            self._events.alert("warning", what, do)

    def _refuse_frames(self, wicket: Wicket, message: Message) -> None:
        """More or other frames than a payload, or REQ's empty frame and a payload."""
        frames = message.frames
        many = len(frames) > MESSAGE_FRAMES
        detail = (
            f"a message has at most {MESSAGE_FRAMES} frames"
            if many
            else "expected one payload frame, or an empty frame and a payload frame"
        )
        payload = next((frame for frame in frames if 0 < len(frame) <= BATCH_BYTES), b"")
        told = decode_command(payload)
        refusal = refusal_map(told.id, "too_large" if many else "invalid", detail)
        self._refuse(wicket, message.identity, not frames[0], encoding_of(payload), refusal)

    def _cancel(self, asked: Asked, command: Cancel, now_ns: int) -> None:
        """Admit one cancel: the hot path."""
        target = command.target
        assert target is not None
        desk = self._desks.get(command.venue)
        if desk is None:
            self._answer_at_once(asked, _not_enabled(asked.command.id, command.venue))
            return
        deadline_ns = self._admit(asked, now_ns, target)
        if deadline_ns is None:
            return
        self.in_flight += 1
        if self._begin(asked, deadline_ns):
            desk.submit(asked, target, command.until == "proof", deadline_ns, now_ns, command.symbol)

    def _other(self, asked: Asked, now_ns: int) -> None:
        match asked.command:
            case Ping() | Status() | Lease() if (asked.identity, asked.command.id) in self._remembered:
                # These are not remembered themselves, but they must not be mistaken for the command that has the id.
                self._repeat(asked, self._remembered[asked.identity, asked.command.id])
            case Ping(id=id):
                self._answer_at_once(asked, {"type": "pong", "id": id, "monotonic_ns": now_ns})
                self._charge(asked.wicket, asked.message, now_ns)
            case Lease():
                self._lease(asked, asked.command, now_ns)
            case Status(id=id, detail=detail):
                self._answer_at_once(asked, {"type": "status", "id": id, **self._status(detail)})
                self._charge(asked.wicket, asked.message, now_ns)
            case CancelBatch():
                self._batch(asked, asked.command, now_ns)
            case CancelAll():
                self._all(asked, asked.command, now_ns)
            case Rearm(id=id) if asked.wicket.door != "control":
                detail_text = "type: rearm is taken on the control socket only"
                self._answer_at_once(asked, refusal_map(id, "invalid", detail_text))
            case Kill():
                self._kill(asked, asked.command, now_ns)
            case Rearm():
                self._rearm(asked, asked.command, now_ns)

    def _kill(self, asked: Asked, command: Kill, now_ns: int) -> None:
        """Pull the kill switch: nothing that refuses other commands refuses this one, not even its own lateness."""
        if command.venues and not any(venue in self._desks for venue in command.venues):
            self._answer_at_once(asked, _not_enabled(command.id, command.venues[0]))
            return
        key = (asked.identity, command.id)
        known = self._remembered.get(key)
        if known is not None and known.expires_ns > now_ns:
            self._repeat(asked, known)
            return
        self._remember(key, asked, now_ns)
        self._record(asked)
        allowed_ns = (KILL_DEADLINE_MS if command.deadline_ms is UNSET else command.deadline_ms) * MS
        start_ns = now_ns if command.sent_ns is UNSET else min(command.sent_ns, now_ns)
        self.in_flight += 1
        self._killswitch.kill(asked, command, asked.who, start_ns + allowed_ns)

    def _lease(self, asked: Asked, command: Lease, now_ns: int) -> None:
        """Take, renew or give back a lease: also while draining, since its orders rest on.

        Not remembered: asked again under the same id it counts again, and a strategy that renews often would push the
        ids of cancels out.
        """
        allowed_ns = self._deadline_ns if command.deadline_ms is UNSET else command.deadline_ms * MS
        if command.sent_ns is not UNSET and command.sent_ns + allowed_ns <= now_ns:
            # Somebody who has stopped since is not alive for what it sent then.
            late_ms = (now_ns - command.sent_ns - allowed_ns) // MS
            self._refuse_admission(asked, None, "expired", f"the deadline had passed {late_ms} ms before receipt")
            return
        why = self._leasing.renew(command, asked.who, now_ns)
        if why is not None:
            self._refuse_admission(asked, None, "invalid", why)
            return
        reply = {"type": "lease", "id": command.id, "strategy": command.strategy, "expires_in_ms": command.ttl_ms}
        self._answer_at_once(asked, reply)

    def _rearm(self, asked: Asked, command: Rearm, now_ns: int) -> None:
        deadline_ns = self._admit(asked, now_ns, None)
        if deadline_ns is not None:
            self.in_flight += 1
            self._killswitch.rearm(asked, command, asked.who, deadline_ns)

    def _batch(self, asked: Asked, command: CancelBatch, now_ns: int) -> None:
        desk = self._desks.get(command.venue)
        if desk is None:
            self._answer_at_once(asked, _not_enabled(command.id, command.venue))
            return
        deadline_ns = self._admit(asked, now_ns, None)
        if deadline_ns is None:
            return
        self.in_flight += 1
        if not self._begin(asked, deadline_ns):
            return
        whole = _Whole(asked, len(command.orders))
        parts: list[tuple[Any, Target, str | None]] = []
        for place, order in enumerate(command.orders):
            target = order.target
            assert target is not None
            parts.append((_Part(whole, place), target, order.symbol))
        desk.submit_batch(parts, command.until == "proof", deadline_ns, now_ns)

    def _all(self, asked: Asked, command: CancelAll, now_ns: int) -> None:
        venues = list(self._desks) if command.venue is None else [command.venue]
        if command.venue is not None and command.venue not in self._desks:
            self._answer_at_once(asked, _not_enabled(command.id, command.venue))
            return
        deadline_ns = self._admit(asked, now_ns, None)
        if deadline_ns is None:
            return
        self.in_flight += 1
        if not self._begin(asked, deadline_ns):
            return
        whole = _Whole(asked, len(venues))
        for place, venue in enumerate(venues):
            self._desks[venue].submit(_Part(whole, place), EVERYTHING, command.until == "proof", deadline_ns, now_ns)

    def _admit(self, asked: Asked, now_ns: int, target: Target | None) -> int | None:
        """The deadline of a command that may go ahead; None when it was replayed, joined or refused.

        target: of a well-formed cancel, whose refusal is an outcome; None for everything else.
        """
        command = asked.command
        key = (asked.identity, command.id)
        known = self._remembered.get(key)
        if known is not None and known.expires_ns > now_ns:
            self._repeat(asked, known)
            return None
        self._record(asked)
        allowed_ns = self._deadline_ns if command.deadline_ms is UNSET else command.deadline_ms * MS
        start_ns = now_ns
        if command.sent_ns is not UNSET and command.sent_ns < now_ns:
            start_ns = command.sent_ns
            self.queue_times.record(now_ns - start_ns)
        deadline_ns = start_ns + allowed_ns
        if self.draining:
            self._refuse_admission(asked, target, "draining", "the daemon is stopping; ask another or wait")
        elif deadline_ns <= now_ns:
            late_ms = (now_ns - deadline_ns) // MS
            self._refuse_admission(asked, target, "expired", f"the deadline had passed {late_ms} ms before receipt")
        elif self.in_flight >= IN_FLIGHT_LIMIT:
            self._refuse_admission(asked, target, "overloaded", f"{IN_FLIGHT_LIMIT} commands are in flight")
        else:
            self._remember(key, asked, now_ns)
            self._admitted_ns = now_ns
            return deadline_ns
        return None

    def _begin(self, asked: Asked, deadline_ns: int) -> bool:
        """Record an admitted cancel before anything leaves for it; False when nothing is to leave for it."""
        if self._successor.expects and self._successor.takes(asked, deadline_ns):
            return False
        intents = self._intents
        if intents.on:
            peer = asked.peer
            uid, pid = (NOBODY, NOBODY) if peer is None else (peer.uid, peer.pid)
            payload = asked.message.frames[-1]
            asked.slots = intents.enter(payload, asked.identity, uid, pid, asked.received_ns, self._clock.utc_ns())
            if not asked.slots:
                do = "cancels go on; those that found no slot would not be resumed after a crash"
                self._events.alert("warning", "the record of commands in flight is full", do)
        return True

    def _remember(self, key: tuple[bytes, CommandID], asked: Asked, now_ns: int) -> None:
        self._remembered[key] = _Remembered(asked, now_ns + REPLAY_WINDOW_S * 1_000_000_000)
        self._remembered.move_to_end(key)
        if len(self._remembered) > REPLAY_LIMIT:
            self._remembered.popitem(last=False)
            self.forgotten += 1

    def _record(self, asked: Asked) -> None:
        """Put into the record who asks for what. Who it is the kernel says; what a peer calls itself proves nothing."""
        peer = asked.peer = asked.message.peer
        uid, pid = (None, None) if peer is None else (peer.uid, peer.pid)
        self._events.note("command", command=asked.command, door=asked.wicket.door, uid=uid, pid=pid)

    def _repeat(self, asked: Asked, known: _Remembered) -> None:
        """The same id again: the stored reply, or a place beside the command in flight; for another command a no."""
        if not same_command(known.command, asked.command):
            detail = "id: taken by another command less than 15 minutes ago"
            self._answer_at_once(asked, refusal_map(asked.command.id, "id_reused", detail))
            return
        self.replayed += 1
        if known.reply is not None:
            self._answer_at_once(asked, {**decode_reply(known.reply), "replayed": True})
            return
        assert known.asked is not None
        place = (asked.wicket, asked.identity, asked.enveloped, asked.encoding)
        if known.asked.joined is None:
            known.asked.joined = [place]
        else:
            known.asked.joined.append(place)

    def _refuse_admission(self, asked: Asked, target: Target | None, reason: RefusalReason, detail: str) -> None:
        self.refusals += 1
        command = asked.command
        if target is not None and isinstance(command, Cancel):
            settlement = Settlement(venue=command.venue, target=target, outcome=Refused(reason, detail))
            refusal = outcome_map(command.id, asked.received_ns, settlement)
        else:
            refusal = refusal_map(command.id, reason, detail)
        self._answer_at_once(asked, refusal)
        self._events.note("outcome", strategy=command.strategy, **refusal)

    # ---------------------------------------------------------------- replies

    def settle(self, asked: Asked, reply: Mapping[str, Any], outcomes: Sequence[Mapping[str, Any]]) -> None:
        """Give an admitted command its one reply, and remember it; then tell the event socket its outcomes."""
        payload = encode(reply, asked.encoding)
        self._send(asked.wicket, asked.identity, asked.enveloped, payload)
        if asked.slots:
            self._intents.settle(asked.slots)
        self.in_flight -= 1
        if asked.joined is not None:
            for wicket, identity, enveloped, encoding in asked.joined:
                self._send(wicket, identity, enveloped, encode({**reply, "replayed": True}, encoding))
        key = (asked.identity, asked.command.id)
        known = self._remembered.get(key)
        if known is not None and known.asked is asked:
            if reply.get("outcome") == "refused":
                # No byte left for it, so asking again with the same id is a fresh try.
                del self._remembered[key]
            else:
                known.asked = None
                known.reply = payload
        self.answer_times.record(self._clock.monotonic_ns() - asked.received_ns)
        for outcome in outcomes:
            self._events.outcome(outcome, asked.command.strategy)
            if outcome["outcome"] in _WORTH_A_LINE:
                self._log(outcome)
        if self.draining and not self.in_flight:
            self._emptied.set()

    def late(self, asked: Asked, settlement: Settlement) -> None:
        """Tell the event socket what the venue said after the reply."""
        self._events.late(asked.command.id, asked.received_ns, settlement)
        log.info("late answer", id=asked.command.id, venue=settlement.venue, outcome=NAMES[type(settlement.outcome)])

    def _log(self, outcome: Mapping[str, Any]) -> None:
        if outcome["outcome"] == "unknown":
            what = f"{outcome['venue']} cancels end as unknown"
            self._events.alert("warning", what, "treat them as live; status tells which routes are down")
        log.warning("answered", **{name: outcome[name] for name in _LINE if name in outcome})

    def _answer_at_once(self, asked: Asked, reply: Mapping[str, Any]) -> None:
        self._send(asked.wicket, asked.identity, asked.enveloped, encode(reply, asked.encoding))

    def _refuse(
        self, wicket: Wicket, identity: bytes, enveloped: bool, encoding: Encoding, refusal: Mapping[str, Any]
    ) -> None:
        self.refusals += 1
        self._send(wicket, identity, enveloped, encode(refusal, encoding))

    def _send(self, wicket: Wicket, identity: bytes, enveloped: bool, payload: bytes) -> None:
        frames = [b"", payload] if enveloped else [payload]
        if wicket.outbox and identity in wicket.outbox:
            self._keep(wicket, identity, frames)
            return
        sent = wicket.router.send_nowait(identity, frames)
        if sent is Sent.FULL:
            self._keep(wicket, identity, frames)
        elif sent is Sent.GONE:
            self.undelivered += 1

    def _keep(self, wicket: Wicket, identity: bytes, frames: list[bytes]) -> None:
        """Keep a reply for a client that does not read. Past the bounds it is left to a replay."""
        size = len(frames[-1])
        kept = wicket.outbox.setdefault(identity, deque())
        kept_bytes = wicket.kept_bytes.get(identity, 0)
        if (
            len(kept) >= OUTBOX_REPLIES
            or kept_bytes + size > OUTBOX_BYTES
            or self._kept_bytes + size > OUTBOX_TOTAL_BYTES
        ):
            self.undelivered += 1
            self._alert_unread()
            return
        kept.append(frames)
        self._kept_some.set()
        wicket.kept_bytes[identity] = kept_bytes + size
        self._kept_bytes += size

    def _alert_unread(self) -> None:
        self._events.alert(
            "warning", "a client does not read its replies", "mend or stop it; its replies can be asked for again"
        )

    def _offer(self, wicket: Wicket, identity: bytes) -> bool:
        """Offer a client what was kept for it, until it is full again or gone; whether any of it went."""
        kept = wicket.outbox[identity]
        kept_before = len(kept)
        while kept:
            sent = wicket.router.send_nowait(identity, kept[0])
            if sent is Sent.FULL:
                return len(kept) < kept_before
            if sent is Sent.GONE:
                self.undelivered += len(kept)
                self._alert_unread()
                kept.clear()
                break
            size = len(kept.popleft()[-1])
            wicket.kept_bytes[identity] -= size
            self._kept_bytes -= size
        self._kept_bytes -= wicket.kept_bytes.pop(identity)
        del wicket.outbox[identity]
        return True

    def _forget_old(self) -> None:
        now_ns = self._clock.monotonic_ns()
        remembered = self._remembered
        while remembered:
            known = next(iter(remembered.values()))
            if known.expires_ns > now_ns:
                return
            remembered.popitem(last=False)


def _not_enabled(id: CommandID, venue: Venue) -> dict[str, Any]:
    return refusal_map(id, "unsupported", f"venue: {venue} is not enabled in this daemon's configuration")
