"""Thirty young orders of one pair are cancelled one by one on a small account.

Each costs 8 points of 60 and the venue refuses the eighth; its counter falls by one point a second, so waiting will not
do. A batch is taken above the ceiling too, and that is the documented way out.
"""

import pytest

from canceld.sim.rates import STARTER

from .world import REST_HOST, SEEDS, Staging


@pytest.mark.parametrize("seed", SEEDS)
async def test_thirty_come_off_because_the_throttled_ones_go_as_batches(
    autojump_clock: object, stage: Staging, seed: int
) -> None:
    async with stage(seed, tier=STARTER) as world:
        strategy = world.strategy()
        orders = await world.place_seen(30)
        for order_id in orders:
            strategy.ask(order_id=order_id)
        replies = await strategy.hear_all(30)
        assert {reply["outcome"] for reply in replies.values()} <= {"acked", "canceled"}
        assert 1 <= len(world.frames("CancelOrderBatch")) <= 12
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_two_throttled_ones_share_a_batch(autojump_clock: object, stage: Staging, seed: int) -> None:
    async with stage(seed, tier=STARTER) as world:
        strategy = world.strategy()
        orders = await world.place_seen(9)
        for order_id in orders:
            strategy.ask(order_id=order_id)
        replies = await strategy.hear_all(9)
        assert {reply["outcome"] for reply in replies.values()} <= {"acked", "canceled"}
        [batch] = world.frames("CancelOrderBatch")
        assert sorted(batch["orders"]) == sorted(orders[7:])
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("deadline_ms", "took_s"), [(2000, 1.0), (900, 0.0)])
async def test_a_lone_throttled_one_waits_for_company_if_it_can_and_goes_as_a_batch_of_one(
    autojump_clock: object, stage: Staging, seed: int, deadline_ms: int, took_s: float
) -> None:
    async with stage(seed, tier=STARTER) as world:
        strategy = world.strategy()
        orders = await world.place_seen(8)
        for order_id in orders:
            strategy.ask(id=order_id, order_id=order_id, deadline_ms=deadline_ms)
        replies = await strategy.hear_all(8)
        assert {reply["outcome"] for reply in replies.values()} <= {"acked", "canceled"}
        assert strategy.took(orders[7]) == pytest.approx(took_s, abs=0.001)
        [batch] = world.frames("CancelOrderBatch")
        assert batch["orders"] == [orders[7]]
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_without_rest_the_throttled_ones_are_rejected_and_said_to_be(
    autojump_clock: object, stage: Staging, seed: int
) -> None:
    async with stage(seed, tier=STARTER) as world:
        strategy = world.strategy()
        orders = await world.place_seen(30)
        world.cut_off(REST_HOST)
        for order_id in orders:
            strategy.ask(order_id=order_id)
        replies = await strategy.hear_all(30)
        gone = [reply for reply in replies.values() if reply["outcome"] in ("acked", "canceled")]
        kept = [reply for reply in replies.values() if reply["outcome"] == "rejected"]
        assert len(gone) + len(kept) == 30
        assert {reply["class"] for reply in kept} == {"throttled"}
        assert sorted(reply["order_id"] for reply in kept) == sorted(world.resting)


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_batch_command_takes_the_form_that_the_counter_bears(
    autojump_clock: object, stage: Staging, seed: int
) -> None:
    async with stage(seed, tier=STARTER) as world:
        strategy = world.strategy()
        orders = await world.place_seen(30)
        reply = await strategy.do("cancel_batch", orders=[{"order_id": order_id} for order_id in orders])
        assert {outcome["outcome"] for outcome in reply["outcomes"]} <= {"acked", "canceled"}
        assert len(world.frames("CancelOrderBatch")) == 1
        assert world.frames("cancelOrder") == []
        assert world.resting == []
