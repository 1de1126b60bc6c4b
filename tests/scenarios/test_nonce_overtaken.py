"""Another program used the same API key with higher nonces: every REST call of ours is refused as too low.

One jump above whatever can have been drawn, and the same cancel goes through. If that is not enough either, there is no
storm of tries: too many bad nonces get a key banned.
"""

import pytest

from .world import SEEDS, WS_HOST, Stage, stage


def _used_elsewhere(world: Stage, ahead_s: float) -> None:
    key = world.exchange.keys.find("spot", world.exchange.credentials["spot"]["key"])
    assert key is not None
    key.last_nonce = world.clock.utc_ns() + round(ahead_s * 1e9)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("ahead_s", [1.0, 3600.0])
async def test_one_jump_and_the_cancel_is_done(autojump_clock: object, seed: int, ahead_s: float) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        world.cut_off(WS_HOST)
        await world.passed(0.01)
        _used_elsewhere(world, ahead_s)
        reply = await strategy.cancel(order_id=order_id)
        assert (reply["outcome"], reply["route"]) == ("acked", "rest")
        assert strategy.took(reply["id"]) < 0.01
        assert len(world.frames("CancelOrder")) == 2
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_key_on_a_finer_scale_costs_two_tries_per_cancel_and_the_sockets_go_on(
    autojump_clock: object, seed: int
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        first, second = await world.place_seen(2)
        _used_elsewhere(world, 1e9)
        world.inject("swallow_ack_before_effect", route="spot_ws", match="cancelOrder", times=2)
        reply = await strategy.cancel(order_id=first)
        assert reply["outcome"] != "not_open"
        assert len(world.frames("CancelOrder")) == 2
        reply = await strategy.cancel(order_id=second)
        assert reply["outcome"] in ("acked", "canceled")
        assert second not in world.resting


@pytest.mark.parametrize("seed", SEEDS)
async def test_refused_and_not_to_be_sent_again_is_told_as_refused_by_the_venue(
    autojump_clock: object, seed: int
) -> None:
    """The daemon starts. While a cancel waits for its turn at REST the venue locks the key out over a token; then the
    cancel's own nonce is too low as well, and a better one may not be sent any more. It did reach the venue, whose
    answer is what is known of it: that nothing had left would be untrue."""
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        await world.die()
        token = {"route": "spot_rest", "match": "GetWebSocketsToken"}
        world.inject("rest_delay", **token, seconds=0.02, request=True, times=1)
        world.inject("rest_error", **token, error="EGeneral:Temporary lockout")
        world.inject("rest_error", route="spot_rest", match="CancelOrder", times=1, error="EAPI:Invalid nonce")
        world.begin()
        await world.passed(0.01)
        reply = await strategy.cancel(order_id=order_id, deadline_ms=500)
        assert (reply["outcome"], reply["attempts"], reply.get("error")) == ("rejected", 1, "EAPI:Invalid nonce")
        assert len(world.asked_of_venue(order_id)) == 1
        assert world.resting == [order_id]
