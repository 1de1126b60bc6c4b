"""Prime drops both sessions again and again, or admits nobody for an hour.

Every dial counts against the budget of this address, whichever session makes it; a cancel takes whatever session is
up at the moment, and when none is it says so.
"""

import pytest

from ..world import PRIME_HOST, SEEDS, Stage, Staging

LIMIT = 120
WINDOW_S = 600.0


def _most_in_a_window(dials: list[float]) -> int:
    return max(sum(start <= at_s < start + WINDOW_S for at_s in dials) for start in dials)


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_venue_that_admits_and_drops_is_not_dialled_into_a_ban(
    autojump_clock: object, stage: Staging, seed: int
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        orders = await world.place_seen(30)
        world.start(_drop_again_and_again, world, 900.0)
        for order_id in orders:
            await world.passed(20.0)
            reply = await strategy.cancel(order_id=order_id, until="proof")
            assert reply["outcome"] in ("canceled", "closed", "unknown", "refused")
        await world.passed(320.0)
        assert _most_in_a_window(world.dials_to(PRIME_HOST)) <= LIMIT
        await world.passed(60.0)
        await world.live()
        for order_id in world.resting:
            assert (await strategy.cancel(order_id=order_id))["outcome"] in ("acked", "canceled")
        assert world.resting == []


async def _drop_again_and_again(world: Stage, for_s: float) -> None:
    until_s = world.now_s + for_s
    while world.now_s < until_s:
        world.inject("reset_sockets", route="prime_ws")
        await world.passed(0.7)


async def test_an_outage_of_an_hour_keeps_to_the_budget(autojump_clock: object, stage: Staging) -> None:
    async with stage() as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        world.cut_off(PRIME_HOST)
        await world.passed(3600.0)
        assert _most_in_a_window(world.dials_to(PRIME_HOST)) <= LIMIT
        world.reconnect()
        await world.passed(61.0)
        await world.live()
        assert (await strategy.cancel(order_id=order_id))["outcome"] in ("acked", "canceled")
        assert world.resting == []
