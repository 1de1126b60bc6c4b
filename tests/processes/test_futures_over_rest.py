"""Futures on real sockets: a plain day, and requests whose connections are reset under way, and the feed with them."""

from collections.abc import Callable
from typing import Any, Final

import pytest

from tests.processes.peers import Dealer
from tests.processes.stage import Exchange, Service, until
from tests.processes.venue_day import WITHIN_S, ask_each, await_up, live_through, place_known

ORDERS: Final = 20
DEADLINE_MS: Final = 5_000
HELD_S: Final = 2.0
"""How long the exchange would keep a request to itself: the reset comes long before."""


@pytest.fixture
def service(exchange: Exchange, start: Callable[..., Service]) -> Service:
    told = exchange.told
    service = start(
        futures={"enabled": True, "rest_url": told["futures_rest_url"], "ws_url": told["futures_ws_url"]},
    )
    await_up(service, "futures")
    return service


def cancels(exchange: Exchange) -> list[dict[str, Any]]:
    """Every cancelling request that Futures received."""
    return [one for one in exchange.log() if one["operation"] in ("cancelorder", "batchorder", "cancelallorders")]


def test_a_plain_day(exchange: Exchange, service: Service) -> None:
    live_through(exchange, service, "futures")
    assert {one["route"] for one in cancels(exchange)} == {"futures_rest"}


@pytest.mark.parametrize("till", ["ack", "proof"])
def test_requests_that_a_reset_cut_off_are_made_again(exchange: Exchange, service: Service, till: str) -> None:
    order_ids = place_known(exchange, service, "futures", ORDERS)
    held: dict[str, Any] = {"kind": "rest_delay", "seconds": HELD_S, "request": True, "route": "futures_rest"}
    exchange.inject(held | {"match": "cancelorder"}, held | {"match": "batchorder"})
    with Dealer(service.commands, "msgpack") as dealer:
        ids = ask_each(dealer, "futures", order_ids, until=till, deadline_ms=DEADLINE_MS)
        until(lambda: cancels(exchange), WITHIN_S, "a request is under way")
        exchange.clear()
        lost = len(cancels(exchange))
        exchange.inject(
            {"kind": "reset_sockets", "route": "futures_rest"}, {"kind": "reset_sockets", "route": "futures_feed"}
        )
        replies = dealer.hear_all(ids, WITHIN_S)
    # Whether the lost request had worked nobody was told: an order that is gone may be `closed` as well.
    assert {reply["outcome"] for reply in replies} <= {"canceled", "closed"}, replies
    assert [reply["order_id"] for reply in replies] == order_ids
    assert exchange.book()["futures"] == []
    assert len(cancels(exchange)) > lost
    await_up(service, "futures")
    assert service.status()["in_flight"] == 0
