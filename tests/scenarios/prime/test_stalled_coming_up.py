"""Prime takes connections and then says nothing, in every phase of coming up.

Each phase has a bound of its own, so that no session is lost for good behind a peer that only listens; the other one
carries the cancels meanwhile.
"""

from typing import Any

import pytest

from canceld.sim.prime_ws import PrimeV1
from canceld.sim.websocket import Frame

from ..world import PRIME_HOST, Staging

PHASES: dict[str, dict[str, Any]] = {
    "dial": {"kind": "stall_accept", "times": 1},
    "tls": {"kind": "stall_tls", "times": 1},
    "upgrade": {"kind": "stall_handshake", "times": 1},
    "hello": {},
    "user": {"kind": "stall_subscribe", "times": 1},
    "streams": {"kind": "stall_subscribe", "times": 3},
    "user's answer": {"kind": "drop_event", "match": "snapshot", "times": 1},
    "ping": {"kind": "swallow_ack_before_effect", "match": "Ping", "times": 1},
}


@pytest.mark.parametrize("phase", PHASES)
async def test_the_session_is_back_in_seconds_and_cancels_go_on(
    autojump_clock: object, stage: Staging, phase: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with stage() as world:
        strategy = world.strategy()
        orders = await world.place_seen(3)
        if phase == "hello":
            monkeypatch.setattr(PrimeV1, "greeting", _silent_once())
        else:
            # No connection has a number before its upgrade.
            which = {} if phase in ("dial", "tls") else {"session": 2}
            world.exchange.faults.inject({**PHASES[phase], **which})
        world.inject("reset_sockets", session=0)
        await world.passed(0.01)
        began_s = world.now_s
        for order_id in orders:
            reply = await strategy.cancel(order_id=order_id)
            assert reply["outcome"] in ("acked", "canceled")
        await world.live()
        assert 1.0 < world.now_s - began_s < 8.0
        assert len(world.dials_to(PRIME_HOST)) == 4
        assert sorted(session.lives for session in world.desk.sessions) == [1, 2]
        assert world.resting == []


def _silent_once() -> Any:
    greet = PrimeV1.greeting
    left = iter([True])

    def greeting(dialect: PrimeV1) -> list[Frame]:
        return [] if next(left, False) else greet(dialect)

    return greeting


@pytest.mark.parametrize("after_s", [0.0, 3.0])
async def test_order_streams_that_never_begin_cost_no_order(
    autojump_clock: object, stage: Staging, after_s: float
) -> None:
    # The User stream comes, both order streams do not, and the ping is answered: nothing tells it from an account
    # without orders.
    async with stage() as world:
        strategy = world.strategy()
        orders = await world.place_seen(3)
        world.inject("stall_subscribe", session=2, match="subscribe", times=1)
        world.inject("reset_sockets", session=0)
        await world.passed(after_s)
        for order_id in orders:
            reply = await strategy.cancel(order_id=order_id, until="proof")
            assert reply["outcome"] == "canceled"
        assert world.resting == []
        await world.passed(10.0)
