"""The plain day and a lost socket over WebSocket v2, on real sockets, with the wire read afterwards."""

from collections.abc import Callable

from tests.processes.peers import Dealer
from tests.processes.stage import Exchange, Service, until

ORDERS = 50
WITHIN_S = 5.0


def test_cancels_go_by_v2_and_by_rest_where_its_sockets_are_lost(
    exchange: Exchange, start: Callable[..., Service]
) -> None:
    assert not exchange.told["spot_ws_url"].endswith("/v2")
    service = start(spot={"protocol": "v2"})
    first, second = exchange.place(ORDERS), exchange.place(ORDERS)
    with Dealer(service.commands) as dealer:
        replies = dealer.hear_all([dealer.cancel(order_id) for order_id in first], WITHIN_S)
        assert {reply["outcome"] for reply in replies} <= {"acked", "canceled"}
        assert {reply["route"] for reply in replies} <= {"ws", "stream"}
        assert sorted(exchange.resting()) == sorted(second)
        _check_frames(exchange, first)
        # An answer that the order stream gave may be a moment ahead of its ack.
        until(lambda: _told_times(service) == ORDERS, WITHIN_S, "every ack told the exchange's own time")

        exchange.inject({"kind": "reset_sockets", "route": "spot_ws_v2", "match": "cancel_order"})
        replies = dealer.hear_all([dealer.cancel(order_id) for order_id in second], WITHIN_S)
        assert {reply["outcome"] for reply in replies} <= {"acked", "canceled", "closed"}
    assert exchange.resting() == []
    exchange.clear()
    service.await_up()
    assert {one["route"] for one in exchange.log() if one["route"] != "spot_rest"} == {"spot_ws_v2"}


def _told_times(service: Service) -> int:
    return int(service.status()["venues"]["spot"]["venue_times"]["count"])


def _check_frames(exchange: Exchange, order_ids: list[str]) -> None:
    """Source: Spot WebSocket v2 "Cancel Order", Request tab; `req_id` is the optional member that we always send."""
    frames = exchange.received("cancel_order")
    for frame in frames:
        assert frame.keys() == {"method", "params", "req_id"}
        assert type(frame["req_id"]) is int
        assert frame["params"].keys() == {"order_id", "token"}
    assert sorted(order_id for frame in frames for order_id in frame["params"]["order_id"]) == sorted(order_ids)
    assert len({frame["req_id"] for frame in frames}) == len(order_ids)
