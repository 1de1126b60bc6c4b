"""Fifty orders by client order ids that no stream has told of, over REST alone at 40 ms: they go in one request.

Where the venue refuses the form each goes alone; where it cancels fewer than were named, those that are left go alone.
"""

import pytest

from .world import WS_HOST, Stage, Staging


async def cut_off(world: Stage) -> list[str]:
    world.cut_off(WS_HOST)
    await world.passed(0.5)
    names = [f"mm-{number}" for number in range(50)]
    for name in names:
        world.place(1, cl_ord_id=name)
    world.inject("delay", seconds=0.04, route="spot_rest")
    return names


async def test_fifty_go_in_at_most_two_requests(autojump_clock: object, stage: Staging) -> None:
    async with stage(1) as world:
        names = await cut_off(world)
        strategy = world.strategy()
        reply = await strategy.do("cancel_batch", orders=[{"cl_ord_id": name} for name in names])
        assert {outcome["outcome"] for outcome in reply["outcomes"]} == {"acked"}
        assert len(world.frames("CancelOrderBatch")) + len(world.frames("CancelOrder")) <= 2
        assert world.resting == []
        world.reconnect()


async def test_single_commands_share_requests_too(autojump_clock: object, stage: Staging) -> None:
    async with stage(1) as world:
        names = await cut_off(world)
        strategy = world.strategy()
        for name in names:
            strategy.ask("cancel", cl_ord_id=name)
        replies = await strategy.hear_all(50)
        assert {reply["outcome"] for reply in replies.values()} == {"acked"}
        assert len(world.frames("CancelOrderBatch")) + len(world.frames("CancelOrder")) <= 3
        assert world.resting == []
        world.reconnect()


@pytest.mark.parametrize("keep", [0, 20])
async def test_what_a_batch_did_not_take_goes_alone(autojump_clock: object, stage: Staging, keep: int) -> None:
    async with stage(1) as world:
        names = await cut_off(world)
        world.inject("batch_partial", keep=keep, times=1)
        orders = [{"cl_ord_id": name} for name in names]
        reply = await world.strategy().do("cancel_batch", orders=orders, deadline_ms=10_000)
        assert {outcome["outcome"] for outcome in reply["outcomes"]} <= {"acked", "closed", "canceled", "not_open"}
        assert world.resting == []
        world.reconnect()
