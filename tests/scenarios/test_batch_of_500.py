"""A strategy pulls its whole grid: five hundred orders in one command.

The reply holds one outcome per order, in the asked sequence, whatever form the cancels took on the wire, and however
many of the ids are wrong.
"""

from typing import Any

import pytest

from canceld.sim.rates import PRO, UNLIMITED, Tier

from .world import SEEDS, WS_HOST, Stage, Staging, Strategy


async def _batch(strategy: Strategy, orders: list[str], **fields: Any) -> list[dict[str, Any]]:
    reply = await strategy.do("cancel_batch", orders=[{"order_id": order_id} for order_id in orders], **fields)
    assert reply["type"] == "batch"
    outcomes: list[dict[str, Any]] = reply["outcomes"]
    assert [outcome["order_id"] for outcome in outcomes] == orders
    return outcomes


def _never_was(number: int) -> str:
    return f"ONEVER-WASAN-{number:06d}"


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("tier", [UNLIMITED, PRO], ids=["one by one", "as batches"])
@pytest.mark.parametrize("until", ["ack", "proof"])
async def test_one_outcome_per_order_in_the_asked_sequence(
    autojump_clock: object, stage: Staging, seed: int, tier: Tier, until: str
) -> None:
    async with stage(seed, tier=tier) as world:
        strategy = world.strategy()
        orders = await world.place_seen(500)
        outcomes = await _batch(strategy, orders, until=until)
        assert {outcome["outcome"] for outcome in outcomes} <= {"acked", "canceled"}
        if until == "proof":
            assert {outcome["outcome"] for outcome in outcomes} == {"canceled"}
        if tier is PRO:
            # Single cancels of young orders would have been refused after the 22nd.
            assert len(world.frames("CancelOrderBatch")) == 10
            assert world.frames("cancelOrder") == []
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("tier", [UNLIMITED, PRO], ids=["one by one", "as batches"])
async def test_good_and_wrong_ids_each_have_their_own_outcome(
    autojump_clock: object, stage: Staging, seed: int, tier: Tier
) -> None:
    async with stage(seed, tier=tier) as world:
        strategy = world.strategy()
        orders = await world.place_seen(100)
        mixed = [_never_was(n) if n % 10 == 3 else order_id for n, order_id in enumerate(orders)]
        spared = [order_id for n, order_id in enumerate(orders) if n % 10 == 3]
        outcomes = await _batch(strategy, mixed, deadline_ms=5000)
        for n, outcome in enumerate(outcomes):
            expected = ("not_open",) if n % 10 == 3 else ("acked", "canceled")
            assert outcome["outcome"] in expected, outcome
        assert sorted(world.resting) == sorted(spared)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("stream", ["speaks", "is mute", "is gone"])
async def test_a_rest_batch_whose_count_is_short_is_resolved_id_by_id(
    autojump_clock: object, stage: Staging, seed: int, stream: str
) -> None:
    async with stage(seed, tier=PRO) as world:
        strategy = world.strategy()
        orders = await world.place_seen(50)
        world.inject("batch_partial", route="spot_rest", keep=3, times=1)
        if stream == "is mute":
            world.inject("drop_event", match="canceled")
        if stream == "is gone":
            world.cut_off(WS_HOST)
            await world.passed(0.01)
        outcomes = await _batch(strategy, orders, deadline_ms=5000)
        assert {outcome["outcome"] for outcome in outcomes} <= {"acked", "canceled"}
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_all_three_kinds_of_name_in_one_batch(autojump_clock: object, stage: Staging, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [by_id] = await world.place_seen(1)
        await world.place_seen(1, cl_ord_id="mm-1")
        await world.place_seen(2, userref=9)
        named: list[dict[str, Any]] = [{"order_id": by_id}, {"cl_ord_id": "mm-1"}, {"userref": 9}, {"order_id": by_id}]
        reply = await strategy.do("cancel_batch", orders=named)
        for name, outcome in zip(named, reply["outcomes"], strict=True):
            assert name.items() <= outcome.items()
        assert {outcome["outcome"] for outcome in reply["outcomes"]} <= {"acked", "canceled"}
        assert len(world.asked_of_venue(by_id)) == 1
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_five_hundred_with_everything_down_are_five_hundred_refusals(
    autojump_clock: object, stage: Staging, seed: int
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        orders = await world.place_seen(500)
        _lose_everything(world)
        await world.passed(0.01)
        outcomes = await _batch(strategy, orders, deadline_ms=1000)
        assert {(outcome["outcome"], outcome["reason"]) for outcome in outcomes} == {("refused", "no_route")}
        assert len(world.resting) == 500


def _lose_everything(world: Stage) -> None:
    world.cut_off(WS_HOST, "rest.sim.invalid")
