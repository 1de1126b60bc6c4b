"""REST, the only hand there is, cannot be reached for half a minute, and then it is back.

Meanwhile every cancel is told truly that nothing left, or that it may have; the operator is told; and once REST is back
cancels work without anybody's help, those included that are still waiting.
"""

import pytest

from ..world import FUTURES_HOST, SEEDS
from .stages import stage


@pytest.mark.parametrize("seed", SEEDS)
async def test_refused_while_it_lasts_and_served_when_it_is_over(autojump_clock: object, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        orders = await world.place_seen(12)
        dialled = len(world.dials_to(FUTURES_HOST))
        world.cut_off(FUTURES_HOST)
        for order_id in orders[:10]:
            reply = await strategy.cancel(order_id=order_id, deadline_ms=1000)
            assert (reply["outcome"], reply["reason"]) == ("refused", "no_route")
            await world.passed(2.0)
        assert (await strategy.do("status"))["venues"]["futures"]["state"] == "down"
        waiting = strategy.ask(order_id=orders[10], deadline_ms=5000)
        await world.passed(0.5)
        assert len(world.dials_to(FUTURES_HOST)) - dialled < 300
        world.reconnect()
        reply = await strategy.hear()
        assert (reply["id"], reply["outcome"]) == (waiting, "canceled")
        await world.live()
        reply = await strategy.cancel(order_id=orders[11])
        assert reply["outcome"] == "canceled"
        assert world.resting == orders[:10]


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_gateway_that_answers_502_all_the_while_leaves_it_unknown(autojump_clock: object, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        orders = await world.place_seen(10)
        world.inject("rest_status", route="futures_rest", status=502, for_s=30.0)
        for order_id in orders[:5]:
            reply = await strategy.cancel(order_id=order_id)
            assert reply["outcome"] == "unknown"
            assert reply["attempts"] <= 16
        await world.passed(25.0)
        for order_id in orders:
            reply = await strategy.cancel(order_id=order_id)
            assert reply["outcome"] == "canceled"
        assert world.resting == []
