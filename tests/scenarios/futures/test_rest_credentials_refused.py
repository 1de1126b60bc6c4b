"""The Futures key is deleted or its secret is wrong: every signed call is refused, and repeating that is no help.

The venue is left alone for a while between tries, the operator is told, and the strategy hears the refusal as it is.
"""

import pytest

from ..world import SEEDS
from .stages import rest_state, stage


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("error", ["authenticationError", "accountInactive", "insufficientPrivileges"])
async def test_no_storm_of_tries(autojump_clock: object, seed: int, error: str) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        alerts = world.listen("alert")
        orders = await world.place_seen(60)
        for operation in ("cancelorder", "batchorder", "orders/status", "openorders", "cancelallorders"):
            world.inject("rest_error", route="futures_rest", match=operation, error=error)
        before = len(world.exchange.received)
        for order_id in orders:
            reply = await strategy.cancel(order_id=order_id)
            assert reply["outcome"] in ("rejected", "refused"), reply
            if reply["outcome"] == "rejected":
                assert reply["class"] in ("auth", "permission")
            await world.passed(1.0)
        calls = [one for one in world.exchange.received[before:] if one.operation not in ("ping", "instruments")]
        if error != "insufficientPrivileges":
            assert len(calls) <= 12
            assert any(alert["severity"] == "critical" and error in alert["do"] for alert in alerts.events)
        assert world.resting == orders


@pytest.mark.parametrize("seed", SEEDS)
async def test_when_the_key_is_good_again_cancels_go_on_by_themselves(autojump_clock: object, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        first, second = await world.place_seen(2)
        world.inject("rest_error", route="futures_rest", error="authenticationError", times=2)
        reply = await strategy.cancel(order_id=first)
        assert (reply["outcome"], reply["class"]) == ("rejected", "auth")
        assert rest_state(world)["state"] == "closed"
        await world.passed(21.0)
        reply = await strategy.cancel(order_id=second)
        assert reply["outcome"] == "canceled"
        assert world.resting == [first]


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_read_only_key_is_a_refusal_of_permission(autojump_clock: object, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        world.inject("rest_error", route="futures_rest", match="cancelorder", error="insufficientPrivileges")
        reply = await strategy.cancel(order_id=order_id)
        assert (reply["outcome"], reply["error"]) == ("rejected", "insufficientPrivileges")
        assert len(world.received("cancelorder")) == 1
        assert world.resting == [order_id]
