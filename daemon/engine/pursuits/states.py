"""What a stream, a list or a query tells of an order, and what follows from it for whoever is after that order."""

from collections.abc import Collection, Iterable, Set

from ...contract.evidence import Fault, Orders, OrderState, RestAnswer, RestFailed, RestOrders
from ...contract.ids import Target
from ...contract.outcomes import Route
from ..calls import Call
from ..effects import Ended, Opened
from ..inflight import Attempt
from ..instants import FAR_NS
from ..lane import REST
from ..resting import Row
from .acceptance import Acceptance
from .answers import Answers
from .docket import Docket
from .families import Families
from .family import Family
from .names import Names
from .pursuit import Pursuit, ending, meant_newer
from .questions import Questions
from .said import ACCEPTED, DENIED
from .sending import Sending


class Named:
    """Every name under which an answer tells of an order, as a set of targets."""

    def __init__(self, orders: Collection[OrderState], order_ids: Set[str] | None = None) -> None:
        """order_ids: theirs, where those are known already."""
        self.order_ids = {state.order_id for state in orders} if order_ids is None else order_ids
        self._cl_ord_ids = {state.cl_ord_id for state in orders}

    def __contains__(self, target: Target) -> bool:
        return target.value in (self.order_ids if target.kind == "order_id" else self._cl_ord_ids)


class States:
    """Order states taken in."""

    def __init__(
        self,
        docket: Docket,
        questions: Questions,
        answers: Answers,
        names: Names,
        families: Families,
        sending: Sending,
        acceptance: Acceptance,
    ) -> None:
        self._docket = docket
        self._questions = questions
        self._answers = answers
        self._names = names
        self._families = families
        self._sending = sending
        self._acceptance = acceptance

    def orders(self, orders: Orders, now_ns: int, *, complete: bool) -> None:
        """Take in order states from a stream. `complete`: no other stream would have told what a snapshot lacks."""
        if orders.snapshot and orders.begun_ns is not None:
            if complete:
                assert orders.taken is not None, "a list that was taken in without its ids"
                self.changed(self._docket.resting.vanish(orders.taken, orders.begun_ns), "stream", now_ns)
            return
        if orders.snapshot:
            self.changed(self._docket.resting.replace(orders.orders, now_ns, complete=complete), "stream", now_ns)
            return
        if orders.initial:
            self.changed(self.recall(orders.orders, now_ns), "stream", now_ns)
            return
        for state in orders.orders:
            row = self._docket.resting.apply(state, now_ns)
            if row is not None:
                self.changed((row,), "stream", now_ns)

    def recall(self, states: Iterable[OrderState], now_ns: int, *, by_list: bool = False) -> list[Row]:
        """Take in history; the rows that changed, without ends of orders that nobody pursues or knew."""
        changed = []
        for state in states:
            known = self._docket.resting.get(state.order_id) is not None
            row = self._docket.resting.apply(state, now_ns, by_list=by_list)
            if row is not None and (known or not row.ended or self._is_pursued(row)):
                changed.append(row)
        return changed

    def _is_pursued(self, row: Row) -> bool:
        keys = [Target("order_id", row.order_id)]
        if row.cl_ord_id is not None:
            keys.append(Target("cl_ord_id", row.cl_ord_id))
        return any(key in self._docket.pursued or key in self._answers.doubtful for key in keys)

    def changed(self, rows: Iterable[Row], route: Route, now_ns: int) -> None:
        """Rows of the book changed: tell whoever is after their orders. route: who told it."""
        for row in rows:
            if row.userref is not None and self._docket.families:
                self._families.heard_of(row)
            if row.ended:
                self._docket.effects.append(Ended(row))
                self._ended(row, route, now_ns)
            elif row.status == "gone":
                pursuit = self._docket.pursued.get(Target("order_id", row.order_id))
                if pursuit is not None:
                    self._questions.ask(pursuit, now_ns)
            else:
                self._opened(row, now_ns)

    def _ended(self, row: Row, route: Route, now_ns: int) -> None:
        keys = [Target("order_id", row.order_id)]
        if row.cl_ord_id is not None:
            keys.append(Target("cl_ord_id", row.cl_ord_id))
        for pursuit in [self._docket.pursued.get(key) for key in keys]:
            if pursuit is not None:
                self._over(pursuit, row, route, now_ns)
        for doubtful in [self._answers.doubtful.get(key) for key in keys]:
            if doubtful is not None:
                self._answers.tell_late(doubtful, ending(doubtful, row), route, now_ns)
        for family in list(self._docket.families):
            if row.order_id in family.left:
                family.left.remove(row.order_id)
                family.otherwise += row.status != "canceled"
                self._acceptance.family_shrank(family, route, now_ns)

    def _over(self, pursuit: Pursuit, row: Row, route: Route, now_ns: int) -> None:
        """The order ended. A waiter by client order id may have meant a newer order that took the name before he asked.

        Only an accepted cancel says which order the name stood for. Its ack is waited for; if it does not come, the
        name is followed.
        """
        by_name = [waiter for waiter in pursuit.waiters if waiter.target.kind == "cl_ord_id"]
        if pursuit.acked_by is not None:
            by_name = [waiter for waiter in by_name if meant_newer(waiter, pursuit.acked_by)]
        asked_by_name = set(by_name)
        others = [waiter for waiter in pursuit.waiters if waiter not in asked_by_name]
        pursuit.end = row
        self._answers.reply(pursuit, others, ending(pursuit, row), route, now_ns, now_ns)
        if not by_name:
            return
        accepted = pursuit.said is ACCEPTED
        pursuit.bearer_ended(row, ours=row.status == "canceled" and (accepted or bool(pursuit.pending)))
        # The accepted request is known to have ended it, and no other one is waited for.
        if accepted or not pursuit.ours:
            self._names.follow(pursuit, now_ns)
        if accepted and not pursuit.done:
            pursuit.accepted_for_others()
            self._sending.go(pursuit, now_ns)
        self._docket.schedule(pursuit)

    def _opened(self, row: Row, now_ns: int) -> None:
        """An order appeared. If a cancel for it came too early, this is the moment to repeat it."""
        if self._docket.tells_opened:
            self._docket.effects.append(Opened(row))
        order = Target("order_id", row.order_id)
        keys = [order]
        if row.cl_ord_id is not None:
            keys.append(Target("cl_ord_id", row.cl_ord_id))
            self._names.identify(keys[1], order)
        for key in keys:
            pursuit = self._docket.pursued.get(key)
            if pursuit is None or pursuit.said is ACCEPTED or pursuit.pending:
                continue
            if pursuit.denied_ns is None and not pursuit.nameless:
                continue
            pursuit.has_symbol()
            self._sending.go(pursuit, now_ns)
            self._docket.schedule(pursuit)
        if row.userref is not None:
            for family in list(self._docket.families):
                early = family.said is DENIED and not family.pending
                if early and family.key == Target("userref", row.userref):
                    family.unpaused()
                    self._sending.go(family, now_ns)
                    self._docket.schedule(family)

    def ends_told(self, states: Iterable[OrderState], now_ns: int) -> list[Row]:
        """Take in the states that an answer to a cancel names; the rows that changed."""
        changed = []
        for state in states:
            row = self._docket.resting.apply(state, now_ns)
            if row is None:
                continue
            if row.ended and state.filled_qty is None:
                # Fills before this end may still be on their way in the stream: the filled quantity is not known.
                row.filled_qty = None
            changed.append(row)
        return changed

    def state_told(
        self, pursuit: Pursuit, attempt: Attempt[Pursuit], states: Iterable[OrderState], now_ns: int
    ) -> None:
        """The answer to a cancel names the state of its order."""
        changed = self.ends_told(states, now_ns)
        for state in states:
            row = self._docket.resting.get(state.order_id)
            if row is not None and row.ended:
                self._acceptance.end_told(pursuit, attempt, row, now_ns)
        self.changed(changed, "rest", now_ns)

    def query_answered(self, call: Call, answer: RestAnswer, now_ns: int) -> None:
        """A query or a list by REST was answered."""
        match answer:
            case RestOrders(orders=orders) if call.form == "ended":
                self._ends_listed(call, orders, now_ns)
            case RestFailed(fault=Fault.PERMISSION) if call.form == "ended":
                # The key may not see what has ended: it would hear the same again. A stream may still tell.
                for pursuit in call.pursuits:
                    pursuit.asking = False
            case RestOrders(orders=orders, taken=taken):
                for pursuit in call.pursuits:
                    pursuit.asking = False
                news = orders if taken is None else ()
                told_of = [self._docket.resting.apply(state, now_ns, by_list=True) for state in news]
                changed = [row for row in told_of if row is not None]
                self.changed(changed, "rest", now_ns)
                told = Named(orders, taken)
                for pursuit in call.pursuits:
                    if not pursuit.done:
                        self.queried(pursuit, told, now_ns)
                        self._docket.schedule(pursuit)
            case RestFailed(fault=Fault.NOT_OPEN | Fault.INVALID) if call.form == "query" and len(call.pursuits) > 1:
                # The venue knows one of the ids not, without saying which: each is asked for alone.
                for pursuit in call.pursuits:
                    pursuit.asking = False
                    if not pursuit.done:
                        pursuit.alone = True
                        self._questions.ask(pursuit, now_ns)
            case RestFailed(fault=Fault.NOT_OPEN) if call.form == "query":
                (pursuit,) = call.pursuits
                pursuit.asking = False
                if not pursuit.done:
                    self.queried(pursuit, Named(()), now_ns)
                    self._docket.schedule(pursuit)
            case _:
                # A failure, or nothing that can be read: absence of an answer says nothing of any order.
                for pursuit in call.pursuits:
                    self.query_failed(pursuit, now_ns, by_rest=True)

    def _ends_listed(self, call: Call, orders: Iterable[OrderState], now_ns: int) -> None:
        """A list of what has ended: what it names is proof, and what it lacks may be on its way into it."""
        for pursuit in call.pursuits:
            pursuit.asking = False
        # Of others, and of a name whose cancel is by now a later one, it tells what may be from before.
        asked = {
            str(pursuit.key.value)
            for pursuit in call.pursuits
            if pursuit.acked_by is not None and pursuit.acked_by.sent_ns == call.since_ns
        }
        meant = [state for state in orders if state.cl_ord_id in asked and state.status not in (None, "open")]
        self.changed(self.recall(meant, now_ns, by_list=True), "rest", now_ns)
        for pursuit in call.pursuits:
            if not pursuit.done:
                pursuit.asks_at(now_ns + self._docket.policy.hedge_ns)
                self._docket.schedule(pursuit)

    def queried(self, pursuit: Pursuit, told: Named, now_ns: int) -> None:
        """A query for this pursuit was answered; rows that ended have settled theirs already."""
        if type(pursuit) is Family:
            self._families.queried(pursuit, told.order_ids, now_ns)
            self._looked_up(pursuit, now_ns)
            return
        if pursuit.key not in told:
            pursuit.absent = True
            self._answers.conclude(pursuit, now_ns)
            self._looked_up(pursuit, now_ns)
        elif pursuit.said is DENIED:
            # The venue knew no such order, and now shows it: only the windows decide.
            self._answers.conclude(pursuit, now_ns)
        elif not pursuit.queued and self._gave_up_silence(pursuit, now_ns):
            # The order rests: the lost request did not work, and an acceptance did not hold.
            if pursuit.said is ACCEPTED:
                pursuit.taken_back()
            pursuit.unpaused()
            self._sending.go(pursuit, now_ns)

    def _gave_up_silence(self, pursuit: Pursuit, now_ns: int) -> bool:
        """Whether no request is awaited any more for an order that a query showed open.

        Requests that were silent for `hedge_ns` are given up: one on REST, which has a connection of its own (its
        timeout may be later than the deadline), and any where there is no REST and nothing else is left to try.
        """
        silent = [attempt for lane, attempt in pursuit.pending.items() if lane == REST or not self._docket.policy.rest]
        long = all(attempt.sent_ns + self._docket.policy.hedge_ns <= now_ns for attempt in silent)
        if silent and long and len(silent) == len(pursuit.pending):
            for attempt in silent:
                self._docket.close_attempt(pursuit, attempt, now_ns)
            pursuit.doubted()
        return not pursuit.pending

    def _looked_up(self, pursuit: Pursuit, now_ns: int) -> None:
        """Its look-up is over: a repeat that waited for that goes when its own pause is over."""
        if pursuit.said is DENIED and not pursuit.done and pursuit.reask_ns < pursuit.retry_ns < FAR_NS:
            pursuit.retries_at(max(now_ns, pursuit.reask_ns))

    def query_failed(self, pursuit: Pursuit, now_ns: int, *, by_rest: bool = False) -> None:
        """A query came to nothing: it is asked again later."""
        if by_rest and pursuit.lists and not pursuit.done and self._families.relisted(pursuit):
            return
        pursuit.asking = False
        if not pursuit.done:
            pursuit.asks_at(now_ns + self._docket.policy.hedge_ns)
            self._answers.conclude(pursuit, now_ns)
            self._looked_up(pursuit, now_ns)
            self._docket.schedule(pursuit)
