"""Everything off, on one venue or on all of them.

The ack tells how many; the proof waits for the last event. An order that appears meanwhile was not meant, and must
neither hold the answer up nor be called gone.
"""

import pytest

from canceld.sim.rates import STARTER

from .world import REST_HOST, SEEDS, WS_HOST, Staging


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("until", ["ack", "proof"])
@pytest.mark.parametrize("venue", ["spot", None])
async def test_everything_is_off_the_book(
    autojump_clock: object, stage: Staging, seed: int, until: str, venue: str | None
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        await world.place_seen(40)
        fields = {} if venue is None else {"venue": venue}
        reply = await strategy.do("cancel_all", until=until, **fields)
        assert reply["type"] == "all"
        spot = reply["venues"]["spot"]
        assert spot["outcome"] in ({"canceled"} if until == "proof" else {"acked", "canceled"})
        if spot["route"] == "ws":
            assert spot["count"] == 40
        if spot["outcome"] == "canceled":
            assert spot["residual"] == []
        assert len(world.frames("cancelAll")) == 1
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_an_order_that_appears_meanwhile_does_not_hold_the_proof_up(
    autojump_clock: object, stage: Staging, seed: int
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        await world.place_seen(5)
        world.inject("delay_events", seconds=0.3)
        asked = strategy.ask("cancel_all", until="proof")
        await world.passed(0.1)
        [newcomer] = world.place(1)
        reply = await strategy.hear()
        assert reply["venues"]["spot"]["outcome"] == "canceled"
        assert newcomer not in reply["venues"]["spot"]["residual"]
        assert strategy.took(asked) == pytest.approx(0.3, abs=0.01)
        assert world.resting == [newcomer]


@pytest.mark.parametrize("seed", SEEDS)
async def test_with_the_events_lost_a_list_of_open_orders_is_the_proof(
    autojump_clock: object, stage: Staging, seed: int
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        await world.place_seen(5)
        world.inject("drop_event", match="canceled")
        reply = await strategy.do("cancel_all", until="proof")
        assert reply["venues"]["spot"]["outcome"] == "canceled"
        assert len(world.frames("OpenOrders")) == 1
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_with_nothing_open_it_is_true_at_once_or_proved_by_asking(
    autojump_clock: object, stage: Staging, seed: int
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        reply = await strategy.do("cancel_all")
        assert (reply["venues"]["spot"]["outcome"], reply["venues"]["spot"]["count"]) == ("acked", 0)
        reply = await strategy.do("cancel_all", until="proof")
        assert reply["venues"]["spot"]["outcome"] == "canceled"


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("latched", [False, True])
async def test_asked_again_and_again_it_is_proved_by_a_session_once_no_call_can_be_spared(
    autojump_clock: object, stage: Staging, seed: int, latched: bool
) -> None:
    async with stage(seed, tier=STARTER) as world:
        strategy = world.strategy()
        if latched:
            strategy.ask("kill", reason="the story")
            assert (await strategy.hear())["venues"]["spot"]["state"] == "flat"
        for _ in range(40):
            reply = await strategy.do("cancel_all", until="proof")
            assert reply["venues"]["spot"]["outcome"] == "canceled", reply
            await world.passed(0.2)
        assert len(world.frames("OpenOrders")) < 40


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("effect", ["before", "after"])
async def test_with_its_socket_lost_it_goes_by_the_other(
    autojump_clock: object, stage: Staging, seed: int, effect: str
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        await world.place_seen(5)
        world.inject("reset_sockets", match="cancelAll", effect=effect, times=1)
        reply = await strategy.do("cancel_all", until="proof")
        assert reply["venues"]["spot"]["outcome"] == "canceled"
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_by_rest_alone(autojump_clock: object, stage: Staging, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        await world.place_seen(5)
        world.cut_off(WS_HOST)
        await world.passed(0.01)
        reply = await strategy.do("cancel_all")
        spot = reply["venues"]["spot"]
        assert (spot["outcome"], spot["route"], spot["count"]) == ("acked", "rest", 5)
        reply = await strategy.do("cancel_all", until="proof")
        assert reply["venues"]["spot"]["outcome"] == "canceled"
        assert world.resting == []


async def test_with_everything_down_what_rests_is_told(autojump_clock: object, stage: Staging) -> None:
    async with stage() as world:
        strategy = world.strategy()
        orders = await world.place_seen(3)
        world.cut_off(WS_HOST, REST_HOST)
        await world.passed(0.01)
        reply = await strategy.do("cancel_all")
        spot = reply["venues"]["spot"]
        assert (spot["outcome"], spot["reason"]) == ("refused", "no_route")
        assert sorted(spot["residual"]) == sorted(orders)
        assert sorted(world.resting) == sorted(orders)
