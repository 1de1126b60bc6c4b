"""The daemon starts while the venue is away, slow, or in maintenance.

It says that it is ready within seconds all the same, since an operator may need it; it takes commands and answers them
honestly; and it is at work as soon as the venue is.
"""

from collections.abc import Callable

import pytest

from .world import REST_HOST, WS_HOST, Stage, Staging

TROUBLES: dict[str, Callable[[Stage], None]] = {
    "unreachable": lambda world: world.unreachable.update({WS_HOST, REST_HOST}),
    "mute": lambda world: world.inject("stall_accept", for_s=30.0),
    "without upgrades": lambda world: world.inject("stall_handshake", for_s=30.0),
    "without tokens": lambda world: world.inject("rest_error", match="GetWebSocketsToken", error="EService:Busy"),
    "in maintenance": lambda world: world.inject("maintenance", for_s=30.0),
}


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_ready_in_seconds_honest_meanwhile_and_at_work_as_soon_as_it_can(
    autojump_clock: object, stage: Staging, trouble: str
) -> None:
    async with stage(up=False, before=TROUBLES[trouble]) as world:
        assert world.now_s <= 8.1
        strategy = world.strategy()
        [order_id] = world.place(1)
        status = await strategy.do("status")
        assert status["state"] == "serving"
        assert status["venues"]["spot"]["state"] in ("down", "degraded")
        reply = await strategy.cancel(order_id=order_id)
        if reply["outcome"] not in ("acked", "canceled"):
            assert reply["outcome"] in ("refused", "unknown")
            assert world.resting == [order_id]
        await world.passed(30.0)
        world.reconnect()
        world.clear()
        await world.passed(45.0)
        await world.live()
        assert (await strategy.do("status"))["venues"]["spot"]["state"] == "up"
        reply = await strategy.cancel(order_id=order_id)
        assert reply["outcome"] in ("acked", "canceled", "closed")
        assert world.resting == []
