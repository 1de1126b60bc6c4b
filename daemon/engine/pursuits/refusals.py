"""The venue said no to a cancel: the rule of `reactions` for this answer is carried out."""

from typing import assert_never

from ...contract.evidence import CancelReject, Fault
from ..effects import Redial, RenewToken
from ..inflight import Attempt
from ..instants import FAR_NS, MS
from ..lane import REST, route_of
from ..reactions import ATTEMPT_LIMIT, REASK_MS, RULES, Reaction
from .answers import Answers
from .docket import Docket
from .families import Families
from .family import Family
from .judgement import Judgement
from .names import Names
from .pursuit import Pursuit
from .questions import Questions
from .said import ACCEPTED
from .sending import Sending
from .spacing import bars


class Refusals:
    """Refusals taken in."""

    def __init__(
        self,
        docket: Docket,
        questions: Questions,
        judgement: Judgement,
        answers: Answers,
        names: Names,
        families: Families,
        sending: Sending,
    ) -> None:
        self._docket = docket
        self._questions = questions
        self._judgement = judgement
        self._answers = answers
        self._names = names
        self._families = families
        self._sending = sending

    def refused(self, pursuit: Pursuit, attempt: Attempt[Pursuit], fault: Fault, error: str, now_ns: int) -> None:
        """The venue answered this request with an error."""
        rule = RULES[fault]
        lane = attempt.lane
        if rule.closes_ms:
            self._docket.lanes.close(lane, now_ns + rule.closes_ms * MS, spent=fault is Fault.ROUTE_BUSY)
            if lane == REST:
                self._docket.lanes.rest_error = f"REST is left alone after: {error}"
        if pursuit.said is ACCEPTED:
            return
        pursuit.error = error
        if pursuit.end is not None:
            if fault is Fault.NOT_OPEN and not pursuit.pending:
                pursuit.ours = False
            if self._sending.diverted(pursuit, now_ns):
                return
        pursuit.reject_class = rule.reject_class
        if rule.ambiguous:
            pursuit.doubted()
        if type(pursuit) is Family and self._judgement.is_of_one(pursuit, fault):
            self._families.split(pursuit, now_ns)
            return
        if fault is Fault.NOT_OPEN and pursuit.key.kind != "all":
            pursuit.denied(route_of(lane), attempt.sent_ns)
            self._resolve(pursuit, now_ns)
            return
        if fault is Fault.THROTTLED:
            # The venue weighs only orders that rest: this one is there, whatever an earlier denial said.
            pursuit.weighed()
        match rule.reaction:
            case Reaction.AGAIN:
                if fault is Fault.THROTTLED and self._batch_throttled(pursuit, now_ns):
                    return
                self._sending.again_at(pursuit, now_ns + rule.pause_ms * MS, now_ns)
            case Reaction.ELSEWHERE:
                other = self._docket.lanes.untried_for(pursuit, now_ns)
                if other is not None:
                    self._docket.decide("fallback", pursuit, other, "refused")
                    self._sending.send(pursuit, other, now_ns)
                else:
                    self._sending.again_at(pursuit, now_ns + rule.pause_ms * MS, now_ns)
            case Reaction.NEW_TOKEN if lane != REST and lane not in pursuit.renewed:
                pursuit.renewed |= {lane}
                if self._docket.lanes.renewed_since(lane, attempt.sent_ns):
                    # The request left with the older token; the lane has a newer one, which costs no renewal.
                    self._sending.go_renewed(pursuit, lane, now_ns)
                elif self._docket.lanes.await_token(lane, pursuit):
                    self._docket.effects.append(RenewToken(lane))
            case Reaction.RESOLVE | Reaction.ONCE_ELSEWHERE | Reaction.NEW_TOKEN:
                if rule.reaction is Reaction.NEW_TOKEN and lane != REST:
                    self._docket.effects.append(Redial(lane, error))
                pursuit.refused |= {lane}
                other = self._docket.lanes.untried_for(pursuit, now_ns)
                if other is not None:
                    self._docket.decide("fallback", pursuit, other, "refused")
                    self._sending.send(pursuit, other, now_ns)
                else:
                    self._sending.reject_if_final(pursuit, now_ns)
            case _:
                assert_never(rule.reaction)

    def _batch_throttled(self, pursuit: Pursuit, now_ns: int) -> bool:
        """Orders over the pair's ceiling go as one REST batch, which the venue takes also then."""
        if pursuit.key.kind != "order_id" or pursuit.batched or not self._docket.lanes.takes(pursuit, REST, now_ns):
            return False
        if pursuit.attempts >= ATTEMPT_LIMIT:
            return False
        docket = self._docket
        docket.throttled[pursuit] = None
        if len(docket.throttled) < 2 and not any(queued.key.kind == "order_id" for queued in docket.rest_queue):
            again_ns = now_ns + RULES[Fault.THROTTLED].pause_ms * MS
            if not pursuit.overdrawn and any(waiter.deadline_ns > again_ns for waiter in pursuit.waiters):
                # Within the pause other orders may join the batch, or the counter may fall; else a batch of one goes.
                pursuit.overdrawn = True
                return False
        throttled, docket.throttled = docket.throttled, {}
        for member in throttled:
            member.overdrawn = True
            # The venue knows this id, so it cannot be the one that spoils a batch.
            member.single = False
            member.unpaused()
            self._sending.send(member, REST, now_ns)
            self._docket.schedule(member)
        return True

    def _resolve(self, pursuit: Pursuit, now_ns: int) -> None:
        """The venue knows no such open order. Find out which kind of not knowing it is.

        The order may have ended; it may never have been; it may not be there yet; an attempt of ours whose answer was
        lost may have ended it. Attempts still out do not hold this up: they can end the order, never make it appear.
        """
        if self._judgement.seen_open(pursuit) or not pursuit.asked:
            self._questions.ask(pursuit, now_ns)
        if pursuit.key.kind == "order_id" and not self._judgement.seen_open(pursuit):
            self._names.part(pursuit, None, now_ns)
        self._answers.conclude(pursuit, now_ns)
        if not pursuit.done:
            self.plan_reask(pursuit, now_ns)

    def plan_reask(self, pursuit: Pursuit, now_ns: int) -> None:
        """Have it sent again after a pause, which the answer to a look-up that is under way ends earlier."""
        pause_ns = REASK_MS[min(pursuit.reasks, len(REASK_MS) - 1)] * MS
        held_ns = max(pause_ns, self._docket.policy.hedge_ns) if pursuit.asking else pause_ns
        pursuit.reasks += 1
        pursuit.listens(FAR_NS)
        pursuit.reask_ns = now_ns + pause_ns
        if self._judgement.seen_open(pursuit):
            # The stream shows it open and the answer denies it: one of them is behind, so it is sent again.
            pursuit.retries_at(now_ns + held_ns)
            return
        waiting = [waiter for waiter in pursuit.waiters if not self._judgement.is_denied(pursuit, waiter)]
        windows = [self._judgement.window_ns(pursuit, waiter) for waiter in waiting]
        if not windows:
            # With every window over, only the query's answer is waited for.
            pursuit.retries_at(FAR_NS)
            return
        # The one at the end of the window counts most: only its denial is the last. None before it may bar its way.
        last_ns = max(now_ns, min(windows))
        again_ns = now_ns + held_ns
        pursuit.retries_at(last_ns if again_ns >= last_ns or bars(pursuit.tries, again_ns, last_ns) else again_ns)

    def fault_of_named(self, pursuit: Pursuit, reject: CancelReject) -> Fault:
        """The refusal names an order, which bears the client order id; if that has ended, the fault is NOT_OPEN."""
        row = None if reject.order_id is None else self._docket.resting.get(reject.order_id)
        if row is None or not row.ended or pursuit.key.kind != "cl_ord_id":
            return reject.fault
        pursuit.bearer = row
        return Fault.NOT_OPEN
