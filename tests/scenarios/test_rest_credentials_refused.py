"""The key is deleted, or its secret is wrong: REST refuses every private call, and repeating that leads to a lockout.

The sockets, admitted before, go on. REST is asked three times a minute at the most, and once more before that is
believed; the operator is told, and a session that is lost comes back with the token it has.
"""

import pytest

from .world import SEEDS, WS_HOST, Stage, stage

PRIVATE = ("GetWebSocketsToken", "CancelOrder", "CancelOrderBatch", "QueryOrders", "OpenOrders", "CancelAll")


def _refuse(world: Stage, error: str) -> None:
    for method in PRIVATE:
        world.inject("rest_error", route="spot_rest", match=method, error=error)


def _private_calls(world: Stage) -> int:
    return sum(len(world.frames(method)) for method in PRIVATE)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("error", ["EAPI:Invalid key", "EAPI:Invalid signature", "EGeneral:Temporary lockout"])
async def test_sockets_go_on_without_a_storm_of_tries(autojump_clock: object, seed: int, error: str) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        alerts = world.listen("alert")
        orders = await world.place_seen(120)
        _refuse(world, error)
        before = _private_calls(world)
        # Every other ack is lost, so that cancels want REST all the time.
        world.inject("swallow_ack_before_effect", route="spot_ws", match="cancelOrder", fraction=0.5)
        for order_id in orders:
            reply = await strategy.cancel(order_id=order_id)
            assert reply["outcome"] in ("acked", "canceled", "unknown")
            await world.passed(1.0)
        minutes = len(orders) / 60 * 2
        assert _private_calls(world) - before <= 3 * (minutes + 1)
        assert any(alert["severity"] == "critical" and error in alert["do"] for alert in alerts.events)
        assert len(alerts.events) <= 10
        told_live = [heard.reply["order_id"] for heard in strategy.heard if heard.reply["outcome"] == "unknown"]
        assert set(world.resting) <= set(told_live)


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_lost_session_comes_back_with_the_token_it_has(autojump_clock: object, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        _refuse(world, "EAPI:Invalid key")
        world.inject("reset_sockets", route="spot_ws")
        await world.passed(10.0)
        await world.live()
        reply = await strategy.cancel(order_id=order_id)
        assert (reply["outcome"], reply["attempts"]) in {("acked", 1), ("canceled", 1)}
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_with_the_sockets_gone_too_the_refusal_is_told_as_it_is(autojump_clock: object, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        first, second = await world.place_seen(2)
        _refuse(world, "EAPI:Invalid key")
        world.cut_off(WS_HOST)
        await world.passed(0.01)
        reply = await strategy.cancel(order_id=first)
        assert (reply["outcome"], reply["class"]) == ("rejected", "auth")
        reply = await strategy.cancel(order_id=second)
        assert (reply["outcome"], reply["reason"]) == ("refused", "no_route")
        # Heard on two connections before it is believed.
        assert len(world.frames("CancelOrder")) == 2
        assert sorted(world.resting) == sorted([first, second])
