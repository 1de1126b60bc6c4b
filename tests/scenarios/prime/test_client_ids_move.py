"""An order's visible ClOrdID is that of the last request on it; its first one moves to OrigClOrdID.

A strategy's own name for its order must go on naming it, after a cancel that failed and after replaces that brought
other ids. The OrderID stays, so whatever is known goes by that.
"""

import pytest

from ..world import SEEDS, Staging
from .reports import refusal, rest_again, row_of, tell

NAME = "3f2b7f6e-0000-4000-8000-000000000001"
REPLACED = "3f2b7f6e-0000-4000-8000-00000000000"


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("until", ["ack", "proof"])
async def test_a_known_name_goes_by_the_order_id(autojump_clock: object, stage: Staging, seed: int, until: str) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1, cl_ord_id=NAME)
        reply = await strategy.cancel(cl_ord_id=NAME, until=until)
        assert (reply["outcome"], reply["order_id"]) == ("acked" if until == "ack" else "canceled", order_id)
        [frame] = world.frames("OrderCancelRequest")
        assert frame["OrderID"] == order_id
        assert "OrigClOrdID" not in frame
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("until", ["ack", "proof"])
async def test_an_unknown_name_goes_as_it_stands(autojump_clock: object, stage: Staging, seed: int, until: str) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        for what in ("PendingNew", "New"):
            world.inject("drop_event", match=what)
        [order_id] = world.place(1, cl_ord_id=NAME)
        reply = await strategy.cancel(cl_ord_id=NAME, symbol="BTC-USD", until=until)
        assert reply["outcome"] in ("acked", "canceled")
        assert reply["order_id"] == order_id
        [frame] = world.frames("OrderCancelRequest")
        assert frame["OrigClOrdID"] == NAME
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_name_that_never_was_is_not_open(autojump_clock: object, stage: Staging, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        reply = await strategy.cancel(cl_ord_id=NAME, symbol="BTC-USD")
        assert reply["outcome"] == "not_open"
        assert strategy.took(reply["id"]) >= 1.5


@pytest.mark.parametrize("seed", SEEDS)
async def test_after_a_cancel_that_failed_the_name_still_stands_for_the_order(
    autojump_clock: object, stage: Staging, seed: int
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1, cl_ord_id=NAME)
        world.inject("linger", match="OrderCancelRequest", times=1)
        assert (await strategy.cancel(cl_ord_id=NAME))["outcome"] == "acked"
        assert row_of(world, order_id)["OrigClOrdID"] == NAME
        rest_again(world, order_id)
        tell(world, refusal(world, order_id))
        await world.passed(0.05)
        assert (await strategy.cancel(cl_ord_id=NAME))["outcome"] in ("acked", "canceled")
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_replaces_move_the_visible_id_and_the_first_one_still_names_it(
    autojump_clock: object, stage: Staging, seed: int
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1, cl_ord_id=NAME)
        for turn in range(1, 4):
            replaced = row_of(world, order_id) | {
                "ClOrdID": f"{REPLACED}{turn}",
                "OrigClOrdID": NAME,
                "ExecID": world.exchange.prime.fresh_id(),
                "ExecType": "Replaced",
                "OrdStatus": "Replaced",
            }
            tell(world, replaced)
        await world.passed(0.05)
        reply = await strategy.cancel(cl_ord_id=NAME, until="proof")
        assert (reply["outcome"], reply["order_id"]) == ("canceled", order_id)
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_the_last_replaces_id_does_not_make_another_order_of_it(
    autojump_clock: object, stage: Staging, seed: int
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1, cl_ord_id=NAME)
        replaced = row_of(world, order_id) | {
            "ClOrdID": f"{REPLACED}2",
            "OrigClOrdID": NAME,
            "ExecID": world.exchange.prime.fresh_id(),
            "ExecType": "Replaced",
            "OrdStatus": "New",
        }
        tell(world, replaced)
        await world.passed(0.05)
        reply = await strategy.cancel(cl_ord_id=f"{REPLACED}2")
        # The venue takes the order's first name only; nothing may be called gone that rests.
        assert reply["outcome"] != "acked" or world.resting == []
        assert (await strategy.cancel(order_id=order_id))["outcome"] in ("acked", "canceled")
        assert world.resting == []
