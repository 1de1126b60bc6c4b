"""Prime answers the upgrade request with a refusal instead of a session.

The venue's clock judges the time in the signature, so one refusal is no verdict: it is dialled once more, freshly
signed. A second one is: then slowly, and with an alert, because more wrong signatures help nobody. The other session
carries the cancels meanwhile.
"""

import pytest

from ..world import PRIME_HOST, SEEDS, Staging


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("status", [401, 403])
async def test_refused_once_it_is_dialled_again_at_once(
    autojump_clock: object, stage: Staging, seed: int, status: int
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        alerts = world.listen("alert")
        [order_id] = await world.place_seen(1)
        world.inject("refuse_upgrade", route="prime_ws", status=status, times=1)
        world.inject("reset_sockets", session=0)
        reply = await strategy.cancel(order_id=order_id)
        assert reply["outcome"] in ("acked", "canceled")
        await world.passed(1.0)
        await world.live()
        assert len(world.dials_to(PRIME_HOST)) == 4
        assert alerts.events == []
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("status", "least_s"), [(401, 60.0), (403, 600.0)])
async def test_refused_for_good_it_is_tried_slowly_and_with_an_alert(
    autojump_clock: object, stage: Staging, seed: int, status: int, least_s: float
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        alerts = world.listen("alert")
        orders = await world.place_seen(2)
        dialled = len(world.dials_to(PRIME_HOST))
        world.inject("refuse_upgrade", route="prime_ws", status=status)
        world.inject("reset_sockets", session=0)
        await world.passed(least_s - 1.0)
        assert len(world.dials_to(PRIME_HOST)) - dialled == 2
        [alert] = alerts.events
        assert (alert["severity"], str(status) in alert["do"]) == ("critical", True)
        reply = await strategy.cancel(order_id=orders[0])
        assert reply["outcome"] in ("acked", "canceled")
        world.clear("refuse_upgrade")
        await world.passed(5.0)
        await world.live()
        reply = await strategy.cancel(order_id=orders[1])
        assert reply["outcome"] in ("acked", "canceled")
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_both_refused_for_good_is_no_route_until_it_ends(
    autojump_clock: object, stage: Staging, seed: int
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        world.inject("refuse_upgrade", route="prime_ws")
        world.inject("reset_sockets", route="prime_ws")
        await world.passed(0.1)
        reply = await strategy.cancel(order_id=order_id)
        assert (reply["outcome"], reply["reason"]) == ("refused", "no_route")
        assert world.resting == [order_id]
        world.clear("refuse_upgrade")
        await world.passed(62.0)
        await world.live()
        assert (await strategy.cancel(order_id=order_id))["outcome"] in ("acked", "canceled")
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_redirect_is_never_followed(autojump_clock: object, stage: Staging, seed: int) -> None:
    async with stage(seed) as world:
        world.inject("refuse_upgrade", route="prime_ws", status=302, location="https://elsewhere.invalid/", times=1)
        world.inject("reset_sockets", session=0)
        await world.passed(5.0)
        await world.live()
        assert {dial.host for dial in world.dials} == {PRIME_HOST}
