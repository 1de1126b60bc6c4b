"""What the venue says became of an order, word by word.

`filled` ended it otherwise. `notFound` is no proof of anything, so the order's state is asked for at once. A word that
nobody knows is never taken for success: proof or `unknown`.
"""

from datetime import datetime

import pytest

from ..world import FEED_HOST, SEEDS
from .stages import stage

NEVER_WAS = "00000000-0000-4000-8000-00000000dead"


@pytest.mark.parametrize("seed", SEEDS)
async def test_an_order_that_filled_first_is_closed_as_filled(autojump_clock: object, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        world.inject("delay_events", seconds=1.0)
        world.fill(order_id)
        reply = await strategy.cancel(order_id=order_id)
        assert (reply["outcome"], reply["state"], reply["route"]) == ("closed", "filled", "rest")
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_part_that_filled_before_the_cancel_is_told(autojump_clock: object, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        world.fill(order_id, "0.4")
        reply = await strategy.cancel(order_id=order_id)
        assert (reply["outcome"], float(reply["filled_qty"])) == ("canceled", 0.4)
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_when_the_venue_took_it_in_is_told_in_its_words(autojump_clock: object, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        world.inject("delay_events", seconds=1.0)
        reply = await strategy.cancel(order_id=order_id)
        assert (reply["outcome"], reply["route"]) == ("canceled", "rest")
        took_ns = reply["answered_ns"] - reply["sent_ns"]
        received_ns = datetime.fromisoformat(reply["received_time"]).timestamp() * 1e9
        assert 0 <= world.clock.utc_ns() - received_ns <= took_ns + 2_000_000
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_not_found_is_verified_before_it_is_believed(autojump_clock: object, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        reply = await strategy.cancel(order_id=NEVER_WAS)
        assert reply["outcome"] == "not_open"
        assert world.received("orders/status") != []
        assert [frame["orderIds"] for frame in world.frames("orders/status")] == [NEVER_WAS]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("witness", ["feed up", "feed down"])
async def test_not_found_while_the_order_rests_is_not_believed(autojump_clock: object, seed: int, witness: str) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        if witness == "feed down":
            world.cut_off(FEED_HOST)
            await world.passed(0.01)
        world.inject("status_word", route="futures_rest", match="cancelorder", word="notFound", times=1)
        reply = await strategy.cancel(order_id=order_id)
        assert reply["outcome"] == "canceled"
        assert len(world.received("cancelorder")) == 2
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_not_found_for_an_order_canceled_before_is_told_as_canceled(autojump_clock: object, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        world.inject("drop_event", match="placed")
        [order_id] = world.place(1)
        order = world.exchange.exchange.known_order("futures", order_id)
        assert order is not None
        world.inject("drop_event", match="canceled")
        world.exchange.exchange.cancel(order, "by another client")
        reply = await strategy.cancel(order_id=order_id)
        assert reply["outcome"] in ("canceled", "closed")
        if reply["outcome"] == "closed":
            assert reply["state"] == "canceled"


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("effect", ["before", "after"])
async def test_an_unknown_word_is_never_success(autojump_clock: object, seed: int, effect: str) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        world.inject("drop_event", match="canceled")
        world.inject(
            "status_word", route="futures_rest", match="cancelorder", word="maybeLater", effect=effect, times=1
        )
        reply = await strategy.cancel(order_id=order_id)
        assert reply["outcome"] == "canceled"
        assert world.received("orders/status") != [] or len(world.received("cancelorder")) == 2
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_an_unknown_word_every_time_ends_in_unknown(autojump_clock: object, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        world.inject("status_word", route="futures_rest", word="maybeLater")
        reply = await strategy.cancel(order_id=order_id)
        assert reply["outcome"] == "unknown"
        assert world.resting == [order_id]
        assert len(world.received("cancelorder")) <= 16


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_state_that_nobody_knows_proves_nothing(autojump_clock: object, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        world.inject("status_word", route="futures_rest", match="cancelorder", word="notFound")
        world.inject("status_word", route="futures_rest", match="orders/status", word="GONE_FISHING")
        reply = await strategy.cancel(order_id=order_id)
        assert reply["outcome"] == "unknown"
        assert world.resting == [order_id]
