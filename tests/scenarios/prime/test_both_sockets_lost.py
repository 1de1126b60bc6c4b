"""A hundred cancels are on their way when the venue resets both sockets, and there is no REST to turn to.

What the venue had carried out by then is done and the rest is not. The first socket that is back carries all of them
again, and asks what became of the first ones.
"""

import pytest

from ..world import PRIME_HOST, SEEDS, Staging


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("until", ["ack", "proof"])
@pytest.mark.parametrize("carried_out", [0.0, 0.5, 1.0])
async def test_every_cancel_has_its_answer_when_both_sockets_are_reset(
    autojump_clock: object, stage: Staging, seed: int, carried_out: float, until: str
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        orders = await world.place_seen(100)
        world.inject("swallow_ack_before_effect", match="OrderCancelRequest", fraction=1.0 - carried_out, times=100)
        world.inject("delay_events", seconds=1.0)
        for order_id in orders:
            strategy.ask(order_id=order_id, until=until)
        await world.passed(0.02)
        assert len(world.frames("OrderCancelRequest")) == 100
        assert strategy.heard == []
        world.clear("swallow_ack_before_effect")
        world.clear("delay_events")
        world.inject("reset_sockets", route="prime_ws")

        replies = await strategy.hear_all(100)
        assert {reply["outcome"] for reply in replies.values()} <= {"acked", "canceled"}
        assert max(strategy.took(id) for id in replies) < 1.0
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_with_the_venue_gone_for_good_what_left_is_unknown_and_what_did_not_is_refused(
    autojump_clock: object, stage: Staging, seed: int
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        before, after = await world.place_seen(2)
        world.inject("swallow_ack_before_effect", match="OrderCancelRequest")
        strategy.ask(order_id=before)
        await world.passed(0.02)
        world.cut_off(PRIME_HOST)
        await world.passed(0.02)
        strategy.ask(order_id=after)
        replies = await strategy.hear_all(2)
        assert (replies[1]["outcome"], replies[1]["tried"]) == ("unknown", ["ws"])
        assert (replies[2]["outcome"], replies[2]["reason"]) == ("refused", "no_route")
        status = await strategy.do("status")
        assert status["venues"]["prime"]["state"] == "down"
        assert world.resting == [before, after]


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_cancel_that_found_no_session_leaves_with_the_first_that_is_back(
    autojump_clock: object, stage: Staging, seed: int
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        world.cut_off(PRIME_HOST)
        await world.passed(10.0)
        strategy.ask(order_id=order_id, deadline_ms=60_000)
        world.reconnect()
        reply = await strategy.hear()
        assert reply["outcome"] in ("acked", "canceled")
        assert world.resting == []
        await world.passed(61.0)
        await world.live()
