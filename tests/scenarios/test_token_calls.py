"""Tokens cost calls that cancels may need: a fault is not asked about in haste, and a flapping line reuses what it has.

The venue counts 20 calls, and gives one back each second. A daemon that asks for a token at every drop, or again and
again while its key may have none, has none left in the moment in which an order's state has to be asked for.
"""

from typing import Final

import pytest

from canceld.sim.rates import PRO
from canceld.tasks.rest_exchange import TRIES

from .world import SEEDS, WS_HOST, Stage, stage

LOOK_S: Final = 15.0
MOST: Final = 5
"""At once, and after 1, 2, 4 and 8 s; the second session asks once at the start."""


def forbid(error: str) -> object:
    def before(world: Stage) -> None:
        world.inject("rest_error", route="spot_rest", match="GetWebSocketsToken", error=error)

    return before


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("error", ["EGeneral:Permission denied", "EService:Unavailable", "EAPI:Invalid nonce"])
async def test_a_fault_from_the_start_is_asked_about_at_growing_pauses(
    autojump_clock: object, seed: int, error: str
) -> None:
    async with stage(seed, up=False, before=forbid(error)) as world:  # type: ignore[arg-type]
        await world.passed(LOOK_S)
        # As long as none of ours was taken, each call jumps above a refused nonce for as often as a call is tried.
        most = TRIES * (MOST + 1) if "nonce" in error else MOST + 1
        assert 4 <= len(world.received("GetWebSocketsToken")) <= most
        # Without a token a session is of no use, and costs no dial.
        assert world.dials_to(WS_HOST) == []
        world.clear()
        await world.passed(31.0)
        await world.live()
        [order_id] = await world.place_seen(1)
        assert (await world.strategy().cancel(order_id=order_id))["outcome"] in ("acked", "canceled")


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_dozen_drops_leave_the_calls_that_settle_a_short_batch(autojump_clock: object, seed: int) -> None:
    async with stage(seed, tier=PRO) as world:
        strategy = world.strategy()
        for _ in range(12):
            world.inject("reset_sockets", route="spot_ws")
            await world.passed(0.3)
        await world.passed(3.0)
        orders = await world.place_seen(100)
        # One of them has ended in the meantime, so that the venue's count is one short and names nobody.
        world.fill(orders[0])
        world.cut_off(WS_HOST)
        asked = strategy.ask("cancel_batch", orders=[{"order_id": order_id} for order_id in orders])
        reply = await strategy.hear()
        assert reply["id"] == asked
        outcomes = [outcome["outcome"] for outcome in reply["outcomes"]]
        assert outcomes.count("unknown") == 0, outcomes
        assert world.resting == []
        world.reconnect()
        await world.passed(31.0)
        await world.live()
