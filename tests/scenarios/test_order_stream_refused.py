"""The venue refuses a subscribe, and does not always say whose.

A refusal that names neither a request nor a channel is about ours only while a subscribe of ours is unanswered: a
session that is live outlives it, and goes on cancelling. A refusal of our own is heard at once in whatever form, and
the more often it comes the less often we ask.
"""

import pytest

from .world import SEEDS, WS_HOST, Staging


@pytest.mark.parametrize("seed", SEEDS)
async def test_live_sessions_outlive_a_refusal_of_nobodys(autojump_clock: object, stage: Staging, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        orders = await world.place_seen(3)
        dialled = len(world.dials_to(WS_HOST))
        for order_id in orders:
            world.inject("stray_refusal", error="ESession:Invalid session")
            reply = await strategy.cancel(order_id=order_id)
            assert (reply["outcome"] in ("acked", "canceled"), reply["attempts"]) == (True, 1)
            await world.passed(1.0)
        assert len(world.dials_to(WS_HOST)) == dialled
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("named", [True, False])
async def test_our_own_refusal_is_heard_at_once_in_any_form(
    autojump_clock: object, stage: Staging, seed: int, named: bool
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        world.inject("unmatched", match="subscribe", times=2, error="EService:Unavailable", named=named)
        world.inject("reset_sockets")
        # Two sessions are refused once each, and both are live again long before an admission would have timed out.
        await world.passed(1.0)
        reply = await strategy.cancel(order_id=order_id)
        # The other session may tell of the order's end before this one of the acceptance; by REST it would be late.
        assert (reply["outcome"], reply["route"]) in (("acked", "ws"), ("canceled", "stream"))
        assert reply["attempts"] == 1
        assert len(world.pursuits.live) == 2
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("fault", ["ack_error", "stray_refusal"])
async def test_a_refusal_that_lasts_is_asked_about_less_and_less(
    autojump_clock: object, stage: Staging, seed: int, fault: str
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        world.inject("reset_sockets")
        world.inject(fault, match="subscribe", error="EService:Unavailable")
        dialled = len(world.dials_to(WS_HOST))
        await world.passed(60.0)
        # Pauses of 0, 1, 2, 4 … s: six or seven times for each of two sessions, and their spread.
        assert len(world.dials_to(WS_HOST)) - dialled <= 18
        reply = await strategy.cancel(order_id=order_id)
        assert (reply["outcome"], reply["route"]) == ("acked", "rest")
        world.clear(fault)
        await world.passed(60.0)
        assert len(world.pursuits.live) == 2
        assert world.resting == []
