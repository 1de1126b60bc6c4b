"""The venue reads a cancel, loses it, and says nothing.

The order rests on. After hedge_after_ms of silence the same cancel goes out on the other socket, which does it; the
strategy sees one answer, a little late.
"""

import pytest

from .world import SEEDS, Staging


@pytest.mark.parametrize("seed", SEEDS)
async def test_the_other_socket_does_what_the_first_one_lost(autojump_clock: object, stage: Staging, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        world.inject("swallow_ack_before_effect", match="cancelOrder", times=1)
        reply = await strategy.cancel(order_id=order_id)
        assert reply["outcome"] in ("acked", "canceled")
        assert reply["attempts"] == 2
        assert strategy.took(reply["id"]) == pytest.approx(0.4, abs=0.005)
        first, second = world.asked_of_venue(order_id)
        assert first.session != second.session
        assert world.resting == []
