"""Nothing at the venue takes a connection for half a minute, then all is well again.

Dialling goes on, faster at first, and never so fast that Cloudflare bans the address for ten minutes: about 150
attempts are borne in ten minutes, 120 are our limit. A session that opens and dies at once counts just the same.
"""

import pytest

from .world import REST_HOST, SEEDS, WS_HOST, Stage, Staging, stage

LIMIT = 120
WINDOW_S = 600.0


def _most_in_a_window(dials: list[float]) -> int:
    return max(sum(start <= at_s < start + WINDOW_S for at_s in dials) for start in dials)


@pytest.mark.parametrize("seed", SEEDS)
async def test_back_after_half_a_minute_within_the_budget(autojump_clock: object, stage: Staging, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        orders = await world.place_seen(2)
        world.cut_off(WS_HOST, REST_HOST)
        await world.passed(30.0)
        reply = await strategy.cancel(order_id=orders[0])
        assert (reply["outcome"], reply["reason"]) == ("refused", "no_route")
        # A quarter of what the address is allowed in ten minutes.
        assert len(world.dials_to(WS_HOST)) <= 2 + 2 * 14 + 2
        world.reconnect()
        # REST is back first: it is looked after every second.
        await world.passed(1.5)
        reply = await strategy.cancel(order_id=orders[0])
        assert reply["outcome"] in ("acked", "canceled")
        await world.passed(31.0)
        await world.live()
        reply = await strategy.cancel(order_id=orders[1])
        assert reply["outcome"] in ("acked", "canceled")
        assert world.resting == []


async def test_an_outage_of_an_hour_keeps_to_the_budget(autojump_clock: object) -> None:
    async with stage() as world:
        world.cut_off(WS_HOST)
        await world.passed(3600.0)
        assert _most_in_a_window(world.dials_to(WS_HOST)) <= LIMIT
        world.reconnect()
        await world.passed(61.0)
        await world.live()


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_venue_that_admits_and_drops_at_once_is_not_dialled_into_a_ban(
    autojump_clock: object, seed: int
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        world.start(_drop_again_and_again, world, 900.0)
        await world.passed(900.0)
        assert _most_in_a_window(world.dials_to(WS_HOST)) <= LIMIT
        reply = await strategy.cancel(order_id=order_id)
        assert reply["outcome"] in ("acked", "canceled")
        assert world.resting == []
        await world.passed(60.0)


async def _drop_again_and_again(world: Stage, for_s: float) -> None:
    until_s = world.now_s + for_s
    while world.now_s < until_s:
        world.inject("reset_sockets", route="spot_ws")
        await world.passed(0.5)


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_venue_that_takes_connections_and_drops_them_is_not_dialled_in_a_circle(
    autojump_clock: object, stage: Staging, seed: int
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        dialled = len(world.dials_to(REST_HOST))
        world.inject("refuse_connections", for_s=60.0)
        world.inject("reset_sockets")
        world.inject("reset_sockets", route="spot_rest")
        reply = await strategy.cancel(order_id=order_id)
        # Each connection took the request before it fell: whether it was read nobody knows, unless one lasted.
        assert reply["outcome"] in ("unknown", "acked", "canceled")
        assert world.resting == ([order_id] if reply["outcome"] == "unknown" else [])
        await world.passed(60.0)
        # Two a second to stay warm, and the few that the cancel itself asked for.
        assert len(world.dials_to(REST_HOST)) - dialled <= 2 * 60 + 40
        assert _most_in_a_window(world.dials_to(WS_HOST)) <= LIMIT
        await world.passed(31.0)
        await world.live()
        reply = await strategy.cancel(order_id=order_id)
        assert reply["outcome"] in ("acked", "canceled")
        assert world.resting == []
