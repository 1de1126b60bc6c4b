"""Five strategies panic at once and cancel the same order.

The venue sees one frame and counts one cancel; each strategy has its own reply, under its own id.
"""

import pytest

from .world import SEEDS, Staging


@pytest.mark.parametrize("seed", SEEDS)
async def test_one_frame_and_an_answer_for_each(autojump_clock: object, stage: Staging, seed: int) -> None:
    async with stage(seed) as world:
        strategies = [world.strategy() for _ in range(5)]
        [order_id] = await world.place_seen(1, cl_ord_id="one-order")
        world.inject("delay", match="cancelOrder", seconds=0.1)
        world.inject("delay_events", seconds=0.2)
        for number, strategy in enumerate(strategies):
            # By either of its names, and for either kind of answer.
            named = {"order_id": order_id} if number % 2 else {"cl_ord_id": "one-order"}
            strategy.ask(id=7, until="proof" if number == 4 else "ack", **named)
        for strategy in strategies[:4]:
            assert (await strategy.hear())["outcome"] == "acked"
            assert strategy.took(7) == pytest.approx(0.1, abs=0.001)
        assert (await strategies[4].hear())["outcome"] == "canceled"
        assert strategies[4].took(7) == pytest.approx(0.2, abs=0.001)
        assert len(world.asked_of_venue(order_id)) == 1
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_each_of_them_keeps_its_own_deadline(autojump_clock: object, stage: Staging, seed: int) -> None:
    async with stage(seed) as world:
        hasty, patient = world.strategy(), world.strategy()
        [order_id] = await world.place_seen(1)
        world.inject("swallow_ack_before_effect", route="spot_ws", match="cancelOrder")
        patient.ask(order_id=order_id, deadline_ms=2000)
        await world.passed(0.1)
        reply = await hasty.cancel(order_id=order_id, deadline_ms=300)
        assert reply["outcome"] == "unknown"
        assert hasty.took(reply["id"]) == pytest.approx(0.3, abs=0.001)
        reply = await patient.hear()
        assert (reply["outcome"], reply["route"]) in {("acked", "rest"), ("canceled", "stream")}
        assert world.resting == []
