"""Calls out to the REST lane, and answers in, cut into what each means for one pursuit.

The lane asks for a call when it is free to make one; no call waits anywhere else. What must never happen here: a
request counted as unsent of which a byte may have reached the venue.
"""

from collections import deque
from typing import assert_never

import msgspec

from ...contract.evidence import (
    Fault,
    RestAnswer,
    RestBatch,
    RestCanceled,
    RestEnded,
    RestFailed,
    RestOrders,
    RestUnreadable,
)
from ...contract.ids import EVERYTHING, Target
from ..calls import Call, CallOwner, Form
from ..effects import RestReady
from ..inflight import Attempt
from ..lane import REST
from ..resting import Row
from .acceptance import Acceptance
from .batches import Batches
from .docket import Docket
from .families import Families
from .family import Family
from .judgement import Judgement
from .lists import Lists
from .pursuit import Pursuit
from .questions import Questions
from .refusals import Refusals
from .said import ACCEPTED
from .sending import Sending
from .states import States

USERREFS_ALONE = 4
"""Cancels by userref that go one after the other: so many take no longer than one request for all and the list that has
to follow it, and the answer to each says how many orders it met."""


AGAIN_LIMIT = 5
"""Cancels in a row that had left before: then one question goes first. Many that are sent again and again would never
let the one be asked that settles them all."""


class Rest:
    """The door between the pursuits and the REST lane."""

    def __init__(
        self,
        docket: Docket,
        questions: Questions,
        judgement: Judgement,
        families: Families,
        sending: Sending,
        refusals: Refusals,
        acceptance: Acceptance,
        batches: Batches,
        states: States,
        lists: Lists,
    ) -> None:
        self._docket = docket
        self._questions = questions
        self._judgement = judgement
        self._families = families
        self._sending = sending
        self._refusals = refusals
        self._acceptance = acceptance
        self._batches = batches
        self._states = states
        self._lists = lists
        self._urgent: deque[Call] = deque()
        self._requests: deque[Call] = deque()
        self._again = 0

    @property
    def wants_call(self) -> bool:
        """Whether `next_call` may have something: cheap, and never wrong when it says no."""
        return bool(self._docket.rest_queue or self._questions.queries or self._requests)

    def request(self, form: Form, owner: CallOwner, now_ns: int, *, urgent: bool, target: Target = EVERYTHING) -> None:
        """Have everything or one order cancelled, or all that is open listed; `owner` hears the answer.

        urgent: by `next_urgent`, beside all other calls.
        """
        call = Call(form=form, targets=(target,), owner=owner, asked_ns=now_ns)
        if self._docket.policy.rest and urgent:
            # A waiting call of the same form and the same asker asks the same: the new one replaces it, so that no
            # queue grows behind a venue that stalls. A drill's call is another matter than a sweep's.
            self._urgent = deque(one for one in self._urgent if not (_asks_same(one, call) and _is_of(one, owner)))
            self._urgent.append(call)
            self._docket.effects.append(RestReady())
        elif self._docket.policy.rest:
            self._requests.append(call)
            self._docket.effects.append(RestReady())
        elif self._docket.lanes.live:
            self._questions.look(call, self._docket.lanes.live[-1], None)
        else:
            owner.call_failed(call, False, f"no {self._docket.venue} session is up", now_ns)

    @property
    def waiting(self) -> bool:
        """Whether a call of an owner waits to be made."""
        return bool(self._urgent or self._requests)

    @property
    def wants_urgent(self) -> bool:
        """Whether `next_urgent` has something."""
        return bool(self._urgent)

    def next_urgent(self, now_ns: int) -> Call | None:
        """The next call that waits for nothing: no turn, no budget, no rest that the venue asked for."""
        return msgspec.structs.replace(self._urgent.popleft(), asked_ns=now_ns) if self._urgent else None

    def next_call(self, now_ns: int, *, settles: bool = True, looks: bool = True) -> Call | None:
        """The next REST call, most urgent first; None when there is none. Its attempts count as sent from here on.

        settles, looks: whether a query that tells what became of a cancel may be made, and one that nobody's cancel
        waits for; a spent call budget holds those back, and never a cancel.
        """
        if not self._docket.lanes.usable(REST, now_ns):
            return None
        while self._docket.rest_queue:
            pursuit = next(iter(self._docket.rest_queue))
            again = bool(pursuit.sent)
            if again and settles and self._again >= AGAIN_LIMIT and (query := self._questions.next_query(now_ns)):
                self._again = 0
                return query
            self._again = self._again + 1 if again else 0
            self._docket.unqueue(pursuit)
            if not self._sending.wants(pursuit, REST):
                continue
            kinds = self._goes_with(pursuit)
            if not kinds:
                attempt = self._sending.open(pursuit, REST, now_ns)
                return Call(
                    form="all" if pursuit.key.kind == "all" else "cancel",
                    targets=(pursuit.key,),
                    attempts=(attempt,),
                    deadline_ns=pursuit.last_deadline_ns,
                )
            batch = [pursuit]
            for other in list(self._docket.rest_queue):
                if len(batch) == self._docket.policy.batch_limit:
                    break
                if other.key.kind in kinds and not other.single:
                    self._docket.unqueue(other)
                    if self._sending.wants(other, REST):
                        batch.append(other)
            attempts = tuple(self._sending.open(member, REST, now_ns) for member in batch)
            alone = len(batch) == 1 and not pursuit.overdrawn
            self._docket.counts.batches += not alone
            return Call(
                form="cancel" if alone else "batch",
                targets=tuple(member.key for member in batch),
                attempts=attempts,
                deadline_ns=max(member.last_deadline_ns for member in batch),
            )
        query = self._questions.next_query(now_ns) if settles else None
        if not settles:
            self._families.list_on_sessions(now_ns)
        if query is None and looks and self._requests:
            return msgspec.structs.replace(self._requests.popleft(), asked_ns=now_ns)
        return query

    def _goes_with(self, pursuit: Pursuit) -> tuple[str, ...]:
        """The kinds of names that may share its request; none where it goes alone.

        A userref's request shares only where many wait: the answer is a number and tells them apart in nothing, so
        that a list has to be asked for.
        """
        if pursuit.single or pursuit.key.kind == "all":
            return ()
        named = self._docket.policy.named_batches
        if pursuit.key.kind != "userref":
            return ("order_id", "cl_ord_id") if named else ("order_id",) if pursuit.key.kind == "order_id" else ()
        waiting = sum(other.key.kind == "userref" and not other.single for other in self._docket.rest_queue)
        return ("userref",) if named and waiting >= USERREFS_ALONE else ()

    def answered(self, call: Call, answer: RestAnswer, now_ns: int) -> None:
        """A REST call came to an HTTP answer, readable or not."""
        if call.owner is not None:
            if isinstance(answer, RestOrders | RestCanceled):
                # Made although the lane is closed, perhaps, and answered: it is closed for nobody any more.
                self._docket.lanes.answered(REST)
            if isinstance(answer, RestOrders):
                self._lists.listed(answer, call.asked_ns, now_ns)
            elif call.form == "open_orders" and self._questions.relist(call):
                return
            elif isinstance(answer, RestCanceled):
                self._states.changed(self._states.ends_told(answer.orders, now_ns), "rest", now_ns)
            call.owner.call_answered(call, answer, now_ns)
            return
        match call.form:
            case "cancel" | "all":
                self._cancel_answered(call.attempts[0], answer, now_ns)
            case "batch":
                self._batch_answered(call, answer, now_ns)
            case "query" | "open_orders" | "ended":
                self._states.query_answered(call, answer, now_ns)
            case "market":
                raise AssertionError("a cancel-all for one symbol without an owner")
            case _:
                assert_never(call.form)

    def failed(self, call: Call, left: bool, why: str, now_ns: int) -> None:
        """A REST call came to no answer. left: whether any byte of it may have reached the venue."""
        self._docket.lanes.rest_error = why
        if call.owner is not None:
            if call.form != "open_orders" or not self._questions.relist(call):
                call.owner.call_failed(call, left, why, now_ns)
            return
        for attempt in call.attempts:
            pursuit = attempt.of
            self._docket.close_attempt(pursuit, attempt, now_ns)
            if pursuit.done or pursuit.said is ACCEPTED:
                continue
            if left:
                pursuit.doubted()
            else:
                pursuit.take_back(REST)
                for swept in pursuit.swept:
                    if REST in swept.sent:
                        swept.take_back(REST)
                        swept.ambiguous = bool(swept.sent)
            self._sending.elsewhere(pursuit, now_ns)
            self._docket.schedule(pursuit)
        for pursuit in call.pursuits:
            self._states.query_failed(pursuit, now_ns, by_rest=True)

    def _cancel_answered(self, attempt: Attempt[Pursuit], answer: RestAnswer, now_ns: int) -> None:
        pursuit = attempt.of
        self._docket.close_attempt(pursuit, attempt, now_ns)
        if isinstance(answer, RestCanceled | RestOrders | RestEnded):
            pursuit.received_told = answer.received_time or pursuit.received_told
        if isinstance(answer, RestCanceled) and answer.orders:
            self._states.changed(self._states.ends_told(answer.orders, now_ns), "rest", now_ns)
        match answer:
            case RestCanceled(count=count) if count > 0 or pursuit.key.kind == "all":
                pursuit.pending_told = answer.pending
                if type(pursuit) is Family:
                    pursuit.took(answer.orders)
                    self._acceptance.family_counted(pursuit, attempt, count, now_ns)
                elif pursuit.done:
                    self._acceptance.late_or_repeated(pursuit, attempt, now_ns)
                elif pursuit.said is not ACCEPTED:
                    self._acceptance.accepted(pursuit, attempt, now_ns)
            case RestOrders(orders=orders):
                self._states.state_told(pursuit, attempt, orders, now_ns)
            case RestEnded(state=state, filled_qty=filled_qty):
                row = Row("", now_ns)
                row.status, row.filled_qty = state, filled_qty
                self._acceptance.end_told(pursuit, attempt, row, now_ns)
            case _ if pursuit.done or pursuit.said is ACCEPTED:
                return
            case RestCanceled():
                # Count 0 without an error means "no such open order".
                self._refusals.refused(pursuit, attempt, Fault.NOT_OPEN, "count 0", now_ns)
            case RestFailed(fault=fault, error=error):
                self._refusals.refused(pursuit, attempt, fault, error, now_ns)
            case _:
                # Unreadable, or an answer to another question: the cancel may have worked.
                self._sending.doubt(pursuit, answer, now_ns)
        self._docket.schedule(pursuit)

    def _batch_answered(self, call: Call, answer: RestAnswer, now_ns: int) -> None:
        if isinstance(answer, RestBatch):
            for target, attempt in zip(call.targets, call.attempts, strict=True):
                self._verdict_told(attempt, answer.verdicts.get(target), now_ns)
            return
        self._batches.answered(call.attempts, answer, now_ns)

    def _verdict_told(
        self,
        attempt: Attempt[Pursuit],
        verdict: RestOrders | RestEnded | RestFailed | RestUnreadable | None,
        now_ns: int,
    ) -> None:
        """What a batch's answer says of one of its orders; None when it does not mention it."""
        pursuit = attempt.of
        if verdict is not None:
            self._cancel_answered(attempt, verdict, now_ns)
            return
        self._docket.close_attempt(pursuit, attempt, now_ns)
        if not pursuit.done and pursuit.said is not ACCEPTED:
            pursuit.error = "the answer to the batch does not mention it"
            self._questions.look_up(pursuit, now_ns)
            self._docket.schedule(pursuit)


def _asks_same(one: Call, other: Call) -> bool:
    return one.form == other.form and one.targets == other.targets


def _is_of(call: Call, owner: CallOwner) -> bool:
    """Whether a call is of the same asker, which its owner may name as `asker`; else of the same kind of owner."""
    one, other = getattr(call.owner, "asker", None), getattr(owner, "asker", None)
    return type(call.owner) is type(owner) if one is None and other is None else one is other
