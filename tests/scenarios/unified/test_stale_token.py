"""The Unified WebSocket takes Spot's tokens, and all of them die: one new token, one more try, nothing lost."""

import pytest

from ..world import SEEDS
from .stages import stage


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_dead_token_costs_one_fetch_and_no_order(autojump_clock: object, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        orders = await world.place_seen(20)
        world.inject("invalid_session")
        fetched = len(world.received("GetWebSocketsToken", "spot"))
        for order_id in orders:
            strategy.ask(order_id=order_id)
        replies = await strategy.hear_all(20)
        assert {reply["outcome"] for reply in replies.values()} <= {"acked", "canceled"}
        assert 1 <= len(world.received("GetWebSocketsToken", "spot")) - fetched <= 2
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_with_no_new_token_to_be_had_classic_rest_takes_over(autojump_clock: object, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        world.inject("invalid_session")
        world.inject("rest_error", route="spot_rest", error="EService:Unavailable")
        reply = await strategy.cancel(order_id=order_id)
        assert reply["outcome"] == "canceled"
        assert len(world.received("cancelorder")) == 1
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_spot_key_without_the_right_to_tokens_leaves_classic_rest(autojump_clock: object, seed: int) -> None:
    async with stage(
        seed,
        up=False,
        before=lambda world: world.inject("rest_error", route="spot_rest", error="EGeneral:Permission denied"),
    ) as world:
        strategy = world.strategy()
        await world.passed(3.0)
        [order_id] = await world.place_seen(1)
        reply = await strategy.cancel(order_id=order_id)
        assert reply["outcome"] == "canceled"
        assert len(world.received("cancelorder")) == 1
        assert world.resting == []
