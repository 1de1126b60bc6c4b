"""The stage itself: a judge that condemns nothing would let every story pass."""

from typing import Any

import pytest
import trio

from canceld.contract.ids import VENUES, Venue
from canceld.sim.rates import UNLIMITED
from canceld.sim.server import Received

from . import wirelog
from .world import Stage, settings_for


@pytest.fixture
async def world() -> Stage:
    return Stage(settings_for(*VENUES, uws=True), 1, UNLIMITED)


def _told(world: Stage, outcome: str, venue: Venue, **fields: Any) -> None:
    now_ns = world.clock.monotonic_ns()
    told = {"type": "outcome", "id": 1, "outcome": outcome, "venue": venue, "received_ns": now_ns, **fields}
    world.judge.hear(told, now_ns)


def _end(world: Stage, venue: Venue, order_id: str) -> None:
    order = world.exchange.exchange.known_order(venue, order_id)
    assert order is not None
    world.exchange.exchange.cancel(order, "User requested")


@pytest.mark.parametrize("venue", VENUES)
@pytest.mark.parametrize("outcome", ["acked", "canceled", "closed", "not_open"])
async def test_no_order_that_rests_may_be_called_dead(world: Stage, venue: Venue, outcome: str) -> None:
    [order_id] = world.place(1, venue)
    with pytest.raises(AssertionError, match="rests"):
        _told(world, outcome, venue, order_id=order_id)
    _end(world, venue, order_id)
    _told(world, outcome, venue, order_id=order_id)


@pytest.mark.parametrize("venue", VENUES)
async def test_no_name_may_be_called_free_that_an_order_bears(world: Stage, venue: Venue) -> None:
    [order_id] = world.place(1, venue, cl_ord_id="3f2b7f6e-0000-4000-8000-000000000001")
    with pytest.raises(AssertionError, match="rests"):
        _told(world, "not_open", venue, cl_ord_id="3f2b7f6e-0000-4000-8000-000000000001")
    _end(world, venue, order_id)
    _told(world, "not_open", venue, cl_ord_id="3f2b7f6e-0000-4000-8000-000000000001")


@pytest.mark.parametrize("venue", VENUES)
async def test_an_order_placed_after_the_asking_was_not_meant(
    autojump_clock: object, world: Stage, venue: Venue
) -> None:
    asked_ns = world.clock.monotonic_ns()
    await trio.sleep(1.0)
    [order_id] = world.place(1, venue)
    _told(world, "not_open", venue, order_id=order_id, received_ns=asked_ns)
    for reply in (
        {"type": "all", "venues": {venue: {"outcome": "canceled", "residual": []}}},
        {"type": "killed", "venues": {venue: {"state": "flat"}}},
    ):
        world.judge.hear(reply, asked_ns)
        with pytest.raises(AssertionError):
            world.judge.hear(reply, world.clock.monotonic_ns())


@pytest.mark.parametrize("venue", VENUES)
async def test_how_an_order_ended_and_what_had_filled_must_be_true(world: Stage, venue: Venue) -> None:
    [order_id] = world.place(1, venue)
    world.fill(order_id, "0.25", venue)
    world.fill(order_id, None, venue)
    _told(world, "closed", venue, order_id=order_id, state="filled", filled_qty="1.0")
    for lie in ({"state": "expired"}, {"filled_qty": "0.25"}):
        with pytest.raises(AssertionError):
            _told(world, "closed", venue, order_id=order_id, **lie)
    with pytest.raises(AssertionError):
        _told(world, "canceled", venue, order_id=order_id)


async def test_an_order_of_another_venue_proves_nothing(world: Stage) -> None:
    [order_id] = world.place(1, "prime")
    _end(world, "prime", order_id)
    with pytest.raises(AssertionError, match="never was"):
        _told(world, "canceled", "futures", order_id=order_id)


@pytest.mark.parametrize(
    ("route", "body", "venue", "named", "reqid"),
    [
        ("spot_ws", {"event": "cancelOrder", "reqid": 7, "txid": ["O-1"]}, "spot", ["O-1"], 7),
        ("spot_ws_v2", {"method": "cancel_order", "req_id": 7, "params": {"order_userref": [5]}}, "spot", ["5"], 7),
        ("spot_rest", {"nonce": 1, "orders": ["O-1", "O-2"]}, "spot", ["O-1", "O-2"], None),
        ("unified_ws", {"method": "cancel_order", "req_id": 8, "params": {"order_id": ["U"]}}, "futures", ["U"], 8),
        ("prime_ws", {"type": "OrderCancelRequest", "reqid": 9, "data": [{"OrderID": "U"}]}, "prime", ["U"], 9),
        ("futures_rest", {"cliOrdId": "mm-1"}, "futures", ["mm-1"], None),
        (
            "futures_rest",
            {"json": '{"batchOrder":[{"order":"cancel","order_id":"U"},{"order":"cancel","cliOrdId":"mm-1"}]}'},
            "futures",
            ["U", "mm-1"],
            None,
        ),
        ("prime_ws", "not JSON", "prime", [], None),
    ],
)
def test_a_request_is_read_in_the_words_of_its_venue(
    route: str, body: Any, venue: Venue, named: list[str], reqid: int | None
) -> None:
    received = Received(0.0, route, 0, 0, None, body)
    assert (wirelog.venue_of(received), wirelog.names(received), wirelog.reqid(received)) == (venue, named, reqid)
