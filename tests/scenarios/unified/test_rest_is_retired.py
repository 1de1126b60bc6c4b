"""Classic REST has been switched off: whatever is asked of it, a redirect answers, which is never followed.

From then on the second socket is the fallback, and the order stream the only proof.
"""

import pytest

from ..world import FUTURES_HOST, SEEDS, UWS_HOST
from .stages import retire_rest, stage


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("until", ["ack", "proof"])
async def test_cancels_go_on_over_the_sockets(autojump_clock: object, seed: int, until: str) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        orders = await world.place_seen(3)
        retire_rest(world)
        await world.passed(30.0)
        for order_id in orders:
            reply = await strategy.cancel(order_id=order_id, until=until)
            assert reply["outcome"] in (("canceled",) if until == "proof" else ("acked", "canceled"))
            assert strategy.took(reply["id"]) < 0.05
        assert {dial.host for dial in world.dials} <= {FUTURES_HOST, "feed.sim.invalid", UWS_HOST, "rest.sim.invalid"}
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("misfortune", ["swallowed", "ack lost", "socket lost"])
async def test_the_second_socket_is_the_fallback(autojump_clock: object, seed: int, misfortune: str) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        retire_rest(world)
        match misfortune:
            case "swallowed":
                world.inject("swallow_ack_before_effect", route="unified_ws", match="cancel_order", times=1)
            case "ack lost":
                world.inject("swallow_ack_after_effect", route="unified_ws", match="cancel_order", times=1)
                world.inject("delay_events", seconds=0.2)
            case _:
                world.inject("reset_sockets", route="unified_ws", match="cancel_order", times=1)
        reply = await strategy.cancel(order_id=order_id, until="proof")
        assert reply["outcome"] == "canceled"
        assert strategy.took(reply["id"]) < 0.7
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_an_order_that_never_was_is_not_open(autojump_clock: object, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        retire_rest(world)
        reply = await strategy.cancel(order_id="00000000-0000-4000-8000-00000000dead")
        assert reply["outcome"] == "not_open"


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("until", ["ack", "proof"])
async def test_everything_goes_over_a_socket(autojump_clock: object, seed: int, until: str) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        await world.place_seen(40)
        retire_rest(world)
        reply = await strategy.do("cancel_all", until=until)
        told = reply["venues"]["futures"]
        assert told["outcome"] in (("canceled",) if until == "proof" else ("acked", "canceled"))
        assert len(world.received("cancel_all")) == 1
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_with_the_sockets_gone_too_it_is_told_as_it_is(autojump_clock: object, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        retire_rest(world)
        world.cut_off(UWS_HOST)
        await world.passed(0.01)
        reply = await strategy.cancel(order_id=order_id)
        assert (reply["outcome"], reply["class"]) == ("rejected", "unavailable")
        assert world.resting == [order_id]
