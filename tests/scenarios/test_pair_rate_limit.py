"""Thirty young orders of one pair are cancelled one by one on a small account.

Each costs 8 points of 60 and the venue refuses the eighth; its counter falls by one point a second, so waiting will not
do. A batch is taken above the ceiling too, and that is the documented way out.
"""

import pytest

from daemon.sim.rates import STARTER

from .world import REST_HOST, SEEDS, stage


@pytest.mark.parametrize("seed", SEEDS)
async def test_thirty_come_off_because_the_throttled_ones_go_as_batches(autojump_clock: object, seed: int) -> None:
    async with stage(seed, tier=STARTER) as world:
        strategy = world.strategy()
        orders = await world.place_seen(30)
        for order_id in orders:
            strategy.ask(order_id=order_id)
        replies = await strategy.hear_all(30)
        assert world.frames("CancelOrderBatch")
        kept = [reply for reply in replies.values() if reply["outcome"] not in ("acked", "canceled")]
        # A single one may be left over when the last batch has gone; it is told as what it is.
        assert len(kept) <= 1
        assert {(reply["outcome"], reply["class"]) for reply in kept} <= {("rejected", "throttled")}
        assert [reply["order_id"] for reply in kept] == world.resting


@pytest.mark.parametrize("seed", SEEDS)
async def test_two_throttled_ones_share_a_batch(autojump_clock: object, seed: int) -> None:
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
async def test_a_single_throttled_one_is_tried_until_there_is_room_or_told_as_it_is(
    autojump_clock: object, seed: int
) -> None:
    async with stage(seed, tier=STARTER) as world:
        strategy = world.strategy()
        orders = await world.place_seen(8)
        for order_id in orders:
            strategy.ask(order_id=order_id)
        replies = await strategy.hear_all(8)
        [last] = [reply for reply in replies.values() if reply["order_id"] == orders[7]]
        assert (last["outcome"], last["class"], last["error"]) == (
            "rejected",
            "throttled",
            "EOrder:Rate limit exceeded",
        )
        assert world.resting == [orders[7]]
        # With time to wait for the counter the same cancel goes through.
        reply = await strategy.cancel(order_id=orders[7], deadline_ms=30_000)
        assert reply["outcome"] in ("acked", "canceled")
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_without_rest_the_throttled_ones_are_rejected_and_said_to_be(autojump_clock: object, seed: int) -> None:
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
async def test_a_batch_command_takes_the_form_that_the_counter_bears(autojump_clock: object, seed: int) -> None:
    async with stage(seed, tier=STARTER) as world:
        strategy = world.strategy()
        orders = await world.place_seen(30)
        reply = await strategy.do("cancel_batch", orders=[{"order_id": order_id} for order_id in orders])
        assert {outcome["outcome"] for outcome in reply["outcomes"]} <= {"acked", "canceled"}
        assert len(world.frames("CancelOrderBatch")) == 1
        assert world.frames("cancelOrder") == []
        assert world.resting == []
