"""With the Unified WebSocket set up it is the first way: one frame, one answer, no REST.

Silence on the first socket is hedged on the second, silence on both by REST; none of the earlier ones is given up, and
the strategy has one reply.
"""

import pytest

from ..world import SEEDS
from .stages import stage


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("until", ["ack", "proof"])
@pytest.mark.parametrize("name", ["order_id", "cl_ord_id"])
async def test_a_cancel_goes_over_the_first_socket(autojump_clock: object, seed: int, until: str, name: str) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1, cl_ord_id="s7-000042")
        asked = {"order_id": order_id, "cl_ord_id": "s7-000042"}[name]
        reply = await strategy.cancel(**{name: asked}, until=until)
        assert reply["outcome"] in (("canceled",) if until == "proof" else ("acked", "canceled"))
        [frame] = world.frames("cancel_order")
        assert (frame["asset_class"], frame["order_id"]) == ("derivatives", [order_id])
        assert world.received("cancelorder") == []
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_silence_is_hedged_on_the_second_socket_and_then_by_rest(autojump_clock: object, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        first, second = await world.place_seen(2)
        world.inject("swallow_ack_before_effect", route="unified_ws", match="cancel_order", times=1)
        reply = await strategy.cancel(order_id=first)
        assert reply["outcome"] in ("acked", "canceled")
        assert strategy.took(reply["id"]) == pytest.approx(0.4, abs=0.01)
        assert len({frame.session for frame in world.received("cancel_order")}) == 2
        assert world.received("cancelorder") == []
        world.inject("swallow_ack_before_effect", route="unified_ws", match="cancel_order", times=2)
        reply = await strategy.cancel(order_id=second)
        assert reply["outcome"] == "canceled"
        assert len(world.received("cancelorder")) == 1
        assert strategy.took(reply["id"]) == pytest.approx(0.8, abs=0.01)
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_filled_order_is_told_as_filled_though_no_answer_says_so(autojump_clock: object, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        world.inject("delay_events", seconds=0.3)
        world.fill(order_id)
        reply = await strategy.cancel(order_id=order_id)
        assert (reply["outcome"], reply["state"]) == ("closed", "filled")
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_an_order_that_never_was_is_not_open_after_asking_again(autojump_clock: object, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        reply = await strategy.cancel(order_id="00000000-0000-4000-8000-00000000dead")
        assert reply["outcome"] == "not_open"
        assert len(world.received("cancel_order")) >= 2
