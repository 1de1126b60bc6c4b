"""The operator puts a new key in place and reloads. A key that the venue does not take is told of at once, not when the
next token is due in some minutes; what is up goes on with what it has, and so do cancels. Once the right key is in
place nothing of it is told any more.
"""

import pytest

from canceld.credentials import Keys, Secret

from .world import FEED_HOST, SEEDS, Stage, Staging, settings_for
from .world import stage as any_stage

TOLD_WITHIN_S = 5.0
CHECKED_AGAIN_S = 65.0
"""A key that was refused is left alone for minutes, but not one that was put in its place."""

WRONG = Keys(Secret("wrong"), Secret(b"wrong"))


def standing(world: Stage) -> dict[str, str]:
    """What an operator reads in `status`, and what to do."""
    return {one["what"]: one["do"] for one in world.daemon.events.alerts}


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_spot_key_that_is_not_taken(autojump_clock: object, stage: Staging, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        good = world.desk.signer.keys
        world.desk.take_keys(WRONG)
        await world.passed(TOLD_WITHIN_S)
        assert "check the key" in standing(world)["spot REST refuses the key"]
        assert "Invalid key" in standing(world)["spot-0 gets no new token"]
        assert (await strategy.cancel(order_id=order_id))["outcome"] in ("acked", "canceled")
        assert world.resting == []
        world.desk.take_keys(good)
        await world.passed(CHECKED_AGAIN_S)
        assert standing(world) == {}


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_futures_key_that_is_not_taken(autojump_clock: object, seed: int) -> None:
    """The feed is dialled anew with it, which is how it is tried; no order could be cancelled by it."""
    async with any_stage(seed, settings=settings_for("futures")) as world:
        dials = len(world.dials_to(FEED_HOST))
        good = world.desk.signer.keys
        world.desk.take_keys(WRONG)
        await world.passed(TOLD_WITHIN_S)
        assert "is turned away" in " ".join(standing(world))
        assert len(world.dials_to(FEED_HOST)) == dials + 1
        world.desk.take_keys(good)
        await world.passed(CHECKED_AGAIN_S)
        assert standing(world) == {}
        [order_id] = await world.place_seen(1)
        assert (await world.strategy().cancel(order_id=order_id))["outcome"] == "canceled"
        assert world.resting == []
