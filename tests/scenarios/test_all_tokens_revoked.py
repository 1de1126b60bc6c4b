"""The venue upgrades its WebSocket service and every token dies; the sockets stay up and look healthy.

The cancel that finds out is told "invalid session". It fetches a new token and is tried once more, inside the same
command; only if that fails too does it go elsewhere.
"""

import pytest

from . import wirelog
from .world import REST_HOST, SEEDS, Staging


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("text", ["ESession:Invalid session", "EAPI:Invalid token"])
async def test_a_new_token_and_one_more_try_in_the_same_command(
    autojump_clock: object, stage: Staging, seed: int, text: str
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        tokens = len(world.frames("GetWebSocketsToken"))
        if text.startswith("ESession"):
            world.inject("invalid_session")
        else:
            world.inject("token_error", match="cancelOrder", error=text, times=1)
        reply = await strategy.cancel(order_id=order_id)
        assert reply["outcome"] in ("acked", "canceled")
        assert reply["attempts"] == 2
        # Two requests for one order stay so much apart on a session.
        assert strategy.took(reply["id"]) < 0.06
        assert len(world.frames("GetWebSocketsToken")) == tokens + 1
        first, second = world.asked_of_venue(order_id)
        assert first.session == second.session
        assert wirelog.asked(first)["token"] != wirelog.asked(second)["token"]
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_burst_with_a_dead_token_costs_one_token_and_loses_nothing(
    autojump_clock: object, stage: Staging, seed: int
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        orders = await world.place_seen(60)
        tokens = len(world.frames("GetWebSocketsToken"))
        world.inject("invalid_session")
        for order_id in orders:
            strategy.ask(order_id=order_id)
        replies = await strategy.hear_all(60)
        assert {reply["outcome"] for reply in replies.values()} <= {"acked", "canceled"}
        assert len(world.frames("GetWebSocketsToken")) == tokens + 1
        assert world.resting == []


async def test_without_a_new_token_the_cancel_goes_by_the_other_ways(autojump_clock: object, stage: Staging) -> None:
    async with stage() as world:
        strategy = world.strategy()
        orders = await world.place_seen(3)
        world.inject("invalid_session")
        world.inject("rest_error", route="spot_rest", match="GetWebSocketsToken", error="EService:Unavailable")
        for order_id in orders:
            reply = await strategy.cancel(order_id=order_id)
            assert reply["outcome"] in ("acked", "canceled")
        assert world.resting == []


async def test_with_dead_tokens_and_no_rest_the_refusal_is_told(autojump_clock: object, stage: Staging) -> None:
    async with stage() as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        world.inject("invalid_session")
        world.cut_off(REST_HOST)
        reply = await strategy.cancel(order_id=order_id)
        assert reply["outcome"] == "rejected"
        assert reply["class"] == "auth"
        assert world.resting == [order_id]
