"""Twenty quiet minutes. A token is good for fifteen, and Kraken lets some die earlier.

Each session's token is renewed at half its life, in the background: no cancel waits for it, no session is touched by
it, and the newest token is the one that is sent.
"""

import pytest

from .world import SEEDS, WS_HOST, Staging


@pytest.mark.parametrize("seed", SEEDS)
async def test_tokens_change_and_sessions_do_not(autojump_clock: object, stage: Staging, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        tokens = []
        for _ in range(3):
            [order_id] = await world.place_seen(1)
            reply = await strategy.cancel(order_id=order_id)
            assert reply["outcome"] in ("acked", "canceled")
            assert (strategy.took(reply["id"]), reply["attempts"]) == (0.0, 1)
            tokens.append(world.frames("cancelOrder")[-1]["token"])
            await world.passed(455.0)
        assert len(set(tokens)) == 3
        assert [session.lives for session in world.desk.sessions] == [1, 1]
        assert len(world.dials_to(WS_HOST)) == 2
        fetched = [received.at_s for received in world.received("GetWebSocketsToken")]
        # Two sessions, at the start and then every 6 to 7.5 minutes.
        assert 2 + 2 * 3 <= len(fetched) <= 2 + 2 * 4
        assert world.resting == []


async def test_where_no_new_token_can_be_had_the_old_one_serves_on_and_the_operator_knows(
    autojump_clock: object,
    stage: Staging,
) -> None:
    async with stage() as world:
        strategy = world.strategy()
        alerts = world.listen("alert")
        world.inject("rest_error", route="spot_rest", match="GetWebSocketsToken", error="EService:Unavailable")
        await world.passed(700.0)
        [order_id] = await world.place_seen(1)
        reply = await strategy.cancel(order_id=order_id)
        assert reply["outcome"] in ("acked", "canceled")
        assert any("token" in alert["what"] for alert in alerts.events)
        # Once a minute for each session, however often it is tried.
        assert len(alerts.events) <= 2 * 6
        assert [session.lives for session in world.desk.sessions] == [1, 1]
        assert world.resting == []
