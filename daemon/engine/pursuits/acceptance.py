"""The venue said yes to a cancel, or takes that back.

An ack is the venue's word that it will cancel, never proof that the order is gone: whoever asked for proof goes on
waiting.
"""

from ...contract.evidence import CancelAck, CancelReject, Fault
from ...contract.outcomes import Acked, Rejected, Route
from ..effects import Alert, Late
from ..inflight import Attempt
from ..lane import route_of
from ..reactions import RULES
from ..resting import Row
from .answers import Answers
from .docket import Docket
from .families import Families
from .family import Child, Family, StandIn
from .judgement import Judgement
from .pursuit import Pursuit, ending, meant_newer
from .questions import Questions
from .said import ACCEPTED
from .sending import Sending


class Acceptance:
    """Acks taken in, and taken back."""

    def __init__(
        self,
        docket: Docket,
        questions: Questions,
        judgement: Judgement,
        answers: Answers,
        families: Families,
        sending: Sending,
    ) -> None:
        self._docket = docket
        self._questions = questions
        self._judgement = judgement
        self._answers = answers
        self._families = families
        self._sending = sending
        self._shared = docket.policy.shared

    def accepted(self, pursuit: Pursuit, attempt: Attempt[Pursuit], now_ns: int) -> None:
        """The venue took the cancel. Whoever waits for proof goes on waiting."""
        route = route_of(attempt.lane)
        pursuit.accepted(route, now_ns)
        if self._docket.held or self._docket.throttled:
            self._docket.held.pop(pursuit, None)
            self._docket.throttled.pop(pursuit, None)
        waiters = pursuit.waiters
        if self._shared:
            pursuit.answered_acked = tuple(waiter for waiter in waiters if not waiter.proof)
            pursuit.accepted_by = attempt.reqid
        if len(waiters) == 1 and not waiters[0].proof and pursuit.end is None:
            # The plain case, and nearly all of them.
            pursuit.waiters = []
            self._answers.answer(pursuit, waiters[0], Acked(), route, now_ns, now_ns)
            self._answers.finish(pursuit, now_ns)
            return
        if pursuit.end is not None:
            due = [waiter for waiter in waiters if not meant_newer(waiter, attempt)]
            self._answers.reply(pursuit, due, ending(pursuit, pursuit.end), route, now_ns, now_ns)
            if not pursuit.done:
                # The waiters left over asked after the accepted request had left, so they may mean a newer order.
                pursuit.accepted_for_others()
                self._sending.go(pursuit, now_ns)
                self._docket.schedule(pursuit)
            return
        self._answers.reply(pursuit, [waiter for waiter in waiters if not waiter.proof], Acked(), route, now_ns, now_ns)
        if pursuit.done:
            return
        pursuit.acked_by = attempt
        if pursuit.awaits_ends:
            pursuit.asks_at(now_ns + self._docket.policy.hedge_ns)
        else:
            self._families.nothing_awaited(pursuit, now_ns)
        self._docket.schedule(pursuit)

    def family_accepted(self, family: Family, attempt: Attempt[Pursuit], now_ns: int) -> None:
        """The request of a family was accepted: nothing of it is sent again."""
        if family.children is not None or family.verdict is not None or family.said is ACCEPTED:
            return
        self._docket.close_attempt(family, attempt, now_ns)
        if family.done:
            self.late_or_repeated(family, attempt, now_ns)
        else:
            self.accepted(family, attempt, now_ns)

    def family_counted(self, family: Family, attempt: Attempt[Pursuit], count: int, now_ns: int) -> None:
        """The answer to a family's request says how many orders it canceled."""
        family.count = count
        family.oks = max(family.oks, count)
        if family.key.kind == "all" or self._judgement.accounted(family):
            self.family_accepted(family, attempt, now_ns)
        elif not family.done and family.complete and self._judgement.unlisted(family):
            self._questions.ask(family, now_ns)
        elif not family.done:
            self._families.split(family, now_ns)

    def family_acked(self, family: Family, attempt: Attempt[Pursuit], ack: CancelAck, now_ns: int) -> None:
        """One ack for a family's request: of one order, which it may name."""
        if ack.order_id is not None:
            if ack.order_id in family.named:
                self._docket.counts.repeated_acks += 1
                return
            family.named.add(ack.order_id)
        family.oks += 1
        self._count_acks(family, attempt, now_ns)

    def _count_acks(self, family: Family, attempt: Attempt[Pursuit], now_ns: int) -> None:
        """Most acks do not name their order, so acks are counted: the family is accepted once enough came.

        How many are enough for a userref only a stream knows that had listed everything open; else a list is asked for.
        """
        if self._judgement.accounted(family):
            self.family_accepted(family, attempt, now_ns)
        elif self._judgement.unlisted(family) and not family.done:
            self._questions.ask(family, now_ns)

    def late_or_repeated(self, pursuit: Pursuit, attempt: Attempt[Pursuit], now_ns: int) -> None:
        """An ack for a pursuit that is over. Only waiters answered `unknown` hear of it, once."""
        holder = self._answers.doubtful.get(pursuit.key, pursuit)
        if not holder.answered_unknown or pursuit.said is ACCEPTED:
            self._docket.counts.repeated_acks += 1
        else:
            self._answers.tell_late(holder, Acked(), route_of(attempt.lane), now_ns)

    def end_told(self, pursuit: Pursuit, attempt: Attempt[Pursuit], row: Row, now_ns: int) -> None:
        """The answer to a cancel names the end of its order."""
        if not pursuit.done:
            pursuit.bearer_ended(row, ours=pursuit.ours)
            self.accepted(pursuit, attempt, now_ns)
        elif (holder := self._answers.doubtful.get(pursuit.key)) is not None:
            self._answers.tell_late(holder, ending(holder, row), route_of(attempt.lane), now_ns)

    def revoked(self, pursuit: Pursuit, reject: CancelReject, now_ns: int) -> None:
        """The venue accepted a cancel, `acked` was told, and now the venue refuses it: the order may rest after all."""
        waiters, pursuit.answered_acked = pursuit.answered_acked, ()
        pursuit.error = reject.error
        for waiter in waiters:
            ticket = waiter.ticket
            outcome = Rejected(RULES[reject.fault].reject_class)
            settlement = self._answers.settlement(pursuit, waiter, outcome, "stream", now_ns)
            if type(ticket) is Child:
                # The family may have been answered by now, or have sent another cancel for the order.
                told = None if ticket.parent.done else (ticket.parent.children or {}).get(ticket.order_id)
                if told is not None and type(told.outcome) is Acked:
                    self._families.child_told(ticket, settlement, now_ns)
            elif type(ticket) is not StandIn:
                self._docket.counts.late += 1
                self._docket.effects.append(Late(ticket, settlement))
        self._docket.effects.append(
            Alert(
                f"the cancel of {pursuit.key.kind} {pursuit.key.value} was accepted and then refused: {reject.error}",
                "it may rest: cancel it again",
            )
        )

    def one_refused(self, family: Pursuit, reject: CancelReject, now_ns: int) -> None:
        """The venue refused one order of a family that counts as accepted."""
        if reject.fault is Fault.NOT_OPEN:
            # That order had ended before: nothing rests.
            return
        if family.done:
            self._docket.effects.append(
                Alert(
                    f"an order under {family.key.kind} {family.key.value} was refused after others had been accepted",
                    f"see what still rests under it: {reject.error}",
                )
            )
            return
        family.taken_back()
        family.error = reject.error
        self._families.split(family, now_ns)
        self._docket.schedule(family)

    def family_shrank(self, family: Family, route: Route, now_ns: int) -> None:
        """An order of the family ended: with the last of them an accepted family is over."""
        if family.done or family.children is not None:
            return
        if not family.left and family.said is ACCEPTED:
            self._families.over(family, route, now_ns)
        elif family.oks and self._judgement.accounted(family) and family.said is not ACCEPTED and family.pending:
            self.family_accepted(family, next(iter(family.pending.values())), now_ns)
