"""One socket is reset with a cancel on it.

Nobody waits on a reader that has gone: in the step that notices, the cancel is on the other socket. To the strategy it
costs nothing.
"""

import pytest

from .world import SEEDS, Staging


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("effect", ["before", "after"])
@pytest.mark.parametrize("kind", ["reset_sockets", "close_code"])
async def test_the_cancel_moves_to_the_other_socket_in_the_same_instant(
    autojump_clock: object, stage: Staging, seed: int, effect: str, kind: str
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        world.inject(kind, match="cancelOrder", effect=effect, times=1)
        reply = await strategy.cancel(order_id=order_id)
        assert reply["outcome"] in ("acked", "canceled")
        assert strategy.took(reply["id"]) == 0.0
        assert world.asked_of_venue(order_id)[0].route == world.spoken("spot_ws")
        assert world.frames("CancelOrder") == []
        assert world.resting == []
        await world.live()


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_burst_of_two_hundred_moves_whole(autojump_clock: object, stage: Staging, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        orders = await world.place_seen(200)
        world.inject("swallow_ack_before_effect", match="cancelOrder", times=200)
        for order_id in orders:
            strategy.ask(order_id=order_id)
        await world.passed(0.1)
        active = world.received("cancelOrder")[0].session
        world.inject("reset_sockets", session=active)
        replies = await strategy.hear_all(200)
        assert {reply["outcome"] for reply in replies.values()} <= {"acked", "canceled"}
        assert [strategy.took(id) for id in replies] == pytest.approx([0.1] * 200, abs=0.001)
        assert world.resting == []
