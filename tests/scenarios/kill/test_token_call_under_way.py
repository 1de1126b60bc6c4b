"""A kill is pulled while a session's call for a token is under way, at a venue that is slow to give one.

The kill gives that call up and makes its own. Whatever becomes of the two, the sessions are back when the venue is: a
call that was given up is not waited for.
"""

import pytest

from ..world import CONTROL, SEEDS, Stage, Staging


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("fails", [False, True])
async def test_the_sessions_come_back(autojump_clock: object, stage: Staging, seed: int, fails: bool) -> None:
    async with stage(seed) as world:
        world.inject("rest_delay", route="spot_rest", match="GetWebSocketsToken", seconds=1.0, request=True)
        world.inject("invalid_session")
        world.inject("reset_sockets", route="spot_ws")
        world.inject("reset_sockets", route="spot_ws_v2")
        await world.passed(0.3)
        if fails:
            world.inject("rest_close_before_answer", route="spot_rest", match="GetWebSocketsToken", times=2)
        operator = world.strategy(endpoint=CONTROL)
        await operator.do("kill", reason="enough", deadline_ms=1_000)
        world.clear()
        code = (await operator.do("rearm"))["code"]
        assert not (await operator.do("rearm", confirm=code, force=True))["latched"]
        await world.passed(35.0)
        assert (await operator.do("status"))["venues"]["spot"]["state"] == "up"
        [order_id] = await world.place_seen(1)
        reply = await world.strategy().cancel(order_id=order_id)
        assert reply["outcome"] in ("acked", "canceled")
        assert reply["route"] in ("ws", "stream")
        assert _none_is_under_way(world)


def _none_is_under_way(world: Stage) -> bool:
    desk = world.daemon.desks["spot"]
    calls = {session._tokens._calls for session in desk.sessions}  # type: ignore[attr-defined]
    return all(one._under_way == 0 for one in calls)
