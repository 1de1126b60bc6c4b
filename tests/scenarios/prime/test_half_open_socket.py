"""A Prime connection vanishes without a word: no reset, no close, TCP would wait for many minutes.

Prime sends no heartbeat, so the daemon pings every two seconds; two pings without an answer are a dead session. Until
then every cancel that went to it is hedged, and nobody waits for the verdict.
"""

import pytest

from ..world import PRIME_HOST, SEEDS, Staging


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("session", [0, 1])
async def test_found_dead_in_five_seconds_and_replaced(
    autojump_clock: object, stage: Staging, seed: int, both: bool, session: int
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        orders = await world.place_seen(5)
        sessions = world.listen("session.prime")
        world.inject("half_open", session=session, both=both)
        began_ns = world.clock.monotonic_ns()
        for order_id in orders:
            reply = await strategy.cancel(order_id=order_id)
            assert reply["outcome"] in ("acked", "canceled")
            assert strategy.took(reply["id"]) < 0.5
            await world.passed(1.0)
        await world.passed(1.0)
        [dead] = [event for event in sessions.events if event["state"] == "down"]
        assert "silent" in dead["why"]
        assert 3.0 < (dead["monotonic_ns"] - began_ns) / 1e9 < 5.6
        await world.live()
        assert sorted(live.lives for live in world.desk.sessions) == [1, 2]
        assert len(world.dials_to(PRIME_HOST)) == 3
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_an_account_without_orders_is_not_taken_for_a_dead_one(
    autojump_clock: object, stage: Staging, seed: int
) -> None:
    async with stage(seed) as world:
        await world.passed(600.0)
        assert len(world.dials_to(PRIME_HOST)) == 2


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("until", ["ack", "proof"])
async def test_a_cancel_on_a_silent_session_is_hedged_on_the_other(
    autojump_clock: object, stage: Staging, seed: int, until: str
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        first, order_id = await world.place_seen(2)
        await strategy.cancel(order_id=first)
        world.inject("half_open", session=world.received("OrderCancelRequest")[0].session, both=True)
        reply = await strategy.cancel(order_id=order_id, until=until)
        assert (reply["outcome"], reply["attempts"]) == ("acked" if until == "ack" else "canceled", 2)
        assert strategy.took(reply["id"]) == pytest.approx(0.4, abs=0.01)
        assert world.resting == []
