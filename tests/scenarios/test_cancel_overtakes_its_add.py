"""A strategy adds an order and cancels it at once; on Kraken's load-balanced sockets the cancel can arrive first.

"Unknown order" then means "not yet". The cancel is asked again until overtake_ms are over, and the moment the order
shows up in the stream. An order that never shows up is not open, and only then may that be said.
"""

import pytest

from .world import SEEDS, Stage, Staging

ORDER_ID = "OAAAAA-BBBBB-CCCCCC"


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("told", [True, False])
async def test_an_order_that_appears_300_ms_later_is_canceled(
    autojump_clock: object, stage: Staging, seed: int, told: bool
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        if not told:
            world.inject("drop_event", match="placed")
        asked = strategy.ask(order_id=ORDER_ID)
        await world.passed(0.3)
        world.place(1, order_id=ORDER_ID)
        reply = await strategy.hear()
        assert reply["outcome"] in ("acked", "canceled")
        assert strategy.took(asked) <= (0.31 if told else 1.6)
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("until", ["ack", "proof"])
async def test_one_that_never_appears_is_not_open_after_the_window(
    autojump_clock: object, stage: Staging, seed: int, until: str
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        reply = await strategy.cancel(order_id=ORDER_ID, until=until)
        assert reply["outcome"] == "not_open"
        assert strategy.took(reply["id"]) == pytest.approx(1.5, abs=0.05)
        assert len(world.asked_of_venue(ORDER_ID)) <= 6


async def test_a_deadline_inside_the_window_ends_without_claiming_more_than_is_known(
    autojump_clock: object, stage: Staging
) -> None:
    async with stage() as world:
        strategy = world.strategy()
        asked = strategy.ask(order_id=ORDER_ID, deadline_ms=500)
        reply = await strategy.hear()
        assert reply["outcome"] in ("not_open", "unknown")
        assert strategy.took(asked) <= 0.505


@pytest.mark.parametrize("seed", SEEDS)
async def test_the_same_by_client_order_id(autojump_clock: object, stage: Staging, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        asked = strategy.ask(cl_ord_id="grid-17")
        await world.passed(0.3)
        [order_id] = world.place(1, cl_ord_id="grid-17")
        reply = await strategy.hear()
        assert reply["outcome"] in ("acked", "canceled")
        assert strategy.took(asked) <= 0.31
        assert reply["order_id"] == order_id
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_an_order_that_fills_between_the_two_cancels_is_told_as_filled(
    autojump_clock: object, stage: Staging, seed: int
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        strategy.ask(order_id=ORDER_ID)
        world.start(_placed_and_filled, world)
        reply = await strategy.hear()
        assert (reply["outcome"], reply["state"]) == ("closed", "filled")
        assert float(reply["filled_qty"]) == 1.0


async def _placed_and_filled(world: Stage) -> None:
    await world.passed(0.1)
    world.place(1, order_id=ORDER_ID)
    world.fill(ORDER_ID)
