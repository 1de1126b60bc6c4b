"""A strategy sends an order and cancels it in the same breath: the cancel arrives first and finds nothing.

"Not found" for an order that nobody has seen is asked again for a second and a half before it is believed, and at once
when the feed shows the order.
"""

import pytest

from ..world import FEED_HOST, SEEDS
from .stages import stage

SOON = "11111111-2222-4333-8444-555555555555"


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("witness", ["feed up", "feed down"])
@pytest.mark.parametrize("name", ["order_id", "cl_ord_id"])
@pytest.mark.parametrize("after_s", [0.03, 0.15, 0.9])
async def test_the_order_is_canceled_when_it_arrives(
    autojump_clock: object, seed: int, witness: str, name: str, after_s: float
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        if witness == "feed down":
            world.cut_off(FEED_HOST)
            await world.passed(0.01)
        asked = strategy.ask(**{name: SOON if name == "order_id" else "mm-1"})
        await world.passed(after_s)
        [order_id] = world.place(1, order_id=SOON, cl_ord_id="mm-1")
        reply = await strategy.hear()
        assert (reply["id"], reply["outcome"]) == (asked, "canceled")
        if witness == "feed up":
            # The fourth request within a second waits for the second to be over.
            assert strategy.took(asked) < after_s + 0.11
        assert world.resting == []
        assert order_id == SOON


@pytest.mark.parametrize("seed", SEEDS)
async def test_one_that_never_arrives_is_not_open_after_the_window(autojump_clock: object, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        reply = await strategy.cancel(order_id=SOON, deadline_ms=5000)
        assert reply["outcome"] == "not_open"
        assert strategy.took(reply["id"]) == pytest.approx(1.5, abs=0.05)
        assert len(world.received("cancelorder")) <= 5
