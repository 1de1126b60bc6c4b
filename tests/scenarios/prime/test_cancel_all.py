"""Everything off on Prime, which has no request for that: each open order has a cancel of its own.

They are paced, and still all leave while there is time for their answers. Proved it is when two looks in a row show
nothing open; a list that does not hold everything proves nothing.
"""

import pytest

from ..world import PRIME_HOST, SEEDS, Stage, Staging


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("until", ["ack", "proof"])
@pytest.mark.parametrize("venue", ["prime", None])
async def test_everything_is_off_the_book(
    autojump_clock: object, stage: Staging, seed: int, until: str, venue: str | None
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        await world.place_seen(40)
        fields = {} if venue is None else {"venue": venue}
        reply = await strategy.do("cancel_all", until=until, **fields)
        prime = reply["venues"]["prime"]
        assert prime["outcome"] in ({"canceled"} if until == "proof" else {"acked", "canceled"})
        assert prime["count"] == 40
        if prime["outcome"] == "canceled":
            assert prime["residual"] == []
        assert len(world.frames("OrderCancelRequest")) == 40
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("until", ["ack", "proof"])
@pytest.mark.parametrize("empty", ["is told", "is silence"])
async def test_with_nothing_open_two_looks_are_the_proof(
    autojump_clock: object, stage: Staging, seed: int, empty: str, until: str
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        if empty == "is told":
            world.inject("empty_initial")
        reply = await strategy.do("cancel_all", until=until)
        prime = reply["venues"]["prime"]
        assert prime["outcome"] in (("canceled",) if until == "proof" else ("acked", "canceled"))
        assert (prime["count"], prime["residual"]) == (0, [])


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("until", ["ack", "proof"])
async def test_three_hundred_are_paced_and_all_leave_in_time(
    autojump_clock: object, stage: Staging, seed: int, until: str
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        await world.place_seen(300)
        strategy.ask("cancel_all", until=until)
        await world.passed(0.5)
        early = len(world.frames("OrderCancelRequest"))
        assert 100 <= early <= 130
        reply = await strategy.hear()
        prime = reply["venues"]["prime"]
        assert prime["outcome"] in (("canceled",) if until == "proof" else ("acked", "canceled"))
        assert prime["count"] == 300
        assert len(world.frames("OrderCancelRequest")) == 300
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("until", ["ack", "proof"])
async def test_orders_that_appear_meanwhile_do_not_make_the_answer_a_lie(
    autojump_clock: object, stage: Staging, seed: int, until: str
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        orders = await world.place_seen(20)
        world.start(_keep_placing, world, 20)
        reply = await strategy.do("cancel_all", until=until, deadline_ms=5000)
        assert reply["venues"]["prime"]["outcome"] in ("acked", "canceled")
        assert not set(orders) & set(world.resting)


async def _keep_placing(world: Stage, count: int) -> None:
    for _ in range(count):
        await world.passed(0.05)
        world.place(1)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("until", ["ack", "proof"])
async def test_orders_that_no_stream_told_of_are_found_by_looking(
    autojump_clock: object, stage: Staging, seed: int, until: str
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        for what in ("PendingNew", "New"):
            world.inject("drop_event", match=what)
        await world.place_seen(5)
        reply = await strategy.do("cancel_all", until=until)
        assert reply["venues"]["prime"]["outcome"] in (("canceled",) if until == "proof" else ("acked", "canceled"))
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("known", [True, False])
async def test_a_list_in_many_parts_is_one_list(autojump_clock: object, stage: Staging, seed: int, known: bool) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        world.inject("split_snapshot", rows=3)
        if not known:
            for what in ("PendingNew", "New"):
                world.inject("drop_event", match=what)
        await world.place_seen(20)
        reply = await strategy.do("cancel_all", until="proof")
        assert reply["venues"]["prime"]["outcome"] == "canceled"
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("until", ["ack", "proof"])
async def test_of_a_list_that_lost_a_part_nothing_is_called_gone(
    autojump_clock: object, stage: Staging, seed: int, until: str
) -> None:
    """No stream told of the orders, and every list comes with one part missing. It says how many orders it has, so
    that one is missing can be known: as long as that is so nobody is told that everything is canceled, or will be.
    Simulation seed 14768."""
    async with stage(seed) as world:
        strategy = world.strategy()
        for what in ("PendingNew", "New"):
            world.inject("drop_event", match=what)
        world.inject("split_snapshot", rows=1)
        # Out of three parts one gets lost, whichever stream it is.
        world.inject("drop_event", match="snapshot", skip=2, times=1)
        world.inject("drop_event", match="snapshot", skip=4, times=1)
        world.inject("drop_event", match="snapshot", skip=6, times=1)
        await world.place_seen(3)
        reply = await strategy.do("cancel_all", until=until)
        assert reply["venues"]["prime"]["outcome"] == "unknown" or world.resting == []
        world.clear()
        reply = await strategy.do("cancel_all", until="proof")
        assert reply["venues"]["prime"]["outcome"] == "canceled"
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("count", [0, 1, 20])
async def test_a_list_that_announces_more_never_proves_that_nothing_is_open(
    autojump_clock: object, stage: Staging, seed: int, count: int
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        world.inject("split_snapshot", rows=5, next="page-2")
        world.inject("empty_initial")
        await world.place_seen(count)
        [ended] = await world.place_seen(1)
        await strategy.cancel(order_id=ended)
        reply = await strategy.do("cancel_all", until="proof")
        assert reply["venues"]["prime"]["outcome"] == "unknown"
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_list_that_comes_long_after_the_pong_is_waited_for(
    autojump_clock: object, stage: Staging, seed: int
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        for what in ("PendingNew", "New"):
            world.inject("drop_event", match=what)
        world.inject("delay_events", match="snapshot", seconds=0.6)
        await world.place_seen(5)
        reply = await strategy.do("cancel_all", until="proof", deadline_ms=5000)
        assert reply["venues"]["prime"]["outcome"] == "canceled"
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("lost", ["snapshot of one", "snapshot of each"])
async def test_a_list_that_never_comes_is_not_an_empty_one(
    autojump_clock: object, stage: Staging, seed: int, lost: str
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        # Both know of an order that was; of those that rest neither was told.
        [ended] = await world.place_seen(1)
        await strategy.cancel(order_id=ended, until="proof")
        for what in ("PendingNew", "New"):
            world.inject("drop_event", match=what)
        which = {"session": 1} if lost == "snapshot of one" else {}
        world.inject("drop_event", match="snapshot", **which)
        orders = await world.place_seen(5)
        reply = await strategy.do("cancel_all", until="proof", deadline_ms=5000)
        if lost == "snapshot of one":
            assert world.resting == [] or reply["venues"]["prime"]["outcome"] == "unknown"
        else:
            assert reply["venues"]["prime"]["outcome"] not in ("canceled", "acked")
            assert sorted(world.resting) == sorted(orders)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("effect", ["before", "after"])
async def test_with_a_socket_lost_in_the_middle_it_goes_on_by_the_other(
    autojump_clock: object, stage: Staging, seed: int, effect: str
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        await world.place_seen(20)
        world.inject("reset_sockets", match="OrderCancelRequest", effect=effect, times=1)
        reply = await strategy.do("cancel_all", until="proof")
        assert reply["venues"]["prime"]["outcome"] == "canceled"
        assert world.resting == []


async def test_one_order_that_the_venue_will_not_cancel_is_told(autojump_clock: object, stage: Staging) -> None:
    async with stage() as world:
        strategy = world.strategy()
        await world.place_seen(3)
        world.inject("cancel_rejected", match="OrderCancelRequest")
        reply = await strategy.do("cancel_all", until="proof")
        prime = reply["venues"]["prime"]
        assert prime["outcome"] in ("rejected", "unknown")
        assert sorted(prime["residual"]) == sorted(world.resting)
        assert len(world.resting) == 3


async def test_with_everything_down_what_rests_is_told(autojump_clock: object, stage: Staging) -> None:
    async with stage() as world:
        strategy = world.strategy()
        orders = await world.place_seen(3)
        world.cut_off(PRIME_HOST)
        await world.passed(0.01)
        reply = await strategy.do("cancel_all")
        prime = reply["venues"]["prime"]
        assert (prime["outcome"], prime["reason"]) == ("refused", "no_route")
        assert sorted(prime["residual"]) == sorted(orders) == sorted(world.resting)
