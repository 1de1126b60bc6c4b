"""What can honestly be said of a pursuit: verdicts, denials, windows. Nothing here changes anything but `error`."""

from ...contract.evidence import CancelReject, Fault
from ...contract.outcomes import SAFE, Acked, Canceled, Closed, NotOpen, Outcome, Refused, Rejected, Unknown
from ..inflight import Attempt
from ..reactions import RULES
from .docket import Docket
from .family import Family
from .pursuit import Pursuit, Waiter, closed_state
from .said import ACCEPTED

NO_PROOF = "accepted by the venue, but no proof came before the deadline"


class Judgement:
    """Verdicts."""

    def __init__(self, docket: Docket) -> None:
        self._docket = docket

    def verdict(self, pursuit: Pursuit, waiter: Waiter) -> Outcome:
        """What can honestly be said at the deadline."""
        if type(pursuit) is Family and (outcome := self._family_verdict(pursuit, waiter)) is not None:
            return outcome
        if not pursuit.attempts:
            if pursuit.nameless:
                return Refused("invalid", "symbol: name it, the order stream does not show the order it is for")
            if self._docket.mode == "maintenance":
                return Refused("no_route", f"{self._docket.venue} is in maintenance: it takes no cancels")
            nor = f", and {self._docket.lanes.rest_error}" if self._docket.policy.rest else ""
            return Refused("no_route", f"no {self._docket.venue} session takes it{nor}")
        if pursuit.said is ACCEPTED:
            pursuit.error = NO_PROOF
            return Unknown(pursuit.routes)
        if self.is_denied(pursuit, waiter):
            return self.not_there(pursuit)
        if pursuit.pending or pursuit.ambiguous or pursuit.denied_ns is not None or pursuit.reject_class is None:
            return Unknown(pursuit.routes)
        return Rejected(pursuit.reject_class)

    def _family_verdict(self, family: Family, waiter: Waiter) -> Outcome | None:
        """What its orders came to one by one; None where its own request decides."""
        if family.children is not None:
            combined = family.combined()
            seen = self._docket.policy.mass or family.seen_for(waiter)
            seen = seen and not self.unlisted(family)
            if waiter.proof and isinstance(combined, Acked):
                family.error = NO_PROOF
                return Unknown(family.routes)
            return combined if seen and not isinstance(combined, SAFE) else Unknown(family.routes)
        if not family.attempts and family.listed_ns and not self._docket.policy.mass:
            family.error = "no whole list of what is open could be had"
            return Unknown(("ws",))
        return None

    def is_denied(self, pursuit: Pursuit, waiter: Waiter) -> bool:
        """Whether the venue's last denial is final for this waiter: asked after his window, and no stream shows it."""
        denied_ns = pursuit.denied_ns
        if denied_ns is None or denied_ns < self.window_ns(pursuit, waiter):
            return False
        if waiter.target.kind == "cl_ord_id" and pursuit.key.kind == "order_id":
            # The denial was of an order; another one may bear the name.
            return False
        return not self.seen_open(pursuit)

    def not_there(self, pursuit: Pursuit) -> Outcome:
        """What a last denial means: after an attempt that may have worked, the order was perhaps ended by us."""
        if pursuit.bearer is not None and pursuit.ours:
            return Canceled(pursuit.bearer.filled_qty)
        if (pursuit.ambiguous or pursuit.pending) and not pursuit.absent:
            return Closed(None, None, "unconfirmed")
        if pursuit.bearer is not None:
            return Closed(closed_state(pursuit.bearer), pursuit.bearer.filled_qty)
        return NotOpen()

    def window_ns(self, pursuit: Pursuit, waiter: Waiter) -> int:
        """Until then the waiter's order may still appear. A denial counts for him when its request left later."""
        if pursuit.bearer is not None:
            # The order that the name stood for is known, and has ended.
            return waiter.asked_ns
        # A cancel can overtake its own add. A quarter of a short deadline is kept for the last answer to come back.
        return waiter.asked_ns + min(self._docket.policy.overtake_ns, (waiter.deadline_ns - waiter.asked_ns) * 3 // 4)

    def seen_open(self, pursuit: Pursuit) -> bool:
        """Whether the order stream says that it rests, or that some of its family does."""
        if pursuit.key.kind == "userref":
            return bool(self._docket.resting.open_under(int(pursuit.key.value)))
        if pursuit.key.kind != "order_id":
            return False
        row = self._docket.resting.get(str(pursuit.key.value))
        return row is not None and row.status == "open"

    def unlisted(self, family: Family) -> bool:
        """Whether its request by userref may have met orders unknown to us: no stream has told all, and no list."""
        if not self._docket.policy.mass or family.key.kind != "userref":
            return False
        return not (self.streamed(family) or family.seen_ns)

    def streamed(self, family: Family) -> bool:
        """Whether some stream has told of every order. A stream that left a request unanswered may be dead, and none
        has told all where the venue canceled more orders than the streams showed."""
        if family.oks > len(family.meant | family.perhaps):
            return False
        lanes, mute = self._docket.lanes, family.mute
        heard = lanes.heard_ns
        return family.witnessed and any(heard.get(lane, 0) >= mute.get(lane, 0) for lane in lanes.witnesses)

    def accounted(self, family: Family) -> bool:
        """Whether the venue accepted as many orders as the request can have met."""
        if family.key.kind != "userref":
            return family.complete
        if self.unlisted(family):
            return False
        return family.oks >= max(1, len(family.meant | family.perhaps) - family.otherwise)

    def acceptance_failed(self, pursuit: Pursuit, now_ns: int) -> bool:
        """Whether the acceptance did not hold: long after it, the order stream still shows the order open."""
        assert pursuit.acked_ns is not None
        old = pursuit.acked_ns + self._docket.policy.hedge_ns < now_ns
        return old and pursuit.key.kind == "order_id" and self.seen_open(pursuit)

    def takes_back(self, pursuit: Pursuit, attempt: Attempt[Pursuit], reject: CancelReject) -> bool:
        """Whether the refusal answers the same request that was accepted, and the order has not ended since.

        A refusal of the hedge's second request says nothing about the first: it came too late, as it mostly does.
        """
        if attempt.reqid != pursuit.accepted_by or reject.fault is Fault.NOT_OPEN:
            return False
        resting, name = self._docket.resting, str(pursuit.key.value)
        row = resting.get(name) if pursuit.key.kind == "order_id" else resting.bearer(name)
        return row is None or not row.ended

    def corrected_symbol(self, pursuit: Pursuit) -> str | None:
        """The symbol that the order stream tells, where a client named another; None where nothing contradicts it."""
        if pursuit.symbol is None or not self._docket.policy.symbols:
            return None
        told = self.symbol_of(pursuit)
        return None if told == pursuit.symbol else told

    def symbol_of(self, pursuit: Pursuit) -> str | None:
        """What the order stream says, else what a client said."""
        row = self._docket.resting.get(str(pursuit.key.value)) if pursuit.key.kind == "order_id" else pursuit.bearer
        return pursuit.symbol if row is None or row.symbol is None else row.symbol

    def is_of_one(self, family: Family, fault: Fault) -> bool:
        """Whether the refusal may be of one order of the family only, unnamed: then each order goes by its own id."""
        if family.children is not None:
            return True
        if family.key.kind != "userref":
            return False
        if family.oks or family.ambiguous:
            return True
        return bool(family.meant) if fault is Fault.NOT_OPEN else not RULES[fault].whole
