"""Requests for one order are kept apart on each lane, whatever chain of answers, looks and refusals asks for them."""

import itertools

from canceld.contract.evidence import Fault, OrderState
from canceld.engine.reactions import PER_SECOND, REASK_MS, SPACE_MS

from .desk import DEADLINE_MS, HEDGE_MS, Desk, order

O1 = "OAAAAA-AAAAA-AAAAAA"


def test_looks_that_contradict_refusals_do_not_make_a_loop() -> None:
    """The list says that it rests and each cancel that it does not, both at once, in the last 200 ms and before."""
    for last_ms in (200.0, DEADLINE_MS):
        desk = Desk(0, 1)
        sent_ms: dict[str, list[float]] = {}
        desk.cancel("t", order(O1), deadline_ms=last_ms)
        for step in range(round(last_ms)):
            for send in desk.take():
                sent_ms.setdefault(f"ws{send.lane}", []).append(desk.now_ms)
                desk.reject(send)
            # A list in which it is, then another in which it is not: each time it opens anew.
            desk.stream(*([OrderState(O1, "open")] if step % 2 else []), snapshot=True)
            while (call := desk.maybe_call()) is not None:
                if call.form == "cancel":
                    sent_ms.setdefault("rest", []).append(desk.now_ms)
                    desk.rest_refuse(call, Fault.NOT_OPEN)
                else:
                    desk.rest_orders(call, OrderState(O1, "open"))
            desk.wait(1)
        assert sent_ms
        for times in sent_ms.values():
            assert all(later - earlier >= SPACE_MS for earlier, later in itertools.pairwise(times)), sent_ms
            assert all(later - earlier >= 1000 for earlier, later in zip(times, times[PER_SECOND:], strict=False))


def test_a_repeat_waits_for_its_look_up_and_leaves_when_that_is_answered() -> None:
    desk = Desk(0)
    desk.cancel("t", order(O1))
    desk.reject(desk.last())
    query = desk.call()
    desk.wait(HEDGE_MS - 1)
    assert desk.take() == []
    desk.rest_refuse(query, Fault.NOT_OPEN)
    desk.wait(0)
    assert desk.last().target == order(O1)


def test_a_repeat_does_not_wait_for_a_look_up_that_never_comes_back() -> None:
    desk = Desk(0)
    desk.cancel("t", order(O1))
    desk.reject(desk.last())
    desk.call()
    desk.wait(HEDGE_MS)
    assert desk.last().target == order(O1)


def test_a_look_up_that_is_quick_does_not_make_the_repeat_quicker() -> None:
    desk = Desk(0)
    desk.cancel("t", order(O1))
    desk.reject(desk.last())
    desk.rest_refuse(desk.call(), Fault.NOT_OPEN)
    desk.wait(REASK_MS[0] - 1)
    assert desk.take() == []
    desk.wait(1)
    assert desk.last().target == order(O1)
