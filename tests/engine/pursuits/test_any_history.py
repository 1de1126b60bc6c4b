"""Whatever happens, in any sequence: one outcome per command, and no order believed dead that is alive."""

import os
from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from canceld.contract.evidence import CancelAllAck, Fault, OrderState
from canceld.contract.ids import EVERYTHING
from canceld.contract.outcomes import Acked, Canceled, Closed, NotOpen, Refused, Rejected, Unknown
from canceld.engine.calls import Call
from canceld.engine.effects import Send
from canceld.engine.instants import FAR_NS
from canceld.engine.reactions import RULES

from ..desk import DEADLINE_MS, LATE_MS, O1, O2, Desk, named, order, userref
from ..model import Simulation

STEPS = st.one_of(
    st.tuples(
        st.just("cancel"),
        st.sampled_from([order(O1), order(O2), named("slot-1"), userref(7), EVERYTHING]),
        st.sampled_from([(False, 300), (True, 1000), (False, 2000)]),
    ),
    st.tuples(st.just("ack"), st.integers(0, 30), st.sampled_from([None, O1, O2])),
    st.tuples(st.just("all"), st.integers(0, 30), st.integers(0, 3)),
    st.tuples(st.just("reject"), st.integers(0, 30), st.sampled_from(list(Fault))),
    st.tuples(st.just("state"), st.sampled_from([O1, O2]), st.sampled_from(["open", "canceled", "filled", None])),
    st.tuples(st.just("snapshot"), st.sampled_from([(), (O1,), (O2,)]), st.sampled_from([0, 1])),
    st.tuples(st.just("session"), st.sampled_from(["up", "down", "renewed", "token_failed"]), st.sampled_from([0, 1])),
    st.tuples(st.just("mode"), st.sampled_from(["maintenance", "online"]), st.none()),
    st.tuples(st.just("rest"), st.sampled_from(["count", "orders", "unsent", "lost", *Fault]), st.integers(0, 3)),
    st.tuples(st.just("wait"), st.sampled_from([1, 60, 250, 450, 1100]), st.none()),
)


def play(desk: Desk, step: Any, sends: list[Send], calls: list[Call], deadlines: dict[int, float]) -> None:
    match step:
        case ("cancel", target, (proof, deadline_ms)):
            deadlines[len(deadlines)] = desk.now_ms + deadline_ms
            desk.cancel(len(deadlines) - 1, target, proof=proof, deadline_ms=deadline_ms)
        case ("ack", n, order_id) if sends:
            desk.ack(sends[n % len(sends)], order_id)
        case ("all", n, count) if sends:
            send = sends[n % len(sends)]
            desk.hear(send.lane, CancelAllAck(send.reqid, count))
        case ("reject", n, fault) if sends:
            desk.reject(sends[n % len(sends)], fault, fault.name)
        case ("state", order_id, status):
            desk.stream(OrderState(order_id, status, cl_ord_id="slot-1" if order_id == O1 else None, userref=7))
        case ("snapshot", order_ids, lane):
            desk.stream(*[OrderState(order_id, "open") for order_id in order_ids], lane=lane, snapshot=True)
        case ("session", what, lane):
            getattr(desk, what)(lane)
        case ("mode", mode, _):
            desk.mode(mode)
        case ("rest", answer, n):
            call = calls.pop(0) if calls and n else desk.maybe_call()
            if call is None:
                return
            if n == 3:
                calls.append(call)
            elif answer == "count":
                desk.rest_count(call, n)
            elif answer == "orders":
                desk.rest_orders(call, *[OrderState(O1, "open"), OrderState(O2, "canceled")][:n])
            elif isinstance(answer, Fault):
                desk.rest_refuse(call, answer, answer.name)
            else:
                desk.rest_fail(call, left=answer == "lost")
        case ("wait", ms, _):
            desk.wait(ms)
    sends += desk.take()


@settings(max_examples=400, deadline=None)
@given(st.lists(STEPS, max_size=40))
def test_whatever_happens_each_command_is_answered_once_in_time_and_nothing_is_left(history: list[Any]) -> None:
    desk = Desk(0, 1)
    sends: list[Send] = []
    calls: list[Call] = []
    deadlines: dict[int, float] = {}
    for step in history:
        play(desk, step, sends, calls, deadlines)
        assert all(ticket in desk.answers or at >= desk.now_ms for ticket, at in deadlines.items())
    desk.wait(DEADLINE_MS)
    assert set(desk.answers) == set(deadlines)
    assert all(desk.answered_ms[ticket] <= at for ticket, at in deadlines.items())
    for call in calls:
        desk.rest_fail(call, left=True)
    assert desk.pursuits.idle
    assert desk.pursuits.active == 0
    desk.wait(LATE_MS + 1000)
    assert desk.pursuits.next_wake_ns == FAR_NS or desk.pursuits.next_wake_ns > desk.now_ns
    told = [late.ticket for late in desk.lates]
    assert len(told) == len(set(told))
    assert all(isinstance(desk.outcome(ticket), Unknown) for ticket in told)


@settings(max_examples=300, deadline=None)
@given(st.lists(STEPS, max_size=30))
def test_whatever_happens_a_userref_leaves_again_only_after_it_was_turned_away(history: list[Any]) -> None:
    desk = Desk(0, 1)
    desk.cancel("t", userref(7), deadline_ms=60_000)
    sends = desk.take()
    open_requests = {send.reqid for send in sends}
    calls: list[Call] = []
    for step in history:
        if step[0] == "cancel" or step == ("rest", "count", 0):
            continue
        # Turned away as a whole, or not known at all; anything else may be of one order only.
        if step[0] == "reject" and sends and (RULES[step[2]].whole or step[2] is Fault.NOT_OPEN):
            open_requests.discard(sends[step[1] % len(sends)].reqid)
        before = len(sends)
        in_flight = len(open_requests)
        play(desk, step, sends, calls, {})
        again = [send for send in sends[before:] if send.target == userref(7)]
        assert not (again and in_flight), "it left again while the first may have worked"
        assert len(again) <= 1
        open_requests |= {send.reqid for send in again}


SEEDS = int(os.environ.get("CANCELD_SEEDS", "500"))


def test_no_answer_says_that_an_order_is_dead_which_rests_in_the_book() -> None:
    """Runs of clients, book, sessions and REST. CANCELD_SEEDS sets how many; `Simulation(seed).run()` repeats one."""
    outcomes: Counter[str] = Counter()
    for seed in range(SEEDS):
        simulation = Simulation(seed)
        try:
            simulation.run()
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error
        outcomes += simulation.outcomes
    kinds = (Acked, Canceled, Closed, NotOpen, Rejected, Unknown, Refused)
    assert all(outcomes[kind.__name__] for kind in kinds), f"the runs no longer reach every outcome: {outcomes}"
