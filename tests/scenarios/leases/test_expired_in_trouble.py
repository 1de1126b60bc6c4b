"""A lease expires while the venue is in trouble. Nobody waits for these cancels, so nobody else would ask again.

They are asked for until the book shows nothing of the scope any more, and for as long as something may rest an alert
says so.
"""

from typing import Any

import pytest

from ..world import REST_HOST, SEEDS, WS_HOST, Staging
from .stages import TTL_MS, shown, take


@pytest.mark.parametrize("seed", SEEDS)
async def test_while_both_sockets_drop(autojump_clock: object, stage: Staging, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        orders = await world.place_seen(10, userref=7)
        scope = [{"venue": "spot", "userref": 7}, {"venue": "spot", "order_id": orders[0]}]
        await take(strategy, "mm-1", scope)
        await world.passed(TTL_MS / 1000 - 0.01)
        world.inject("reset_sockets", route="spot_ws")
        await world.passed(3.0)
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_while_the_venue_cannot_be_reached_at_all(autojump_clock: object, stage: Staging, seed: int) -> None:
    async with stage(seed) as world:
        strategy, leases, alerts = world.strategy(), world.listen("lease"), world.listen("alert")
        orders = await world.place_seen(4)
        await take(strategy, "mm-1", [{"venue": "spot", "order_id": order_id} for order_id in orders[:3]])
        world.cut_off(WS_HOST, REST_HOST)
        await world.passed(60.0)
        assert world.resting == orders
        [listed] = await shown(strategy)
        assert (listed["state"], len(listed["left"])) == ("expired", 3)
        told = [alert for alert in alerts.events if "after its lease expired" in alert["what"]]
        assert told
        assert told[0]["severity"] == "critical"
        expired = next(event for event in leases.events if event["state"] == "expired")
        # People hear of it within five seconds.
        assert told[0]["monotonic_ns"] - expired["monotonic_ns"] < 5e9
        world.reconnect()
        await world.passed(40.0)
        assert world.resting == [orders[3]]
        assert await shown(strategy) == []
        assert not any("lease expired" in alert["what"] for alert in (await strategy.do("status"))["alerts"])


async def test_while_every_acknowledgement_is_lost(autojump_clock: object, stage: Staging) -> None:
    async with stage() as world:
        strategy = world.strategy()
        orders = await world.place_seen(4)
        world.inject("swallow_ack_before_effect", route="spot_ws", match="cancelOrder")
        world.cut_off(REST_HOST)
        await take(strategy, "mm-1", [{"venue": "spot", "order_id": order_id} for order_id in orders])
        await world.passed(15.0)
        assert world.resting == orders
        world.clear()
        world.reconnect()
        await world.passed(30.0)
        assert world.resting == []
        assert await shown(strategy) == []


async def test_while_the_venue_is_in_maintenance(autojump_clock: object, stage: Staging) -> None:
    async with stage() as world:
        strategy = world.strategy()
        await world.place_seen(4, userref=7)
        await take(strategy, "mm-1", [{"venue": "spot", "userref": 7}])
        world.inject("maintenance", for_s=20.0)
        await world.passed(50.0)
        assert world.resting == []
        assert await shown(strategy) == []


async def test_a_strategy_that_comes_back_is_not_cancelled_by_its_old_names(
    autojump_clock: object, stage: Staging
) -> None:
    async with stage() as world:
        strategy, leases = world.strategy(), world.listen("lease")
        [by_id] = await world.place_seen(1)
        old = await world.place_seen(2, userref=7)
        await take(strategy, "mm-1", [{"venue": "spot", "userref": 7}, {"venue": "spot", "order_id": by_id}])
        world.cut_off(WS_HOST, REST_HOST)
        await world.passed(10.0)
        scope = [{"venue": "spot", "userref": 7}]
        await take(strategy, "mm-1", scope, ttl_ms=60_000)
        [handed] = [event for event in leases.events if event["state"] == "handed over"]
        assert handed["left"] == ["spot userref 7"]
        world.reconnect()
        await world.passed(0.5)
        [new] = world.place(1, userref=7)
        await world.passed(30.0)
        # Its number means what it says it means now; the one order that its old lease named by id is gone.
        assert world.resting == [*old, new]
        await take(strategy, "mm-1", [], ttl_ms=0)


@pytest.mark.parametrize("name", [{"userref": 7}, {"cl_ord_id": "mm-1-bid"}, {}])
async def test_orders_placed_under_a_lease_that_is_taken_again_are_not_cancelled_by_the_one_before(
    autojump_clock: object, stage: Staging, name: dict[str, Any]
) -> None:
    async with stage() as world:
        strategy = world.strategy()
        # Nothing rests under the name, so the venue is asked again for a while: an order may be on its way.
        await take(strategy, "mm-1", [{"venue": "spot", **name}])
        await world.passed(1.2)
        await take(strategy, "mm-1", [{"venue": "spot", **name}], ttl_ms=60_000)
        [new] = world.place(1, **name)
        await world.passed(10.0)
        assert world.resting == [new]
        assert [lease["state"] for lease in await shown(strategy)] == ["live"]
        await take(strategy, "mm-1", [], ttl_ms=0)


async def test_a_scope_given_up_after_an_hour_is_peoples(autojump_clock: object, stage: Staging) -> None:
    async with stage() as world:
        strategy, leases, alerts = world.strategy(), world.listen("lease"), world.listen("alert")
        [order_id] = await world.place_seen(1)
        await take(strategy, "mm-1", [{"venue": "spot", "order_id": order_id}])
        world.cut_off(WS_HOST, REST_HOST)
        await world.passed(3700.0)
        assert leases.events[-1]["state"] == "given up"
        assert leases.events[-1]["left"] == [f"spot order_id {order_id}"]
        assert any("cancel by hand" in alert["do"] for alert in alerts.events)
        assert await shown(strategy) == []
