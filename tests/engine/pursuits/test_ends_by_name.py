"""Proof by client order id over REST alone: a list of what has ended names the order, and nothing less is proof.

The answer to a cancel is a number, and no order can be asked for by its name. What the venue lists as ended under the
name since the cancel left is what the cancel met; what it lists from before is an earlier order of that name, which the
dialect leaves out. A list that lacks the name proves nothing: it is asked for again until the deadline.
"""

from canceld.contract.evidence import Fault, OrderState, RestCanceled
from canceld.contract.ids import EVERYTHING
from canceld.contract.outcomes import Acked, Canceled, Closed, Unknown
from canceld.engine.calls import Call

from ..desk import DEADLINE_MS, HEDGE_MS, O1, O2, Desk, named, order


def rest_alone() -> Desk:
    """Both sockets are down."""
    desk = Desk()
    desk.pursuits.policy = desk.pursuits.policy._replace(named_ends=True, named_batches=True)
    return desk


def accepted(desk: Desk, *names: str) -> int:
    """Each name is cancelled for a ticket that is called so, and REST takes it; when the request left."""
    for name in names:
        desk.cancel(name, named(name), proof=True)
    left_ns = desk.now_ns
    call = desk.call()
    assert call.targets == tuple(named(name) for name in names)
    desk.wait(10)
    desk.rest_count(call, len(names))
    return left_ns


def ended_soon(desk: Desk) -> Call:
    call = desk.call_soon()
    assert call.form == "ended"
    return call


def end(order_id: str, name: str, status: str = "canceled") -> OrderState:
    return OrderState(order_id, status, cl_ord_id=name, filled_qty="0.25")  # type: ignore[arg-type]


def test_a_list_that_names_it_is_proof() -> None:
    desk = rest_alone()
    left_ns = accepted(desk, "mm-1")
    call = ended_soon(desk)
    assert (call.targets, call.since_ns) == ((named("mm-1"),), left_ns)
    desk.rest_orders(call, end(O1, "mm-1"))
    told = desk.answers["mm-1"]
    assert (told.outcome, told.route, told.order_id) == (Canceled("0.25"), "rest", O1)
    assert desk.pursuits.idle


def test_one_that_filled_first_is_closed() -> None:
    desk = rest_alone()
    accepted(desk, "mm-1")
    desk.rest_orders(ended_soon(desk), end(O1, "mm-1", "filled"))
    assert desk.outcome("mm-1") == Closed("filled", "0.25")


def test_a_list_without_it_is_no_proof_and_is_asked_for_again() -> None:
    desk = rest_alone()
    accepted(desk, "mm-1")
    lists = 0
    while desk.outcome("mm-1") is None:
        if (call := desk.maybe_call()) is not None:
            assert call.form == "ended"
            desk.rest_orders(call, end(O2, "mm-2"), OrderState(O1, "open", cl_ord_id="mm-1"))
            lists += 1
        desk.wait(10)
    assert desk.outcome("mm-1") == Unknown(("rest",))
    assert 1 < lists <= DEADLINE_MS / HEDGE_MS, "a pause lies between two of them"


def test_one_batch_is_proved_by_one_list() -> None:
    desk = rest_alone()
    accepted(desk, "mm-1", "mm-2")
    call = ended_soon(desk)
    assert call.targets == (EVERYTHING,)
    desk.rest_orders(call, end(O1, "mm-1"))
    assert (desk.outcome("mm-1"), desk.outcome("mm-2")) == (Canceled("0.25"), None)
    desk.rest_orders(ended_soon(desk), end(O2, "mm-2"))
    assert desk.outcome("mm-2") == Canceled("0.25")


def test_cancels_that_left_at_different_times_are_not_proved_by_one_list() -> None:
    """The name of the later one may have been borne, until the earlier cancel had left, by another order."""
    desk = rest_alone()
    first_ns = accepted(desk, "mm-1")
    desk.wait(50)
    second_ns = accepted(desk, "mm-2")
    desk.wait(HEDGE_MS)
    first, second = desk.call(), desk.call()
    assert [(one.targets, one.since_ns) for one in (first, second)] == [
        ((named("mm-1"),), first_ns),
        ((named("mm-2"),), second_ns),
    ]
    desk.rest_orders(first, end(O2, "mm-2"))
    assert desk.outcome("mm-2") is None


def test_a_lost_cancel_is_not_asked_about_by_its_end() -> None:
    """Nobody knows which order it met, if any: what ended under the name may have ended before."""
    desk = rest_alone()
    desk.cancel("t", named("mm-1"), proof=True)
    desk.rest_fail(desk.call(), left=True)
    while desk.outcome("t") is None:
        call = desk.maybe_call()
        assert call is None or call.form != "ended"
        if call is not None:
            desk.rest_fail(call, left=True)
        desk.wait(10)
    assert desk.outcome("t") == Unknown(("rest",))


def test_whoever_is_content_with_an_ack_has_nothing_asked_for() -> None:
    desk = rest_alone()
    desk.cancel("t", named("mm-1"))
    desk.rest_count(desk.call())
    assert desk.outcome("t") == Acked()
    desk.wait(DEADLINE_MS)
    assert desk.maybe_call() is None


def test_a_key_that_may_not_see_what_has_ended_is_not_shown_twice() -> None:
    desk = rest_alone()
    accepted(desk, "mm-1")
    desk.rest_refuse(ended_soon(desk), Fault.PERMISSION)
    desk.wait(DEADLINE_MS - 3 * HEDGE_MS)
    assert desk.maybe_call() is None
    desk.wait(3 * HEDGE_MS)
    assert desk.outcome("mm-1") == Unknown(("rest",))


def test_an_end_that_was_known_before_proves_nothing() -> None:
    desk = rest_alone()
    desk.stream(OrderState(O1, "open", cl_ord_id="mm-1"))
    desk.canceled(O1)
    desk.wait(100)
    accepted(desk, "mm-1")
    desk.rest_orders(ended_soon(desk), end(O1, "mm-1"))
    assert desk.outcome("mm-1") is None
    desk.rest_orders(ended_soon(desk), end(O1, "mm-1"), end(O2, "mm-1"))
    assert desk.answers["mm-1"].order_id == O2


def test_an_order_known_by_its_own_id_is_asked_for_by_that() -> None:
    desk = rest_alone()
    desk.opened(O1, cl_ord_id="mm-1")
    desk.cancel("t", named("mm-1"), proof=True)
    desk.rest_count(desk.one_call("cancel", O1))
    desk.wait(HEDGE_MS)
    assert desk.call().targets == (order(O1),)


def test_of_a_pending_cancel_only_an_end_that_is_surely_later_is_asked_for() -> None:
    """An earlier order of the name may have ended in the second before, while the one that is meant rests on."""
    for pending in (True, False):
        desk = rest_alone()
        for name in ("mm-1", "mm-2"):
            desk.cancel(name, named(name), proof=True)
        desk.rest(desk.call(), RestCanceled(2, pending))
        call = ended_soon(desk)
        assert (call.surely, call.targets) == (pending, (EVERYTHING,))
        desk.rest_orders(call, end(O1, "mm-1"), end(O2, "mm-2"))
        assert desk.outcome("mm-1") == desk.outcome("mm-2") == Canceled("0.25")
