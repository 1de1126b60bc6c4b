"""The operator replaces Prime's key while the daemon runs.

The key is shown with the dial only, so each session is dialled anew, one after the other: cancels always find one.
A key that the venue does not take must not cost the sessions which work.
"""

import pytest

from canceld.credentials import Keys, Secret

from ..world import PRIME_HOST, SEEDS, Stage, Staging


def _fresh(world: Stage) -> Keys:
    made = world.exchange.keys.issue("prime", "default")
    return Keys(Secret(made.key), Secret(made.secret.encode("ascii")))


@pytest.mark.parametrize("seed", SEEDS)
async def test_each_session_is_dialled_anew_and_cancels_go_on(
    autojump_clock: object, stage: Staging, seed: int
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        orders = await world.place_seen(40)
        world.desk.take_keys(_fresh(world))
        for order_id in orders:
            reply = await strategy.cancel(order_id=order_id, until="proof")
            assert reply["outcome"] == "canceled"
            await world.passed(0.25)
        assert [session.lives for session in world.desk.sessions] == [2, 2]
        assert len(world.dials_to(PRIME_HOST)) == 4
        first, second = world.dials_to(PRIME_HOST)[2:]
        assert second - first == pytest.approx(5.0, abs=0.6)
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_key_that_is_not_taken_costs_one_session_and_not_all(
    autojump_clock: object, stage: Staging, seed: int
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        alerts = world.listen("alert")
        [order_id] = await world.place_seen(1)
        good = world.desk.signer.keys
        world.desk.take_keys(Keys(Secret("wrong"), Secret(b"wrong")))
        await world.passed(30.0)
        assert any(alert["severity"] == "critical" for alert in alerts.events)
        assert (await strategy.cancel(order_id=order_id))["outcome"] in ("acked", "canceled")
        assert world.resting == []
        world.desk.take_keys(good)
        await world.passed(11.0)
        await world.live()


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("status", [401, 403])
async def test_sessions_that_were_turned_away_do_not_wait_their_minutes_out_with_a_new_key(
    autojump_clock: object, stage: Staging, seed: int, status: int
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        world.inject("refuse_upgrade", route="prime_ws", status=status)
        world.inject("reset_sockets", route="prime_ws")
        await world.passed(1.0)
        assert world.desk.state == "down"
        world.clear("refuse_upgrade")
        world.desk.take_keys(_fresh(world))
        await world.passed(6.0)
        await world.live()
        assert (await strategy.cancel(order_id=order_id))["outcome"] in ("acked", "canceled")
        assert world.resting == []
