"""The Unified WebSocket cannot match a cancel to a request and answers by its catch-all error, under the request's id.

Once classic REST is retired nothing is behind these sockets, so that a refusal which is not understood would be told as
unknown: it is told as what it is.
"""

import pytest

from ..world import SEEDS
from .stages import retire_rest, stage


@pytest.mark.parametrize("seed", SEEDS)
async def test_without_rest_a_refusal_is_told_as_one(autojump_clock: object, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        retire_rest(world)
        world.inject("unmatched", route="unified_ws", match="cancel_order", error="EGeneral:Permission denied")
        reply = await strategy.cancel(order_id=order_id)
        assert reply["outcome"] == "rejected"
        assert len(world.received("cancel_order")) == 2
        assert world.resting == [order_id]


@pytest.mark.parametrize("seed", SEEDS)
async def test_the_second_socket_is_tried_at_once(autojump_clock: object, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        retire_rest(world)
        world.inject("unmatched", route="unified_ws", match="cancel_order", error="invalidArgument", times=1)
        reply = await strategy.cancel(id="odd", order_id=order_id)
        assert reply["outcome"] in ("acked", "canceled")
        assert strategy.took("odd") < 0.1
        assert world.resting == []
