"""The market was faster: the order is filled when the cancel reaches the venue.

"Unknown order" is all that the venue says, whoever ended the order and however. The strategy must hear that it holds a
position, and how much of it.
"""

import pytest

from .world import SEEDS, Staging


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_fill_that_the_stream_told_of_needs_no_frame(autojump_clock: object, stage: Staging, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        world.fill(order_id)
        await world.passed(0.05)
        reply = await strategy.cancel(order_id=order_id)
        assert (reply["outcome"], reply["state"], reply["route"]) == ("closed", "filled", "stream")
        assert float(reply["filled_qty"]) == 1.0
        assert reply["attempts"] == 0
        assert world.asked_of_venue(order_id) == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_fill_on_its_way_here_answers_the_cancel(autojump_clock: object, stage: Staging, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        world.inject("delay_events", seconds=0.1)
        world.fill(order_id)
        reply = await strategy.cancel(order_id=order_id)
        assert (reply["outcome"], reply["state"]) == ("closed", "filled")
        assert float(reply["filled_qty"]) == 1.0
        assert strategy.took(reply["id"]) <= 0.11


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_fill_whose_event_was_lost_is_asked_for(autojump_clock: object, stage: Staging, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        world.inject("drop_event")
        world.fill(order_id)
        await world.passed(0.05)
        reply = await strategy.cancel(order_id=order_id)
        assert (reply["outcome"], reply["state"], reply["route"]) == ("closed", "filled", "rest")
        assert float(reply["filled_qty"]) == 1.0
        assert strategy.took(reply["id"]) < 0.1


@pytest.mark.parametrize("seed", SEEDS)
async def test_an_order_the_daemon_never_heard_of_is_looked_up(
    autojump_clock: object, stage: Staging, seed: int
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        world.inject("drop_event")
        [order_id] = world.place(1)
        world.fill(order_id, "0.3")
        world.fill(order_id)
        reply = await strategy.cancel(order_id=order_id)
        assert (reply["outcome"], reply["state"]) == ("closed", "filled")
        assert float(reply["filled_qty"]) == 1.0


@pytest.mark.parametrize("seed", SEEDS)
async def test_an_order_that_expired_is_told_as_expired(autojump_clock: object, stage: Staging, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        order = world.exchange.exchange.known_order("spot", order_id)
        assert order is not None
        world.exchange.exchange.expire(order)
        reply = await strategy.cancel(order_id=order_id)
        assert (reply["outcome"], reply["state"]) == ("closed", "expired")
