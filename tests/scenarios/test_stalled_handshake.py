"""The venue takes connections and then says nothing, in every phase of coming up.

Each phase has a bound of its own, so that a session is never lost for good behind a peer that only listens; cancels go
by what is still open meanwhile.
"""

from typing import Any

import pytest

from .world import Staging

PHASES: dict[str, dict[str, Any]] = {
    "accept": {"kind": "stall_accept", "times": 2},
    "tls": {"kind": "stall_tls", "times": 2},
    "upgrade": {"kind": "stall_handshake", "times": 2},
    "token": {"kind": "rest_delay", "match": "GetWebSocketsToken", "seconds": 600.0, "request": True, "times": 2},
    "token answer": {"kind": "rest_delay", "match": "GetWebSocketsToken", "seconds": 600.0, "times": 2},
    "subscribe": {"kind": "stall_subscribe", "times": 2},
}


@pytest.mark.parametrize("phase", PHASES)
async def test_both_sessions_are_back_in_seconds_and_cancels_go_on(
    autojump_clock: object, stage: Staging, phase: str
) -> None:
    async with stage() as world:
        strategy = world.strategy()
        orders = await world.place_seen(3)
        world.exchange.faults.inject(PHASES[phase])
        world.inject("reset_sockets", route="spot_ws")
        await world.passed(0.01)
        began_s = world.now_s
        for order_id in orders:
            reply = await strategy.cancel(order_id=order_id)
            assert reply["outcome"] in ("acked", "canceled")
        await world.live()
        assert world.now_s - began_s < 8.0
        assert [session.lives for session in world.desk.sessions] == [2, 2]
        assert world.resting == []
