"""A peer vanishes without a word: no reset, no close, TCP would wait for many minutes.

The venue sends a heartbeat each second, so five seconds of nothing are a dead session. Until then every cancel that
went to it is hedged; nobody waits for the verdict.
"""

import pytest

from .world import SEEDS, WS_HOST, Staging


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("session", [0, 1])
async def test_found_dead_in_five_seconds_and_replaced(
    autojump_clock: object, stage: Staging, seed: int, both: bool, session: int
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        orders = await world.place_seen(5)
        sessions = world.listen("session.spot")
        world.inject("half_open", session=session, both=both)
        began_s = world.clock.monotonic_ns()
        for order_id in orders:
            reply = await strategy.cancel(order_id=order_id)
            assert reply["outcome"] in ("acked", "canceled")
            assert strategy.took(reply["id"]) < 0.5
            await world.passed(1.0)
        await world.passed(1.0)
        [dead] = [event for event in sessions.events if event["state"] == "down"]
        assert "silent" in dead["why"]
        assert (dead["monotonic_ns"] - began_s) / 1e9 == pytest.approx(5.5, abs=0.6)
        await world.live()
        assert sorted(live.lives for live in world.desk.sessions) == [1, 2]
        assert len(world.dials_to(WS_HOST)) == 3
        assert world.resting == []
