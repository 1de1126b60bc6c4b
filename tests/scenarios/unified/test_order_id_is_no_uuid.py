"""An order id that is no UUID must not go over the Unified WebSocket: there it could only be a Spot order's.

REST takes it as it is, so it goes there at once; and when REST does not take it either the strategy hears that nothing
left, or what the venue said.
"""

import pytest

from ..world import FUTURES_HOST, SEEDS
from .stages import stage

ODD = "OABCDE-FGHIJ-KLMNOP"


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("until", ["ack", "proof"])
async def test_it_goes_by_rest(autojump_clock: object, seed: int, until: str) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        await world.place_seen(1, order_id=ODD)
        reply = await strategy.cancel(order_id=ODD, until=until)
        assert reply["outcome"] == "canceled"
        assert len(world.received("cancelorder")) == 1
        assert world.received("cancel_order") == []
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_one_that_nobody_knows_never_touches_a_socket(autojump_clock: object, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        reply = await strategy.cancel(order_id="no-such-order")
        assert reply["outcome"] == "not_open"
        assert world.received("cancel_order") == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_with_rest_gone_nothing_leaves(autojump_clock: object, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        await world.place_seen(1, order_id=ODD)
        world.cut_off(FUTURES_HOST)
        await world.passed(0.01)
        world.inject("reset_sockets", route="unified_ws")
        reply = await strategy.cancel(order_id=ODD)
        assert (reply["outcome"], reply["reason"]) == ("refused", "no_route")
        assert world.received("cancel_order") == []
        assert world.resting == [ODD]


@pytest.mark.parametrize("seed", SEEDS)
async def test_in_a_batch_the_others_go_over_the_socket(autojump_clock: object, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        orders = await world.place_seen(5)
        await world.place_seen(1, order_id=ODD)
        named = [{"order_id": order_id} for order_id in [*orders, ODD]]
        reply = await strategy.do("cancel_batch", orders=named)
        assert {told["outcome"] for told in reply["outcomes"]} <= {"acked", "canceled"}
        assert len(world.received("cancel_order")) == 5
        assert [frame.get("order_id") for frame in world.frames("cancelorder")] == [ODD]
        assert world.resting == []
