"""Futures over the Unified WebSocket, on real sockets: a plain day, and resets with cancels in flight."""

from collections.abc import Callable
from typing import Any, Final

import pytest

from tests.processes.peers import Dealer
from tests.processes.stage import Exchange, Service, until
from tests.processes.venue_day import WITHIN_S, ask_each, await_flat, await_up, live_through, place_known

ORDERS: Final = 20
DEADLINE_MS: Final = 5_000


@pytest.fixture
def service(exchange: Exchange, start: Callable[..., Service]) -> Service:
    told = exchange.told
    service = start(
        futures={
            "enabled": True,
            "rest_url": told["futures_rest_url"],
            "ws_url": told["futures_ws_url"],
            "uws_url": told["uws_url"],
            # No hedge: what goes elsewhere goes there because the socket went.
            "hedge_after_ms": DEADLINE_MS,
        },
    )
    await_up(service, "futures")
    return service


def frames(exchange: Exchange) -> list[dict[str, Any]]:
    """Every single cancel that the Unified WebSocket received."""
    return [one for one in exchange.log() if (one["route"], one["operation"]) == ("unified_ws", "cancel_order")]


def test_a_plain_day(exchange: Exchange, service: Service) -> None:
    live_through(exchange, service, "futures")
    routes = {one["route"] for one in exchange.log() if "cancel" in (one["operation"] or "")}
    assert routes == {"unified_ws"}


@pytest.mark.parametrize(("sockets", "route"), [(1, {"ws", "stream"}), (2, {"rest", "stream"})], ids=["one", "both"])
def test_what_a_reset_socket_took_with_it_goes_by_the_other_and_else_by_rest(
    exchange: Exchange, service: Service, sockets: int, route: set[str]
) -> None:
    order_ids = place_known(exchange, service, "futures", ORDERS)
    exchange.inject({"kind": "swallow_ack_before_effect", "match": "cancel_order", "times": ORDERS})
    with Dealer(service.commands) as dealer:
        ids = ask_each(dealer, "futures", order_ids, deadline_ms=DEADLINE_MS)
        until(lambda: len(frames(exchange)) == ORDERS, WITHIN_S, "all cancels are in flight")
        used = {one["session"] for one in frames(exchange)}
        assert len(used) == 1
        struck = {"session": used.pop()} if sockets == 1 else {}
        exchange.inject({"kind": "reset_sockets", "route": "unified_ws", **struck})
        replies = dealer.hear_all(ids, WITHIN_S)
    assert {reply["outcome"] for reply in replies} <= {"acked", "canceled"}, replies
    assert {reply["route"] for reply in replies} <= route
    assert [reply["order_id"] for reply in replies] == order_ids
    await_flat(exchange, "futures")
    await_up(service, "futures")
    assert service.status()["in_flight"] == 0
