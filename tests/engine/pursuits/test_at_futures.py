"""Pursuits where REST is the hand or the last resort: Futures, by its classic way and over the Unified WebSocket."""

from typing import Any

import pytest

from canceld.contract.evidence import (
    CancelAllAck,
    CancelReject,
    Fault,
    OrderState,
    RestBatch,
    RestCanceled,
    RestEnded,
    RestFailed,
    RestOrders,
    RestUnreadable,
)
from canceld.contract.ids import Target
from canceld.contract.outcomes import Acked, Canceled, Closed, NotOpen, Refused, Rejected, Unknown
from canceld.engine.calls import Call
from canceld.engine.effects import Bundle
from canceld.engine.inflight import Reqids
from canceld.engine.instants import MS
from canceld.engine.lane import FEED, Lane
from canceld.engine.policy import Policy
from canceld.engine.pursuits.front import Pursuits
from canceld.engine.reactions import SPACE_MS

from ..desk import DEADLINE_MS, HEDGE_MS, LATE_MS, OVERTAKE_MS, Desk, named, order

U = [f"00000000-0000-4000-8000-{n:012d}" for n in range(10)]
TXID = "OAAAAA-AAAAA-AAAAAA"

POLICY = Policy(
    HEDGE_MS * MS,
    OVERTAKE_MS * MS,
    LATE_MS * MS,
    1000,
    batch_limit=20,
    query_limit=1,
    named_queries=True,
    sweeps=True,
    uuids=True,
    bundle_limit=3,
)


class FuturesDesk(Desk):
    def __init__(self, *lanes: Lane) -> None:
        super().__init__()
        self.pursuits = Pursuits("futures", POLICY, Reqids(1), self.resting)
        for lane in lanes:
            self.up(lane)

    def opened(self, order_id: str, **fields: Any) -> None:
        self.stream(OrderState(order_id, "open", **fields), lane=FEED)

    def sweep(self, *order_ids: str) -> None:
        tickets = [(order_id, order(order_id)) for order_id in order_ids]
        self.pursuits.submit_sweep(tickets, False, self.now_ns + DEADLINE_MS * MS, self.now_ns)
        self.carry_out()

    def bundled(self, *order_ids: str) -> tuple[Bundle, ...]:
        """Cancels that were to go as a batch, with REST refusing it, formed as they would be written."""
        self.batch([(order_id, order(order_id)) for order_id in order_ids])
        self.rest_refuse(self.call(), Fault.UNAVAILABLE, "redirect (HTTP 301)")
        alone, bundles = self.pursuits.batches.bundle(self.take(), crowded=True)
        assert alone == []
        return tuple(bundles)


def ended(order_id: str, status: Any = "canceled", filled_qty: str | None = "0") -> RestOrders:
    return RestOrders((OrderState(order_id, status, filled_qty=filled_qty),))


def silent_cancel() -> tuple[FuturesDesk, Call]:
    """A desk whose only cancel has met silence, and the query that it asks."""
    desk = FuturesDesk()
    desk.opened(U[0])
    desk.cancel("t", order(U[0]))
    assert desk.call().form == "cancel"
    desk.wait(HEDGE_MS)
    query = desk.call()
    assert query.form == "query"
    return desk, query


# ---------------------------------------------------------------- answers that name the state


def test_an_answer_that_names_the_state_is_the_proof_at_once() -> None:
    desk = FuturesDesk()
    desk.opened(U[0])
    desk.cancel("t", order(U[0]))
    desk.rest(desk.call(), ended(U[0], filled_qty="1.5"))
    assert desk.outcome("t") == Canceled("1.5")
    assert desk.pursuits.idle


@pytest.mark.parametrize("status", ["canceled", "filled"])
def test_an_end_without_its_quantity_does_not_keep_an_earlier_one(status: Any) -> None:
    desk = FuturesDesk()
    desk.opened(U[0], filled_qty="0")
    desk.cancel("t", order(U[0]))
    desk.rest(desk.call(), ended(U[0], status, None))
    assert desk.outcome("t") == (Canceled(None) if status == "canceled" else Closed("filled", None))


def test_an_end_without_the_venues_id_settles_a_cancel_by_name() -> None:
    desk = FuturesDesk()
    desk.cancel("t", named("mm-1"))
    desk.rest(desk.call(), RestEnded("filled"))
    assert desk.outcome("t") == Closed("filled", None)


def test_a_batch_settles_each_order_by_its_own_verdict_and_looks_up_the_one_without() -> None:
    desk = FuturesDesk()
    for order_id in U[:4]:
        desk.opened(order_id)
    desk.batch([(order_id, order(order_id)) for order_id in U[:4]])
    verdicts: dict[Target, Any] = {
        order(U[2]): ended(U[2]),
        order(U[0]): ended(U[0], "filled", "5"),
        order(U[1]): RestUnreadable("a cancel with a status that is not known"),
    }
    desk.rest(desk.call(), RestBatch(verdicts))
    assert desk.outcome(U[2]) == Canceled("0")
    assert desk.outcome(U[0]) == Closed("filled", "5")
    assert desk.outcome(U[1]) is desk.outcome(U[3]) is None
    query = desk.call()
    assert (query.form, query.targets) == ("query", (order(U[3]),))


# ---------------------------------------------------------------- silence on the only hand


def test_a_silent_request_is_sent_again_once_its_order_is_known_to_rest() -> None:
    desk, query = silent_cancel()
    desk.rest_orders(query, OrderState(U[0], "open"))
    again = desk.call()
    assert (again.form, again.targets) == ("cancel", (order(U[0]),))
    desk.rest(again, ended(U[0]))
    assert desk.outcome("t") == Canceled("0")
    assert desk.answers["t"].attempts == 2


def test_a_silent_request_that_is_answered_after_all_counts() -> None:
    desk = FuturesDesk()
    desk.opened(U[0])
    desk.cancel("t", order(U[0]))
    first = desk.call()
    desk.wait(HEDGE_MS)
    desk.rest_orders(desk.call(), OrderState(U[0], "open"))
    desk.call()
    desk.rest(first, ended(U[0]))
    assert desk.outcome("t") == Canceled("0")
    assert desk.pursuits.idle


def test_a_query_answered_before_the_hedge_delay_does_not_send_it_again() -> None:
    desk = FuturesDesk()
    desk.opened(U[0])
    desk.opened(U[1])
    desk.batch([(U[0], order(U[0])), (U[1], order(U[1]))])
    desk.rest(desk.call(), RestBatch({order(U[0]): ended(U[0])}))
    query = desk.call()
    desk.pursuits.submit("second", order(U[1]), False, desk.now_ns + DEADLINE_MS * MS, desk.now_ns)
    desk.rest_orders(query, OrderState(U[1], "open"))
    desk.wait(SPACE_MS)
    retry = desk.call()
    assert retry.targets == (order(U[1]),)
    assert desk.maybe_call() is None


def test_silence_with_no_query_answered_is_unknown() -> None:
    desk, query = silent_cancel()
    desk.rest_fail(query, left=True)
    desk.wait(DEADLINE_MS)
    assert desk.outcome("t") == Unknown(("rest",))


# ---------------------------------------------------------------- everything at once


def test_the_list_in_the_answer_to_a_sweep_ends_each_order() -> None:
    desk = FuturesDesk()
    for order_id in U[:3]:
        desk.opened(order_id)
    desk.sweep(*U[:3])
    call = desk.call()
    assert call.form == "all"
    desk.rest(call, RestCanceled(3, False, tuple(OrderState(order_id, "canceled") for order_id in U[:3])))
    assert [desk.outcome(order_id) for order_id in U[:3]] == [Canceled(None)] * 3
    assert {desk.answers[order_id].attempts for order_id in U[:3]} == {1}
    assert desk.pursuits.idle


def test_a_sweep_that_never_left_is_a_refusal_for_each_order() -> None:
    desk = FuturesDesk()
    for order_id in U[:3]:
        desk.opened(order_id)
    desk.sweep(*U[:3])
    while desk.now_ms < 1000 + DEADLINE_MS:
        while (call := desk.maybe_call()) is not None:
            desk.rest_fail(call, left=False, why="no connection")
        desk.wait(50)
    assert {type(desk.outcome(order_id)) for order_id in U[:3]} == {Refused}
    assert desk.pursuits.idle


def test_a_sweep_that_may_have_left_is_unknown_for_each_order() -> None:
    desk = FuturesDesk()
    for order_id in U[:3]:
        desk.opened(order_id)
    desk.sweep(*U[:3])
    desk.rest_fail(desk.call(), left=True)
    while desk.now_ms < 1000 + DEADLINE_MS:
        while (call := desk.maybe_call()) is not None:
            desk.rest_fail(call, left=False, why="no connection")
        desk.wait(50)
    assert {desk.outcome(order_id) for order_id in U[:3]} == {Unknown(("rest",))}


# ---------------------------------------------------------------- order ids that are no UUID


def test_an_order_id_that_is_no_uuid_goes_by_rest() -> None:
    desk = FuturesDesk(0, 1)
    desk.cancel("t", order(TXID))
    assert desk.take() == []
    desk.rest(desk.call(), ended(TXID))
    assert desk.outcome("t") == Canceled("0")


def test_with_rest_failing_it_still_goes_by_no_session() -> None:
    desk = FuturesDesk(0)
    desk.cancel("t", order(TXID))
    desk.rest_fail(desk.call(), left=False)
    desk.up(1)
    desk.wait(DEADLINE_MS)
    assert desk.take() == []
    assert isinstance(desk.outcome("t"), Refused)


def test_a_name_whose_order_turns_out_to_be_no_uuid_goes_by_rest_from_then_on() -> None:
    desk = FuturesDesk(0, 1)
    desk.cancel("t", named("mm-1"))
    send = desk.last()
    desk.reject(send, Fault.STALE_TOKEN, "ESession:Invalid session")
    desk.opened(TXID, cl_ord_id="mm-1")
    desk.renewed(0)
    assert desk.take() == []
    assert desk.call().targets == (order(TXID),)


@pytest.mark.parametrize("order_id", [U[0], U[0].upper(), "7d3c1f52-0b7e-4a55-9c1e-2f60d1a4b8c3"])
def test_a_uuid_goes_by_the_first_session(order_id: str) -> None:
    desk = FuturesDesk(0, 1)
    desk.cancel("t", order(order_id))
    assert desk.last().lane == 0


# ---------------------------------------------------------------- several orders in one request of a session


def test_what_was_to_go_as_a_batch_shares_requests_up_to_their_limit() -> None:
    desk = FuturesDesk(0)
    first, second = desk.bundled(*U[:6])
    assert (first.lane, first.order_ids, second.order_ids) == (0, tuple(U[:3]), tuple(U[3:6]))
    assert first.reqid != second.reqid


def test_single_cancels_share_a_request_only_where_the_budget_does_not_bear_them() -> None:
    desk = FuturesDesk(0)
    for order_id in U[:2]:
        desk.cancel(order_id, order(order_id))
    desk.cancel("named", named("mm-1"))
    sends = desk.take()
    assert desk.pursuits.batches.bundle(sends, crowded=True) == (sends, [])
    alone, [bundle] = desk.pursuits.batches.bundle(sends, crowded=False)
    assert ([send.target for send in alone], bundle.order_ids) == ([named("mm-1")], tuple(U[:2]))


def test_a_full_count_accepts_every_order_of_the_bundle() -> None:
    desk = FuturesDesk(0)
    [bundle] = desk.bundled(*U[:3])
    desk.hear(0, CancelAllAck(bundle.reqid, 3))
    assert [desk.outcome(order_id) for order_id in U[:3]] == [Acked()] * 3
    assert desk.pursuits.idle


@pytest.mark.parametrize("count", [0, 2, None])
def test_any_other_count_accepts_none_of_them(count: int | None) -> None:
    desk = FuturesDesk(0)
    [bundle] = desk.bundled(*U[:3])
    desk.hear(0, CancelAllAck(bundle.reqid, count))
    assert desk.answers == {}
    desk.stream(OrderState(U[1], "canceled"))
    assert desk.outcome(U[1]) == Canceled(None)
    desk.wait(DEADLINE_MS)
    assert isinstance(desk.outcome(U[0]), Unknown)


def test_after_a_short_count_each_goes_alone() -> None:
    desk = FuturesDesk(0)
    [bundle] = desk.bundled(*U[:3])
    desk.hear(0, CancelAllAck(bundle.reqid, 2))
    desk.wait(HEDGE_MS)
    sends = desk.take()
    assert len(sends) == 3
    assert desk.pursuits.batches.bundle(sends, crowded=False) == (sends, [])


@pytest.mark.parametrize("fault", [Fault.NOT_OPEN, Fault.INVALID, Fault.TRANSIENT, Fault.UNLISTED])
def test_a_bundle_refused_whole_says_nothing_of_any_order(fault: Fault) -> None:
    desk = FuturesDesk(0)
    [bundle] = desk.bundled(*U[:3])
    desk.hear(0, CancelReject(bundle.reqid, fault, "refused"))
    desk.wait(DEADLINE_MS)
    assert not any(isinstance(desk.outcome(order_id), NotOpen | Rejected) for order_id in U[:3])


def test_an_answer_on_another_session_is_not_the_bundles() -> None:
    desk = FuturesDesk(0, 1)
    [bundle] = desk.bundled(*U[:3])
    desk.hear(1, CancelAllAck(bundle.reqid, 3))
    assert desk.answers == {}


def test_a_lost_session_moves_the_orders_of_its_bundles() -> None:
    desk = FuturesDesk(0, 1)
    [bundle] = desk.bundled(*U[:3])
    desk.down(0)
    assert [(send.lane, send.target) for send in desk.take()] == [(1, order(order_id)) for order_id in U[:3]]
    desk.hear(0, CancelAllAck(bundle.reqid, 3))
    assert desk.answers.keys() == set(U[:3])


def test_bundles_are_forgotten_with_their_orders() -> None:
    desk = FuturesDesk(0)
    [bundle] = desk.bundled(*U[:3])
    desk.wait(DEADLINE_MS + LATE_MS + 1000)
    desk.hear(0, CancelAllAck(bundle.reqid, 3))
    assert desk.pursuits.counts.stray_acks == 1
    assert desk.pursuits.idle


def test_a_refused_batch_of_rest_that_only_wants_patience_waits() -> None:
    desk = FuturesDesk()
    desk.batch([(order_id, order(order_id)) for order_id in U[:3]])
    desk.rest(desk.call(), RestFailed(Fault.ROUTE_BUSY, "apiLimitExceeded"))
    assert desk.answers == {}
    assert desk.maybe_call() is None
    desk.wait(1000)
    call = desk.call()
    assert (call.form, len(call.targets)) == ("batch", 3)
    desk.rest(call, RestBatch({order(order_id): ended(order_id) for order_id in U[:3]}))
    assert [desk.outcome(order_id) for order_id in U[:3]] == [Canceled("0")] * 3
