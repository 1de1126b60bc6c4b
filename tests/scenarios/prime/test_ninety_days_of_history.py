"""An account with a long past: each connection begins by telling ninety days of orders that have ended.

None of that is news. The event socket tells of orders that end now, and those which ended while nothing was connected
are told once.
"""

import pytest

from ..world import PRIME_HOST, SEEDS, Stage, Staging

PAST = 2000


def _long_past(world: Stage) -> None:
    for number, order_id in enumerate(world.place(PAST)):
        if number % 2:
            world.fill(order_id)
        else:
            order = world.exchange.exchange.known_order("prime", order_id)
            assert order is not None
            world.exchange.exchange.cancel(order, "User requested")


@pytest.mark.parametrize("seed", SEEDS)
async def test_the_past_is_no_news_at_the_start_nor_after_a_drop(
    autojump_clock: object, stage: Staging, seed: int
) -> None:
    async with stage(seed, up=False, before=_long_past) as world:
        strategy = world.strategy()
        ended = world.listen("order.prime")
        await world.live()
        await world.passed(2.0)
        [order_id] = await world.place_seen(1)
        world.inject("reset_sockets", route="prime_ws")
        await world.passed(2.0)
        await world.live()
        assert (await strategy.cancel(order_id=order_id))["outcome"] in ("acked", "canceled")
        await world.passed(1.0)
        assert [event["order_id"] for event in ended.events] == [order_id]
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_what_ended_while_nothing_was_connected_is_told_once(
    autojump_clock: object, stage: Staging, seed: int
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        ended = world.listen("order.prime")
        filled, stays = await world.place_seen(2)
        world.cut_off(PRIME_HOST)
        await world.passed(1.0)
        world.fill(filled)
        world.reconnect()
        await world.passed(40.0)
        await world.live()
        [event] = ended.events
        assert event["order_id"] == filled
        reply = await strategy.cancel(order_id=filled)
        assert (reply["outcome"], reply["state"]) == ("closed", "filled")
        assert world.resting == [stays]


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_filled_order_of_the_past_is_told_as_filled(autojump_clock: object, stage: Staging, seed: int) -> None:
    async with stage(seed, before=_long_past) as world:
        strategy = world.strategy()
        reports = world.exchange.prime.states("default")
        reply = await strategy.cancel(order_id=reports[1].row["OrderID"])
        assert (reply["outcome"], reply["state"], float(reply["filled_qty"])) == ("closed", "filled", 1.0)
        assert world.frames("OrderCancelRequest") == []
