"""A desk to drive the pursuits of one venue by hand."""

from collections.abc import Callable, Iterable
from typing import Any, Final

from canceld.contract.evidence import (
    CancelAck,
    CancelReject,
    Evidence,
    Fault,
    Orders,
    OrderState,
    RestAnswer,
    RestCanceled,
    RestFailed,
    RestOrders,
)
from canceld.contract.ids import EVERYTHING, Target
from canceld.contract.outcomes import Outcome, Settlement
from canceld.engine.calls import Call, Form
from canceld.engine.effects import Alert, Answer, Ended, Late, Redial, RenewToken, RestReady, Send
from canceld.engine.inflight import Reqids
from canceld.engine.instants import FAR_NS, MS
from canceld.engine.lane import Lane
from canceld.engine.policy import Policy
from canceld.engine.pursuits.front import Pursuits
from canceld.engine.resting import Resting

HEDGE_MS = 400
OVERTAKE_MS = 1500
LATE_MS = 60_000
DEADLINE_MS = 2000
STEP_MS = 10

O1, O2, O3 = "OAAAAA-AAAAA-AAAAAA", "OBBBBB-BBBBB-BBBBBB", "OCCCCC-CCCCC-CCCCCC"
"""Order ids as Spot gives them."""

WORDS: Final = {
    Fault.NOT_OPEN: "EOrder:Unknown order",
    Fault.THROTTLED: "EOrder:Rate limit exceeded",
    Fault.ROUTE_BUSY: "EAPI:Rate limit exceeded",
    Fault.STALE_TOKEN: "ESession:Invalid session",
    Fault.STALE_NONCE: "EAPI:Invalid nonce",
    Fault.CREDENTIALS: "EAPI:Invalid key",
    Fault.LOCKOUT: "EGeneral:Temporary lockout",
    Fault.PERMISSION: "EGeneral:Permission denied",
    Fault.INVALID: "EGeneral:Invalid arguments",
    Fault.UNAVAILABLE: "EService:Unavailable",
    Fault.TRANSIENT: "EService:Busy",
    Fault.UNLISTED: "ENew:Never seen",
}
"""What each fault is called at Spot; the last of them is called nothing yet."""


def order(order_id: str) -> Target:
    return Target("order_id", order_id)


def named(cl_ord_id: str) -> Target:
    return Target("cl_ord_id", cl_ord_id)


def userref(number: int) -> Target:
    return Target("userref", number)


class Desk:
    """Pursuits with a clock in milliseconds; what they ask for is sorted into lists as it comes."""

    def __init__(self, *lanes: Lane, rest: bool = True, late_limit: int = 1000, resting_limit: int = 1000) -> None:
        self.now_ms = 1000.0
        self.resting = Resting(resting_limit)
        policy = Policy(HEDGE_MS * MS, OVERTAKE_MS * MS, LATE_MS * MS, late_limit)
        if not rest:
            policy = policy._replace(rest=False)
        self.pursuits = Pursuits("spot", policy, Reqids(1), self.resting)
        self.sent: list[Send] = []
        self.answers: dict[Any, Settlement] = {}
        self.answered_ms: dict[Any, float] = {}
        self.lates: list[Late] = []
        self.ended: list[str] = []
        self.told: list[RenewToken | Redial | Alert] = []
        self.rest_ready = 0
        for lane in lanes:
            self.up(lane)

    @property
    def now_ns(self) -> int:
        return round(self.now_ms * MS)

    def carry_out(self) -> None:
        """Take the effects, as the caller of the engine does; one ticket is answered once only."""
        effects, self.pursuits.effects = self.pursuits.effects, []
        for effect in effects:
            match effect:
                case Send():
                    assert effect.lane in self.pursuits.live, "a frame for a lane that is down"
                    self.sent.append(effect)
                case Answer(ticket=ticket, settlement=settlement):
                    assert ticket not in self.answers, f"{ticket} was answered twice"
                    self.answers[ticket] = settlement
                    self.answered_ms[ticket] = self.now_ms
                case Late():
                    self.lates.append(effect)
                case Ended(row=row):
                    self.ended.append(row.order_id)
                case RestReady():
                    self.rest_ready += 1
                case _:
                    self.told.append(effect)

    # ---------------------------------------------------------------- what clients and sessions do

    def cancel(
        self, ticket: Any, target: Target = EVERYTHING, *, proof: bool = False, deadline_ms: float = DEADLINE_MS
    ) -> None:
        self.pursuits.submit(ticket, target, proof, self.now_ns + round(deadline_ms * MS), self.now_ns)
        self.carry_out()

    def batch(self, tickets: Iterable[tuple[Any, Target]], *, proof: bool = False) -> None:
        self.pursuits.submit_batch(list(tickets), proof, self.now_ns + DEADLINE_MS * MS, self.now_ns)
        self.carry_out()

    def up(self, lane: Lane) -> None:
        self.pursuits.sessions.up(lane, self.now_ns)
        if not len(self.pursuits.resting):
            self.pursuits.sessions.evidence(lane, Orders((), snapshot=True), self.now_ns)
        self.carry_out()

    def down(self, lane: Lane) -> None:
        self.pursuits.sessions.down(lane, self.now_ns)
        self.carry_out()

    def renewed(self, lane: Lane) -> None:
        self.pursuits.sessions.token_renewed(lane, self.now_ns)
        self.carry_out()

    def token_failed(self, lane: Lane) -> None:
        self.pursuits.sessions.token_failed(lane, self.now_ns)
        self.carry_out()

    def mode(self, mode: Any) -> None:
        self.pursuits.sessions.mode_changed(mode, self.now_ns)
        self.carry_out()

    # ---------------------------------------------------------------- what the venue says

    def hear(self, lane: Lane, evidence: Evidence) -> None:
        self.pursuits.sessions.evidence(lane, evidence, self.now_ns)
        self.carry_out()

    def ack(self, send: Send, order_id: str | None = None) -> None:
        self.hear(send.lane, CancelAck(send.reqid, order_id))

    def reject(self, send: Send, fault: Fault = Fault.NOT_OPEN, error: str | None = None) -> None:
        self.hear(send.lane, CancelReject(send.reqid, fault, error or WORDS[fault]))

    def stream(self, *states: OrderState, lane: Lane = 0, snapshot: bool = False) -> None:
        self.hear(lane, Orders(states, snapshot))

    def opened(self, order_id: str, **fields: Any) -> None:
        self.stream(OrderState(order_id, "open", **fields))

    def family(self, *order_ids: str, number: int = 7) -> None:
        """Orders under one userref appear."""
        for order_id in order_ids:
            self.opened(order_id, userref=number)

    def canceled(self, order_id: str, filled_qty: str | None = "0") -> None:
        self.stream(OrderState(order_id, "canceled", filled_qty=filled_qty))

    def filled(self, order_id: str) -> None:
        self.stream(OrderState(order_id, "filled", filled_qty="5"))

    # ---------------------------------------------------------------- runs of the above that begin many tests

    def asked(self, ticket: Any, target: Target, **wish: Any) -> Send:
        """Have something cancelled; the one frame that left for it. wish: as `cancel` takes it."""
        self.cancel(ticket, target, **wish)
        return self.last()

    def accepted(self, ticket: Any, target: Target, **wish: Any) -> Send:
        """The same, and the venue takes it."""
        send = self.asked(ticket, target, **wish)
        self.ack(send)
        return send

    def refused_with(self, fault: Fault, ticket: Any, target: Target, *, error: str | None = None, **wish: Any) -> Send:
        """The same, and the venue refuses it."""
        send = self.asked(ticket, target, **wish)
        self.reject(send, fault, error)
        return send

    def hedged(self, ticket: Any, target: Target, **wish: Any) -> list[Send]:
        """Have something cancelled, and leave that in silence; the frames that have left then."""
        self.cancel(ticket, target, **wish)
        self.wait(HEDGE_MS)
        return self.take()

    def asked_family(self, *order_ids: str, **wish: Any) -> Send:
        """Orders appear under a userref, and all of them are cancelled by it for ticket "t"; the frame that left."""
        self.family(*order_ids)
        return self.asked("t", userref(7), **wish)

    def split_family(self, *order_ids: str, **wish: Any) -> list[Send]:
        """The same, and that frame is left in silence; the frames that go after the orders one by one."""
        self.asked_family(*order_ids, **wish)
        self.wait(HEDGE_MS)
        return self.take()

    def asked_bearer(self, ticket: Any, **wish: Any) -> Send:
        """An order appears that bears a client order id, and is cancelled by that; the frame that left."""
        self.opened(O1, cl_ord_id="slot-1")
        return self.asked(ticket, named("slot-1"), **wish)

    def deny(self, call: Callable[[Call], None] | None = None, *, silent: Lane | None = None) -> int:
        """Deny each frame that has left since the last look; how many these were.

        call: answers each REST call; without it they are left lying. silent: the lane whose frames are not answered.
        """
        denied = [send for send in self.take() if send.lane != silent]
        for send in denied:
            self.reject(send)
        while call is not None and (wanted := self.maybe_call()) is not None:
            call(wanted)
        return len(denied)

    def deny_until_answered(
        self, ticket: Any, call: Callable[[Call], None] | None = None, *, silent: Lane | None = None
    ) -> list[float]:
        """The same again and again until the ticket is answered; when each frame left, in milliseconds from now."""
        began_ms, denied_ms = self.now_ms, []
        while ticket not in self.answers:
            denied_ms += self.deny(call, silent=silent) * [self.now_ms - began_ms]
            self.wait(STEP_MS)
        return denied_ms

    # ---------------------------------------------------------------- REST

    def call(self) -> Call:
        """The next REST call; there must be one."""
        call = self.maybe_call()
        assert call is not None, "no REST call is wanted"
        return call

    def one_call(self, form: Form, *order_ids: str) -> Call:
        """The next REST call, which is for these orders."""
        call = self.call()
        assert (call.form, call.order_ids) == (form, order_ids)
        return call

    def maybe_call(self) -> Call | None:
        assert self.pursuits.rest.wants_call or self.pursuits.rest.next_call(self.now_ns) is None
        call = self.pursuits.rest.next_call(self.now_ns)
        self.carry_out()
        return call

    def rest(self, call: Call, answer: RestAnswer) -> None:
        self.pursuits.rest.answered(call, answer, self.now_ns)
        self.carry_out()

    def rest_count(self, call: Call, count: int = 1) -> None:
        self.rest(call, RestCanceled(count, False))

    def call_soon(self) -> Call:
        """The next REST call, waited for."""
        while (call := self.maybe_call()) is None:
            self.wait(100)
        return call

    def rest_refuse(self, call: Call, fault: Fault, error: str | None = None) -> None:
        self.rest(call, RestFailed(fault, error or WORDS[fault]))

    def rest_orders(self, call: Call, *states: OrderState) -> None:
        self.rest(call, RestOrders(states))

    def nothing_open(self, call: Call) -> None:
        """The list that is asked for is empty."""
        assert call.form == "open_orders", call
        self.rest_orders(call)

    def nothing_rests(self) -> None:
        """Whatever list is asked for until two seconds from now is empty."""
        for _ in range(20):
            while (call := self.maybe_call()) is not None:
                self.nothing_open(call)
            self.wait(100)

    def rest_fail(self, call: Call, *, left: bool, why: str = "connection lost") -> None:
        self.pursuits.rest.failed(call, left, why, self.now_ns)
        self.carry_out()

    # ---------------------------------------------------------------- time

    def wait(self, ms: float) -> None:
        """Let time pass, waking the engine at each moment it asked for."""
        end_ms = self.now_ms + ms
        wakes = 0
        while (wake_ns := self.pursuits.next_wake_ns) != FAR_NS and wake_ns <= round(end_ms * MS):
            self.now_ms = max(self.now_ms, wake_ns / MS)
            self.pursuits.on_time(self.now_ns)
            self.carry_out()
            wakes += 1
            assert wakes < 10_000, "the engine wakes without end"
        self.now_ms = end_ms
        self.pursuits.on_time(self.now_ns)
        self.carry_out()

    # ---------------------------------------------------------------- looking

    def outcome(self, ticket: Any) -> Outcome | None:
        settlement = self.answers.get(ticket)
        return None if settlement is None else settlement.outcome

    def take(self) -> list[Send]:
        """The frames sent since the last look."""
        sent, self.sent = self.sent, []
        return sent

    def last(self) -> Send:
        """The one frame sent since the last look."""
        sent = self.take()
        assert len(sent) == 1, sent
        return sent[0]
