"""May a command go ahead, and to whom: every message comes to one command or one refusal.

A command that may go ahead is handed over in the same step, to a venue's dispatcher, the kill switch or the leases. No
byte leaves for a venue in here: the gateway lets the dispatchers perform when its round is over.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, assert_never

from msgspec import UNSET

from ..contract.commands import (
    Cancel,
    CancelAll,
    CancelBatch,
    Command,
    Drill,
    Kill,
    KillScope,
    Lease,
    Ping,
    Rearm,
    Status,
    Strict,
    TimerRight,
    WhatRests,
)
from ..contract.frames import (
    BATCH_BYTES,
    MESSAGE_FRAMES,
    Malformed,
    decode_command,
    encoding_of,
    outcome_map,
    refusal_map,
)
from ..contract.ids import Target, Venue
from ..contract.kills import also_ignored, read_kill
from ..contract.outcomes import RefusalReason, Refused, Settlement
from ..engine.instants import MS
from ..engine.intents import NOBODY, Intents
from ..engine.timer_right import RightToRenew
from ..settings import IN_FLIGHT_LIMIT
from ..transport.clock import Clock
from ..transport.messages import Message
from .dispatcher import Dispatcher
from .events import Events
from .killswitch import KILL_DEADLINE_MS, KillSwitch
from .leasing import Leasing
from .origins import Origins
from .outbox import Outlet
from .rearming import Rearming
from .replies import Replies
from .scope_door import ScopeDoor, not_enabled
from .scoping import Scoping
from .telemetry import Histogram
from .tickets import Asked, AskedKill, Part, Successor, Whole

AHEAD_NS: Final = 1_000 * MS
"""How far after its receipt a command may claim to have been sent. On one clock it cannot be after at all; a client on
another one (the wall's, mostly) would never find a command too old, so it is told at its first."""

KILL_DEADLINE_NS: Final = KILL_DEADLINE_MS * MS

COMPANY_NS: Final = 1_000 * MS
"""For this long after a cancel, peers that send other work wait. Their own cancels never do, and while nobody cancels
all of our time is theirs."""

UNSEEN_NS: Final = 2 * MS
"""What a message of too many frames is charged beyond its refusal: thousands may be thrown away that nobody here sees,
and nobody else's are read meanwhile."""

PING_NS: Final = 100_000
"""Most that a ping is charged: several times what it takes. What is beyond, the machine gave to others."""


class Admission:
    """From a message to whoever carries its command out."""

    def __init__(
        self,
        replies: Replies,
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
        self.draining = False
        """Whether the daemon is stopping: new commands are refused, kills and leases are not."""
        self.queue_times = Histogram()
        self._replies = replies
        self._desks = desks
        self._clock = clock
        self._events = events
        self._status = status
        self._killswitch = kill
        self._intents = intents
        self._successor = successor
        self._leasing = leasing
        self._scopes = ScopeDoor(self, desks, scoping, replies, kill)
        self._origins = origins
        self._timer_right = timer_right
        self._deadline_ns = deadline_ms * MS
        self.admitted_ns = -COMPANY_NS
        """When the last command that cancels was let ahead, on the monotonic clock."""

    def has_company(self, now_ns: int) -> bool:
        """Whether others cancel these days, so that whoever sends other work has to share our time."""
        return now_ns - self.admitted_ns < COMPANY_NS and not self.draining

    # ---------------------------------------------------------------- from the sockets

    def take(self, outlet: Outlet, message: Message, command: Command | Malformed | None, now_ns: int) -> int | None:
        """Answer a message, refuse it, or hand its command over.

        command: what `read` made of the message. Returns since when our time is to be charged to its sender, on the
        monotonic clock; None for what cancels.
        """
        if command is None:
            return self._odd_frames(outlet, message, now_ns)
        enveloped = len(message.frames) > 1
        if isinstance(command, Malformed):
            refusal = refusal_map(command.id, command.reason, command.detail)
            self._replies.refuse(outlet, message.identity, enveloped, encoding_of(message.frames[-1]), refusal)
            return now_ns
        if isinstance(command, Kill):
            self._kill(AskedKill(self._replies, outlet, message, enveloped, command, now_ns), command, now_ns)
            return None
        if command.sent_ns is not UNSET and command.sent_ns - now_ns > AHEAD_NS:
            ahead_ms = (command.sent_ns - now_ns) // MS
            detail = f"sent_ns: {ahead_ms} ms from now; expected CLOCK_MONOTONIC nanoseconds of this machine"
            refusal = refusal_map(command.id, "invalid", detail)
            self._replies.refuse(outlet, message.identity, enveloped, encoding_of(message.frames[-1]), refusal)
            return None
        return self._hand_over(Asked(self._replies, outlet, message, enveloped, command, now_ns), command, now_ns)

    def _hand_over(self, asked: Asked, command: Strict, now_ns: int) -> int | None:
        """Give a command to whom it is for; since when its sender is charged."""
        match command:
            case Cancel():
                self._cancel(asked, command, now_ns)
            case CancelBatch():
                self._batch(asked, command, now_ns)
            case CancelAll():
                self._all(asked, command, now_ns)
            case WhatRests():
                self._scopes.rests(asked, command, now_ns)
            case KillScope():
                self._scopes.kill(asked, command, now_ns)
            case Drill():
                self._drill(asked, command, now_ns)
            case Rearm():
                self._rearm(asked, command, now_ns)
            case TimerRight():
                self._take_right(asked, command, now_ns)
            case Ping() | Status() | Lease() if (known := self._replies.known(asked, now_ns)) is not None:
                # These are not remembered themselves, but they must not be mistaken for the command that has the id.
                self._replies.repeat(asked, known)
            case Lease():
                self._lease(asked, command, now_ns)
            case Ping(id=id):
                self._replies.at_once(asked, {"type": "pong", "id": id, "monotonic_ns": now_ns})
                return max(now_ns, self._clock.monotonic_ns() - PING_NS)
            case Status(id=id, detail=detail):
                began_ns = self._clock.thread_ns()
                self._replies.at_once(asked, {"type": "status", "id": id, **self._status(detail)})
                # On a busy machine we may not have had the processor all the while, which is nobody's doing here.
                return self._clock.monotonic_ns() - (self._clock.thread_ns() - began_ns)
            case other:
                assert_never(other)
        return None

    def _odd_frames(self, outlet: Outlet, message: Message, now_ns: int) -> int | None:
        """More or other frames than a payload, or REQ's empty frame and a payload: refused, but for a kill in one."""
        frames = message.frames
        many = len(frames) > MESSAGE_FRAMES
        detail = (
            f"a message has at most {MESSAGE_FRAMES} frames"
            if many
            else "expected one payload frame, or an empty frame and a payload frame"
        )
        for frame in frames:
            kill = read_kill(frame)
            if kill is not None:
                kill = also_ignored(kill, f"frames: {detail}")
                alone = Message(message.identity, [frame], message.origin)
                self._kill(AskedKill(self._replies, outlet, alone, not frames[0], kill, now_ns), kill, now_ns)
                return None
        payload = next((frame for frame in frames if 0 < len(frame) <= BATCH_BYTES), b"")
        told = decode_command(payload)
        refusal = refusal_map(told.id, "too_large" if many else "invalid", detail)
        self._replies.refuse(outlet, message.identity, not frames[0], encoding_of(payload), refusal)
        return now_ns - UNSEEN_NS if many else now_ns

    def _cancel(self, asked: Asked, command: Cancel, now_ns: int) -> None:
        """Admit one cancel: the hot path."""
        target = command.target
        assert target is not None
        desk = self._desks.get(command.venue)
        if desk is None:
            self._replies.at_once(asked, not_enabled(command.id, command.venue))
            return
        deadline_ns = self.admit(asked, now_ns, target)
        if deadline_ns is None:
            return
        if self._begin(asked, deadline_ns):
            proof = command.until == "proof"
            desk.submit(asked, target, proof, deadline_ns, now_ns, command.symbol, bool(command.urgent))

    def _kill(self, asked: AskedKill, command: Kill, now_ns: int) -> None:
        """Pull the kill switch: nothing that refuses other commands refuses this one, not even its own lateness.

        Three cases of an id that is taken. The same kill is in flight, or stands: it has what it asks for. The same
        kill was re-armed since: it is pulled again. Another command has the id: it is pulled, and its id remembers
        nothing.
        """
        known = self._replies.known(asked, now_ns)
        same = known is not None and known.is_for(command)
        if known is not None and same and (known.waiter is not None or self._killswitch.latched or command.drill):
            self._replies.repeat(asked, known)
            return
        if known is None or same:
            self._replies.owe(asked, now_ns)
        else:
            asked.ignored = (*asked.ignored, "id: taken by another command less than 15 minutes ago")
            self._replies.owe_unremembered(asked)
        self.record(asked)
        allowed_ns = KILL_DEADLINE_NS if command.deadline_ms is UNSET else command.deadline_ms * MS
        start_ns = now_ns if command.sent_ns is UNSET else min(command.sent_ns, now_ns)
        self._killswitch.kill(asked, command, asked.who, start_ns + allowed_ns)
        self._origins.look_up("drill" if command.drill else "kill", command.id, asked.peer)

    def _drill(self, asked: Asked, command: Drill, now_ns: int) -> None:
        """Walk the way of a kill. It is a command like others: a rehearsal may be refused."""
        disabled = next((venue for venue in command.venues or () if venue not in self._desks), None)
        if disabled is not None:
            self._replies.at_once(asked, not_enabled(command.id, disabled))
            return
        deadline_ns = self.admit(asked, now_ns, None, KILL_DEADLINE_NS)
        if deadline_ns is not None:
            rehearsed = Kill(id=command.id, reason=command.reason, venues=command.venues, drill=True)
            self._killswitch.kill(asked, rehearsed, asked.who, deadline_ns)

    def _lease(self, asked: Asked, command: Lease, now_ns: int) -> None:
        """Take, renew or give back a lease: also while draining, since its orders rest on.

        Not remembered: asked again under the same id it counts again, and a strategy that renews often would push the
        ids of cancels out.
        """
        allowed_ns = self._deadline_ns if command.deadline_ms is UNSET else command.deadline_ms * MS
        if command.sent_ns is not UNSET and command.sent_ns + allowed_ns <= now_ns:
            # Somebody who has stopped since is not alive for what it sent then.
            late_ms = (now_ns - command.sent_ns - allowed_ns) // MS
            self.refuse(asked, None, "expired", f"the deadline had passed {late_ms} ms before receipt")
            return
        before = self._leasing.revision
        why = self._leasing.renew(command, asked.who, now_ns)
        if self._leasing.revision != before:
            self._origins.look_up("lease", command.id, asked.message.peer)
        if why is not None:
            self.refuse(asked, None, "invalid", why)
            return
        reply = {"type": "lease", "id": command.id, "strategy": command.strategy, "expires_in_ms": command.ttl_ms}
        self._replies.at_once(asked, reply)

    def _rearm(self, asked: Asked, command: Rearm, now_ns: int) -> None:
        if asked.outlet.door != "control":
            detail = "type: rearm is taken on the control socket only"
            self._replies.at_once(asked, refusal_map(command.id, "invalid", detail))
            self.record(asked)
            Rearming(asked, self._events).refused(detail)
            self._origins.look_up("rearm", command.id, asked.peer)
            return
        deadline_ns = self.admit(asked, now_ns, None)
        if deadline_ns is not None:
            self._killswitch.rearm(Rearming(asked, self._events), command, asked.who, deadline_ns)
            self._origins.look_up("rearm", command.id, asked.peer)

    def _take_right(self, asked: Asked, command: TimerRight, now_ns: int) -> None:
        """Not remembered: an agent's next word comes seconds later, and the token tells which is newer."""
        if asked.outlet.door != "control":
            why: str | None = "type: timer_right is taken on the control socket only"
        else:
            # It may have waited while this process was stopped; the right ran meanwhile.
            said_ns = now_ns if command.sent_ns is UNSET else min(command.sent_ns, now_ns)
            why = self._timer_right.grant(command.token, command.for_ms * MS, said_ns, off=command.off)
        if why is not None:
            self.refuse(asked, None, "invalid", why)
            return
        self._replies.at_once(asked, {"type": "timer_right", "id": command.id, "token": self._timer_right.token})

    def _batch(self, asked: Asked, command: CancelBatch, now_ns: int) -> None:
        desk = self._desks.get(command.venue)
        if desk is None:
            self._replies.at_once(asked, not_enabled(command.id, command.venue))
            return
        deadline_ns = self.admit(asked, now_ns, None)
        if deadline_ns is None:
            return
        if not self._begin(asked, deadline_ns):
            return
        whole = Whole(asked, len(command.orders))
        parts: list[tuple[Any, Target, str | None]] = []
        for place, order in enumerate(command.orders):
            target = order.target
            assert target is not None
            parts.append((Part(whole, place), target, order.symbol))
        desk.submit_batch(parts, command.until == "proof", deadline_ns, now_ns)

    def _all(self, asked: Asked, command: CancelAll, now_ns: int) -> None:
        if command.venue is not None and command.venue not in self._desks:
            self._replies.at_once(asked, not_enabled(command.id, command.venue))
            return
        if self._scopes.lets_pass(asked, command, now_ns):
            deadline_ns = self.admit(asked, now_ns, None)
            if deadline_ns is not None and self._begin(asked, deadline_ns):
                self._scopes.begin(asked, command, deadline_ns, now_ns)

    # ---------------------------------------------------------------- admission

    def admit(self, asked: Asked, now_ns: int, target: Target | None, default_ns: int | None = None) -> int | None:
        """The deadline of a command that may go ahead; None when it was replayed, joined or refused.

        target: of a well-formed cancel, whose refusal is an outcome; None for everything else. default_ns: how long a
        command that does not say is worked on, where that is its kind's own.
        """
        command = asked.command
        known = self._replies.known(asked, now_ns)
        if known is not None:
            self._replies.repeat(asked, known)
            return None
        self.record(asked)
        default_ns = self._deadline_ns if default_ns is None else default_ns
        allowed_ns = default_ns if command.deadline_ms is UNSET else command.deadline_ms * MS
        start_ns = now_ns
        if command.sent_ns is not UNSET and command.sent_ns < now_ns:
            start_ns = command.sent_ns
            self.queue_times.record(now_ns - start_ns)
        deadline_ns = start_ns + allowed_ns
        # Four reasons to refuse, the lasting one first: asked again, the client meets the next.
        if self.draining:
            self.refuse(asked, target, "draining", "the daemon is stopping; ask another or wait")
        elif deadline_ns <= now_ns:
            late_ms = (now_ns - deadline_ns) // MS
            self.refuse(asked, target, "expired", f"the deadline had passed {late_ms} ms before receipt")
        elif self._replies.in_flight >= IN_FLIGHT_LIMIT:
            self.refuse(asked, target, "overloaded", f"{IN_FLIGHT_LIMIT} commands are in flight")
        elif 2 * self._replies.in_flight >= IN_FLIGHT_LIMIT and self._is_greedy(asked):
            self._refuse_greedy(asked, target)
        else:
            self.let_ahead(asked, now_ns)
            return deadline_ns
        return None

    def let_ahead(self, asked: Asked, now_ns: int) -> None:
        """A command goes ahead, whose sender is recorded: it is in flight from here on."""
        self._replies.owe(asked, now_ns)
        asked.holder = asked.peer or asked.identity
        self._replies.shares.take(asked.holder)
        self.admitted_ns = now_ns

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
                self.tell_unrecorded()
        return True

    def tell_unrecorded(self) -> None:
        """A command goes ahead that found no slot in the record of what is in flight."""
        do = "cancels go on; those that found no slot would not be resumed after a crash"
        self._events.alert("warning", "the record of commands in flight is full", do)

    def record(self, asked: Asked) -> None:
        """Put into the record who asks for what. Who it is the kernel says; what a peer calls itself proves nothing."""
        peer = asked.peer = asked.peer or asked.message.peer
        uid, pid = (None, None) if peer is None else (peer.uid, peer.pid)
        self._events.note("command", command=asked.command, door=asked.outlet.door, uid=uid, pid=pid)

    def _is_greedy(self, asked: Asked) -> bool:
        """Whether a client holds its share. None does while less than half of all places is taken."""
        replies = self._replies
        return replies.shares.has_its_share(asked.peer or asked.identity, replies.in_flight, IN_FLIGHT_LIMIT)

    def _refuse_greedy(self, asked: Asked, target: Target | None) -> None:
        """A client has so much in flight that others would find no room."""
        held = self._replies.shares.held(asked.peer or asked.identity)
        detail = f"{held} commands of this client are in flight, and no more than that are left for others"
        self.refuse(asked, target, "overloaded", detail)
        do = f"{asked.who}: its next cancels are refused until it has replies; shorten its deadlines, or mend it"
        self._events.alert("warning", "one client holds half of the places for commands", do)

    def refuse(self, asked: Asked, target: Target | None, reason: RefusalReason, detail: str) -> None:
        self._replies.refusals += 1
        command = asked.command
        if target is not None and isinstance(command, Cancel):
            settlement = Settlement(venue=command.venue, target=target, outcome=Refused(reason, detail))
            refusal = outcome_map(command.id, asked.received_ns, settlement)
        else:
            refusal = refusal_map(command.id, reason, detail)
        self._replies.at_once(asked, refusal)
        self._events.note("outcome", strategy=command.strategy, **refusal)
