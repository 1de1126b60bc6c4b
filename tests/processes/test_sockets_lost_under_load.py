"""A hundred cancels are in flight when the venue resets both sockets, or keeps its acknowledgements to itself."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.processes.peers import Dealer
from tests.processes.stage import Exchange, Service, until

ORDERS = 100
DEADLINE_MS = 5_000
GRACE_MS = 50
WITHIN_S = 8.0
SWALLOWED_EARLY = {"kind": "swallow_ack_before_effect", "match": "cancelOrder"}
SWALLOWED_LATE = {"kind": "swallow_ack_after_effect", "match": "cancelOrder"}
# The order stream would tell that the orders are gone; held back, only REST can.
STREAM_LATE = {"kind": "delay_events", "seconds": 6.0}

GONE = {"acked", "canceled", "closed"}


def ask_all(dealer: Dealer, order_ids: list[str], **fields: Any) -> list[Any]:
    return [dealer.cancel(order_id, deadline_ms=DEADLINE_MS, **fields) for order_id in order_ids]


def check_times(dealer: Dealer, ids: list[Any], replies: list[dict[str, Any]]) -> None:
    for id, reply in zip(ids, replies, strict=True):
        took_ms = (dealer.heard_ns(id) - reply["received_ns"]) / 1e6
        assert took_ms <= DEADLINE_MS + GRACE_MS, reply


def test_both_sockets_are_reset_and_rest_answers_for_all(exchange: Exchange, start: Callable[..., Service]) -> None:
    # No hedge: what goes by REST goes there because the sockets went.
    service = start(spot={"hedge_after_ms": DEADLINE_MS})
    order_ids = exchange.place(ORDERS)
    exchange.inject(SWALLOWED_EARLY)
    with Dealer(service.commands, "msgpack") as dealer:
        ids = ask_all(dealer, order_ids)
        until(lambda: len(exchange.received("cancelOrder")) == ORDERS, 2.0, "all cancels are in flight")
        assert service.status()["in_flight"] == ORDERS
        exchange.inject({"kind": "reset_sockets", "route": "spot_ws"})
        replies = dealer.hear_all(ids, WITHIN_S)
        assert {reply["outcome"] for reply in replies} <= GONE, replies
        assert {reply["route"] for reply in replies} == {"rest"}
        assert [reply["order_id"] for reply in replies] == order_ids
        check_times(dealer, ids, replies)
        assert exchange.resting() == []
        exchange.clear()
        service.await_up()
        assert service.status()["in_flight"] == 0
        dealer.hear_all(ids, WITHIN_S)


@pytest.mark.parametrize(
    ("faults", "needs_rest", "till"),
    [
        pytest.param([SWALLOWED_EARLY], True, "ack", id="before the effect"),
        pytest.param([SWALLOWED_EARLY], True, "proof", id="before the effect, and proof is wanted"),
        # The order stream proves it within milliseconds.
        pytest.param([SWALLOWED_LATE], False, "ack", id="after the effect"),
        pytest.param([SWALLOWED_LATE, STREAM_LATE], True, "ack", id="after the effect, and the order stream is late"),
    ],
)
def test_lost_acknowledgements_cost_time_and_nothing_else(
    exchange: Exchange, service: Service, faults: list[dict[str, Any]], needs_rest: bool, till: str
) -> None:
    order_ids = exchange.place(ORDERS)
    exchange.inject(*faults)
    with Dealer(service.commands) as dealer:
        ids = ask_all(dealer, order_ids, until=till)
        replies = dealer.hear_all(ids, WITHIN_S)
        check_times(dealer, ids, replies)
        assert {reply["outcome"] for reply in replies} <= (GONE if till == "ack" else {"canceled", "closed"}), replies
        assert [reply["order_id"] for reply in replies] == order_ids
        assert exchange.resting() == []
        by_rest = [one for one in exchange.log() if one["operation"] in ("CancelOrder", "CancelOrderBatch")]
        assert bool(by_rest) is needs_rest
        assert service.status()["in_flight"] == 0
        dealer.hear_all(ids, WITHIN_S)
