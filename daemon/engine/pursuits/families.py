"""Many orders as one pursuit: split into its orders, walked one by one, judged together, verified by a list.

What must never happen here: a family called gone while an order may rest of which no stream and no list has told.
"""

from collections.abc import Iterable, Sequence, Set

from ...contract.ids import Target
from ...contract.outcomes import SAFE, Acked, Canceled, Closed, Outcome, Route, Settlement
from ..budget import Pace
from ..instants import FAR_NS
from ..resting import Row
from .answers import Answers
from .docket import Docket
from .family import Child, Family
from .judgement import Judgement
from .ports import Chase
from .pursuit import Pursuit, Waiter
from .questions import Questions
from .said import ACCEPTED

WALK_PER_S = 50.0

WALK_BURST = 100
"""Pace of cancelling everything one by one. Prime publishes no limit; this is half of what Futures allows a connection,
and single cancels and a kill are not held to it."""

LISTS_BEAR_OUT: tuple[type[Outcome], ...] = (*SAFE, Acked)
"""Outcomes of a walk's orders that only lists have to bear out."""

LOOKS_NEEDED = 2
"""Lists in a row that show nothing open, where everything had to be cancelled one by one."""


class Families:
    """Pursuits of many orders."""

    def __init__(self, docket: Docket, questions: Questions, judgement: Judgement, answers: Answers) -> None:
        self._docket = docket
        self._questions = questions
        self._judgement = judgement
        self._answers = answers
        self.chase: Chase
        self._walk = Pace(WALK_PER_S, WALK_BURST)

    def relisted(self, family: Pursuit) -> bool:
        """REST gave no list: have a session list what is open. False where no session can."""
        assert type(family) is Family
        if not self._questions.relist(family):
            return False
        family.listed("stream", whole=True)
        return True

    def list_on_sessions(self, now_ns: int) -> None:
        """No call can be spared for a list: whoever wants one has it from a session, where one can list."""
        for family in [one for one in self._questions.queries if type(one) is Family]:
            if self.relisted(family):
                del self._questions.queries[family]
                family.listed_ns = now_ns

    def heard_of(self, row: Row) -> None:
        """An order appeared after its family's request had left: the request may have met it or missed it."""
        for family in self._docket.families:
            if family.sent and family.key == Target("userref", row.userref or 0) and row.order_id not in family.meant:
                family.perhaps.add(row.order_id)

    def queried(self, family: Family, told: Set[str], now_ns: int) -> None:
        """A query or a list for this family was answered. told: every order id that the answer mentions."""
        rows = [self._docket.resting.get(order_id) for order_id in told]
        resting = {row.order_id for row in rows if row is not None and not row.ended}
        if family.key.kind == "userref" and family.listed_whole:
            # The list was of everything: only orders under the family's userref count.
            userref = family.key.value
            resting = {row.order_id for row in rows if row is not None and not row.ended and row.userref == userref}
        if not self._docket.policy.mass:
            self._walk_checked(family, resting, now_ns)
            return
        family.seen_ns = family.listed_ns
        if family.said is ACCEPTED:
            if resting:
                family.asks_at(now_ns + self._docket.policy.hedge_ns)
            else:
                self._answers.settle(family, family.ending(self._docket.resting), family.listed_by, now_ns)
            return
        if family.children is not None and family.verdict is None:
            news = sorted(resting - family.children.keys())
            if news and family.witnessed and (self._judgement.streamed(family) or not family.mute):
                # New orders under the userref: placed before the request left, or after? Until a stream tells, they
                # are neither canceled nor called gone.
                family.seen_ns = 0
                family.asks_at(now_ns + self._docket.policy.hedge_ns)
                return
            self._go_on_after(family, news, now_ns)
            self._judge_children(family, family.listed_by, now_ns, now_ns)
            if family.done or family.verdict is None:
                return
        if family.verdict is not None:
            if resting:
                family.asks_at(now_ns + self._docket.policy.hedge_ns)
                return
            due = [waiter for waiter in family.waiters if self._judgement.window_ns(family, waiter) <= family.listed_ns]
            self._confirm(family, due, family.verdict, family.listed_by, now_ns)
            if not family.done:
                self._verify(family, family.verdict, now_ns, family.listed_by)
        elif resting:
            family.mean(resting)
            self.split(family, now_ns)
        elif family.meant or family.oks:
            # The list is empty, and the request worked: `meant` is gone, or the venue accepted orders unknown to us.
            self._verify(family, family.ending(self._docket.resting), now_ns, family.listed_by)
        elif family.among_others:
            # Nothing rests under it, and whether the request met something nobody tells.
            self._verify(family, Closed(None, None, "unconfirmed"), now_ns, family.listed_by)
        else:
            self._answers.conclude(family, now_ns)

    def _confirm(self, family: Family, due: list[Waiter], verdict: Outcome, route: Route, now_ns: int) -> None:
        """Answer with a verdict that a list has confirmed. `Acked` becomes `Canceled` for waiters with proof."""
        if isinstance(verdict, Acked) and (proved := [waiter for waiter in due if waiter.proof]):
            due = [waiter for waiter in due if not waiter.proof]
            self._answers.reply(family, proved, Canceled(), route, now_ns, now_ns)
        if not family.done:
            self._answers.reply(family, due, verdict, route, now_ns, now_ns)

    def walk_from(self, family: Family, now_ns: int) -> None:
        """Go after everything that is known to be open, order by order, and look for what is not known of."""
        family.paused(FAR_NS)
        if family.children is not None:
            return
        family.mean(self._docket.resting.open_ids())
        if family.left:
            family.children = {}
            self._walk_more(family, sorted(family.left), now_ns)
        if not family.done:
            self._questions.ask(family, now_ns)

    def _walk_more(self, family: Family, order_ids: Iterable[str], now_ns: int) -> None:
        assert family.children is not None
        added = [order_id for order_id in order_ids if order_id not in family.children]
        family.children.update(dict.fromkeys(added))
        family.unwalked += added
        family.verdict = None
        family.clean_looks = ()
        self.walk_on(family, now_ns)

    def walk_on(self, family: Family, now_ns: int) -> None:
        """Cancel as many orders as the pace allows; from half of the shortest deadline on, all that are left."""
        assert family.children is not None
        proof = any(waiter.proof for waiter in family.waiters)
        deadline_ns = family.last_deadline_ns
        if family.first_sent_ns is None:
            family.first_sent_ns = now_ns
        hurry_ns = min(w.asked_ns + (w.deadline_ns - w.asked_ns) // 2 for w in family.waiters) if family.waiters else 0
        while family.unwalked and not family.done:
            wait_ns = self._walk.take(now_ns)
            if wait_ns and now_ns < hurry_ns:
                family.retries_at(min(now_ns + wait_ns, hurry_ns))
                self._docket.schedule(family)
                return
            order_id = family.unwalked.pop(0)
            self.chase.submit(Child(family, order_id), Target("order_id", order_id), proof, deadline_ns, now_ns)

    def _walk_checked(self, family: Family, resting: set[str], now_ns: int) -> None:
        """A list of all open orders came. New orders are gone after; two lists in a row without any end the walk."""
        family.seen_ns = family.listed_ns
        if family.children is None:
            family.children = {}
        children = family.children
        again = {i for i in resting if i in children and isinstance(getattr(children[i], "outcome", None), SAFE)}
        for order_id in again:
            del children[order_id]
        if news := sorted(i for i in resting if i not in children):
            family.mean(news)
            self._walk_more(family, news, now_ns)
        elif not resting and all(told is not None for told in children.values()):
            family.clean_looks += (family.listed_ns,)
            family.count = sum(isinstance(told.outcome, Acked | Canceled) for told in children.values() if told)
            verdict = family.verdict or (family.combined() if children else Canceled())
            if not isinstance(verdict, LISTS_BEAR_OUT):
                self._give_bad_news(family, verdict, now_ns)
                return
            family.verdict = verdict
            due = [w for w in family.waiters if family.looks_for(w) >= (LOOKS_NEEDED if w.proof else 1)]
            self._confirm(family, due, verdict, "stream", now_ns)
            if not family.done:
                self._questions.ask(family, now_ns)
        elif all(told is not None for told in children.values()) and not isinstance(family.combined(), LISTS_BEAR_OUT):
            self._give_bad_news(family, family.combined(), now_ns)
        else:
            if children and isinstance(family.combined(), Acked):
                self._tell_unproved(family, Acked(), "stream", now_ns)
            family.asks_at(now_ns + self._docket.policy.hedge_ns)

    def _give_bad_news(self, family: Family, outcome: Outcome, now_ns: int) -> None:
        """Some orders of the walk may rest for good. A waiter who asked after the last list waits for the next one."""
        self._answers.reply(family, self._who_saw(family), outcome, "stream", now_ns, now_ns)
        if not family.done:
            self._questions.ask(family, now_ns)

    def _tell_unproved(self, family: Family, outcome: Outcome, route: Route, now_ns: int) -> None:
        """Answer the waiters without proof."""
        self._answers.reply(family, [w for w in self._who_saw(family) if not w.proof], outcome, route, now_ns, now_ns)

    def _who_saw(self, family: Family) -> list[Waiter]:
        """Waiters who asked before the last list was asked for; all of them where the venue has a mass cancel."""
        return [waiter for waiter in family.waiters if self._docket.policy.mass or family.seen_for(waiter)]

    def split(self, family: Pursuit, now_ns: int) -> None:
        """Go after each order of a family by its own id, because the family's request must not be sent again."""
        assert type(family) is Family
        if family.children is not None or family.verdict is not None:
            return
        family.paused(FAR_NS)
        if not family.left:
            if family.meant and not self._judgement.unlisted(family):
                self._verify(family, family.ending(self._docket.resting), now_ns)
            else:
                # Nothing is known to rest under it; a list of open orders may tell what it meant.
                self._questions.ask(family, now_ns)
            return
        family.children = {}
        self._go_on_after(family, sorted(family.left), now_ns)
        if not family.done and self._judgement.unlisted(family):
            self._questions.ask(family, now_ns)

    def _go_on_after(self, family: Family, order_ids: Sequence[str], now_ns: int) -> None:
        """Go after orders of a split family, each by its own id."""
        assert family.children is not None
        if family.done:
            return
        family.mean(order_ids)
        family.children.update(dict.fromkeys(order_ids))
        proof = any(waiter.proof for waiter in family.waiters)
        deadline_ns = max(waiter.deadline_ns for waiter in family.waiters)
        for order_id in order_ids:
            key = Target("order_id", order_id)
            self.chase.submit(Child(family, order_id), key, proof, deadline_ns, now_ns)
            if key in self._docket.pursued:
                # The family's own request may have reached it.
                self._docket.pursued[key].doubted()

    def child_told(self, child: Child, settlement: Settlement, now_ns: int) -> None:
        """One of a family's orders was settled, in time or late: with the last of them the family is."""
        family = child.parent
        assert family.children is not None
        if family.children[child.order_id] is None:
            family.sent_for += settlement.attempts
        family.children[child.order_id] = settlement
        self._judge_children(family, settlement.route, settlement.answered_ns, now_ns)

    def _judge_children(self, family: Family, route: Route, answered_ns: int | None, now_ns: int) -> None:
        """Settle a split family once all its orders are settled and nothing else can rest under its name.

        route, answered_ns: of the news that settled the last of them.
        """
        assert family.children is not None
        if any(told is None for told in family.children.values()):
            return
        outcome = family.combined()
        if not self._docket.policy.mass:
            told_of = [told for told in family.children.values() if told is not None]
            family.count = sum(isinstance(told.outcome, Acked | Canceled) for told in told_of)
        if not family.done:
            family.error = next((s.error for s in family.children.values() if s is not None and s.error), family.error)
            if self._judgement.unlisted(family):
                self._questions.ask(family, now_ns)
            elif isinstance(outcome, SAFE):
                self._verify(family, outcome, now_ns)
            else:
                due = [waiter for waiter in self._who_saw(family) if not (waiter.proof and isinstance(outcome, Acked))]
                self._answers.reply(family, due, outcome, route, answered_ns, now_ns)
                if not family.done and isinstance(outcome, Acked):
                    self._verify(family, outcome, now_ns)
        elif isinstance(outcome, Acked | Canceled) and not self._judgement.unlisted(family):
            # Only waiters answered `unknown` hear of it. No list has confirmed it, so it is `Acked` at most.
            self._answers.tell_late(family, Acked(), route, now_ns)

    def _verify(self, family: Family, outcome: Outcome, now_ns: int, route: Route = "stream") -> None:
        """Every order we knew is off the book. One we never heard of may have been missed; only a list can tell.

        The list is asked for once no order can still be on its way in. A waiter without proof is answered before it.
        """
        family.verdict = outcome
        if isinstance(outcome, Canceled):
            self._tell_unproved(family, Acked(), route, now_ns)
        if not family.done and not self._docket.policy.mass:
            # Two lists in a row have to show nothing; the first may be asked for now.
            self._questions.ask(family, now_ns)
        elif not family.done:
            family.asks_at(max(now_ns, min(self._judgement.window_ns(family, waiter) for waiter in family.waiters)))
            self._docket.schedule(family)

    def nothing_awaited(self, family: Pursuit, now_ns: int) -> None:
        """The venue accepted the request, and no order is left whose end a stream could tell."""
        assert type(family) is Family
        if family.meant:
            self.over(family, "stream", now_ns)
        else:
            # Nothing was known to rest.
            self._questions.ask(family, now_ns)

    def over(self, family: Family, route: Route, now_ns: int) -> None:
        """No order in `meant` of an accepted family rests.

        An order under its userref that appeared later may have been met too, and its cancel may yet be refused.
        """
        known = family.key.kind == "all" or self._docket.resting.open_under(int(family.key.value)) <= family.meant
        if known:
            self._answers.settle(family, family.ending(self._docket.resting), route, now_ns)
        else:
            family.asks_at(now_ns + self._docket.policy.hedge_ns)
            self._docket.schedule(family)
