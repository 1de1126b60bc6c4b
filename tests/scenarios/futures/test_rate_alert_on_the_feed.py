"""The feed says that we send too much. It has one budget with REST: the survey of open orders pauses, cancels go on."""

import pytest

from ..world import SEEDS
from .stages import stage


@pytest.mark.parametrize("seed", SEEDS)
async def test_the_survey_pauses_and_cancels_go_on(autojump_clock: object, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        alerts = world.listen("alert")
        orders = await world.place_seen(20)
        surveyed = len(world.received("openorders"))
        for order_id in orders:
            world.inject("rate_notice", route="futures_feed", error="Rate limit exceeded")
            reply = await strategy.cancel(order_id=order_id)
            assert (reply["outcome"], reply["attempts"]) == ("canceled", 1)
            await world.passed(2.0)
        assert len(world.received("openorders")) - surveyed <= 1
        assert any("Rate limit exceeded" in alert["what"] for alert in alerts.events)
        await world.passed(60.0)
        assert len(world.received("openorders")) - surveyed >= 3
        assert world.resting == []
