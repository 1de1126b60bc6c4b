"""Cancels by the client's own order id, which the venue takes as well as its own."""

import pytest

from ..world import FEED_HOST, SEEDS
from .stages import stage


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_name_that_the_feed_knows_goes_by_the_orders_own_id(autojump_clock: object, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1, cl_ord_id="s7-000042")
        reply = await strategy.cancel(cl_ord_id="s7-000042")
        assert (reply["outcome"], reply["order_id"], reply["cl_ord_id"]) == ("canceled", order_id, "s7-000042")
        assert world.frames("cancelorder")[0]["order_id"] == order_id
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_name_that_nobody_knows_is_not_open_after_the_window(autojump_clock: object, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        reply = await strategy.cancel(cl_ord_id="s7-000099")
        assert reply["outcome"] == "not_open"
        assert world.received("orders/status") != []


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("length", [1, 36, 100])
async def test_before_the_feed_tells_of_it_the_name_itself_is_sent(
    autojump_clock: object, seed: int, length: int
) -> None:
    name = ("s 7/&=+%" * 20)[: length - 1] + "x"
    async with stage(seed) as world:
        strategy = world.strategy()
        world.cut_off(FEED_HOST)
        await world.passed(0.01)
        [order_id] = world.place(1, cl_ord_id=name)
        reply = await strategy.cancel(cl_ord_id=name)
        assert reply["outcome"] == "canceled"
        assert world.frames("cancelorder")[0]["cliOrdId"] == name
        assert reply.get("order_id", order_id) == order_id
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("status", ["cancelled", "filled"])
async def test_an_answer_without_the_venues_id_settles_it_all_the_same(
    autojump_clock: object, seed: int, status: str
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        world.cut_off(FEED_HOST)
        await world.passed(0.01)
        [order_id] = world.place(1, cl_ord_id="mm-1")
        if status == "filled":
            world.fill(order_id)
        body = f'{{"result":"success","cancelStatus":{{"status":"{status}"}}}}'
        world.inject(
            "rest_status", match="cancelorder", status=200, body=body, content_type="application/json", effect="after"
        )
        reply = await strategy.cancel(cl_ord_id="mm-1")
        assert reply["outcome"] == ("canceled" if status == "cancelled" else "closed")
        assert len(world.received("cancelorder")) == 1
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_name_given_again_means_the_newer_order(autojump_clock: object, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [first] = await world.place_seen(1, cl_ord_id="mm-1")
        assert (await strategy.cancel(cl_ord_id="mm-1"))["order_id"] == first
        await world.passed(1.0)
        [second] = await world.place_seen(1, cl_ord_id="mm-1")
        reply = await strategy.cancel(cl_ord_id="mm-1")
        assert (reply["outcome"], reply["order_id"]) == ("canceled", second)
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_userref_is_refused_because_futures_has_none(autojump_clock: object, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        received = len(world.exchange.received)
        reply = await strategy.cancel(userref=7)
        assert (reply["type"], reply["outcome"], reply["reason"]) == ("refused", "refused", "unsupported")
        assert "userref" in reply["detail"]
        assert len(world.exchange.received) == received
        assert world.resting == [order_id]


@pytest.mark.parametrize("until", ["ack", "proof"])
async def test_an_answer_lost_after_its_effect_is_made_up_for_at_once(autojump_clock: object, until: str) -> None:
    async with stage() as world:
        strategy = world.strategy()
        await world.place_seen(1, cl_ord_id="mm-1-bid")
        world.inject("rest_close_before_answer", match="cancelorder", effect="after", times=1)
        began_s = world.now_s
        reply = await strategy.cancel(cl_ord_id="mm-1-bid", until=until)
        assert reply["outcome"] in ("canceled", "closed")
        # The order that bore the name has ended, and the venue knows no other: there is nothing to wait for.
        assert world.now_s - began_s < 0.5
        assert world.resting == []
