"""Both sockets are down, and a strategy wants proof that the order it knows by its own name is gone.

REST answers a cancel with a number, and no order can be asked for by such a name. What the venue lists as ended under
the name since the cancel left is the proof, and it tells the order's id and what had filled. The time since when comes
from the dates of the venue's own answers. An earlier order of the same name proves nothing: while the venue's list
lacks the one that was cancelled, nothing is said but that nobody knows.
"""

from typing import Any

import pytest

from canceld.contract.ids import Venue
from canceld.sim.exchange import Order

from .world import SEEDS, WS_HOST, Stage, Staging


async def cut_off(world: Stage) -> None:
    world.cut_off(WS_HOST)
    await world.passed(0.01)


def lagging(world: Stage, seconds: float) -> None:
    """The venue's list of what has ended is behind its book."""
    book = world.exchange.exchange
    now = book.ended_orders

    def ended_orders(account: str, venue: Venue) -> list[Order]:
        seen_s = world.clock.utc_ns() / 1e9 - seconds
        return [order for order in now(account, venue) if (order.ended_s or 0.0) < seen_s]

    book.ended_orders = ended_orders  # type: ignore[method-assign]


@pytest.mark.parametrize("seed", SEEDS)
async def test_the_list_that_names_it_is_the_proof(autojump_clock: object, stage: Staging, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        await cut_off(world)
        [order_id] = world.place(1, cl_ord_id="mm-1")
        reply = await strategy.cancel(cl_ord_id="mm-1", until="proof", deadline_ms=5_000)
        assert (reply["outcome"], reply["route"]) == ("canceled", "rest")
        assert (reply["order_id"], reply["cl_ord_id"]) == (order_id, "mm-1")
        assert len(world.asked_of_venue("mm-1")) == 1, "nothing was sent twice for it"
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_fifty_of_one_batch_are_proved(autojump_clock: object, stage: Staging, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        await cut_off(world)
        for n in range(50):
            world.place(1, cl_ord_id=f"mm-{n}")
        orders = [{"cl_ord_id": f"mm-{n}"} for n in range(50)]
        reply = await strategy.do("cancel_batch", venue="spot", orders=orders, until="proof", deadline_ms=5_000)
        assert {told["outcome"] for told in reply["outcomes"]} == {"canceled"}
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_an_earlier_order_of_the_name_is_no_proof(autojump_clock: object, stage: Staging, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        await cut_off(world)
        [earlier] = world.place(1, cl_ord_id="mm-1")
        world.fill(earlier)
        await world.passed(3)
        lagging(world, 1.5)
        [later] = world.place(1, cl_ord_id="mm-1")
        strategy.ask(cl_ord_id="mm-1", until="proof", deadline_ms=5_000)
        await world.passed(1.2)
        assert len(world.received("ClosedOrders")) > 1
        assert strategy.heard == [], f"the venue lists {earlier} alone"
        [reply] = (await strategy.hear_all(1)).values()
        assert (reply["outcome"], reply["order_id"]) == ("canceled", later)
        assert world.resting == []


class Undated:
    """An edge before the venue that strips the dates off its answers."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    async def send_all(self, told: bytes) -> None:
        await self._stream.send_all(bytes(told).replace(b"date: ", b"when: ", 1))


def undated(world: Stage) -> None:
    serve = world.exchange.serve_stream

    async def serve_behind_edge(stream: Any) -> None:
        await serve(Undated(stream))

    world.exchange.serve_stream = serve_behind_edge  # type: ignore[method-assign]


@pytest.mark.parametrize("seed", SEEDS)
async def test_where_the_venue_dates_nothing_nobody_knows(autojump_clock: object, stage: Staging, seed: int) -> None:
    async with stage(seed, before=undated) as world:
        strategy = world.strategy()
        await cut_off(world)
        world.place(1, cl_ord_id="mm-1")
        reply = await strategy.cancel(cl_ord_id="mm-1", until="proof", deadline_ms=2_000)
        assert reply["outcome"] == "unknown"
        assert world.resting == []


@pytest.mark.parametrize("until", ["ack", "proof"])
@pytest.mark.parametrize("seed", SEEDS)
async def test_a_pending_cancel_is_told_and_its_end_waited_for(
    autojump_clock: object, stage: Staging, seed: int, until: str
) -> None:
    """The venue carries the cancel out 0.7 s after it took it: an ack says so, and no proof comes before the end."""
    async with stage(seed) as world:
        strategy = world.strategy()
        await cut_off(world)
        [order_id] = world.place(1, cl_ord_id="mm-1")
        world.inject("cancel_pending", seconds=0.7, times=1)
        reply = await strategy.cancel(cl_ord_id="mm-1", until=until, deadline_ms=5_000)
        if until == "ack":
            assert (reply["outcome"], reply["pending"]) == ("acked", True)
            assert strategy.took(reply["id"]) < 0.6
        else:
            assert (reply["outcome"], reply["order_id"]) == ("canceled", order_id)
            assert strategy.took(reply["id"]) >= 0.7
            assert "pending" not in reply
        await world.passed(1.0)
        assert len(world.asked_of_venue("mm-1")) == 1, "nothing was sent twice for it"
        assert world.resting == []


@pytest.mark.parametrize("gap_s", [0.05, 0.4, 0.9])
@pytest.mark.parametrize("seed", SEEDS)
async def test_an_order_that_just_bore_the_name_is_no_proof_while_a_cancel_is_pending(
    autojump_clock: object, stage: Staging, seed: int, gap_s: float
) -> None:
    """Dates are cut to the second: an end from shortly before the cancel could pass for its own, while the order rests.

    Such an end is believed of a cancel alone that the venue has called final.
    """
    async with stage(seed) as world:
        strategy = world.strategy()
        await cut_off(world)
        [earlier] = world.place(1, cl_ord_id="mm-1")
        await world.passed(2)
        world.fill(earlier)
        await world.passed(gap_s)
        [later] = world.place(1, cl_ord_id="mm-1")
        world.inject("cancel_pending", seconds=1.5, times=1)
        reply = await strategy.cancel(cl_ord_id="mm-1", until="proof", deadline_ms=6_000)
        assert reply["outcome"] in ("canceled", "unknown")
        if reply["outcome"] == "canceled":
            assert reply["order_id"] == later
            assert strategy.took(reply["id"]) >= 1.5
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_pending_batch_is_told_and_proved_order_by_order(
    autojump_clock: object, stage: Staging, seed: int
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        await cut_off(world)
        for n in range(9):
            world.place(1, cl_ord_id=f"mm-{n}")
        orders = [{"cl_ord_id": f"mm-{n}"} for n in range(9)]
        world.inject("cancel_pending", seconds=0.7, times=1)
        reply = await strategy.do("cancel_batch", venue="spot", orders=orders, until="proof", deadline_ms=6_000)
        assert {told["outcome"] for told in reply["outcomes"]} == {"canceled"}
        assert strategy.took(reply["id"]) >= 0.7
        for n in range(9):
            world.place(1, cl_ord_id=f"mm-{n}")
        world.inject("cancel_pending", seconds=0.7, times=1)
        reply = await strategy.do("cancel_batch", venue="spot", orders=orders, deadline_ms=6_000)
        assert {(told["outcome"], told["pending"]) for told in reply["outcomes"]} == {("acked", True)}
        await world.passed(1)
        assert world.resting == []
