"""A cancel for an order of which no stream has told.

Prime wants the symbol in every cancel. With it the cancel leaves, and "unknown order" means "not yet" until the venue
has had time: the order may be a moment old. Without it nothing can leave before somebody tells the symbol, and the
refusal says what is missing.
"""

import pytest

from ..world import SEEDS, Stage, Staging

ORDER_ID = "16a55364-4248-4575-aa0b-dddd3f694ca3"
NAME = "3f2b7f6e-0000-4000-8000-000000000001"


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("until", ["ack", "proof"])
async def test_with_a_symbol_it_is_not_open_after_it_was_asked_for_again(
    autojump_clock: object, stage: Staging, seed: int, until: str
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        reply = await strategy.cancel(order_id=ORDER_ID, symbol="BTC-USD", until=until)
        assert reply["outcome"] == "not_open"
        assert 1.5 <= strategy.took(reply["id"]) < 2.0
        assert 2 <= len(world.frames("OrderCancelRequest")) <= 6


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", [{"order_id": ORDER_ID}, {"cl_ord_id": NAME}])
async def test_without_one_it_is_refused_and_the_refusal_names_it(
    autojump_clock: object, stage: Staging, seed: int, name: dict[str, str]
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        reply = await strategy.cancel(**name)
        assert (reply["outcome"], reply["reason"]) == ("refused", "invalid")
        assert "symbol" in reply["detail"]
        assert world.frames("OrderCancelRequest") == []


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("until", ["ack", "proof"])
@pytest.mark.parametrize("name", [{"order_id": ORDER_ID}, {"cl_ord_id": NAME}])
async def test_without_one_it_leaves_when_the_order_appears_in_time(
    autojump_clock: object, stage: Staging, seed: int, name: dict[str, str], until: str
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        asked = strategy.ask(**name, until=until)
        await world.passed(0.7)
        world.place(1, order_id=ORDER_ID, cl_ord_id=NAME)
        reply = await strategy.hear()
        assert reply["outcome"] == ("acked" if until == "ack" else "canceled")
        assert reply["order_id"] == ORDER_ID
        assert strategy.took(asked) == pytest.approx(0.7, abs=0.02)
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_without_one_it_is_looked_up_where_the_streams_never_told(
    autojump_clock: object, stage: Staging, seed: int
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        for what in ("PendingNew", "New"):
            world.inject("drop_event", match=what)
        [order_id] = world.place(1)
        reply = await strategy.cancel(order_id=order_id)
        assert reply["outcome"] in ("acked", "canceled")
        assert strategy.took(reply["id"]) < 0.1
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_second_client_that_knows_the_symbol_helps_the_first(
    autojump_clock: object, stage: Staging, seed: int
) -> None:
    async with stage(seed) as world:
        first, second = world.strategy(), world.strategy()
        for what in ("PendingNew", "New", "snapshot"):
            world.inject("drop_event", match=what)
        [order_id] = world.place(1)
        first.ask(order_id=order_id)
        await world.passed(0.3)
        second.ask(order_id=order_id, symbol="BTC-USD")
        assert (await first.hear())["outcome"] in ("acked", "canceled")
        assert (await second.hear())["outcome"] in ("acked", "canceled")
        assert len(world.frames("OrderCancelRequest")) == 1
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("seen", [True, False])
async def test_a_wrong_symbol_calls_no_order_gone_that_rests(
    autojump_clock: object, stage: Staging, seed: int, seen: bool
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        if not seen:
            for what in ("PendingNew", "New"):
                world.inject("drop_event", match=what)
        [order_id] = await world.place_seen(1)
        reply = await strategy.cancel(order_id=order_id, symbol="ETH-USD")
        assert reply["outcome"] in ("acked", "canceled")
        assert world.frames("OrderCancelRequest")[-1]["Symbol"] == "BTC-USD"
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize("name", [{"order_id": ORDER_ID}, {"cl_ord_id": NAME}])
async def test_a_cancel_that_overtakes_its_own_add(
    autojump_clock: object, stage: Staging, seed: int, name: dict[str, str], told: bool
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        if not told:
            for what in ("PendingNew", "New"):
                world.inject("drop_event", match=what)
        asked = strategy.ask(**name, symbol="BTC-USD")
        await world.passed(0.3)
        world.place(1, order_id=ORDER_ID, cl_ord_id=NAME)
        reply = await strategy.hear()
        assert reply["outcome"] in ("acked", "canceled")
        assert strategy.took(asked) <= (0.31 if told else 1.6)
        assert world.resting == []


async def test_a_deadline_inside_the_window_ends_without_claiming_more_than_is_known(
    autojump_clock: object, stage: Staging
) -> None:
    async with stage() as world:
        strategy = world.strategy()
        reply = await strategy.cancel(order_id=ORDER_ID, symbol="BTC-USD", deadline_ms=500)
        assert reply["outcome"] in ("not_open", "unknown")


@pytest.mark.parametrize("seed", SEEDS)
async def test_an_order_that_fills_between_two_cancels_is_told_as_filled(
    autojump_clock: object, stage: Staging, seed: int
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        strategy.ask(order_id=ORDER_ID, symbol="BTC-USD")
        world.start(_placed_and_filled, world)
        reply = await strategy.hear()
        assert (reply["outcome"], reply["state"]) == ("closed", "filled")
        assert float(reply["filled_qty"]) == 1.0


async def _placed_and_filled(world: Stage) -> None:
    await world.passed(0.1)
    world.place(1, order_id=ORDER_ID)
    world.fill(ORDER_ID)
