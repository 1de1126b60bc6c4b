"""An order leaves the feed's list: that it is gone is clear, what became of it only its reason tells.

The removal comes in two shapes, with reasons of which some are in no table, and a triggered stop leaves the list while
an order goes on. Only a reason that means an end is one; after every other the order's state is asked for.
"""

import pytest

from ..world import SEEDS
from .stages import stage


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("shape", ["order", "ids"])
@pytest.mark.parametrize("end", ["canceled", "filled"])
async def test_both_shapes_of_a_removal_are_the_proof(autojump_clock: object, seed: int, shape: str, end: str) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        orders = world.listen("order.futures")
        [order_id] = await world.place_seen(1, cl_ord_id="mm-1")
        world.inject("removal_shape", shape=shape)
        if end == "filled":
            world.fill(order_id)
        # Its answer is lost, so that the feed alone tells.
        world.inject("rest_delay", match="cancelorder", seconds=600.0)
        reply = await strategy.cancel(order_id=order_id)
        if end == "filled":
            assert (reply["outcome"], reply["state"]) == ("closed", "filled")
        else:
            assert (reply["outcome"], reply["route"]) == ("canceled", "stream")
        assert [(event["order_id"], event["state"]) for event in orders.events] == [(order_id, end)]
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("reason", ["brand_new_reason", "stop_order_triggered"])
async def test_after_a_reason_that_ends_nothing_the_state_is_asked_for(
    autojump_clock: object, seed: int, reason: str
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        world.inject("status_word", route="futures_feed", match="canceled", word=reason)
        world.inject("rest_delay", match="cancelorder", seconds=600.0)
        reply = await strategy.cancel(order_id=order_id)
        assert (reply["outcome"], reply["route"]) == ("canceled", "rest")
        assert world.received("orders/status") != []
        assert strategy.took(reply["id"]) < 0.05
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_triggered_stop_that_rests_on_is_still_canceled(autojump_clock: object, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1, cl_ord_id="stop-1")
        # A part of it trades, and the feed tells that in the words of a trigger: gone from the list, alive on the book.
        [feed] = [session for session in world.exchange.sessions.values() if session.route == "futures_feed"]
        feed.send_raw(
            f'{{"feed":"open_orders_verbose","order_id":"{order_id}","cli_ord_id":"stop-1",'
            '"is_cancel":true,"reason":"stop_order_triggered"}'
        )
        await world.passed(0.05)
        reply = await strategy.cancel(order_id=order_id)
        assert reply["outcome"] == "canceled"
        [second] = await world.place_seen(1, cl_ord_id="stop-2")
        feed.send_raw(
            f'{{"feed":"open_orders_verbose","order_id":"{second}","cli_ord_id":"stop-2",'
            '"is_cancel":true,"reason":"stop_order_triggered"}'
        )
        await world.passed(0.05)
        reply = await strategy.cancel(cl_ord_id="stop-2")
        assert reply["outcome"] == "canceled"
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_removal_for_an_order_that_rests_is_corrected_by_the_next_survey(
    autojump_clock: object, seed: int
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        [feed] = [session for session in world.exchange.sessions.values() if session.route == "futures_feed"]
        feed.send_raw(
            f'{{"feed":"open_orders_verbose","order_id":"{order_id}","is_cancel":true,"reason":"brand_new_reason"}}'
        )
        await world.passed(0.05)
        assert not world.pursuits.resting.is_open(order_id)
        await world.passed(10.5)
        assert world.pursuits.resting.is_open(order_id)
        assert (await strategy.do("cancel_all", until="proof"))["venues"]["futures"]["outcome"] == "canceled"
        assert world.resting == []
