"""Everything that is being cancelled at one venue: from the command to its one outcome.

A *pursuit* goes after one order (or, by userref or cancel-all, after a family of orders) for every client that asked
for it. It holds the attempts that were made, what the venue said to each, and when to do what next. This is the front:
commands and time come in here, what sessions heard comes in by `sessions`, what REST answered by `rest`. All methods
are plain calls that take the time as an argument and leave what is to be done in `effects`; the caller carries those
out in the order in which they stand. Nothing here waits, reads a clock, or knows how a venue spells things.

What must never happen in this package: an order reported off the book because of silence, because of an absence, or
because a second way of asking did not find it; a userref sent again while the first sending may have worked; two
answers for one ticket; a ticket without an answer at its deadline.
"""

import heapq
from collections.abc import Iterable, Sequence
from typing import Any

from ...contract.ids import EVERYTHING, Target, Venue
from ...contract.outcomes import Acked
from ..calls import FireOwner
from ..crowd import SLICE
from ..effects import RestReady, Send
from ..inflight import Reqids
from ..instants import FAR_NS
from ..lane import REST
from ..policy import Policy
from ..resting import Resting
from .acceptance import Acceptance
from .ahead import Ahead
from .answers import Answers
from .batches import Batches
from .docket import Docket
from .families import Families
from .family import Family, StandIn
from .judgement import Judgement
from .lists import Lists
from .names import Names
from .pursuit import Pursuit, Waiter, ending
from .questions import Questions
from .refusals import Refusals
from .rest import Rest
from .said import ACCEPTED, DENIED
from .sending import Sending
from .sessions import Sessions
from .states import States
from .straight import Straight


class Pursuits(Docket):
    """The pursuits of one venue. `effects` and `decisions` are filled by every method and emptied by the caller."""

    def __init__(self, venue: Venue, policy: Policy, reqids: Reqids, resting: Resting) -> None:
        super().__init__(venue, policy, reqids, resting)
        questions = Questions(self)
        judgement = Judgement(self)
        answers = Answers(self, questions, judgement)
        names = Names(self, answers)
        families = Families(self, questions, judgement, answers)
        sending = Sending(self, questions, judgement, answers, names, families)
        refusals = Refusals(self, questions, judgement, answers, names, families, sending)
        acceptance = Acceptance(self, questions, judgement, answers, families, sending)
        batches = Batches(self, questions, names, sending, refusals, acceptance)
        states = States(self, questions, answers, names, families, sending, acceptance)
        self.lists = lists = Lists(self, questions, states)
        rest = Rest(self, questions, judgement, families, sending, refusals, acceptance, batches, states, lists)
        self.rest = rest
        self.sessions = Sessions(
            self, questions, judgement, answers, names, sending, refusals, acceptance, batches, states, lists, rest
        )
        self.batches = batches
        self.straight = Straight(self)
        self._answers = answers
        self._families = families
        self._judgement = judgement
        self._questions = questions
        self._refusals = refusals
        self._sending = sending
        self._states = states
        self._ahead = Ahead(self, judgement, answers)
        self._struck_ns = 0
        self._struck: set[str] = set()
        """What a kill has gone after in this step."""
        # The two ways up: what became of a family's order, and one more order to go after.
        answers.parent = families
        families.chase = names.chase = self

    def submit(
        self,
        ticket: Any,
        target: Target,
        proof: bool,
        deadline_ns: int,
        now_ns: int,
        symbol: str | None = None,
        urgent: bool = False,
    ) -> None:
        """Go after `target` for `ticket`: exactly one Answer follows, at the deadline at the latest.

        symbol: the order's, where the client named it. urgent: by every independent way at once.
        """
        waiter = Waiter(ticket, target, proof, deadline_ns, now_ns)
        key = target
        bearer = None
        if target.kind == "cl_ord_id":
            bearer = self.resting.bearer(str(target.value))
            if bearer is not None and bearer.status == "open":
                order = Target("order_id", bearer.order_id)
                pursued = self.pursued.get(order)
                # An accepted order may be gone, and a newer order may bear its name by now.
                key = order if pursued is None or pursued.said is not ACCEPTED else target
        elif target.kind != "order_id":
            self._submit_family(target, waiter, now_ns)
            return
        if key.kind == "order_id":
            row = self.resting.get(str(key.value))
            if row is not None and row.ended:
                self._answers.answer_ended(waiter, row, now_ns)
                return
        pursuit = self.pursued.get(key)
        if pursuit is not None:
            if symbol is not None and pursuit.symbol is None:
                pursuit.symbol = symbol
                self._sending.named_at_last(pursuit, now_ns)
            self.join(pursuit, waiter, now_ns)
            if urgent:
                self._sending.spread(pursuit, now_ns)
            return
        pursuit = self.pursued[key] = Pursuit(key, waiter)
        if symbol is not None:
            pursuit.symbol = symbol
        if bearer is not None and bearer.ended:
            pursuit.bearer = bearer
        self._sending.go(pursuit, now_ns)
        if urgent:
            self._sending.spread(pursuit, now_ns)
        self.schedule(pursuit)

    def strike(self, ticket: Any, order_id: str, owner: FireOwner, deadline_ns: int, now_ns: int) -> None:
        """Go after one order for a kill: its cancel leaves in this step, whatever the pursuit of that order waits for.

        A kill waits for no pause after a refusal, no end of maintenance, no lane that is closed and no answer to a lost
        request. Where the pursuit sends nothing now, the sessions that it does not wait for are written to past it, and
        `owner` is told what came of that. A second cancel of a dying order does no harm.
        """
        target = Target("order_id", order_id)
        if self._struck_ns != now_ns:
            self._struck_ns, self._struck = now_ns, set()
        elif order_id in self._struck:
            return
        self._struck.add(order_id)
        effects = len(self.effects)
        self.submit(ticket, target, False, deadline_ns, now_ns)
        pursuit = self.pursued.get(target)
        left = any(type(effect) is Send and effect.target == target for effect in self.effects[effects:])
        if pursuit is None or left or not self.lanes.live:
            return
        symbol = self._judgement.symbol_of(pursuit)
        if symbol is None and self.policy.symbols:
            return
        for lane in [lane for lane in self.lanes.live if lane not in pursuit.pending] or self.lanes.live:
            self.sessions.probe(lane, target, owner, symbol)

    def resume(self, ticket: Any, order_id: str, deadline_ns: int, now_ns: int, symbol: str | None = None) -> None:
        """Go on after an order whose cancel may have left before this process began; proof is wanted.

        Where the order stream does not show it open its state is asked for first: a cancel leaves when that says that
        it rests, or when silence says nothing.
        """
        target = Target("order_id", order_id)
        waiter = Waiter(ticket, target, True, deadline_ns, now_ns)
        pursuit = self.pursued.get(target)
        if pursuit is not None:
            pursuit.doubted()
            self.join(pursuit, waiter, now_ns)
            return
        pursuit = Pursuit(target, waiter)
        pursuit.doubted()
        if symbol is not None:
            pursuit.symbol = symbol
        row = self.resting.get(order_id)
        if row is not None and row.ended:
            self._answers.answer(pursuit, waiter, ending(pursuit, row), "stream", now_ns, now_ns)
            return
        self.pursued[target] = pursuit
        if self.resting.is_open(order_id):
            self._sending.go(pursuit, now_ns)
        else:
            self._questions.ask(pursuit, now_ns)
            pursuit.listens(now_ns + self.policy.hedge_ns)
        self.schedule(pursuit)

    def submit_batch(self, tickets: Sequence[tuple[Any, Target]], proof: bool, deadline_ns: int, now_ns: int) -> None:
        """Go after many orders at once, by REST batch: for orders whose single cancels the rate budget cannot bear."""
        usable = self.lanes.usable(REST, now_ns) and self.mode != "maintenance"
        for ticket, target in tickets:
            key = target
            if target.kind == "cl_ord_id" and (order_id := self.resting.open_as(str(target.value))) is not None:
                key = Target("order_id", order_id)
            row = self.resting.get(str(key.value)) if key.kind == "order_id" else None
            if not usable or key.kind != "order_id" or key in self.pursued or (row is not None and row.ended):
                self.submit(ticket, target, proof, deadline_ns, now_ns)
                continue
            pursuit = self.pursued[key] = Pursuit(key, Waiter(ticket, target, proof, deadline_ns, now_ns))
            pursuit.crowded = True
            self._sending.send(pursuit, REST, now_ns)
            self.schedule(pursuit)

    def covers_all(self, targets: Iterable[Target]) -> bool:
        """Whether these are all the orders that are known to be open, and may go as one request for everything."""
        if not self.policy.sweeps:
            return False
        named = {str(target.value) for target in targets if target.kind == "order_id"}
        return bool(len(self.resting)) and self.resting.open_ids() <= named

    def submit_sweep(self, tickets: Sequence[tuple[Any, Target]], proof: bool, deadline_ns: int, now_ns: int) -> None:
        """Go after many orders, which are all that is open, by one request for everything; each has its own outcome."""
        swept = []
        for ticket, target in tickets:
            if target.kind != "order_id" or not self.resting.is_open(str(target.value)) or target in self.pursued:
                self.submit(ticket, target, proof, deadline_ns, now_ns)
                continue
            pursuit = self.pursued[target] = Pursuit(target, Waiter(ticket, target, proof, deadline_ns, now_ns))
            swept.append(pursuit)
        family = Family(EVERYTHING, Waiter(StandIn(), EVERYTHING, False, deadline_ns, now_ns))
        family.swept = tuple(swept)
        self.families[family] = None
        self._sending.send(family, REST, now_ns)
        self.schedule(family)
        for pursuit in swept:
            pursuit.listens(now_ns + self.policy.hedge_ns)
            self.schedule(pursuit)

    def join(self, pursuit: Pursuit, waiter: Waiter, now_ns: int) -> None:
        """One waiter more for an order that is being cancelled already: no second request leaves for it."""
        if pursuit.said is ACCEPTED and self._judgement.acceptance_failed(pursuit, now_ns):
            pursuit.taken_back()
            self._sending.go(pursuit, now_ns)
        elif pursuit.said is ACCEPTED and not waiter.proof:
            if self.policy.shared:
                pursuit.answered_acked += (waiter,)
            self._answers.answer(pursuit, waiter, Acked(), pursuit.acked_route, pursuit.acked_ns, now_ns)
            return
        pursuit.waiters.append(waiter)
        if waiter.deadline_ns < pursuit.deadline_ns:
            pursuit.deadline_ns = waiter.deadline_ns
        if pursuit.said is DENIED and pursuit.retry_ns == FAR_NS and not pursuit.pending:
            # The earlier waiters' windows are over and they wait for a query alone; the new waiter has his own window.
            self._refusals.plan_reask(pursuit, now_ns)
        self.schedule(pursuit)

    def _submit_family(self, target: Target, waiter: Waiter, now_ns: int) -> None:
        for family in self.families:
            # A request (or a list, where none could leave) from before this command may miss an order placed since.
            begun = bool(family.sent) or (self.policy.mass and (family.asked or family.children is not None))
            if family.key == target and not begun:
                self.join(family, waiter, now_ns)
                return
        family = Family(target, waiter)
        self.families[family] = None
        self._sending.go(family, now_ns)
        self.schedule(family)

    def give_up(self, now_ns: int) -> None:
        """Answer every waiter now with what can honestly be said: the process is about to end."""
        everyone = [*self.pursued.values(), *self.families]
        for pursuit in everyone:
            for waiter in pursuit.waiters:
                waiter.deadline_ns = min(waiter.deadline_ns, now_ns)
        for pursuit in everyone:
            self._answers.expire(pursuit, now_ns)

    def withdraw(self, tickets: Iterable[Any], now_ns: int) -> None:
        """Answer these tickets now with what can honestly be said: nothing more is to leave in their names."""
        withdrawn = set(map(id, tickets))
        for pursuit in [*self.pursued.values(), *self.families]:
            mine = [waiter for waiter in pursuit.waiters if id(waiter.ticket) in withdrawn]
            for waiter in mine:
                waiter.deadline_ns = min(waiter.deadline_ns, now_ns)
            if mine:
                self._answers.expire(pursuit, now_ns)

    def on_time(self, now_ns: int) -> None:
        """Do what is due: hedge, retry, query, and answer whoever's deadline has come.

        One slice of it where there is much: `next_wake_ns` then says that the next is due at once.
        """
        if self.lanes.rest_reopened(now_ns) and self.rest.wants_call:
            self.effects.append(RestReady())
        self._ahead.look(now_ns)
        for _ in range(SLICE):
            if self._ahead.step():
                continue
            if self.next_wake_ns <= now_ns and self._heap and self._heap[0][0] <= now_ns:
                pursuit = heapq.heappop(self._heap)[2]
                pursuit.scheduled_ns = FAR_NS
                self._due(pursuit, now_ns)
            else:
                break
        self.inflight.forget(now_ns)
        self._states.changed(self.resting.doubt(now_ns), "stream", now_ns)
        self.batches.forget()
        self._answers.forget(now_ns)

    def _due(self, pursuit: Pursuit, now_ns: int) -> None:
        if pursuit.deadline_ns <= now_ns:
            self._answers.expire(pursuit, now_ns)
        if not pursuit.done and pursuit.query_ns <= now_ns:
            pursuit.asks_at(FAR_NS)
            self._questions.ask(pursuit, now_ns)
        if not pursuit.done and pursuit.retry_ns <= now_ns:
            pursuit.unpaused()
            if type(pursuit) is Family and pursuit.unwalked:
                self._families.walk_on(pursuit, now_ns)
                self.schedule(pursuit)
                return
            self.throttled.pop(pursuit, None)
            self.counts.retried += 1
            self.decide("retry", pursuit, None, "the pause after the last try is over")
            self._sending.go(pursuit, now_ns)
        if not pursuit.done and pursuit.silent_ns <= now_ns:
            pursuit.listens(FAR_NS)
            self._sending.hedge(pursuit, now_ns)
        self.schedule(pursuit)

    @property
    def idle(self) -> bool:
        """Whether nothing is pursued, awaited or queued."""
        waiting = self.inflight.waiting or self._questions.looks or self.rest.waiting
        return not (self.active or self.held or self.rest_queue or self._questions.queries or waiting)

    def go(self, pursuit: Pursuit, now_ns: int) -> None:
        """Send it by the best route there is now."""
        self._sending.go(pursuit, now_ns)
