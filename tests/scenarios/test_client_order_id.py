"""A strategy cancels by its own client order id.

Where the order stream told of the order, it is cancelled by the venue's id: the page does not say that a cl_ord_id
alone will do. Where the stream did not, the cl_ord_id is all there is, and it is sent as it stands.
"""

import pytest

from . import wirelog
from .world import SEEDS, WS_HOST, Staging


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_known_one_goes_by_the_venues_id(autojump_clock: object, stage: Staging, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1, cl_ord_id="mm-1")
        reply = await strategy.cancel(cl_ord_id="mm-1")
        assert reply["outcome"] in ("acked", "canceled")
        assert (reply["cl_ord_id"], reply["order_id"]) == ("mm-1", order_id)
        [request] = world.received("cancelOrder")
        assert wirelog.names(request) == [order_id]
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("route", ["ws", "rest"])
async def test_an_unknown_one_goes_as_it_stands(autojump_clock: object, stage: Staging, seed: int, route: str) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        world.inject("drop_event", match="placed")
        [order_id] = world.place(1, cl_ord_id="mm-1")
        if route == "rest":
            world.cut_off(WS_HOST)
            await world.passed(0.01)
        reply = await strategy.cancel(cl_ord_id="mm-1")
        # Over v2 an event tells whose it is: where it comes before the ack, that answers with the proof.
        assert reply["outcome"] in ("acked", "canceled")
        assert reply["route"] in (route, "stream")
        [request] = world.asked_of_venue("mm-1")
        assert wirelog.names(request) == ["mm-1"]
        assert world.asked_of_venue(order_id) == []
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_one_that_the_socket_does_not_take_goes_by_rest(
    autojump_clock: object, stage: Staging, seed: int
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        world.inject("drop_event", match="placed")
        world.place(1, cl_ord_id="mm-1")
        world.inject("token_error", match="cancelOrder", error="EGeneral:Invalid arguments:txid")
        reply = await strategy.cancel(cl_ord_id="mm-1")
        assert reply["outcome"] in ("acked", "canceled")
        assert [request.route for request in world.asked_of_venue("mm-1")][-1] == "spot_rest"
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_one_that_never_was_is_not_open(autojump_clock: object, stage: Staging, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        reply = await strategy.cancel(cl_ord_id="mm-1")
        assert reply["outcome"] == "not_open"


@pytest.mark.parametrize("seed", SEEDS)
async def test_one_used_again_cancels_the_order_that_is_open_now(
    autojump_clock: object, stage: Staging, seed: int
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        await world.place_seen(1, cl_ord_id="mm-1")
        first = await strategy.cancel(cl_ord_id="mm-1", until="proof")
        [second_order] = await world.place_seen(1, cl_ord_id="mm-1")
        second = await strategy.cancel(cl_ord_id="mm-1", until="proof")
        assert (first["outcome"], second["outcome"]) == ("canceled", "canceled")
        assert second["order_id"] == second_order
        assert world.resting == []
