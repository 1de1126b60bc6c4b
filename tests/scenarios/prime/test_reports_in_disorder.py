"""Every report comes four times: on both order streams of both connections, each at its own pace, perhaps shuffled.

The first one counts and the others are known for repetitions. A slow stream that still repeats an acceptance which has
been taken back meanwhile must not have it believed again.
"""

import pytest

from ..world import SEEDS, Staging
from .reports import refusal, rest_again, row_of, tell


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("until", ["ack", "proof"])
async def test_fifty_cancels_get_fifty_answers(autojump_clock: object, stage: Staging, seed: int, until: str) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        ended = world.listen("order.prime")
        orders = await world.place_seen(50)
        world.inject("duplicate_ack", match="OrderCancelRequest", fraction=0.5)
        world.inject("shuffle_acks", match="OrderCancelRequest")
        world.inject("delay_events", seconds=0.2, session=1)
        for order_id in orders:
            strategy.ask(order_id=order_id, until=until)
        replies = await strategy.hear_all(50)
        assert {reply["outcome"] for reply in replies.values()} <= {"acked", "canceled"}
        assert len(world.frames("OrderCancelRequest")) == 50
        await world.passed(1.0)
        assert sorted(event["order_id"] for event in ended.events) == sorted(orders)
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("stream", ["Order", "ExecutionReport"])
@pytest.mark.parametrize("session", [0, 1])
async def test_a_slow_stream_does_not_revive_an_acceptance_that_was_taken_back(
    autojump_clock: object, stage: Staging, seed: int, session: int, stream: str
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        world.inject("linger", match="OrderCancelRequest", times=1)
        asked = strategy.ask(order_id=order_id, until="proof")
        await world.passed(0.05)
        pending = row_of(world, order_id)
        assert pending["ExecType"] == "PendingCancel"
        # From here on every further cancel is refused, and nothing is accepted any more.
        rest_again(world, order_id)
        world.inject("cancel_rejected", match="OrderCancelRequest")
        tell(world, refusal(world, order_id))
        await world.passed(0.05)
        tell(world, pending, stream=stream, session=session)
        reply = await strategy.hear()
        assert (reply["id"], reply["outcome"]) == (asked, "unknown")
        assert "accepted" not in reply["error"]
        assert world.resting == [order_id]
