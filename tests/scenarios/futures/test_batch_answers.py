"""Several cancels go as one batch, and its answer has to be read element by element.

The venue shuffles the elements, leaves some out, nests the status or puts a word in it that nobody knows. Each order is
settled by its own element or by asking for its state, never by its place in the list.
"""

import json
from typing import Any

import pytest

from ..world import SEEDS, Stage, Strategy
from .stages import stage

NEVER_WAS = "00000000-0000-4000-8000-00000000dead"


async def _burst(world: Stage, strategy: Strategy, orders: list[str], **fields: Any) -> list[dict[str, Any]]:
    """Single commands in one go, which leave as one batch; their replies, in the asked sequence."""
    asked = [strategy.ask(order_id=order_id, **fields) for order_id in orders]
    replies = await strategy.hear_all(len(orders))
    assert world.received("batchorder") != []
    return [replies[id] for id in asked]


def _queries(world: Stage, order_id: str) -> int:
    return sum(frame["orderIds"] == order_id for frame in world.frames("orders/status"))


@pytest.mark.parametrize("seed", SEEDS)
async def test_shuffled_elements_are_told_apart_by_their_ids(autojump_clock: object, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        orders = await world.place_seen(12)
        world.inject("delay_events", seconds=1.0)
        for order_id in orders[::3]:
            world.fill(order_id)
        replies = await _burst(world, strategy, orders)
        for n, reply in enumerate(replies):
            expected = ("closed", "filled") if n % 3 == 0 else ("canceled", None)
            assert (reply["outcome"], reply.get("state")) == expected, reply
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("fault", ["batch_missing", "batch_partial"])
@pytest.mark.parametrize("events", ["told", "lost"])
async def test_orders_that_the_answer_does_not_mention_are_looked_up(
    autojump_clock: object, seed: int, fault: str, events: str
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        orders = await world.place_seen(10)
        if events == "lost":
            world.inject("drop_event", match="canceled")
        left_out = {"count": 3} if fault == "batch_missing" else {"keep": 3}
        world.inject(fault, route="futures_rest", times=1, **left_out)
        replies = await _burst(world, strategy, orders)
        assert {reply["outcome"] for reply in replies} == {"canceled"}
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_an_order_that_never_was_does_not_spoil_the_others(autojump_clock: object, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        orders = await world.place_seen(5)
        replies = await _burst(world, strategy, [*orders, NEVER_WAS])
        assert [reply["outcome"] for reply in replies] == ["canceled"] * 5 + ["not_open"]
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("effect", ["before", "after"])
async def test_unknown_words_in_a_batch_are_never_success(autojump_clock: object, seed: int, effect: str) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        orders = await world.place_seen(5)
        world.inject("drop_event", match="canceled")
        world.inject("status_word", route="futures_rest", match="batchorder", word="vanished", effect=effect, times=1)
        replies = await _burst(world, strategy, orders)
        assert {reply["outcome"] for reply in replies} == {"canceled"}
        assert world.resting == []
        # Each was asked for again, by its state or by another cancel.
        assert all(len(world.asked_of_venue(order_id)) + _queries(world, order_id) >= 2 for order_id in orders)


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_status_nested_in_its_element_is_read(autojump_clock: object, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        orders = await world.place_seen(3)
        world.inject("drop_event", match="canceled")
        nested = [{"cancelStatus": {"status": "cancelled", "order_id": order_id}} for order_id in reversed(orders)]
        world.inject(
            "rest_status",
            route="futures_rest",
            match="batchorder",
            status=200,
            content_type="application/json",
            body=json.dumps({"result": "success", "batchStatus": nested}),
            effect="after",
            times=1,
        )
        replies = await _burst(world, strategy, orders)
        assert {(reply["outcome"], reply["route"]) for reply in replies} == {("canceled", "rest")}
        assert world.received("orders/status") == []
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "rest_close_before_answer", "effect": "after"},
        {"kind": "rest_close_before_answer", "effect": "before"},
        {"kind": "rest_status", "status": 502, "effect": "after"},
        {"kind": "rest_error", "error": "invalidArgument"},
        {"kind": "rest_error", "error": "notFound"},
        {"kind": "rest_error", "error": "unknownError"},
        {"kind": "rest_truncate"},
    ],
    ids=lambda fault: " ".join(str(value) for value in fault.values()),
)
async def test_a_batch_that_fails_whole_says_nothing_of_any_order(
    autojump_clock: object, seed: int, fault: dict[str, Any]
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        orders = await world.place_seen(8)
        world.inject("drop_event", match="canceled")
        world.inject(**fault, route="futures_rest", match="batchorder", times=1)
        replies = await _burst(world, strategy, orders)
        assert {reply["outcome"] for reply in replies} == {"canceled"}
        assert world.resting == []
