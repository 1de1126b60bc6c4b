"""The feed numbers no message, so one that is lost shows nowhere: every ten seconds all that is open is asked for."""

import pytest

from ..world import SEEDS
from .stages import stage


@pytest.mark.parametrize("seed", SEEDS)
async def test_an_order_whose_birth_was_lost_is_found(autojump_clock: object, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        world.inject("drop_event", match="placed")
        [order_id] = world.place(1, cl_ord_id="mm-1")
        await world.passed(0.05)
        assert not world.pursuits.resting.is_open(order_id)
        await world.passed(10.5)
        assert world.pursuits.resting.is_open(order_id)
        reply = await strategy.cancel(cl_ord_id="mm-1")
        assert (reply["outcome"], reply["order_id"]) == ("canceled", order_id)
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_an_order_whose_end_was_lost_is_not_called_open_for_ever(autojump_clock: object, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        world.inject("drop_event", match="filled")
        world.fill(order_id)
        await world.passed(0.05)
        assert world.pursuits.resting.is_open(order_id)
        await world.passed(10.5)
        assert not world.pursuits.resting.is_open(order_id)
        # It ended longer ago than the venue tells, and an absence is no proof of how.
        reply = await strategy.cancel(order_id=order_id)
        assert reply["outcome"] == "not_open"
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_cancel_whose_answer_and_event_are_lost_is_proved_in_time(autojump_clock: object, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        world.inject("drop_event", match="canceled")
        world.inject("rest_close_before_answer", match="cancelorder", effect="after", times=1)
        reply = await strategy.cancel(order_id=order_id, until="proof")
        assert (reply["outcome"], reply["route"]) == ("canceled", "rest")
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_survey_that_fails_costs_nothing_but_time(autojump_clock: object, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        world.inject("rest_delay", match="openorders", seconds=600.0, times=1)
        world.inject("rest_html_200", match="openorders", times=1)
        await world.passed(31.0)
        assert world.pursuits.resting.is_open(order_id)
        reply = await strategy.cancel(order_id=order_id)
        assert reply["outcome"] == "canceled"
        assert world.resting == []
        assert len(world.received("openorders")) >= 3
