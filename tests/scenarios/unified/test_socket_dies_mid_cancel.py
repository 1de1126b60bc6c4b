"""Unified sockets die with cancels on them.

One lost: the other has them in the same step. Both lost: REST has them in the same step. Nobody waits for a reader that
has gone.
"""

import pytest

from ..world import SEEDS, UWS_HOST
from .stages import stage


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("effect", ["before", "after"])
async def test_one_socket_lost_costs_nothing(autojump_clock: object, seed: int, effect: str) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        world.inject("reset_sockets", route="unified_ws", match="cancel_order", effect=effect, times=1)
        reply = await strategy.cancel(order_id=order_id)
        assert reply["outcome"] in ("acked", "canceled")
        assert strategy.took(reply["id"]) == 0.0
        assert world.received("cancelorder") == []
        assert world.resting == []
        await world.live()


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("carried_out", [0.0, 0.5, 1.0])
async def test_both_sockets_lost_and_rest_takes_over_in_the_same_step(
    autojump_clock: object, seed: int, carried_out: float
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        orders = await world.place_seen(20)
        world.inject("delay_events", seconds=1.0)
        world.inject("swallow_ack_before_effect", match="cancel_order", fraction=1.0 - carried_out)
        world.inject("swallow_ack_after_effect", match="cancel_order")
        for order_id in orders:
            strategy.ask(order_id=order_id)
        await world.passed(0.02)
        assert len(world.frames("cancel_order")) == 20
        assert strategy.heard == []
        world.cut_off(UWS_HOST)
        replies = await strategy.hear_all(20)
        assert {reply["outcome"] for reply in replies.values()} <= {"canceled", "closed"}
        assert {reply["route"] for reply in replies.values()} == {"rest"}
        assert max(strategy.took(id) for id in replies) < 0.2
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_without_sockets_rest_is_the_way_until_they_are_back(autojump_clock: object, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        first, second = await world.place_seen(2)
        world.cut_off(UWS_HOST)
        await world.passed(0.01)
        reply = await strategy.cancel(order_id=first)
        assert reply["outcome"] == "canceled"
        assert len(world.received("cancelorder")) == 1
        world.reconnect()
        await world.live()
        reply = await strategy.cancel(order_id=second)
        assert reply["outcome"] in ("acked", "canceled")
        assert len(world.received("cancel_order")) == 1
        assert world.resting == []
