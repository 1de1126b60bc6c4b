"""The feed is lost, turned away or mute. It takes no cancels, so nothing stops: what it would have told is asked for.

The venue answers a stale challenge and a wrong key in the same words; the first is cured by one new challenge, the
second is told to the operator and not repeated in a storm.
"""

import pytest

from ..world import FEED_HOST, SEEDS
from .stages import stage


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("until", ["ack", "proof"])
async def test_without_the_feed_answers_and_queries_are_the_proof(
    autojump_clock: object, seed: int, until: str
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        alerts = world.listen("alert")
        orders = await world.place_seen(3)
        world.cut_off(FEED_HOST)
        await world.passed(0.01)
        assert any("no live order feed" in alert["what"] for alert in alerts.events)
        for order_id in orders[:2]:
            reply = await strategy.cancel(order_id=order_id, until=until)
            assert (reply["outcome"], reply["route"]) == ("canceled", "rest")
        world.inject("rest_close_before_answer", match="cancelorder", effect="after", times=1)
        reply = await strategy.cancel(order_id=orders[2], until=until)
        assert (reply["outcome"], reply["route"]) == ("canceled", "rest")
        status = await strategy.do("status")
        assert status["venues"]["futures"]["state"] == "degraded"
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_an_order_placed_while_the_feed_is_down_is_known_by_the_next_survey(
    autojump_clock: object, seed: int
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        world.cut_off(FEED_HOST)
        await world.passed(0.01)
        [order_id] = world.place(1, cl_ord_id="mm-9")
        await world.passed(10.5)
        assert world.pursuits.resting.is_open(order_id)
        reply = await strategy.cancel(cl_ord_id="mm-9")
        assert (reply["outcome"], reply["order_id"]) == ("canceled", order_id)
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_the_feed_comes_back_and_what_ended_meanwhile_is_not_called_open(
    autojump_clock: object, seed: int
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        first, second = await world.place_seen(2)
        world.cut_off(FEED_HOST)
        await world.passed(3.0)
        world.fill(first)
        world.reconnect()
        await world.live()
        assert not world.pursuits.resting.is_open(first)
        assert world.pursuits.resting.is_open(second)
        reply = await strategy.cancel(order_id=first)
        assert reply["outcome"] == "closed"
        reply = await strategy.cancel(order_id=second)
        assert reply["outcome"] == "canceled"
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_refused_challenge_is_asked_for_once_more(autojump_clock: object, seed: int) -> None:
    async with stage(seed) as world:
        world.inject("token_error", route="futures_feed", error="Failed to subscribe to authenticated feed", times=1)
        world.inject("reset_sockets", route="futures_feed")
        began_s, dialled = world.now_s, len(world.dials_to(FEED_HOST))
        await world.passed(0.01)
        await world.live()
        assert len(world.dials_to(FEED_HOST)) == dialled + 1
        assert world.now_s - began_s < 2.0
        assert len(world.frames("challenge")) == 3


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_wrong_key_on_the_feed_is_no_storm_and_stops_no_cancel(autojump_clock: object, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        alerts = world.listen("alert")
        [order_id] = await world.place_seen(1)
        world.inject("token_error", route="futures_feed", error="Failed to subscribe to authenticated feed")
        world.inject("reset_sockets", route="futures_feed")
        await world.passed(60.0)
        assert 2 <= len(world.frames("challenge")) <= 16
        assert any(alert["severity"] == "critical" and "refuses the key" in alert["do"] for alert in alerts.events)
        reply = await strategy.cancel(order_id=order_id)
        assert (reply["outcome"], reply["route"]) == ("canceled", "rest")
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", ["half_open", "no_heartbeat"])
async def test_a_mute_feed_is_given_up_and_dialled_anew(autojump_clock: object, seed: int, kind: str) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        dialled = len(world.dials_to(FEED_HOST))
        world.inject(kind, route="futures_feed", for_s=30.0)
        if kind == "no_heartbeat":
            # Pongs are signs of life too.
            await world.passed(60.0)
            assert len(world.dials_to(FEED_HOST)) == dialled
        else:
            await world.passed(22.0)
            assert len(world.dials_to(FEED_HOST)) > dialled
        reply = await strategy.cancel(order_id=order_id)
        assert reply["outcome"] == "canceled"
        assert world.resting == []
        await world.passed(30.0)
        await world.live()


@pytest.mark.parametrize("seed", SEEDS)
async def test_garbage_on_the_feed_settles_nothing(autojump_clock: object, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        for text in (
            '{"feed":"open_orders_verbose"}',
            '{"feed":"open_orders_verbose","is_cancel":true,"reason":"cancelled_by_user"}',
            f'{{"feed":"open_orders_verbose","order_id":"{order_id}","is_cancel":"true","reason":"cancelled_by_user"}}',
            f'{{"feed":"fills","order_id":"{order_id}","is_cancel":true,"reason":"cancelled_by_user"}}',
            '{"event":',
            "[]",
        ):
            world.inject("garbage_frame", route="futures_feed", text=text)
            await world.passed(0.01)
        assert world.pursuits.resting.is_open(order_id)
        reply = await strategy.cancel(order_id=order_id)
        assert (reply["outcome"], reply["attempts"]) == ("canceled", 1)
        assert world.resting == []
