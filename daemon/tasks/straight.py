"""The straight line: a plain cancel from its message to the venue's socket, and its plain ack back to who asked.

Nearly every command is one: one order by its id, `until: ack`, an id not seen before, a session that is up, and nobody
else after the order. Before its frame leaves, only what must be there is made: the look at the id, the lane, the entry
in the file of what is in flight, the request id, the frame. All else (the record, the memory of ids, the engine's
tables, the alarm) is written down behind the frame, in the same step, so that nobody can see the difference. Likewise
the one reply to a plain ack leaves first.

Nothing is decided here. Whatever is odd is not ours, and takes the long way as if we had not been asked: the gateway
and `Conversation._take_in` ask us first. The engine's half, and what counts as plain there, is
engine/pursuits/straight.py.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from msgspec import UNSET

from ..contract.commands import Cancel
from ..contract.evidence import Evidence
from ..contract.frames import encode
from ..contract.ids import Reqid, Target, Venue
from ..engine.instants import MS
from ..engine.intents import NOBODY, Intents
from ..engine.journal import clipped
from ..engine.lane import Lane, route_of
from ..settings import IN_FLIGHT_LIMIT
from ..transport.clock import Clock
from ..transport.messages import Message
from .admission import Admission
from .dispatcher import Dispatcher
from .events import Note
from .hand import Line
from .outbox import Outlet
from .replies import Replies
from .telemetry import Histogram
from .tickets import Asked, Successor

Ready: TypeAlias = tuple[Asked, Dispatcher, Line, Reqid, Target, int]
"""A cancel whose frame is the next thing to leave; at the end its deadline."""


class StraightLine:
    """From the message to the frame. Between `take` and `leave` or `join_long_way` nobody else may have a turn."""

    def __init__(
        self,
        admission: Admission,
        replies: Replies,
        desks: Mapping[Venue, Dispatcher],
        intents: Intents,
        successor: Successor,
        clock: Clock,
        *,
        deadline_ms: int,
    ) -> None:
        self._admission = admission
        self._replies = replies
        self._desks = desks
        self._intents = intents
        self._successor = successor
        self._clock = clock
        self._deadline_ns = deadline_ms * MS
        # Of one burst: what leaves together, and the ids and orders that it is about.
        self._ready: list[Ready] = []
        self._taken: set[bytes | tuple[Venue, str]] = set()

    def take(
        self, outlet: Outlet, message: Message, enveloped: bool, command: Cancel, now_ns: int, *, alone: bool
    ) -> bool:
        """Whether this is a plain cancel. It has left then, or (not alone) leaves with the next `leave`.

        now_ns: when it was received. Where the answer is no, nothing has been done, and what was taken before has to
        `join_long_way` first.
        """
        order_id = command.order_id
        if order_id is None or command.until != "ack" or command.urgent or self._successor.expects:
            return False
        desk, replies, admission = self._desks.get(command.venue), self._replies, self._admission
        # Half of all places: from there on shares are looked at.
        if desk is None or admission.draining or 2 * (replies.in_flight + len(self._ready)) >= IN_FLIGHT_LIMIT:
            return False
        start_ns, allowed_ns = now_ns, self._deadline_ns
        if command.deadline_ms is not UNSET:
            allowed_ns = command.deadline_ms * MS
        if command.sent_ns is not UNSET:
            start_ns = command.sent_ns
        if start_ns > now_ns or start_ns + allowed_ns <= now_ns:
            return False
        asked = Asked(replies, outlet, message, enveloped, command, now_ns)
        key, target = asked.key, Target("order_id", order_id)
        if key is None or replies.known(asked, now_ns) is not None:
            return False
        if self._ready and (key in self._taken or (command.venue, order_id) in self._taken):
            return False
        line = desk.line_for(target, alone=alone)
        if line is None:
            return False
        # From here on it is ours.
        peer = asked.peer = message.peer
        if self._intents.on:
            uid, pid = (NOBODY, NOBODY) if peer is None else (peer.uid, peer.pid)
            payload = message.frames[-1]
            asked.slots = self._intents.enter(payload, asked.identity, uid, pid, now_ns, self._clock.utc_ns())
        reqid = desk.straight.draw()
        if alone:
            frames, left = line.write_plain(((reqid, target),))
            self._enter(asked, desk, line, reqid, target, start_ns + allowed_ns)
            _account(desk, line, frames, (target,), now_ns, left=left)
        else:
            self._ready.append((asked, desk, line, reqid, target, start_ns + allowed_ns))
            self._taken.add(key)
            self._taken.add((command.venue, order_id))
        return True

    def leave(self) -> None:
        """Write the frames of what was taken and has not left, those of each session in one write; then enter all."""
        if not self._ready:
            return
        ready, self._ready = self._ready, []
        self._taken.clear()
        groups: dict[Line, list[Ready]] = {}
        for one in ready:
            groups.setdefault(one[2], []).append(one)
        written = [line.write_plain([(reqid, target) for _, _, _, reqid, target, _ in groups[line]]) for line in groups]
        for asked, desk, line, reqid, target, deadline_ns in ready:
            self._enter(asked, desk, line, reqid, target, deadline_ns)
        now_ns = self._clock.monotonic_ns()
        for (line, group), (frames, left) in zip(groups.items(), written, strict=True):
            _account(group[0][1], line, frames, [one[4] for one in group], now_ns, left=left)

    def join_long_way(self) -> None:
        """Something odd has come: what was taken and has not left is entered now, and leaves with what follows."""
        ready, self._ready = self._ready, []
        self._taken.clear()
        for asked, desk, line, reqid, target, deadline_ns in ready:
            self._enter(asked, desk, line, reqid, target, deadline_ns)
            desk.straight.leaves(line.lane, reqid, target)

    def _enter(
        self, asked: Asked, desk: Dispatcher, line: Line, reqid: Reqid, target: Target, deadline_ns: int
    ) -> None:
        """What the long way does before the frame, in its sequence."""
        command, now_ns, admission = asked.command, asked.received_ns, self._admission
        assert type(command) is Cancel
        admission.record(asked)
        if command.sent_ns is not UNSET and command.sent_ns < now_ns:
            admission.queue_times.record(now_ns - command.sent_ns)
        admission.let_ahead(asked, now_ns)
        if not asked.slots and self._intents.on:
            admission.tell_unrecorded()
        desk.straight.left(asked, target, command.symbol, line.lane, reqid, deadline_ns, now_ns)


def _account(
    desk: Dispatcher, line: Line, frames: Sequence[bytes], targets: Sequence[Target], now_ns: int, *, left: bool
) -> None:
    """What the long way does behind the frames. left: False when the session died with them."""
    line.note_sent(frames, left=left)
    if left:
        for target in targets:
            desk.charge(target, now_ns)
        desk.arm()
    else:
        desk.lost(line.lane)


class PlainAcks:
    """From what one session's read brought to the replies, where it brought plain acks and nothing else."""

    def __init__(
        self, dispatcher: Dispatcher, lane: Lane, name: str, clock: Clock, note: Note, venue_times: Histogram
    ) -> None:
        """name: the session's. note, venue_times: as the session itself tells of what it heard."""
        self._dispatcher = dispatcher
        self._straight = dispatcher.straight
        self._lane = lane
        self._route = route_of(lane)
        self._name = name
        self._clock = clock
        self._note = note
        self._venue_times = venue_times

    def take(self, messages: Sequence[str | bytes], evidence: Sequence[Evidence]) -> int:
        """When they were heard, on the monotonic clock; 0 where this is not ours, and nothing has been done.

        evidence: what the messages say, all of it.
        """
        lane, plain_ack = self._lane, self._straight.plain_ack
        accepted = []
        for one in evidence:
            attempt = plain_ack(lane, one)
            if attempt is None or attempt in accepted:
                return 0
            asked = attempt.of.waiters[0].ticket
            # Somebody else's, or asked again meanwhile.
            if type(asked) is not Asked or asked.joined is not None:
                return 0
            accepted.append(attempt)
        if not accepted:
            return 0
        now_ns = self._clock.monotonic_ns()
        given: list[tuple[Asked, dict[str, Any]]] = []
        for attempt in accepted:
            pursuit = attempt.of
            asked = pursuit.waiters[0].ticket
            reply = {
                "type": "outcome",
                "id": asked.command.id,
                "venue": self._dispatcher.venue,
                "outcome": "acked",
                "route": self._route,
                "attempts": len(pursuit.sent),
                "order_id": pursuit.key.value,
                "received_ns": asked.received_ns,
                "sent_ns": pursuit.first_sent_ns,
                "answered_ns": now_ns,
            }
            asked.settler.give(asked, encode(reply, asked.encoding))
            given.append((asked, reply))
        for message in messages:
            self._note("frame_in", session=self._name, frame=clipped(message))
        for one, attempt in zip(evidence, accepted, strict=True):
            if (venue_ns := one.venue_ns) is not None:  # type: ignore[union-attr]  # a CancelAck, says the engine
                self._venue_times.record(venue_ns)
            self._straight.accepted(attempt, now_ns)
        for asked, reply in given:
            asked.settler.given(asked, reply, (reply,))
        self._dispatcher.arm()
        return now_ns
