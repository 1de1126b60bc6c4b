"""The market is faster than the cancel.

A filled order is closed and not canceled, whether it was known to be filled before, filled while the cancel was under
way, or refused the cancel as too late. What had filled is told with the proof: what was ordered and did not fill is
canceled, and never what Prime calls the quantity that is left.
"""

import pytest

from ..world import SEEDS, Staging


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("until", ["ack", "proof"])
async def test_one_known_to_have_filled_costs_no_frame(
    autojump_clock: object, stage: Staging, seed: int, until: str
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        world.fill(order_id)
        await world.passed(0.05)
        reply = await strategy.cancel(order_id=order_id, until=until)
        assert (reply["outcome"], reply["state"], float(reply["filled_qty"])) == ("closed", "filled", 1.0)
        assert world.frames("OrderCancelRequest") == []


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("until", ["ack", "proof"])
async def test_too_late_by_a_fill_of_which_the_stream_is_behind(
    autojump_clock: object, stage: Staging, seed: int, until: str
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        world.inject("drop_event", match="Trade")
        world.fill(order_id)
        reply = await strategy.cancel(order_id=order_id, until=until)
        assert (reply["outcome"], reply["state"], float(reply["filled_qty"])) == ("closed", "filled", 1.0)
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("until", ["ack", "proof"])
async def test_filled_while_the_cancel_is_under_way(
    autojump_clock: object, stage: Staging, seed: int, until: str
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        world.inject("linger", match="OrderCancelRequest", seconds=0.5, fill="all")
        reply = await strategy.cancel(order_id=order_id, until=until)
        if until == "proof":
            assert (reply["outcome"], reply["state"], float(reply["filled_qty"])) == ("closed", "filled", 1.0)
        assert reply["outcome"] in ("acked", "closed")
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_what_filled_in_part_is_told_with_the_proof(autojump_clock: object, stage: Staging, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        before, meanwhile = await world.place_seen(2)
        world.fill(before, "0.25")
        await world.passed(0.05)
        reply = await strategy.cancel(order_id=before, until="proof")
        assert (reply["outcome"], float(reply["filled_qty"])) == ("canceled", 0.25)
        world.inject("linger", match="OrderCancelRequest", seconds=0.2, fill="0.75")
        reply = await strategy.cancel(order_id=meanwhile, until="proof")
        assert (reply["outcome"], float(reply["filled_qty"])) == ("canceled", 0.75)
        assert world.resting == []


@pytest.mark.parametrize("word", ["Cancelled", "Vanished"])
async def test_words_for_an_end_that_the_pages_leave_open(autojump_clock: object, stage: Staging, word: str) -> None:
    async with stage() as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        world.inject("status_word", match="Canceled", word=word)
        reply = await strategy.cancel(order_id=order_id, until="proof")
        # A word that nobody knows is no end: what it is stays to be asked for.
        assert reply["outcome"] in (("canceled",) if word == "Cancelled" else ("canceled", "unknown"))
        assert world.resting == []
