"""The venue cannot match a cancel to a request and answers by its catch-all error, with the request's id or without.

With the id it is a refusal like any other: the next way is taken at once, without waiting for a silence. Without it
nobody can say whose it was, and the deadline of silence decides as ever.
"""

import pytest

from .world import SEEDS, Staging


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_refusal_that_names_its_request_is_heard_at_once(
    autojump_clock: object, stage: Staging, seed: int
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        world.inject("unmatched", match="cancelOrder", error="EService:Unavailable", times=1)
        reply = await strategy.cancel(id="odd", order_id=order_id)
        assert reply["outcome"] in ("acked", "canceled")
        assert reply["attempts"] == 2
        assert strategy.took("odd") < 0.1
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_rate_refusal_is_told_as_one(autojump_clock: object, stage: Staging, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        world.inject("unmatched", match="cancelOrder", error="Exceeded msg rate")
        world.inject("rest_error", route="spot_rest", match="CancelOrder", error="EAPI:Rate limit exceeded")
        reply = await strategy.cancel(order_id=order_id)
        assert (reply["outcome"], reply["class"]) == ("rejected", "throttled")
        assert world.resting == [order_id]


@pytest.mark.parametrize("seed", SEEDS)
async def test_one_that_names_no_request_settles_nothing(autojump_clock: object, stage: Staging, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        world.inject("unmatched", match="cancelOrder", named=False, times=1)
        reply = await strategy.cancel(order_id=order_id)
        assert reply["outcome"] in ("acked", "canceled")
        assert world.pursuits.counts.unattributed == 1
        assert world.resting == []
