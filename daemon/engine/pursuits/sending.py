"""Which way a cancel takes next: now, elsewhere, later, or a second way beside the first.

Where every request for an order leaves from. What must never happen here: a request by userref that leaves again while
an earlier one may have worked.
"""

from ...contract.evidence import RestAnswer
from ...contract.outcomes import Rejected
from ..effects import RestReady, Send
from ..inflight import Attempt
from ..instants import FAR_NS, MS
from ..lane import REST, Lane, route_of
from ..reactions import ATTEMPT_LIMIT, RETRY_MS
from .answers import Answers
from .docket import Docket
from .families import Families
from .family import Family
from .judgement import Judgement
from .names import Names
from .pursuit import Pursuit
from .questions import Questions
from .said import ACCEPTED
from .spacing import may_leave_ns


class Sending:
    """Requests on their way out."""

    def __init__(
        self,
        docket: Docket,
        questions: Questions,
        judgement: Judgement,
        answers: Answers,
        names: Names,
        families: Families,
    ) -> None:
        self._docket = docket
        self._questions = questions
        self._judgement = judgement
        self._answers = answers
        self._names = names
        self._families = families
        self._symbols = docket.policy.symbols
        # Where any session takes any name, the first one takes a new pursuit without being asked whether.
        self._any_name = not docket.policy.uuids

    def diverted(self, pursuit: Pursuit, now_ns: int) -> bool:
        """Whether it went on in another way: its name is followed, or the family is split."""
        if pursuit.end is not None:
            self._names.follow(pursuit, now_ns)
            return pursuit.done
        if pursuit.barred:
            self._families.split(pursuit, now_ns)
            return True
        return False

    def go(self, pursuit: Pursuit, now_ns: int) -> None:
        """Send it by the best route there is now, tried or not; when there is none, try again soon."""
        lanes = self._docket.lanes
        if self._docket.mode == "maintenance":
            self._docket.decide("hold", pursuit, None, "the venue is in maintenance")
            self._docket.held[pursuit] = None
        elif lanes.live and not pursuit.sent and not lanes.stale and not lanes.closed_until and self._any_name:
            self.send(pursuit, lanes.live[0], now_ns)
        elif self.diverted(pursuit, now_ns):
            return
        elif pursuit.attempts >= ATTEMPT_LIMIT:
            self._later(pursuit, now_ns)
        elif (lane := self._way_for(pursuit, now_ns)) is None:
            self._later(pursuit, now_ns, self._docket.lanes.spaced_until(pursuit, now_ns))
        else:
            self.send(pursuit, lane, now_ns)

    def _way_for(self, pursuit: Pursuit, now_ns: int) -> Lane | None:
        """The best route there is now. A pursuit that has not left yet may overdraw a spent budget: otherwise many
        others could keep it waiting for ever, and a budget refuses nobody."""
        lane = next(self._docket.lanes.free_for(pursuit, now_ns), None)
        return lane if lane is not None or pursuit.sent else self._docket.lanes.spent_for(pursuit)

    def elsewhere(self, pursuit: Pursuit, now_ns: int) -> None:
        """An attempt ended without a verdict: take the next untried route now, or any route after a pause."""
        if self.diverted(pursuit, now_ns):
            return
        lane = self._docket.lanes.untried_for(pursuit, now_ns)
        if lane is not None and self._docket.mode != "maintenance":
            self._docket.decide("fallback", pursuit, lane, "the way it had taken was lost")
            self.send(pursuit, lane, now_ns)
        else:
            self._later(pursuit, now_ns)

    def _later(self, pursuit: Pursuit, now_ns: int, free_ns: int = FAR_NS) -> None:
        """After a pause, or (free_ns) when a lane takes it that is all right but for its last request."""
        pause = RETRY_MS[min(pursuit.retries, len(RETRY_MS) - 1)]
        pursuit.strands(min(now_ns + pause * MS, free_ns))

    def send(self, pursuit: Pursuit, lane: Lane, now_ns: int) -> None:
        """Send it on this lane now, or queue it for REST; without a symbol that the venue wants, it waits for that.

        Every request leaves through here, and here is what keeps two of them apart: no chain of answers, looks and
        refusals can be quicker, however it is made.
        """
        if pursuit.tries and (free_ns := may_leave_ns(pursuit.tries, lane)) > now_ns:
            pursuit.retries_at(free_ns)
            self._docket.schedule(pursuit)
            return
        pursuit.listens(now_ns + self._docket.policy.hedge_ns)
        if pursuit.stranded:
            pursuit.stranded = False
        if lane == REST:
            if not pursuit.queued and REST not in pursuit.pending:
                pursuit.queued = True
                self._docket.rest_queue[pursuit] = None
                self._docket.effects.append(RestReady())
            return
        symbol = None
        if self._symbols:
            if type(pursuit) is Family:
                self._families.walk_from(pursuit, now_ns)
                return
            symbol = self._judgement.symbol_of(pursuit)
            if symbol is None:
                self._await_symbol(pursuit, now_ns)
                return
            pursuit.nameless = False
        attempt = self.open(pursuit, lane, now_ns)
        self._docket.effects.append(Send(lane, attempt.reqid, pursuit.key, symbol))

    def _await_symbol(self, pursuit: Pursuit, now_ns: int) -> None:
        """Nothing can leave without the symbol: a look may show it, or the order's first event."""
        pursuit.wants_symbol()
        if not pursuit.asked:
            self._questions.ask(pursuit, now_ns)
        self._later(pursuit, now_ns)

    def named_at_last(self, pursuit: Pursuit, now_ns: int) -> None:
        """A client named the symbol that the pursuit waited for."""
        if pursuit.nameless:
            pursuit.has_symbol()
            self.go(pursuit, now_ns)
            self._docket.schedule(pursuit)

    def open(self, pursuit: Pursuit, lane: Lane, now_ns: int) -> Attempt[Pursuit]:
        """Enter a request that is about to leave on this lane."""
        if pursuit.swept:
            self._sweep_left(pursuit, lane, now_ns)
        attempt = self._docket.inflight.open(pursuit, lane, now_ns)
        docket = self._docket
        silent_ns = now_ns + docket.policy.hedge_ns
        pursuit.leaves(attempt, silent_ns, docket.resting, bool(docket.lanes.witnesses))
        return attempt

    def wants(self, pursuit: Pursuit, lane: Lane) -> bool:
        """Whether a request for it may still leave on this lane."""
        return pursuit.said is not ACCEPTED and lane not in pursuit.pending and not pursuit.barred

    def hedge(self, pursuit: Pursuit, now_ns: int) -> None:
        """Silence: a second route beside the first. The first is not given up, and nothing is concluded."""
        # A stream silent since the request left may be dead too.
        sent_ns, lanes = pursuit.first_sent_ns or 0, self._docket.lanes
        pursuit.hushed([lane for lane in lanes.witnesses if lanes.heard_ns.get(lane, 0) < sent_ns], now_ns)
        if self.diverted(pursuit, now_ns):
            return
        lane = self._docket.lanes.untried_for(pursuit, now_ns)
        if lane is not None and self._docket.mode != "maintenance":
            self._docket.counts.hedged += 1
            self._docket.decide("hedge", pursuit, lane, f"no answer in {self._docket.policy.hedge_ns // MS} ms")
            self.send(pursuit, lane, now_ns)
        else:
            # Every route was tried and is silent: ask for the order's state.
            self._questions.ask(pursuit, now_ns)

    def spread(self, pursuit: Pursuit, now_ns: int) -> None:
        """It is urgent: every independent way at once. REST beside the session, or where there is none each session.

        A family's request leaves once alone: by userref it could meet newer orders.
        """
        if pursuit.done or pursuit.lists or pursuit.said is ACCEPTED or self._docket.mode == "maintenance":
            return
        lanes = self._docket.lanes
        for lane in (REST,) if self._docket.policy.rest else tuple(lanes.live):
            if lane not in pursuit.sent and not pursuit.queued and lanes.takes(pursuit, lane, now_ns):
                self._docket.decide("hedge", pursuit, lane, "urgent: every way at once")
                self.send(pursuit, lane, now_ns)

    def go_renewed(self, pursuit: Pursuit, lane: Lane, now_ns: int) -> None:
        """The lane has a new token: send it there, or wherever is best if the lane is gone."""
        takes = lane in self._docket.lanes.live and self._docket.lanes.fits(pursuit, lane)
        if takes and self._docket.mode != "maintenance" and not pursuit.barred:
            self.send(pursuit, lane, now_ns)
        else:
            self.go(pursuit, now_ns)

    def doubt(self, pursuit: Pursuit, answer: RestAnswer, now_ns: int) -> None:
        """The answer cannot be read, so the cancel may have worked."""
        pursuit.doubted()
        pursuit.error = getattr(answer, "why", "an answer to another question")
        self.elsewhere(pursuit, now_ns)

    def _sweep_left(self, family: Pursuit, lane: Lane, now_ns: int) -> None:
        """The request for everything leaves, and with it each cancel that it stands in for."""
        for pursuit in family.swept:
            if pursuit.done:
                continue
            pursuit.leaves_within(lane, now_ns, now_ns + self._docket.policy.hedge_ns)
            self._docket.schedule(pursuit)

    def again_at(self, pursuit: Pursuit, at_ns: int, now_ns: int) -> None:
        """Plan one more try at `at_ns`; where every waiter's deadline is earlier, the refusal is the answer."""
        if pursuit.pending or pursuit.queued or any(waiter.deadline_ns > at_ns for waiter in pursuit.waiters):
            pursuit.paused(at_ns)
        else:
            self.reject_if_final(pursuit, now_ns)

    def reject_if_final(self, pursuit: Pursuit, now_ns: int) -> None:
        """Answer with the refusal when nothing else can come. After an ambiguous attempt a query has to tell."""
        if pursuit.pending or pursuit.queued or pursuit.retry_ns != FAR_NS:
            return
        if self._docket.lanes.awaits_token(pursuit):
            return
        if pursuit.ambiguous or pursuit.denied_ns is not None:
            self._questions.ask(pursuit, now_ns)
            return
        assert pursuit.reject_class is not None
        self._answers.settle(pursuit, Rejected(pursuit.reject_class), route_of(pursuit.sent[-1]), now_ns)
