"""Prime on real sockets: a plain day, one socket reset in mid-flight, and both of them."""

from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest

from tests.processes.peers import Dealer
from tests.processes.stage import Exchange, Service, until
from tests.processes.venue_day import WITHIN_S, ask_each, await_up, live_through, place_known

ORDERS: Final = 20
DEADLINE_MS: Final = 5_000


@pytest.fixture
def service(exchange: Exchange, start: Callable[..., Service]) -> Iterator[Service]:
    # No hedge: what goes by the other socket goes there because the first one went.
    service = start(
        prime={"enabled": True, "ws_url": exchange.told["prime_ws_url"], "hedge_after_ms": DEADLINE_MS},
    )
    await_up(service, "prime")
    yield service
    # Prime's REST cannot cancel, and Spot's has nothing to do with it.
    cancels = {one["route"] for one in exchange.log() if "ancel" in (one["operation"] or "")}
    assert cancels == {"prime_ws"}


def requests(exchange: Exchange) -> dict[str, list[dict[str, Any]]]:
    """Every cancel that Prime received, by its order."""
    received: dict[str, list[dict[str, Any]]] = {}
    for body in exchange.received("OrderCancelRequest"):
        for row in body["data"]:
            received.setdefault(row["OrderID"], []).append(row)
    return received


def test_a_plain_day(exchange: Exchange, service: Service) -> None:
    live_through(exchange, service, "prime")
    assert service.status()["venues"]["prime"]["rest"] is None


@pytest.mark.parametrize("sockets", [1, 2], ids=["one", "both"])
def test_what_a_reset_socket_took_with_it_goes_again_under_a_new_name(
    exchange: Exchange, service: Service, sockets: int
) -> None:
    order_ids = place_known(exchange, service, "prime", ORDERS)
    exchange.inject({"kind": "swallow_ack_before_effect", "match": "OrderCancelRequest", "times": ORDERS})
    with Dealer(service.commands, "msgpack") as dealer:
        ids = ask_each(dealer, "prime", order_ids, until="proof", deadline_ms=DEADLINE_MS)
        until(lambda: len(requests(exchange)) == ORDERS, WITHIN_S, "all cancels are in flight")
        used = {one["session"] for one in exchange.log() if one["operation"] == "OrderCancelRequest"}
        assert len(used) == 1
        struck = {"session": used.pop()} if sockets == 1 else {}
        exchange.inject({"kind": "reset_sockets", "route": "prime_ws", **struck})
        replies = dealer.hear_all(ids, WITHIN_S)
    assert {reply["outcome"] for reply in replies} == {"canceled"}, replies
    assert [reply["order_id"] for reply in replies] == order_ids
    assert exchange.book()["prime"] == []
    # A client order id that the venue has seen is refused: each attempt has its own.
    names = [row["ClOrdID"] for rows in requests(exchange).values() for row in rows]
    assert len(set(names)) == len(names) >= 2 * ORDERS
    await_up(service, "prime")
    assert service.status()["in_flight"] == 0
