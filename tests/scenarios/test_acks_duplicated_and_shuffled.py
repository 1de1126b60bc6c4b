"""A venue in disorder: acks come twice, in another order, and some of them are errors that mean nothing lasting.

Over v1 an ack carries no order id and over v2 a refusal carries none, so the reqid has to do. Fifty cancels must end as
fifty answers and an empty book.
"""

import pytest

from .world import SEEDS, Staging


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    "error",
    [
        "EService:Busy",
        "EService:Unavailable",
        "EGeneral:Internal error[14]",
        "Exceeded msg rate",
        "EOrder:Rate limit exceeded",
        "EOrder:Unknown order",
        "a text that nobody has seen before",
    ],
)
async def test_fifty_cancels_get_fifty_answers_from_a_venue_in_disorder(
    autojump_clock: object, stage: Staging, seed: int, error: str
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        orders = await world.place_seen(50)
        world.inject("duplicate_ack", match="cancelOrder", fraction=0.5)
        world.inject("delay", match="cancelOrder", seconds=0.0, jitter_s=0.2)
        world.inject("ack_error", match="cancelOrder", error=error, fraction=0.3, for_s=0.3)
        for order_id in orders:
            strategy.ask(order_id=order_id, deadline_ms=5000)
        replies = await strategy.hear_all(50)
        assert {reply["outcome"] for reply in replies.values()} <= {"acked", "canceled"}
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_an_ack_for_somebody_elses_request_settles_nothing(
    autojump_clock: object, stage: Staging, seed: int
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        first, second = await world.place_seen(2)
        # The ack of the first cancel names a reqid that was never ours; nothing else speaks for it.
        world.inject("stale_reqid", match="cancelOrder", reqid=17, instead=True, times=1)
        world.inject("swallow_ack_before_effect", match="cancelOrder", times=1, session=99)
        world.inject("drop_event", match="canceled")
        reply = await strategy.cancel(order_id=first)
        assert reply["attempts"] == 2
        assert reply["outcome"] == "canceled"
        assert (await strategy.cancel(order_id=second))["outcome"] == "acked"
        assert world.pursuits.counts.stray_acks == 1
        assert world.resting == []
