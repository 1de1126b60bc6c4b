"""A grid of five hundred orders is pulled with the Unified WebSocket there, on the same five hundred points.

A few go one by one over the socket. What would cost too much so goes by REST, whose answers tell the orders apart;
where REST is retired, several orders share one request on a socket, which answers with no more than a number.
"""

from typing import Any

import pytest

from ..world import SEEDS, UWS_HOST, Strategy
from .stages import retire_rest, stage

NEVER_WAS = "00000000-0000-4000-8000-{:012d}"


async def _batch(strategy: Strategy, orders: list[str], **fields: Any) -> list[dict[str, Any]]:
    reply = await strategy.do("cancel_batch", orders=[{"order_id": order_id} for order_id in orders], **fields)
    outcomes: list[dict[str, Any]] = reply["outcomes"]
    assert [outcome["order_id"] for outcome in outcomes] == orders
    return outcomes


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("until", ["ack", "proof"])
async def test_a_few_go_one_by_one(autojump_clock: object, seed: int, until: str) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        orders = await world.place_seen(30)
        outcomes = await _batch(strategy, orders, until=until)
        assert {o["outcome"] for o in outcomes} <= ({"canceled"} if until == "proof" else {"acked", "canceled"})
        assert len(world.received("cancel_order")) == 30
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_many_go_by_rest_batches_and_take_nothing_else_along(autojump_clock: object, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        orders = await world.place_seen(400)
        outcomes = await _batch(strategy, orders[:300])
        assert {outcome["outcome"] for outcome in outcomes} == {"canceled"}
        assert len(world.received("batchorder")) == 15
        assert world.received("cancel_order") == []
        assert world.resting == orders[300:]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("until", ["ack", "proof"])
async def test_all_that_is_open_goes_as_one_request(autojump_clock: object, seed: int, until: str) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        orders = await world.place_seen(500)
        outcomes = await _batch(strategy, orders, until=until)
        assert {outcome["outcome"] for outcome in outcomes} == {"canceled"}
        assert len(world.received("cancelallorders")) == 1
        assert world.received("cancel_order") == []
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("until", ["ack", "proof"])
async def test_with_rest_retired_orders_share_requests_on_a_socket(
    autojump_clock: object, seed: int, until: str
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        orders = await world.place_seen(300)
        retire_rest(world)
        outcomes = await _batch(strategy, orders[:250], until=until)
        assert {o["outcome"] for o in outcomes} <= ({"canceled"} if until == "proof" else {"acked", "canceled"})
        assert world.received("batch_cancel") != []
        assert world.resting == orders[250:]


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_count_beside_the_result_is_a_count(autojump_clock: object, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        orders = await world.place_seen(300)
        retire_rest(world)
        world.inject("count_beside", route="unified_ws")
        outcomes = await _batch(strategy, orders[:250])
        assert {outcome["outcome"] for outcome in outcomes} <= {"acked", "canceled"}
        assert world.received("batch_cancel") != []
        # No order had to be asked for alone, as each is whose batch tells too little.
        assert len({outcome["attempts"] for outcome in outcomes}) == 1
        assert world.received("cancel_order") == []
        assert world.resting == orders[250:]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("until", ["ack", "proof"])
async def test_with_rest_retired_all_that_is_open_goes_as_one_request(
    autojump_clock: object, seed: int, until: str
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        orders = await world.place_seen(500)
        retire_rest(world)
        outcomes = await _batch(strategy, orders, until=until)
        assert {outcome["outcome"] for outcome in outcomes} == {"canceled"}
        assert len(world.received("cancel_all")) == 1
        assert len(world.received("cancel_order")) < 10
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("misfortune", ["count is short", "ids that never were", "refused whole", "answer lost"])
async def test_with_rest_retired_a_shared_request_that_tells_too_little_is_resolved_order_by_order(
    autojump_clock: object, seed: int, misfortune: str
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        orders = await world.place_seen(120)
        retire_rest(world)
        asked = orders[:100]
        match misfortune:
            case "count is short":
                world.inject("batch_partial", route="unified_ws", keep=3, times=1)
            case "ids that never were":
                asked = [NEVER_WAS.format(n) if n in (50, 99) else order_id for n, order_id in enumerate(asked)]
            case "refused whole":
                world.inject(
                    "token_error", route="unified_ws", match="batch_cancel", error="EGeneral:Invalid arguments", times=1
                )
            case _:
                world.inject("swallow_ack_after_effect", route="unified_ws", match="batch_cancel", times=1)
        outcomes = await _batch(strategy, asked, deadline_ms=30_000)
        for order_id, outcome in zip(asked, outcomes, strict=True):
            if order_id in orders:
                assert outcome["outcome"] in ("acked", "canceled"), outcome
            else:
                # The shared request may have ended it, for all that its answer says.
                assert outcome["outcome"] == "not_open" or outcome["cause"] == "unconfirmed", outcome
        assert sorted(world.resting) == sorted(set(orders) - set(asked))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("effect", ["before", "after"])
async def test_with_rest_retired_a_lost_socket_moves_its_shared_requests_to_the_other(
    autojump_clock: object, seed: int, effect: str
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        orders = await world.place_seen(120)
        retire_rest(world)
        world.inject("reset_sockets", route="unified_ws", match="batch_cancel", effect=effect, times=1)
        outcomes = await _batch(strategy, orders[:100], deadline_ms=30_000)
        assert {outcome["outcome"] for outcome in outcomes} <= {"acked", "canceled"}
        assert world.resting == orders[100:]


@pytest.mark.parametrize("seed", SEEDS)
async def test_both_sockets_lost_with_a_hundred_in_flight_and_rest_there(autojump_clock: object, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        orders = await world.place_seen(100)
        world.inject("swallow_ack_before_effect", route="unified_ws")
        for order_id in orders:
            strategy.ask(order_id=order_id)
        await world.passed(0.02)
        world.cut_off(UWS_HOST)
        replies = await strategy.hear_all(100)
        assert {reply["outcome"] for reply in replies.values()} == {"canceled"}
        assert max(strategy.took(id) for id in replies) < 0.2
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_one_request_for_all_that_rest_swallows_is_hedged_as_one_over_a_socket(
    autojump_clock: object, seed: int
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        orders = await world.place_seen(500)
        world.inject("rest_delay", match="cancelallorders", seconds=600.0, request=True, times=1)
        outcomes = await _batch(strategy, orders)
        assert {outcome["outcome"] for outcome in outcomes} == {"canceled"}
        assert len(world.received("cancel_all")) == 1
        assert world.resting == []
