"""An urgent cancel takes every independent way at once: the socket and REST side by side, on Prime both connections.

One answer, the first that settles: a venue whose socket answers after 200 ms does not make it wait that long.
"""

import pytest

from .scopes.stages import DIALECTS
from .scopes.stages import stage as any_stage


@pytest.mark.parametrize("dialect", ["spot v1", "spot v2", "futures unified"])
async def test_the_faster_way_answers(autojump_clock: object, dialect: str) -> None:
    async with any_stage(dialect) as world:
        [order] = await world.place_seen(1)
        route = "unified_ws" if dialect == "futures unified" else "spot_ws"
        world.inject("delay", seconds=0.2, route=route)
        strategy = world.strategy()
        reply = await strategy.cancel(order_id=order, urgent=True)
        assert reply["outcome"] in ("acked", "canceled", "closed")
        assert strategy.took(reply["id"]) < 0.1
        assert world.resting == []
        assert len(world.asked_of_venue(order)) == 2


async def test_on_prime_both_connections_carry_it(autojump_clock: object) -> None:
    async with any_stage("prime") as world:
        [order] = await world.place_seen(1)
        reply = await world.strategy().cancel(order_id=order, urgent=True, until="proof")
        assert reply["outcome"] == "canceled"
        assert len(world.frames("OrderCancelRequest")) == 2


@pytest.mark.parametrize("until", ["ack", "proof"])
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_there_is_one_answer_and_it_is_right(autojump_clock: object, dialect: str, until: str) -> None:
    async with any_stage(dialect) as world:
        placed = await world.place_seen(5, cl_ord_id=None)
        strategy = world.strategy()
        for order in placed:
            strategy.ask("cancel", order_id=order, urgent=True, until=until)
        replies = await strategy.hear_all(5)
        assert {reply["outcome"] for reply in replies.values()} <= {"acked", "canceled"}
        await world.passed(1)
        assert world.resting == []


async def test_a_userref_is_sent_once_all_the_same(autojump_clock: object) -> None:
    async with any_stage("spot v1") as world:
        await world.place_seen(2, userref=7)
        await world.strategy().cancel(userref=7, urgent=True)
        assert len(world.asked_of_venue(7)) == 1
        assert world.resting == []
