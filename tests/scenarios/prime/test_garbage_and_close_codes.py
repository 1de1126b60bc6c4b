"""Prime sends what nobody can read, or says goodbye with a code.

Nothing unreadable is ever taken for an answer, and each close code has its own manners. The other session carries the
cancels meanwhile.
"""

from typing import Any

import pytest

from ..world import PRIME_HOST, SEEDS, Staging

GARBAGE: dict[str, dict[str, Any]] = {
    "half an object": {"kind": "garbage_frame"},
    "an array of nothing": {"kind": "garbage_frame", "text": "[]"},
    "deep nesting": {"kind": "garbage_frame", "text": "[" * 100_000},
    "no frame at all": {"kind": "garbage_frame", "raw_hex": "ffffffff00112233"},
    "17 MiB": {"kind": "oversize_frame", "size": 17 * 1024 * 1024},
    "a row that is no row": {"kind": "garbage_frame", "text": '{"type":"ExecutionReport","data":[7]}'},
    "an order without an id": {"kind": "garbage_frame", "text": '{"type":"Order","data":[{"OrdStatus":"Canceled"}]}'},
    "a type nobody knows": {"kind": "garbage_frame", "text": '{"type":"Weather","data":[{}]}'},
    "a number too large": {"kind": "garbage_frame", "text": '{"type":"Pong","reqid":1e400}'},
    "a subscription ended by itself": {"kind": "garbage_frame", "text": '{"type":"cancel","reqid":1}'},
}


@pytest.mark.parametrize("what", GARBAGE)
async def test_garbage_answers_nothing_and_ends_no_more_than_its_session(
    autojump_clock: object, stage: Staging, what: str
) -> None:
    async with stage() as world:
        strategy = world.strategy()
        first, second = await world.place_seen(2)
        world.inject(**GARBAGE[what], session=0)
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
        orders = await world.place_seen(2)
        dialled = len(world.dials_to(PRIME_HOST))
        closed_s = world.now_s
        world.inject("close_code", code=code, session=0)
        await world.passed(0.05)
        reply = await strategy.cancel(order_id=orders[0])
        assert reply["outcome"] in ("acked", "canceled")
        await world.passed(62.0)
        [again_s] = world.dials_to(PRIME_HOST)[dialled:]
        assert least_s <= again_s - closed_s <= most_s
        assert bool(alerts.events) == (code == 1008)
        await world.live()
        reply = await strategy.cancel(order_id=orders[1])
        assert reply["outcome"] in ("acked", "canceled")
        assert world.resting == []
