"""A key that may look and may not cancel.

Such a session answers everything except what it is there for. It must never be called live: the daemon says at the
start what the key lacks, and a cancel is refused rather than lost.
"""

import pytest

from canceld.sim.keys import PRIME_READ

from ..world import PRIME_HOST, SEEDS, Stage, Staging


def _viewer(world: Stage) -> None:
    key = world.exchange.keys.find("prime", world.exchange.credentials["prime"]["key"])
    assert key is not None
    key.rights = frozenset({PRIME_READ})


@pytest.mark.parametrize("seed", SEEDS)
async def test_it_is_never_live_and_says_why(autojump_clock: object, stage: Staging, seed: int) -> None:
    async with stage(seed, up=False, before=_viewer) as world:
        strategy = world.strategy()
        [order_id] = world.place(1)
        await world.passed(10.0)
        reply = await strategy.cancel(order_id=order_id, symbol="BTC-USD")
        assert (reply["outcome"], reply["reason"]) == ("refused", "no_route")
        status = await strategy.do("status")
        assert status["venues"]["prime"]["state"] == "down"
        assert all("write::orders" in session["why"] for session in status["venues"]["prime"]["sessions"])
        assert any("write::orders" in alert["do"] for alert in status["alerts"])
        assert len(world.dials_to(PRIME_HOST)) <= 4
        assert world.resting == [order_id]


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_right_that_is_lost_on_a_live_session_is_told_as_a_rejection(
    autojump_clock: object, stage: Staging, seed: int
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        _viewer(world)
        reply = await strategy.cancel(order_id=order_id)
        assert (reply["outcome"], reply["class"]) == ("rejected", "permission")
        assert world.resting == [order_id]
