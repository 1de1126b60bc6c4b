"""A strategy pulls its whole grid of five hundred orders in one command, on a budget of five hundred points.

One by one they would cost 5,000 points and in batches 725. When they are all that is open, one request for everything
does it for 25; when they are a part, batches of twenty go side by side for as far as the points reach and the rest
waits. Each order has its own outcome, in the asked sequence.
"""

from typing import Any

import pytest

from ..world import FEED_HOST, SEEDS, Strategy
from .stages import stage

NEVER_WAS = "00000000-0000-4000-8000-{:012d}"


async def _batch(strategy: Strategy, orders: list[str], **fields: Any) -> list[dict[str, Any]]:
    reply = await strategy.do("cancel_batch", orders=[{"order_id": order_id} for order_id in orders], **fields)
    assert reply["type"] == "batch"
    outcomes: list[dict[str, Any]] = reply["outcomes"]
    assert [outcome["order_id"] for outcome in outcomes] == orders
    return outcomes


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("until", ["ack", "proof"])
@pytest.mark.parametrize("witness", ["feed up", "feed down", "events lost"])
async def test_all_that_is_open_goes_as_one_request(
    autojump_clock: object, seed: int, until: str, witness: str
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        orders = await world.place_seen(500)
        if witness == "feed down":
            world.cut_off(FEED_HOST)
            await world.passed(0.01)
        if witness == "events lost":
            world.inject("drop_event", match="canceled")
        outcomes = await _batch(strategy, orders, until=until)
        assert {outcome["outcome"] for outcome in outcomes} == {"canceled"}
        assert len(world.received("cancelallorders")) == 1
        assert world.received("batchorder") == world.received("cancelorder") == []
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("until", ["ack", "proof"])
async def test_a_part_of_what_is_open_goes_as_batches_and_takes_nothing_else_along(
    autojump_clock: object, seed: int, until: str
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        orders = await world.place_seen(400)
        outcomes = await _batch(strategy, orders[:300], until=until)
        assert {outcome["outcome"] for outcome in outcomes} == {"canceled"}
        assert len(world.received("batchorder")) == 15
        assert world.received("cancelallorders") == world.received("cancelorder") == []
        assert world.resting == orders[300:]


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_part_beyond_the_points_is_carried_out_when_they_are_back(autojump_clock: object, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        orders = await world.place_seen(501)
        outcomes = await _batch(strategy, orders[:500], deadline_ms=15_000)
        assert {outcome["outcome"] for outcome in outcomes} == {"canceled"}
        assert world.resting == orders[500:]


@pytest.mark.parametrize("seed", SEEDS)
async def test_with_the_default_deadline_those_beyond_the_points_are_told_so(autojump_clock: object, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        orders = await world.place_seen(501)
        outcomes = await _batch(strategy, orders[:500])
        told = [outcome["outcome"] for outcome in outcomes]
        assert told.count("canceled") >= 300
        # Refused are those that never left, because the venue had just wanted to be left alone.
        assert set(told) <= {"canceled", "rejected", "unknown", "refused"}
        assert {o["class"] for o in outcomes if o["outcome"] == "rejected"} <= {"throttled"}
        assert len(world.resting) == 501 - told.count("canceled")


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("alone", [True, False], ids=["all that is open", "a part"])
async def test_good_and_wrong_ids_each_have_their_own_outcome(autojump_clock: object, seed: int, alone: bool) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        orders = await world.place_seen(90)
        others = [] if alone else await world.place_seen(10)
        mixed = [NEVER_WAS.format(n) if n % 10 == 3 else order_id for n, order_id in enumerate(orders)]
        spared = [order_id for n, order_id in enumerate(orders) if n % 10 == 3]
        outcomes = await _batch(strategy, mixed, deadline_ms=5000)
        for n, outcome in enumerate(outcomes):
            assert outcome["outcome"] == ("not_open" if n % 10 == 3 else "canceled"), outcome
        assert sorted(world.resting) == sorted([*spared, *others])


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("effect", ["before", "after"])
async def test_one_request_for_all_that_loses_its_answer_ends_in_proof(
    autojump_clock: object, seed: int, effect: str
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        orders = await world.place_seen(500)
        world.inject("rest_close_before_answer", match="cancelallorders", effect=effect, times=1)
        outcomes = await _batch(strategy, orders)
        assert {outcome["outcome"] for outcome in outcomes} == {"canceled"}
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_five_hundred_with_everything_down_are_not_called_done(autojump_clock: object, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        orders = await world.place_seen(500)
        world.cut_off(FEED_HOST, "futures.sim.invalid")
        await world.passed(0.01)
        outcomes = await _batch(strategy, orders, deadline_ms=1000)
        assert {outcome["outcome"] for outcome in outcomes} == {"refused"}
        assert len(world.resting) == 500
