"""Prime sends an error message instead of a report.

With a cancel's reqid the cancel was malformed in the venue's eyes: it is tried once on the other session, then told as
rejected. With a subscription's the stream is lost, and the session is opened anew. With none, or one that nobody knows,
it is nobody's answer.
"""

import json
from typing import Any

import pytest

from ..world import PRIME_HOST, SEEDS, Stage, Staging


def _error(world: Stage, reqid: Any, text: str, **where: Any) -> None:
    named = {} if reqid is None else {"reqid": reqid}
    frame = {**named, "seq": 1, "type": "error", "error": {"code": 1, "msg": text}}
    world.inject("garbage_frame", text=json.dumps(frame), **where)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("text", "told"),
    [("TransactTime: bad", "invalid"), ("Permission denied", "permission"), ("a text nobody has seen", "invalid")],
)
async def test_one_with_a_cancels_reqid_rejects_that_cancel(
    autojump_clock: object, stage: Staging, seed: int, text: str, told: str
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        world.inject("ack_error", match="OrderCancelRequest", error=text)
        reply = await strategy.cancel(order_id=order_id)
        assert (reply["outcome"], reply["class"], reply["error"]) == ("rejected", told, text)
        assert [received.session for received in world.received("OrderCancelRequest")] in ([0, 1], [1, 0])
        assert world.resting == [order_id]


@pytest.mark.parametrize("seed", SEEDS)
async def test_too_many_requests_are_taken_elsewhere_and_then_later(
    autojump_clock: object, stage: Staging, seed: int
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        orders = await world.place_seen(10)
        world.inject("ack_error", match="OrderCancelRequest", error="Too many requests", for_s=0.5)
        for order_id in orders:
            strategy.ask(order_id=order_id, deadline_ms=5000)
        replies = await strategy.hear_all(10)
        assert {reply["outcome"] for reply in replies.values()} <= {"acked", "canceled"}
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("stream", ["User", "Order", "ExecutionReport"])
async def test_one_with_a_subscriptions_reqid_opens_the_session_anew(
    autojump_clock: object, stage: Staging, seed: int, stream: str
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        asked = [received for received in world.received("subscribe") if received.session == 0]
        reqid = next(one.body["reqid"] for one in asked if one.body["streams"][0]["name"] == stream)
        _error(world, reqid, "the stream has ended", session=0)
        await world.passed(0.05)
        assert (await strategy.cancel(order_id=order_id))["outcome"] in ("acked", "canceled")
        await world.live()
        assert len(world.dials_to(PRIME_HOST)) == 3
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("reqid", [None, 17, 2**53, "1", 0])
async def test_one_for_nobody_settles_nothing(autojump_clock: object, stage: Staging, seed: int, reqid: Any) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        world.inject("swallow_ack_before_effect", match="OrderCancelRequest")
        strategy.ask(order_id=order_id, deadline_ms=1000)
        await world.passed(0.05)
        _error(world, reqid, "no")
        reply = await strategy.hear()
        assert reply["outcome"] == "unknown"
        assert len(world.dials_to(PRIME_HOST)) == 2
        assert world.resting == [order_id]


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_venue_that_will_not_filter_by_time_is_asked_without(
    autojump_clock: object, stage: Staging, seed: int
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        world.inject("token_error", match="subscribe", session=2, error="StartDate: unknown filter of Order")
        world.inject("reset_sockets", session=0)
        await world.passed(5.0)
        await world.live()
        last = [received.body["streams"][0] for received in world.received("subscribe") if received.session == 3]
        assert [stream for stream in last if "StartDate" in stream] == []
        assert (await strategy.cancel(order_id=order_id))["outcome"] in ("acked", "canceled")
        assert world.resting == []
