"""A frame of the order stream is lost on the way: the next one's number tells.

What was lost is not known, so the session is dialled anew and a fresh snapshot taken. An order that ended in the gap is
not believed open for ever, one that was placed in it is found.
"""

import pytest

from .world import SEEDS, Staging


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("session", [0, 1])
async def test_a_gap_leads_to_a_new_session_and_a_new_snapshot(
    autojump_clock: object, stage: Staging, seed: int, session: int
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        sessions = world.listen("session.spot")
        orders = await world.place_seen(3)
        world.inject("sequence_gap", session=session, times=1)
        orders += await world.place_seen(1)
        await world.passed(2.0)
        [down] = [event for event in sessions.events if event["state"] == "down"]
        assert "gap" in down["why"]
        await world.live()
        assert len(world.frames("subscribe")) == 3
        assert len(world.pursuits.resting) == 4
        for order_id in orders:
            assert (await strategy.cancel(order_id=order_id, until="proof"))["outcome"] == "canceled"
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_orders_that_ended_and_began_in_the_gap_are_known_after_it(
    autojump_clock: object, stage: Staging, seed: int
) -> None:
    async with stage(seed) as world:
        [old] = await world.place_seen(1)
        await world.passed(5.0)
        # Both streams lose the same two pieces of news, and then show it.
        world.inject("drop_event", times=6)
        world.fill(old)
        [new] = world.place(1, cl_ord_id="mm-1")
        world.clear("drop_event")
        world.inject("sequence_gap", times=2)
        await world.place_seen(1)
        await world.passed(5.0)
        await world.live()
        strategy = world.strategy()
        reply = await strategy.cancel(order_id=old)
        assert (reply["outcome"], reply["state"]) == ("closed", "filled")
        reply = await strategy.cancel(cl_ord_id="mm-1")
        assert reply["order_id"] == new
        assert reply["outcome"] in ("acked", "canceled")
        assert new not in world.resting
