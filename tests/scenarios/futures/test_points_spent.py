"""The account's points are spent: by us, by the strategies, or by whoever else shares the address.

The venue answers apiLimitExceeded or 429. A cancel is never refused for it here: it waits and goes out again, for as
long as its deadline allows, and a query never takes the points that a cancel needs.
"""

import pytest

from ..world import SEEDS
from .stages import stage


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("refusal", ["apiLimitExceeded", "429"])
async def test_a_refusal_is_waited_out(autojump_clock: object, seed: int, refusal: str) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        if refusal == "429":
            world.inject("rest_status", route="futures_rest", status=429, for_s=2.5)
        else:
            world.inject("rest_error", route="futures_rest", error=refusal, for_s=2.5)
        reply = await strategy.cancel(order_id=order_id, deadline_ms=5000)
        assert reply["outcome"] == "canceled"
        assert strategy.took(reply["id"]) < 3.6
        assert len(world.received("cancelorder")) <= 4
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_with_a_deadline_too_short_to_wait_the_refusal_is_told(autojump_clock: object, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        world.inject("rest_error", route="futures_rest", error="apiLimitExceeded")
        reply = await strategy.cancel(order_id=order_id, deadline_ms=900)
        assert (reply["outcome"], reply["class"]) == ("rejected", "throttled")
        assert world.resting == [order_id]


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_stream_of_single_cancels_runs_over_the_budget_and_is_still_carried_out(
    autojump_clock: object, seed: int
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        orders = await world.place_seen(120)
        for order_id in orders:
            strategy.ask(order_id=order_id, deadline_ms=30_000)
        replies = await strategy.hear_all(120)
        assert {reply["outcome"] for reply in replies.values()} == {"canceled"}
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_budget_spent_by_others_delays_a_batch_and_refuses_nothing(autojump_clock: object, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        orders = await world.place_seen(60)
        account = world.exchange.resting("futures")[0].account
        assert world.exchange.futures._budgets.charge(account, 480)
        named = [{"order_id": order_id} for order_id in orders[:50]]
        reply = await strategy.do("cancel_batch", orders=named, deadline_ms=20_000)
        assert {outcome["outcome"] for outcome in reply["outcomes"]} == {"canceled"}
        assert world.resting == orders[50:]
