"""Both sockets stand, heartbeats come, and no cancel is ever answered on them.

Silence is neither a yes nor a no. After hedge_after_ms the other socket is tried beside the first, after as long again
REST, and nothing is concluded from the silence itself.
"""

import pytest

from canceld.engine.crowd import CROWD

from .world import REST_HOST, SEEDS, Staging
from .world import stage as play


@pytest.mark.parametrize("seed", SEEDS)
async def test_hedged_on_the_other_socket_then_by_rest(autojump_clock: object, stage: Staging, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        world.inject("swallow_ack_before_effect", route="spot_ws", match="cancelOrder")
        began_s = world.exchange.now()
        reply = await strategy.cancel(order_id=order_id)
        assert reply["outcome"] in ("acked", "canceled")
        tries = world.asked_of_venue(order_id)
        assert [received.route for received in tries] == [world.spoken("spot_ws"), world.spoken("spot_ws"), "spot_rest"]
        assert tries[0].session != tries[1].session
        assert [received.at_s - began_s for received in tries] == [
            pytest.approx(0.0, abs=0.001),
            pytest.approx(0.4, abs=0.001),
            pytest.approx(0.8, abs=0.001),
        ]
        assert world.resting == []


async def test_silence_everywhere_is_unknown_and_never_a_verdict(autojump_clock: object, stage: Staging) -> None:
    async with stage() as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        world.inject("swallow_ack_before_effect", route="spot_ws", match="cancelOrder")
        world.inject("rest_delay", route="spot_rest", seconds=30.0, request=True, for_s=20.0)
        reply = await strategy.cancel(order_id=order_id)
        assert reply["outcome"] == "unknown"
        assert set(reply["tried"]) == {"ws", "rest"}
        assert strategy.took(reply["id"]) == pytest.approx(2.0, abs=0.005)
        # The venue was slow, not dead: the REST call it held back is carried out half a minute later.
        assert world.resting == [order_id]
        await world.passed(40.0)


async def test_with_rest_cut_off_two_silent_sockets_are_all_there_is(autojump_clock: object, stage: Staging) -> None:
    async with stage() as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        world.inject("swallow_ack_before_effect", route="spot_ws", match="cancelOrder")
        world.cut_off(REST_HOST)
        reply = await strategy.cancel(order_id=order_id)
        assert (reply["outcome"], reply["tried"]) == ("unknown", ["ws"])
        assert len(world.asked_of_venue(order_id)) == 2
        assert world.resting == [order_id]


async def test_a_crowd_that_shares_a_deadline_is_answered_at_it_and_not_before(autojump_clock: object) -> None:
    async with play() as world:
        strategy = world.strategy()
        world.inject("swallow_ack_before_effect", route="spot_ws", match="cancelOrder")
        world.inject("rest_delay", route="spot_rest", seconds=30.0, request=True, for_s=20.0)
        ids = [strategy.ask(order_id=f"OAAAAA-BBBBB-{number:06d}", deadline_ms=3000) for number in range(2 * CROWD)]
        replies = await strategy.hear_all(len(ids))
        assert {replies[id]["outcome"] for id in ids} == {"unknown"}
        took_s = [strategy.took(id) for id in ids]
        assert 3.0 <= min(took_s) <= max(took_s) < 3.05
        await world.passed(40.0)
