"""Several orders in one request: how a session's cancels are bundled, and what one answer for all of them means.

Such an answer tells its orders apart in nothing. What must never happen here: one of them called canceled because of a
count that does not cover all.
"""

from collections.abc import Sequence

from ...contract.evidence import Fault, RestAnswer, RestCanceled, RestFailed
from ...contract.ids import Reqid
from ..effects import Bundle, Send
from ..inflight import Attempt
from ..instants import FAR_NS, MS
from ..lane import Lane
from ..reactions import RULES
from .acceptance import Acceptance
from .docket import Docket
from .family import Family
from .names import Names
from .pursuit import Pursuit
from .questions import Questions
from .refusals import Refusals
from .said import ACCEPTED
from .sending import Sending


class Batches:
    """Requests that name several orders."""

    def __init__(
        self,
        docket: Docket,
        questions: Questions,
        names: Names,
        sending: Sending,
        refusals: Refusals,
        acceptance: Acceptance,
    ) -> None:
        self._docket = docket
        self._questions = questions
        self._names = names
        self._sending = sending
        self._refusals = refusals
        self._acceptance = acceptance
        self._bundles: dict[Reqid, tuple[Attempt[Pursuit], ...]] = {}

    def bundle(self, cancels: Sequence[Send], *, crowded: bool) -> tuple[list[Send], list[Bundle]]:
        """The same cancels in fewer requests, before they are written: what still goes alone, and the bundles.

        crowded: only those that were to go as a batch. An order that had no luck in company goes alone, as does one
        that is known by the client's id only. The reqid of a bundle is that of its first order.
        """
        alone: list[Send] = []
        together: list[tuple[Send, Attempt[Pursuit]]] = []
        for cancel in cancels:
            attempt = self._docket.inflight.find(cancel.reqid)
            if attempt is None or cancel.target.kind != "order_id" or attempt.of.single:
                alone.append(cancel)
            elif attempt.of.crowded or not crowded:
                together.append((cancel, attempt))
            else:
                alone.append(cancel)
        bundles: list[Bundle] = []
        for start in range(0, len(together), self._docket.policy.bundle_limit):
            part = together[start : start + self._docket.policy.bundle_limit]
            first = part[0][0]
            if len(part) == 1:
                alone.append(first)
                continue
            self._bundles[first.reqid] = tuple(attempt for _, attempt in part)
            self._docket.counts.batches += 1
            bundles.append(Bundle(first.lane, first.reqid, tuple(str(cancel.target.value) for cancel, _ in part)))
        return alone, bundles

    def forget(self) -> None:
        """Drop the oldest bundles whose requests are not findable any more."""
        while self._bundles and self._docket.inflight.find(next(iter(self._bundles))) is None:
            del self._bundles[next(iter(self._bundles))]

    def take_bundle(self, lane: Lane, reqid: Reqid) -> tuple[Attempt[Pursuit], ...] | None:
        """The orders of the bundle that an answer is for, which is then over."""
        attempts = self._bundles.get(reqid)
        if attempts is None or attempts[0].lane != lane:
            return None
        return self._bundles.pop(reqid)

    def answered(self, attempts: Sequence[Attempt[Pursuit]], answer: RestAnswer, now_ns: int) -> None:
        """One answer for several orders came, which tells them apart in nothing."""
        whole = isinstance(answer, RestCanceled) and answer.count >= len(attempts)
        for attempt in attempts:
            pursuit = attempt.of
            self._docket.close_attempt(pursuit, attempt, now_ns)
            if pursuit.key.kind == "userref":
                self._answered_by_name(pursuit, attempt, answer, now_ns)
                continue
            if pursuit.done:
                if whole:
                    self._acceptance.late_or_repeated(pursuit, attempt, now_ns)
                continue
            if pursuit.said is ACCEPTED:
                continue
            if pursuit.end is not None and not whole:
                self._names.follow(pursuit, now_ns)
                continue
            match answer:
                case RestCanceled(pending=pending) if whole:
                    pursuit.pending_told = pending
                    self._acceptance.accepted(pursuit, attempt, now_ns)
                case RestCanceled():
                    # Fewer than asked, and nobody says which: each one is looked up, and asked for alone if it rests.
                    self._questions.look_up(pursuit, now_ns)
                case RestFailed(fault=Fault.NOT_OPEN | Fault.INVALID, error=error) if len(attempts) > 1:
                    # One bad id may have spoiled the batch: none of them is known to be refused, and some may be done.
                    pursuit.doubted()
                    pursuit.single = True
                    pursuit.error = error
                    self._sending.elsewhere(pursuit, now_ns)
                case RestFailed(fault=Fault.INVALID):
                    # A batch of one is not served here, so the counter has to be waited for.
                    pursuit.batched = True
                    self._sending.again_at(pursuit, now_ns + RULES[Fault.THROTTLED].pause_ms * MS, now_ns)
                case RestFailed(fault=fault, error=error):
                    pursuit.batched = True
                    self._refusals.refused(pursuit, attempt, fault, error, now_ns)
                case _:
                    # Unreadable, or an answer to another question: any of them may have worked.
                    self._sending.doubt(pursuit, answer, now_ns)
            self._docket.schedule(pursuit)

    def _answered_by_name(self, pursuit: Pursuit, attempt: Attempt[Pursuit], answer: RestAnswer, now_ns: int) -> None:
        """One answer for several userrefs: which of them it met, a list of what is open tells, and no count does."""
        if pursuit.done or pursuit.said is ACCEPTED:
            return
        match answer:
            case RestCanceled(count=0):
                self._refusals.refused(pursuit, attempt, Fault.NOT_OPEN, "count 0", now_ns)
            case RestFailed(fault=Fault.INVALID, error=error):
                # The form is refused, and nothing was carried out: each goes alone.
                pursuit.single = True
                pursuit.error = error
                self._sending.elsewhere(pursuit, now_ns)
            case RestCanceled() | RestFailed(fault=Fault.NOT_OPEN):
                assert type(pursuit) is Family
                pursuit.among_others = True
                pursuit.doubted()
                pursuit.paused(FAR_NS)
                self._questions.ask(pursuit, now_ns)
            case RestFailed(fault=fault, error=error):
                pursuit.batched = True
                self._refusals.refused(pursuit, attempt, fault, error, now_ns)
            case _:
                self._sending.doubt(pursuit, answer, now_ns)
        self._docket.schedule(pursuit)
