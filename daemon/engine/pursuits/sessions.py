"""What sessions say: they are up or lost, have a new token, hear an ack or a refusal, or see a cancel-all answered.

What an order stream tells of orders goes on to `states`. Nothing here decides what a refusal leads to (`refusals`).
"""

from ...contract.evidence import (
    CancelAck,
    CancelAllAck,
    CancelReject,
    Evidence,
    Fault,
    Looked,
    Mode,
    Orders,
    RestCanceled,
    RestFailed,
    RestUnreadable,
    Unattributed,
    Unlisted,
)
from ...contract.ids import EVERYTHING, Reqid, Target
from ..calls import FireOwner
from ..effects import Alert, RenewToken, RestReady, Send
from ..instants import FAR_NS
from ..lane import Lane
from .acceptance import Acceptance
from .answers import Answers
from .batches import Batches
from .docket import Docket
from .family import Family
from .judgement import Judgement
from .lists import Lists
from .names import Names
from .pursuit import ending
from .questions import Questions
from .refusals import Refusals
from .rest import Rest
from .said import ACCEPTED
from .sending import Sending
from .states import States

EVENT_LIMIT = 16_384
"""Most events remembered so that their repetitions on other streams are known as such."""

FIRED_LIMIT = 64
"""Most unanswered cancel-alls of a sweep that are remembered: it sends one a round, ten a second at the very most."""


class Sessions:
    """The ear of the pursuits towards the WebSocket sessions. Time is an argument of every call."""

    def __init__(
        self,
        docket: Docket,
        questions: Questions,
        judgement: Judgement,
        answers: Answers,
        names: Names,
        sending: Sending,
        refusals: Refusals,
        acceptance: Acceptance,
        batches: Batches,
        states: States,
        lists: Lists,
        rest: Rest,
    ) -> None:
        self._docket = docket
        self._questions = questions
        self._judgement = judgement
        self._answers = answers
        self._names = names
        self._sending = sending
        self._refusals = refusals
        self._acceptance = acceptance
        self._batches = batches
        self._states = states
        self._lists = lists
        self._rest = rest
        self._shared = docket.policy.shared
        self._events: dict[str, None] = {}
        self._fired: dict[Reqid, tuple[Lane, FireOwner]] = {}

    def evidence(self, lane: Lane, evidence: Evidence, now_ns: int) -> None:
        """Take in what a WebSocket lane was told. Anything that says nothing about a cancel changes nothing."""
        kind = type(evidence)
        self._docket.lanes.heard_ns[lane] = now_ns
        if kind is CancelAck:
            self._on_ack(lane, evidence, now_ns)  # type: ignore[arg-type]
        elif kind is Orders:
            begun_ns = evidence.begun_ns  # type: ignore[union-attr]
            others = self._docket.lanes.others_told(lane, now_ns if begun_ns is None else begun_ns)
            self._states.orders(evidence, now_ns, complete=not others)  # type: ignore[arg-type]
            if evidence.snapshot:  # type: ignore[union-attr]
                self._docket.lanes.witnesses.setdefault(lane, now_ns)
        elif kind is CancelReject:
            self._on_reject(lane, evidence, now_ns)  # type: ignore[arg-type]
        elif kind is CancelAllAck:
            self._on_all(lane, evidence, now_ns)  # type: ignore[arg-type]
        elif kind is Looked:
            self._lists.looked(evidence, now_ns)  # type: ignore[arg-type]
        elif kind is Unlisted:
            rows = map(self._docket.resting.unlist, evidence.order_ids)  # type: ignore[union-attr]
            self._states.changed([row for row in rows if row is not None], "stream", now_ns)
        elif kind is Unattributed:
            self._docket.counts.unattributed += 1
            if evidence.fault is Fault.ROUTE_BUSY:  # type: ignore[union-attr]
                self._warned(lane, evidence.error, now_ns)  # type: ignore[union-attr]

    def _warned(self, lane: Lane, error: str, now_ns: int) -> None:
        """We send too much on a lane, says the venue, and names no request: what cancels nothing pauses there."""
        if self._docket.quiet.told(lane, now_ns):
            self._docket.effects.append(
                Alert(
                    f"{self._docket.venue} is sent too much: {error}",
                    "cancels go on, looks and surveys pause; see who else uses this address or account",
                )
            )

    def _on_ack(self, lane: Lane, ack: CancelAck, now_ns: int) -> None:
        attempt = self._docket.inflight.find(ack.reqid)
        if attempt is None or (attempt.lane != lane and not self._shared):
            if ack.reqid in self._fired:
                at, owner = self._fired.pop(ack.reqid)
                owner.fired_answered(at, None, now_ns)
            else:
                self._docket.counts.stray_acks += 1
            return
        if self._is_repeated(ack.event_id):
            return
        pursuit = attempt.of
        if type(pursuit) is Family:
            self._acceptance.family_acked(pursuit, attempt, ack, now_ns)
        elif ack.order_id is not None and not self._names.is_named(pursuit, ack.order_id):
            self._docket.counts.stray_acks += 1
        elif pursuit.done:
            self._acceptance.late_or_repeated(pursuit, attempt, now_ns)
        elif pursuit.said is ACCEPTED:
            self._docket.counts.repeated_acks += 1
            self._docket.close_attempt(pursuit, attempt, now_ns)
        else:
            self._docket.close_attempt(pursuit, attempt, now_ns)
            row = None if ack.order_id is None else self._docket.resting.get(ack.order_id)
            if row is not None and row.ended and pursuit.end is None:
                # A stream told the end of this order before the ack named it.
                self._answers.settle(pursuit, ending(pursuit, row), "stream", now_ns)
            else:
                self._acceptance.accepted(pursuit, attempt, now_ns)

    def _on_reject(self, lane: Lane, reject: CancelReject, now_ns: int) -> None:
        bundle = self._batches.take_bundle(lane, reject.reqid)
        if bundle is not None:
            self._batches.answered(bundle, RestFailed(reject.fault, reject.error), now_ns)
            return
        attempt = self._docket.inflight.find(reject.reqid)
        if attempt is None or (attempt.lane != lane and not self._shared):
            if reject.reqid in self._questions.looks:
                self._lists.look_failed(reject.reqid, now_ns)
            elif reject.reqid in self._fired:
                if reject.fault is Fault.STALE_TOKEN:
                    self._docket.effects.append(RenewToken(lane))
                at, owner = self._fired.pop(reject.reqid)
                owner.fired_failed(at, reject.error, now_ns, reject.fault)
            else:
                self._docket.counts.stray_acks += 1
            return
        if self._is_repeated(reject.event_id):
            return
        pursuit = attempt.of
        if pursuit.lists and pursuit.said is ACCEPTED:
            self._acceptance.one_refused(pursuit, reject, now_ns)
        elif pursuit.done and pursuit.answered_acked and self._judgement.takes_back(pursuit, attempt, reject):
            self._acceptance.revoked(pursuit, reject, now_ns)
        elif pursuit.done or not (attempt.waiting or pursuit.acked_by is attempt):
            self._docket.counts.repeated_acks += 1
        else:
            if pursuit.acked_by is attempt:
                # Accepted at first, refused in the end: Prime answers like this.
                pursuit.taken_back()
                if pursuit.answered_acked:
                    self._acceptance.revoked(pursuit, reject, now_ns)
            self._docket.close_attempt(pursuit, attempt, now_ns)
            fault = self._refusals.fault_of_named(pursuit, reject)
            self._refusals.refused(pursuit, attempt, fault, reject.error, now_ns)
            self._docket.schedule(pursuit)

    def _on_all(self, lane: Lane, ack: CancelAllAck, now_ns: int) -> None:
        bundle = self._batches.take_bundle(lane, ack.reqid)
        if bundle is not None:
            counted = ack.count is not None
            told = RestCanceled(ack.count or 0, False) if counted else RestUnreadable("no count of what was canceled")
            self._batches.answered(bundle, told, now_ns)
            return
        attempt = self._docket.inflight.find(ack.reqid)
        if attempt is None or attempt.lane != lane:
            if ack.reqid in self._fired:
                self._fired.pop(ack.reqid)[1].fired_answered(lane, ack.count, now_ns)
            else:
                self._docket.counts.stray_acks += 1
            return
        family = attempt.of
        if family.key.kind != "all":
            self._docket.counts.stray_acks += 1
            return
        assert type(family) is Family
        if family.count is None:
            family.count = ack.count
        self._acceptance.family_accepted(family, attempt, now_ns)

    def up(self, lane: Lane, now_ns: int) -> None:
        """A WebSocket lane is authenticated and subscribed."""
        waiting_for_token = self._docket.lanes.up(lane)
        for pursuit in [*self._docket.pursued.values(), *self._docket.families]:
            if pursuit.said is ACCEPTED or pursuit.done or pursuit in self._docket.held:
                continue
            if lane in pursuit.renewed:
                # A new session has a token of its own.
                pursuit.renewed -= {lane}
                pursuit.refused -= {lane}
            # A pursuit that every route left in silence tries the new session too; a userref is never sent twice.
            silent = pursuit.pending and pursuit.silent_ns == pursuit.retry_ns == FAR_NS
            waited = pursuit.queued or pursuit.stranded or (pursuit in waiting_for_token and not pursuit.pending)
            if waited or (silent and pursuit.key.kind != "userref"):
                self._docket.unqueue(pursuit)
                pursuit.unpaused()
                self._sending.go(pursuit, now_ns)
                self._docket.schedule(pursuit)

    def down(self, lane: Lane, now_ns: int) -> None:
        """A WebSocket lane is lost: what was in flight on it goes to another route in this same step."""
        waiting_for_token = self._docket.lanes.down(lane)
        self._docket.lanes.witnesses.pop(lane, None)
        lost = [attempt.of for attempt in self._docket.inflight.lost(lane, now_ns)]
        for pursuit in lost:
            del pursuit.pending[lane]
            pursuit.doubted()
        if not self._docket.lanes.live and self._docket.mode == "maintenance":
            # No session is left to tell the end of the maintenance: try the routes instead.
            self.mode_changed("unknown", now_ns)
        for pursuit in dict.fromkeys([*lost, *waiting_for_token]):
            if not pursuit.done and pursuit.said is not ACCEPTED:
                self._sending.elsewhere(pursuit, now_ns)
                if not self._docket.policy.rest and not pursuit.done:
                    # The second cancel has left, which does no harm; whether the first one worked is asked.
                    self._questions.ask(pursuit, now_ns)
                self._docket.schedule(pursuit)
        for reqid in [reqid for reqid, (at, _) in self._questions.looks.items() if at == lane]:
            self._lists.look_failed(reqid, now_ns)
        for reqid in [reqid for reqid, (at, _) in self._fired.items() if at == lane]:
            # An owner that was told may have fired again, and so have changed the table.
            _, owner = self._fired.pop(reqid, (lane, None))
            if owner is not None:
                owner.fired_failed(lane, "the session was lost before its answer", now_ns)

    def token_renewed(self, lane: Lane, now_ns: int) -> None:
        """The lane has a new token: whoever waited for it tries once more."""
        for pursuit in self._docket.lanes.token_renewed(lane, now_ns):
            if not pursuit.done and pursuit.said is not ACCEPTED and lane not in pursuit.pending:
                self._sending.go_renewed(pursuit, lane, now_ns)
                self._docket.schedule(pursuit)

    def token_failed(self, lane: Lane, now_ns: int) -> None:
        """No new token could be had: whoever waited for it goes elsewhere."""
        for pursuit in self._docket.lanes.token_failed(lane):
            if not pursuit.done and pursuit.said is not ACCEPTED:
                pursuit.refused |= {lane}
                self._sending.elsewhere(pursuit, now_ns)
                self._docket.schedule(pursuit)

    def key_replaced(self) -> None:
        """The account has a new key: what the venue held against the old one is forgotten."""
        self._docket.lanes.reopen()
        for pursuit in [*self._docket.pursued.values(), *self._docket.families]:
            pursuit.refused = frozenset()
        if self._rest.wants_call:
            self._docket.effects.append(RestReady())

    def mode_changed(self, mode: Mode, now_ns: int) -> None:
        """The venue announced its trading mode. What waited for the end of maintenance leaves in this step."""
        was, self._docket.mode = self._docket.mode, mode
        if was == "maintenance" and mode != "maintenance":
            held, self._docket.held = self._docket.held, {}
            for pursuit in held:
                self._sending.go(pursuit, now_ns)
                self._docket.schedule(pursuit)

    def fire(self, lane: Lane, owner: FireOwner, now_ns: int) -> None:
        """Have the venue's cancel-all sent on a session at once, even one that ordinary cancels must not use now."""
        # First in the list: it leaves before everything that waits to be written.
        self._docket.effects.insert(0, Send(lane, self._fired_as(lane, owner), EVERYTHING))

    def probe(self, lane: Lane, target: Target, owner: FireOwner, symbol: str | None = None) -> None:
        """Have the cancel of one order, which nobody pursues, sent on this session and no other.

        symbol: where the venue wants one named.
        """
        self._docket.effects.append(Send(lane, self._fired_as(lane, owner), target, symbol))

    def _fired_as(self, lane: Lane, owner: FireOwner) -> Reqid:
        reqid = self._docket.reqids.draw()
        self._fired[reqid] = (lane, owner)
        if len(self._fired) > FIRED_LIMIT:
            # The oldest: its sweep has sent many since and waits for none of their answers.
            del self._fired[next(iter(self._fired))]
        return reqid

    def _is_repeated(self, event_id: str | None) -> bool:
        """Whether another stream told this event before. A second reading could undo what came since."""
        if event_id is None:
            return False
        if event_id in self._events:
            self._docket.counts.repeated_acks += 1
            return True
        self._events[event_id] = None
        if len(self._events) > EVENT_LIMIT:
            del self._events[next(iter(self._events))]
        return False
