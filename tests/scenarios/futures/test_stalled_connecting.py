"""The venue takes connections and then says nothing, in every phase of a REST call.

Each phase has a bound, the lane is never lost behind a peer that only listens, and cancels go on with the next
connection.
"""

from typing import Any

import pytest

from ..world import FEED_HOST, FUTURES_HOST
from .stages import stage

PHASES: dict[str, dict[str, Any]] = {
    "accept": {"kind": "stall_accept", "times": 2},
    "tls": {"kind": "stall_tls", "times": 2},
    "headers": {"kind": "rest_delay", "match": "cancelorder", "seconds": 600.0, "request": True, "times": 2},
    "answer": {"kind": "rest_delay", "match": "cancelorder", "seconds": 600.0, "times": 2},
    "body": {"kind": "rest_truncate", "match": "cancelorder", "times": 2},
}


@pytest.mark.parametrize("phase", PHASES)
async def test_cancels_go_on_by_the_next_connection(autojump_clock: object, phase: str) -> None:
    async with stage() as world:
        strategy = world.strategy()
        orders = await world.place_seen(3)
        world.exchange.faults.inject(PHASES[phase])
        world.inject("reset_sockets", route="futures_rest")
        await world.passed(0.01)
        for order_id in orders:
            reply = await strategy.cancel(order_id=order_id, deadline_ms=6000)
            assert reply["outcome"] == "canceled"
        await world.live()
        assert world.resting == []


@pytest.mark.parametrize("phase", ["accept", "upgrade", "subscribe"])
async def test_the_feed_comes_back_and_cancels_do_not_wait_for_it(autojump_clock: object, phase: str) -> None:
    async with stage() as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        kind = {"accept": "stall_accept", "upgrade": "stall_handshake", "subscribe": "stall_subscribe"}[phase]
        world.inject(kind, times=1)
        world.inject("reset_sockets", route="futures_feed")
        await world.passed(0.01)
        reply = await strategy.cancel(order_id=order_id)
        assert (reply["outcome"], reply["route"]) == ("canceled", "rest")
        assert strategy.took(reply["id"]) < 0.05
        await world.live()
        assert world.now_s < 10.0
        assert len(world.dials_to(FEED_HOST)) == 3
        assert world.resting == []
        assert world.dials_to(FUTURES_HOST) != []
