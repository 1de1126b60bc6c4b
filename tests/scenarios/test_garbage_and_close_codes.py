"""The venue sends what nobody can read, or says goodbye with a code.

Nothing unreadable is ever taken for an answer, and each close code has its own manners: a restart is dialled again at
once, "try again later" after a second, a policy violation after a minute and with an alert. The other session and REST
carry the cancels meanwhile.
"""

from typing import Any

import pytest

from .world import SEEDS, WS_HOST, Staging

BYTES: dict[str, dict[str, Any]] = {
    "half an object": {"kind": "garbage_frame"},
    "an array of nothing": {"kind": "garbage_frame", "text": "[]"},
    "deep nesting": {"kind": "garbage_frame", "text": "[" * 100_000},
    "no frame at all": {"kind": "garbage_frame", "raw_hex": "ffffffff00112233"},
    "17 MiB": {"kind": "oversize_frame", "size": 17 * 1024 * 1024},
}

# What the protocols have a shape of their own for: v1, v2.
SHAPES: dict[str, tuple[str, str]] = {
    "an ack without a request": (
        '{"event":"cancelOrderStatus","status":"ok"}',
        '{"method":"cancel_order","success":true}',
    ),
    "an ack for a text": (
        '{"event":"cancelOrderStatus","status":"ok","reqid":"1"}',
        '{"method":"cancel_order","success":true,"req_id":"1"}',
    ),
    "an ack beside an error": (
        '{"event":"cancelOrderStatus","status":"ok","reqid":1,"errorMessage":"EService:Busy"}',
        '{"method":"cancel_order","success":true,"req_id":1,"error":"EService:Busy"}',
    ),
    "an order without an id": (
        '[[{}],"openOrders",{"sequence":99}]',
        '{"channel":"executions","type":"update","data":[{}],"sequence":99}',
    ),
    "a number too large": ('{"event":"pong","reqid":1e400}', '{"method":"pong","req_id":1e400}'),
}


@pytest.mark.parametrize("what", [*BYTES, *SHAPES])
async def test_garbage_answers_nothing_and_ends_no_more_than_its_session(
    autojump_clock: object, stage: Staging, what: str
) -> None:
    async with stage() as world:
        strategy = world.strategy()
        first, second = await world.place_seen(2)
        text = SHAPES[what][world.settings.spot.protocol == "v2"] if what in SHAPES else None
        garbage = BYTES[what] if text is None else {"kind": "garbage_frame", "text": text}
        world.inject(**garbage, session=0)
        for order_id in (first, second):
            reply = await strategy.cancel(order_id=order_id)
            assert reply["outcome"] in ("acked", "canceled")
            await world.passed(3.0)
        await world.live()
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("code", "least_s", "most_s"), [(1001, 0.0, 0.1), (1008, 60.0, 61.1), (1012, 0.0, 1.1), (1013, 1.0, 2.1)]
)
async def test_each_close_code_has_its_own_delay(
    autojump_clock: object, stage: Staging, seed: int, code: int, least_s: float, most_s: float
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        alerts = world.listen("alert")
        sessions = world.listen("session.spot")
        orders = await world.place_seen(2)
        dialled = len(world.dials_to(WS_HOST))
        closed_s = world.now_s
        world.inject("close_code", code=code, session=0)
        await world.passed(0.05)
        reply = await strategy.cancel(order_id=orders[0])
        assert reply["outcome"] in ("acked", "canceled")
        await world.passed(62.0)
        [again_s] = world.dials_to(WS_HOST)[dialled:]
        assert least_s <= again_s - closed_s <= most_s
        [down] = [event for event in sessions.events if event["state"] == "down"]
        assert str(code) in down["why"]
        assert bool(alerts.events) == (code == 1008)
        await world.live()
        reply = await strategy.cancel(order_id=orders[1])
        assert reply["outcome"] in ("acked", "canceled")
        assert world.resting == []
