"""Prime's ways in the engine: no REST, no request for everything, a symbol in each cancel, answers on every session."""

from typing import Any

import pytest

from canceld.contract.evidence import CancelAck, CancelReject, Fault, Looked, Orders, OrderState, Unattributed
from canceld.contract.ids import EVERYTHING, Target
from canceld.contract.outcomes import Acked, Canceled, Closed, NotOpen, Refused, Rejected, Unknown
from canceld.engine.effects import Alert, Look, Send
from canceld.engine.inflight import Reqids
from canceld.engine.instants import FAR_NS, MS
from canceld.engine.lane import Lane
from canceld.engine.policy import Policy
from canceld.engine.pursuits.families import LOOKS_NEEDED, WALK_BURST
from canceld.engine.pursuits.front import Pursuits
from canceld.engine.pursuits.questions import LOOK_LIMIT

from ..desk import DEADLINE_MS, HEDGE_MS, LATE_MS, OVERTAKE_MS, Desk, named, order

O1, O2, O3 = "a-1", "b-2", "c-3"
SYMBOL = "BTC-USD"


class PrimeDesk(Desk):
    """The same desk at Prime. `looked` holds the looks that were asked for since it was emptied."""

    def __init__(self, *lanes: Lane) -> None:
        super().__init__()
        policy = Policy(
            HEDGE_MS * MS, OVERTAKE_MS * MS, LATE_MS * MS, 1000, rest=False, mass=False, symbols=True, shared=True
        )
        self.pursuits = Pursuits("prime", policy, Reqids(1), self.resting)
        self.looked: list[Look] = []
        for lane in lanes:
            self.up(lane)

    def carry_out(self) -> None:
        self.looked += [effect for effect in self.pursuits.effects if type(effect) is Look]
        self.pursuits.effects = [effect for effect in self.pursuits.effects if type(effect) is not Look]
        super().carry_out()

    def cancel(
        self,
        ticket: Any,
        target: Target = EVERYTHING,
        *,
        proof: bool = False,
        deadline_ms: float = DEADLINE_MS,
        symbol: str | None = None,
    ) -> None:
        self.pursuits.submit(ticket, target, proof, self.now_ns + round(deadline_ms * MS), self.now_ns, symbol)
        self.carry_out()

    def rests(self, *order_ids: str) -> None:
        self.stream(*(OrderState(order_id, "open", symbol=SYMBOL) for order_id in order_ids))

    def look(self) -> Look:
        """The one look asked for since the last one."""
        looks, self.looked = self.looked, []
        assert len(looks) == 1, looks
        return looks[0]

    def see(self, look: Look, *states: OrderState, complete: bool = True) -> None:
        self.hear(look.lane, Looked(look.reqid, states, complete, self.now_ns))

    def accept(self, send: Send, event_id: str = "e-1", lane: Lane | None = None) -> None:
        at = send.lane if lane is None else lane
        self.hear(at, CancelAck(send.reqid, str(send.target.value), event_id=event_id))

    def refuse(self, send: Send, fault: Fault, event_id: str = "e-2", lane: Lane | None = None) -> None:
        at = send.lane if lane is None else lane
        self.hear(at, CancelReject(send.reqid, fault, fault.name, event_id=event_id))

    @property
    def alerts(self) -> list[Alert]:
        return [told for told in self.told if type(told) is Alert]


@pytest.fixture
def desk() -> PrimeDesk:
    desk = PrimeDesk(0, 1)
    desk.rests(O1)
    return desk


# ---------------------------------------------------------------- answers on every session


def test_an_acceptance_is_taken_from_whichever_session_tells_it_first(desk: PrimeDesk) -> None:
    desk.cancel("t", order(O1))
    desk.accept(desk.last(), lane=1)
    assert desk.outcome("t") == Acked()


def test_an_event_told_again_is_a_repetition_also_after_it_was_revoked(desk: PrimeDesk) -> None:
    desk.cancel("t", order(O1), proof=True)
    send = desk.last()
    desk.accept(send)
    desk.refuse(send, Fault.UNAVAILABLE)
    desk.accept(send, lane=1)
    assert desk.pursuits.counts.repeated_acks == 1
    desk.take()
    desk.wait(DEADLINE_MS)
    settlement = desk.answers["t"]
    assert isinstance(settlement.outcome, Unknown)
    assert settlement.error == "UNAVAILABLE"


@pytest.mark.parametrize("fault", [fault for fault in Fault if fault is not Fault.NOT_OPEN])
def test_an_acceptance_that_is_taken_back_is_told_late_and_alerts(desk: PrimeDesk, fault: Fault) -> None:
    desk.cancel("a", order(O1))
    send = desk.last()
    desk.accept(send)
    desk.refuse(send, fault)
    [late] = desk.lates
    assert (late.ticket, type(late.settlement.outcome)) == ("a", Rejected)
    [alert] = desk.alerts
    assert O1 in alert.what


def test_it_is_told_once(desk: PrimeDesk) -> None:
    desk.cancel("a", order(O1))
    send = desk.last()
    desk.accept(send)
    desk.refuse(send, Fault.UNAVAILABLE, "e-2")
    desk.refuse(send, Fault.UNAVAILABLE, "e-2", lane=1)
    desk.refuse(send, Fault.UNAVAILABLE, "e-3")
    assert len(desk.lates) == len(desk.alerts) == 1


def test_also_to_those_who_joined_while_another_waits_for_proof(desk: PrimeDesk) -> None:
    desk.cancel("a", order(O1))
    desk.cancel("p", order(O1), proof=True)
    send = desk.last()
    desk.accept(send)
    desk.cancel("b", order(O1))
    assert desk.outcome("a") == desk.outcome("b") == Acked()
    desk.refuse(send, Fault.UNAVAILABLE)
    assert [late.ticket for late in desk.lates] == ["a", "b"]
    # And for the third it goes on.
    desk.accept(desk.last(), "e-3")
    desk.canceled(O1, "0.5")
    assert desk.outcome("p") == Canceled("0.5")


def test_for_one_of_everything_it_counts_against_everything(desk: PrimeDesk) -> None:
    """(Simulation seed 2719, which this ended the daemon of.)"""
    desk.rests("o-2")
    desk.cancel("all")
    first, second = desk.take()
    desk.accept(first, "e-1")
    desk.refuse(first, Fault.UNAVAILABLE, "e-2")
    desk.accept(second, "e-3")
    desk.canceled(str(second.target.value))
    assert desk.lates == []
    assert len(desk.alerts) == 1
    desk.see(desk.look(), OrderState(str(first.target.value), "open", symbol=SYMBOL))
    desk.wait(DEADLINE_MS)
    assert isinstance(desk.outcome("all"), Rejected)


def test_everything_that_was_answered_stays_answered_and_people_are_told(desk: PrimeDesk) -> None:
    desk.cancel("all")
    [send] = desk.take()
    desk.accept(send)
    desk.see(desk.look())
    assert desk.outcome("all") == Acked()
    desk.refuse(send, Fault.UNAVAILABLE)
    assert desk.lates == []
    assert len(desk.alerts) == 1


def test_who_joins_for_proof_is_told_that_it_is_proved(desk: PrimeDesk) -> None:
    """The walk had begun for somebody who did not ask for it. (Simulation seed 783.)"""
    desk.cancel("all")
    [send] = desk.take()
    desk.cancel("proof", proof=True)
    desk.accept(send)
    desk.canceled(O1)
    for _ in range(LOOKS_NEEDED + 1):
        if desk.looked:
            desk.see(desk.look())
        desk.wait(50)
    assert desk.outcome("all") == Acked()
    assert desk.outcome("proof") == Canceled()


def test_the_refused_twin_of_a_hedge_takes_nothing_back(desk: PrimeDesk) -> None:
    desk.cancel("t", order(O1))
    first = desk.last()
    desk.wait(HEDGE_MS)
    second = desk.last()
    assert {first.lane, second.lane} == {0, 1}
    desk.accept(second)
    assert desk.outcome("t") == Acked()
    desk.refuse(first, Fault.TRANSIENT)
    assert (desk.lates, desk.alerts) == ([], [])


def test_nor_does_a_refusal_after_the_orders_end(desk: PrimeDesk) -> None:
    desk.cancel("t", order(O1))
    send = desk.last()
    desk.accept(send)
    desk.filled(O1)
    desk.refuse(send, Fault.TRANSIENT)
    assert (desk.lates, desk.alerts) == ([], [])


def test_an_answer_that_names_another_order_is_nobodys(desk: PrimeDesk) -> None:
    desk.cancel("t", order(O1))
    send = desk.last()
    desk.hear(0, CancelAck(send.reqid, O2, event_id="e-1"))
    assert desk.outcome("t") is None
    assert desk.pursuits.counts.stray_acks == 1


# ---------------------------------------------------------------- symbols


def test_the_streams_symbol_is_believed_before_the_clients(desk: PrimeDesk) -> None:
    desk.cancel("t", order(O1), symbol="ETH-USD")
    assert desk.last().symbol == SYMBOL


def test_without_a_symbol_nothing_leaves_and_the_refusal_names_it(desk: PrimeDesk) -> None:
    desk.cancel("t", order(O2))
    assert desk.take() == []
    look = desk.look()
    assert look.order_id == O2
    desk.see(look)
    desk.wait(DEADLINE_MS)
    outcome = desk.outcome("t")
    assert isinstance(outcome, Refused)
    assert (outcome.reason, outcome.detail.split(":")[0]) == ("invalid", "symbol")


@pytest.mark.parametrize("how", ["the stream", "a look", "another client"])
def test_it_leaves_the_moment_somebody_tells_the_symbol(desk: PrimeDesk, how: str) -> None:
    desk.cancel("t", order(O2))
    look = desk.look()
    desk.wait(50)
    if how == "the stream":
        desk.rests(O2)
    elif how == "a look":
        desk.see(look, OrderState(O2, "open", symbol=SYMBOL))
    else:
        desk.cancel("u", order(O2), symbol=SYMBOL)
    send = desk.last()
    assert (send.target, send.symbol) == (order(O2), SYMBOL)
    desk.accept(send)
    assert desk.outcome("t") == Acked()


def test_by_name_it_goes_as_it_stands_and_learns_its_order_from_the_answer(desk: PrimeDesk) -> None:
    desk.cancel("t", named("mine"), proof=True, symbol=SYMBOL)
    send = desk.last()
    assert (send.target, send.symbol) == (named("mine"), SYMBOL)
    desk.hear(0, CancelAck(send.reqid, O2, "mine", event_id="e-1"))
    desk.stream(OrderState(O2, "canceled", "mine", filled_qty="0.2"))
    settlement = desk.answers["t"]
    assert (settlement.outcome, settlement.order_id) == (Canceled("0.2"), O2)


def test_by_a_name_that_nobody_knows_and_without_a_symbol_nothing_can_be_asked(desk: PrimeDesk) -> None:
    desk.cancel("t", named("mine"))
    desk.wait(DEADLINE_MS)
    assert isinstance(desk.outcome("t"), Refused)
    assert (desk.take(), desk.looked) == ([], [])


# ---------------------------------------------------------------- looks


def test_with_its_session_lost_it_leaves_again_and_is_asked_for_in_the_same_step(desk: PrimeDesk) -> None:
    desk.cancel("t", order(O1))
    first = desk.last()
    desk.down(first.lane)
    second = desk.last()
    assert second.lane != first.lane
    assert second.reqid != first.reqid
    desk.see(desk.look(), OrderState(O1, "canceled", filled_qty="0.1"))
    assert desk.outcome("t") == Canceled("0.1")


def test_a_look_lost_with_its_session_is_asked_again(desk: PrimeDesk) -> None:
    desk.cancel("t", order(O1), proof=True)
    desk.accept(desk.last())
    desk.wait(HEDGE_MS)
    look = desk.look()
    desk.down(look.lane)
    desk.wait(HEDGE_MS)
    again = desk.look()
    assert again.lane != look.lane
    desk.see(again, OrderState(O1, "canceled"))
    assert desk.outcome("t") == Canceled()


def test_a_look_that_shows_nothing_proves_nothing(desk: PrimeDesk) -> None:
    desk.cancel("t", order(O1), proof=True)
    desk.accept(desk.last())
    desk.wait(HEDGE_MS)
    desk.see(desk.look())
    desk.wait(DEADLINE_MS)
    assert isinstance(desk.outcome("t"), Unknown)


def test_silent_sessions_are_tried_again_once_the_order_is_seen_to_rest(desk: PrimeDesk) -> None:
    desk.cancel("t", order(O1))
    desk.wait(2 * HEDGE_MS)
    assert len(desk.take()) == 2
    desk.see(desk.look(), OrderState(O1, "open", symbol=SYMBOL))
    third = desk.last()
    desk.accept(third)
    assert desk.outcome("t") == Acked()
    assert desk.pursuits.idle


def test_unknown_asked_again_until_the_window_ends_is_not_open(desk: PrimeDesk) -> None:
    desk.cancel("t", order(O2), symbol=SYMBOL)
    asked_ms = desk.now_ms
    for turn in range(200):
        for send in desk.take():
            desk.refuse(send, Fault.NOT_OPEN, f"e-{turn}-{send.reqid}")
        while desk.looked:
            desk.see(desk.looked.pop())
        if desk.outcome("t") is not None:
            break
        desk.wait(10)
    assert desk.outcome("t") == NotOpen()
    assert desk.now_ms - asked_ms >= OVERTAKE_MS


def test_filled_before_it_came_is_closed(desk: PrimeDesk) -> None:
    desk.cancel("t", order(O1))
    send = desk.last()
    desk.filled(O1)
    desk.refuse(send, Fault.TRANSIENT)
    assert desk.outcome("t") == Closed("filled", "5")
    assert desk.take() == []


# ---------------------------------------------------------------- the past


def test_what_ended_before_we_came_is_kept_and_not_told_as_news(desk: PrimeDesk) -> None:
    past = tuple(OrderState(f"old-{number}", "filled", filled_qty="1") for number in range(100))
    desk.hear(0, Orders((*past, OrderState(O1, "canceled")), False, initial=True))
    assert desk.ended == [O1]
    desk.cancel("t", order("old-7"))
    assert desk.outcome("t") == Closed("filled", "1")


# ---------------------------------------------------------------- everything


def _walk(desk: PrimeDesk, ms: float) -> list[Send]:
    """Let time pass in small steps, every cancel accepted and carried out at once."""
    sent: list[Send] = []
    for _ in range(round(ms / 10)):
        for send in desk.take():
            sent.append(send)
            desk.accept(send, f"p-{send.reqid}")
            desk.canceled(str(send.target.value))
        desk.wait(10)
    return sent


def test_everything_leaves_one_by_one_in_a_burst_then_paced_and_all_before_half_the_time_is_over() -> None:
    desk = PrimeDesk(0, 1)
    ids = [f"o-{number}" for number in range(300)]
    desk.rests(*ids)
    desk.cancel("all")
    assert len(desk.sent) == WALK_BURST
    sent = _walk(desk, DEADLINE_MS / 2 - 20)
    assert WALK_BURST < len(sent) < 160
    sent += _walk(desk, 50)
    assert sorted(str(send.target.value) for send in sent) == sorted(ids)
    assert desk.outcome("all") is None, "an order may rest of which nobody has told yet"
    desk.see(desk.look())
    settlement = desk.answers["all"]
    assert (settlement.outcome, settlement.count, settlement.residual) == (Acked(), 300, ())


def test_proof_takes_looks_in_a_row_and_each_session_has_its_turn(desk: PrimeDesk) -> None:
    desk.cancel("all", proof=True)
    _walk(desk, DEADLINE_MS * 3 / 4 + 20)
    lanes = []
    for _ in range(LOOKS_NEEDED):
        assert desk.outcome("all") is None
        look = desk.look()
        assert look.order_id is None
        lanes.append(look.lane)
        desk.see(look)
    assert isinstance(desk.outcome("all"), Canceled)
    assert sorted(lanes) == [0, 1]


@pytest.mark.parametrize("proof", [False, True])
def test_a_look_asked_for_before_somebody_joined_tells_him_nothing(proof: bool) -> None:
    desk = PrimeDesk(0, 1)
    desk.cancel("first", proof=proof)
    early = desk.look()
    desk.wait(10)
    # Another order is placed, and its event is late: the list that is on its way does not hold it.
    desk.cancel("second", proof=proof)
    desk.see(early)
    assert desk.outcome("first") == (None if proof else Canceled())
    for _ in range(LOOKS_NEEDED if proof else 1):
        assert desk.outcome("second") is None
        desk.see(desk.look())
    assert desk.outcome("second") == Canceled()


def test_an_order_that_a_look_shows_is_gone_after_too(desk: PrimeDesk) -> None:
    desk.cancel("all", proof=True)
    _walk(desk, DEADLINE_MS * 3 / 4 + 20)
    desk.see(desk.look(), OrderState(O2, "open", symbol=SYMBOL))
    send = desk.last()
    assert send.target == order(O2)
    assert desk.outcome("all") is None


def test_a_look_that_was_not_completed_counts_for_nothing() -> None:
    desk = PrimeDesk(0, 1)
    desk.cancel("all")
    for _ in range(20):
        while desk.looked:
            desk.see(desk.looked.pop(), complete=False)
        desk.wait(100)
    settlement = desk.answers["all"]
    assert isinstance(settlement.outcome, Unknown)
    assert settlement.error is not None


def test_with_no_session_it_is_refused_and_names_what_rests(desk: PrimeDesk) -> None:
    desk.rests(O2)
    desk.down(0)
    desk.down(1)
    desk.cancel("all")
    desk.wait(DEADLINE_MS)
    settlement = desk.answers["all"]
    assert isinstance(settlement.outcome, Refused)
    assert sorted(settlement.residual) == [O1, O2]


def test_one_that_is_refused_for_good_makes_the_whole_rejected_and_is_named(desk: PrimeDesk) -> None:
    desk.rests(O2, O3)
    desk.cancel("all")
    desk.see(desk.look(), OrderState(O2, "open", symbol=SYMBOL))
    while desk.outcome("all") is None:
        for send in desk.take():
            if send.target == order(O2):
                desk.refuse(send, Fault.PERMISSION, f"r-{send.reqid}")
            else:
                desk.accept(send, f"p-{send.reqid}")
                desk.canceled(str(send.target.value))
        desk.wait(10)
    settlement = desk.answers["all"]
    assert isinstance(settlement.outcome, Rejected)
    assert settlement.residual == (O2,)


def test_nothing_is_left_behind(desk: PrimeDesk) -> None:
    desk.cancel("t", order(O1))
    desk.cancel("all", proof=True)
    _walk(desk, DEADLINE_MS)
    while desk.looked:
        desk.see(desk.looked.pop())
    desk.wait(LATE_MS + 1000)
    assert desk.pursuits.idle
    assert desk.pursuits.active == 0
    assert desk.pursuits.next_wake_ns == FAR_NS


# ---------------------------------------------------------------- many looks


def test_a_crowd_that_asks_at_once_shares_one_look_at_everything() -> None:
    desk = PrimeDesk(0, 1)
    ids = [f"o-{number}" for number in range(3 * LOOK_LIMIT)]
    desk.rests(*ids)
    for order_id in ids:
        desk.cancel(order_id, order(order_id), proof=True)
    desk.down(desk.take()[0].lane)
    looks, desk.looked = desk.looked, []
    assert len(looks) == LOOK_LIMIT + 1
    [shared] = [look for look in looks if look.order_id is None]
    half = len(ids) // 2
    desk.see(shared, *(OrderState(order_id, "canceled", filled_qty="0") for order_id in ids[half:]))
    assert {desk.outcome(order_id) for order_id in ids[half:]} == {Canceled("0")}
    assert {desk.outcome(order_id) for order_id in ids[:half]} == {None}
    for look in looks:
        if look.order_id is not None:
            desk.see(look, OrderState(look.order_id, "canceled", filled_qty="0"))
    # Those of the crowd whom the shared look did not show ask again, and find room.
    desk.wait(HEDGE_MS)
    assert {look.order_id for look in desk.looked} == set(ids[LOOK_LIMIT:half])


def test_a_shared_look_that_is_lost_is_no_answer() -> None:
    desk = PrimeDesk(0, 1)
    ids = [f"o-{number}" for number in range(LOOK_LIMIT + 5)]
    desk.rests(*ids)
    for order_id in ids:
        desk.cancel(order_id, order(order_id), proof=True)
    desk.down(0)
    desk.down(1)
    desk.wait(DEADLINE_MS)
    assert {type(desk.outcome(order_id)) for order_id in ids} == {Unknown}
    desk.wait(LATE_MS + 1000)
    assert desk.pursuits.idle


# ---------------------------------------------------------------- sent too much


def test_looks_pause_on_a_session_that_is_sent_too_much_and_cancels_go_on(desk: PrimeDesk) -> None:
    for lane in (0, 1):
        desk.hear(lane, Unattributed(Fault.ROUTE_BUSY, "Too many requests"))
    [*_, alert] = desk.alerts
    assert "Too many requests" in alert.what
    desk.cancel("t", order(O1))
    assert desk.last().lane == 0
    desk.wait(HEDGE_MS)
    assert desk.last().lane == 1
    desk.wait(HEDGE_MS)
    assert desk.looked == []
    desk.wait(1000 - 2 * HEDGE_MS)
    assert desk.look().order_id == O1


def test_another_session_is_looked_on_meanwhile(desk: PrimeDesk) -> None:
    desk.hear(1, Unattributed(Fault.ROUTE_BUSY, "Too many requests"))
    desk.cancel("t", order(O1))
    desk.wait(HEDGE_MS)
    desk.wait(HEDGE_MS)
    assert desk.look().lane == 0


def test_any_other_error_of_no_request_pauses_nothing(desk: PrimeDesk) -> None:
    for lane in (0, 1):
        desk.hear(lane, Unattributed(Fault.TRANSIENT, "internal error"))
    desk.cancel("t", order(O1))
    desk.wait(HEDGE_MS)
    desk.wait(HEDGE_MS)
    assert desk.look().order_id == O1
    assert desk.alerts == []
