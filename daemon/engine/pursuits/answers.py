"""The one answer of each ticket, news that comes after it, and the end of a pursuit."""

from collections import OrderedDict

from ...contract.ids import Target
from ...contract.outcomes import Acked, Canceled, Closed, Outcome, Refused, Route, Settlement, Unknown
from ..effects import Answer, Late
from ..resting import Row
from .docket import Docket
from .family import Child, Family, StandIn
from .judgement import Judgement
from .ports import Parent
from .pursuit import Foresight, Pursuit, Waiter, ending
from .questions import Questions
from .said import DENIED, NOTHING


class Answers:
    """Answers on their way to tickets."""

    def __init__(self, docket: Docket, questions: Questions, judgement: Judgement) -> None:
        self._docket = docket
        self._questions = questions
        self._judgement = judgement
        self.parent: Parent
        # Ordered, since the oldest is dropped again and again: a plain dict looks for its first past all that went.
        self.doubtful: OrderedDict[Target, Pursuit] = OrderedDict()

    def settlement(
        self, pursuit: Pursuit, waiter: Waiter, outcome: Outcome, route: Route, answered_ns: int | None
    ) -> Settlement:
        """What a waiter is told. answered_ns: when the news came that settled it, None where it was the deadline."""
        refused = type(outcome) is Refused
        order_id = str(pursuit.key.value) if pursuit.key.kind == "order_id" else None
        if order_id is None and pursuit.end is not None and type(outcome) in (Canceled, Closed):
            order_id = pursuit.end.order_id or None
        settlement = Settlement(
            venue=self._docket.venue,
            target=waiter.target,
            outcome=outcome,
            route=route,
            attempts=pursuit.attempts,
            sent_ns=None if refused else pursuit.first_sent_ns,
            answered_ns=answered_ns,
            error=None if refused or type(outcome) is Acked else pursuit.error,
            order_id=order_id,
            symbol=self._judgement.corrected_symbol(pursuit),
            pending=pursuit.pending_told and type(outcome) is Acked,
            received_time=pursuit.received_told if type(outcome) in (Acked, Canceled, Closed) else None,
        )
        return pursuit.with_residual(settlement, self._docket.resting)

    def expire(self, pursuit: Pursuit, now_ns: int) -> None:
        """Answer every waiter whose deadline has come with what can honestly be said; orders of a family first."""
        # A family's verdict is made of its orders' verdicts, so those come first.
        for order_id in pursuit.unsettled_children:
            child = self._docket.pursued.get(Target("order_id", order_id))
            if child is not None:
                self.expire(child, now_ns)
        if pursuit.done or (pursuit.foreseen is not None and self._give_foreseen(pursuit, pursuit.foreseen, now_ns)):
            return
        due = [waiter for waiter in pursuit.waiters if waiter.deadline_ns <= now_ns]
        pursuit.waiters = [waiter for waiter in pursuit.waiters if waiter.deadline_ns > now_ns]
        verdicts = [(waiter, self._judgement.verdict(pursuit, waiter)) for waiter in due]
        pursuit.answered_unknown += tuple(waiter for waiter, outcome in verdicts if isinstance(outcome, Unknown))
        for waiter, outcome in verdicts:
            self.answer(pursuit, waiter, outcome, "none", None, now_ns)
        # Even when no waiter was due: a deadline in the past would be due again and again.
        self.go_on_or_finish(pursuit, now_ns)

    def _give_foreseen(self, pursuit: Pursuit, foreseen: Foresight, now_ns: int) -> bool:
        """Give the answer that was made ahead, if it is due and the same would be said now; whether it was given."""
        waiter, settlement = foreseen.waiter, foreseen.settlement
        same = (
            waiter.deadline_ns <= now_ns
            and pursuit.sent is foreseen.sent
            and pursuit.said is NOTHING
            and pursuit.denied_ns is None
            and pursuit.error is settlement.error
            and pursuit.key is foreseen.key
            and bool(pursuit.pending or pursuit.ambiguous or pursuit.reject_class is None)
            and len(pursuit.waiters) == 1
        )
        if not same or pursuit.waiters[0] is not waiter:
            return False
        pursuit.waiters = []
        pursuit.answered_unknown += (waiter,)
        self._docket.effects.append(Answer(waiter.ticket, settlement))
        self.finish(pursuit, now_ns)
        return True

    def settle(self, pursuit: Pursuit, outcome: Outcome, route: Route, now_ns: int) -> None:
        """Answer every waiter: the pursuit is over."""
        self.reply(pursuit, pursuit.waiters, outcome, route, now_ns, now_ns)

    def reply(
        self, pursuit: Pursuit, due: list[Waiter], outcome: Outcome, route: Route, answered_ns: int | None, now_ns: int
    ) -> None:
        """Answer the waiters in `due`; with the last waiter the pursuit is over."""
        answered = set(due)
        pursuit.waiters = [waiter for waiter in pursuit.waiters if waiter not in answered]
        if isinstance(outcome, Unknown):
            pursuit.answered_unknown += tuple(due)
        for waiter in due:
            self.answer(pursuit, waiter, outcome, route, answered_ns, now_ns)
        self.go_on_or_finish(pursuit, now_ns)

    def go_on_or_finish(self, pursuit: Pursuit, now_ns: int) -> None:
        """The earliest deadline of the waiters that are left counts from now on; without any the pursuit is over."""
        if pursuit.waiters:
            pursuit.deadline_ns = min(waiter.deadline_ns for waiter in pursuit.waiters)
        else:
            self.finish(pursuit, now_ns)

    def finish(self, pursuit: Pursuit, now_ns: int) -> None:
        """The pursuit is over: no alarm, queue or question keeps it, and its attempts are awaited no longer."""
        pursuit.done = True
        if type(pursuit) is Family:
            del self._docket.families[pursuit]
        else:
            del self._docket.pursued[pursuit.key]
            if pursuit.answered_unknown:
                self._remember_doubt(pursuit, now_ns)
        self._docket.unqueue(pursuit)
        if pursuit.asking:
            self._questions.queries.pop(pursuit, None)
        if self._docket.held or self._docket.throttled:
            self._docket.held.pop(pursuit, None)
            self._docket.throttled.pop(pursuit, None)
        for attempt in list(pursuit.pending.values()):
            self._docket.close_attempt(pursuit, attempt, now_ns)

    def _remember_doubt(self, pursuit: Pursuit, now_ns: int) -> None:
        """Waiters answered `unknown` stay findable by their order, for late news."""
        earlier = self.doubtful.pop(pursuit.key, None)
        if earlier is not None:
            pursuit.answered_unknown = earlier.answered_unknown + pursuit.answered_unknown
            earlier.answered_unknown = ()
        pursuit.finished_ns = now_ns
        self.doubtful[pursuit.key] = pursuit
        if len(self.doubtful) > self._docket.policy.late_limit:
            self.doubtful.popitem(last=False)[1].answered_unknown = ()

    def answer(
        self, pursuit: Pursuit, waiter: Waiter, outcome: Outcome, route: Route, answered_ns: int | None, now_ns: int
    ) -> None:
        """Answer one waiter: a client, or the family that the order belongs to."""
        settlement = self.settlement(pursuit, waiter, outcome, route, answered_ns)
        if type(waiter.ticket) is Child:
            self.parent.child_told(waiter.ticket, settlement, now_ns)
        elif type(waiter.ticket) is not StandIn:
            self._docket.effects.append(Answer(waiter.ticket, settlement))

    def answer_ended(self, waiter: Waiter, row: Row, now_ns: int) -> None:
        """The order had ended before the command came: answer at once, send nothing."""
        pursuit = Pursuit(Target("order_id", row.order_id), waiter)
        self.answer(pursuit, waiter, ending(pursuit, row), "stream", now_ns, now_ns)

    def tell_late(self, pursuit: Pursuit, outcome: Outcome, route: Route, now_ns: int) -> None:
        """News for waiters who were answered `unknown`: told once, as late."""
        waiters, pursuit.answered_unknown = pursuit.answered_unknown, ()
        if self.doubtful.get(pursuit.key) is pursuit:
            del self.doubtful[pursuit.key]
        for waiter in waiters:
            settlement = self.settlement(pursuit, waiter, outcome, route, now_ns)
            if type(waiter.ticket) is Child:
                self.parent.child_told(waiter.ticket, settlement, now_ns)
            elif type(waiter.ticket) is not StandIn:
                self._docket.counts.late += 1
                self._docket.effects.append(Late(waiter.ticket, settlement))

    def conclude(self, pursuit: Pursuit, now_ns: int) -> None:
        """Tell waiters whose window is over that no such order is open, unless a query for it is still out."""
        if pursuit.said is DENIED and not pursuit.asking and not pursuit.done:
            due = [waiter for waiter in pursuit.waiters if self._judgement.is_denied(pursuit, waiter)]
            self.reply(pursuit, due, self._judgement.not_there(pursuit), pursuit.denied_route, now_ns, now_ns)

    def forget(self, now_ns: int) -> None:
        """Waiters answered `unknown` longer than `late_ns` ago hear nothing more."""
        doubtful = self.doubtful
        while doubtful and next(iter(doubtful.values())).finished_ns + self._docket.policy.late_ns <= now_ns:
            doubtful.popitem(last=False)[1].answered_unknown = ()
