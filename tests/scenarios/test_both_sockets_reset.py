"""A hundred cancels are on their way when the venue resets both sockets.

What the venue had carried out by then is done, the rest is not, and no ack will ever come for any of them. All of them
move to REST in the step that notices, and every one has a final answer by its deadline.
"""

import pytest

from .world import SEEDS, WS_HOST, Staging


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("carried_out", [0.0, 0.5, 1.0])
async def test_every_cancel_has_its_answer_when_both_sockets_are_reset(
    autojump_clock: object, stage: Staging, seed: int, carried_out: float
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        orders = await world.place_seen(100)
        world.inject("delay_events", seconds=1.0)
        world.inject("swallow_ack_before_effect", match="cancelOrder", fraction=1.0 - carried_out)
        world.inject("swallow_ack_after_effect", match="cancelOrder")
        for order_id in orders:
            strategy.ask(order_id=order_id)
        await world.passed(0.02)
        assert len(world.frames("cancelOrder")) == 100
        assert strategy.heard == []
        world.cut_off(WS_HOST)

        replies = await strategy.hear_all(100)
        assert {reply["outcome"] for reply in replies.values()} <= {"acked", "canceled"}
        assert {reply["route"] for reply in replies.values()} == {"rest"}
        assert max(strategy.took(id) for id in replies) < 0.5
        assert world.resting == []
