"""Both sockets are down, and the edge in front of REST answers 502 with a page of HTML.

A 502 is no verdict: the cancel may have been carried out behind it. It is asked again until REST, or a socket, says
something that can be believed.
"""

import pytest

from .world import SEEDS, WS_HOST, stage


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("effect", ["before", "after"])
@pytest.mark.parametrize(
    "kind", ["rest_status", "rest_html_200", "rest_close_before_answer", "rest_truncate", "rest_redirect"]
)
async def test_the_cancel_is_asked_again_until_rest_makes_sense(
    autojump_clock: object, seed: int, kind: str, effect: str
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        orders = await world.place_seen(1)
        world.cut_off(WS_HOST)
        await world.passed(0.01)
        fault = {} if kind in ("rest_truncate", "rest_redirect") else {"effect": effect}
        world.inject(kind, route="spot_rest", match="CancelOrder", times=2, **fault)
        reply = await strategy.cancel(order_id=orders[0])
        assert reply["outcome"] in ("acked", "canceled")
        assert reply["route"] == "rest"
        assert world.resting == []


@pytest.mark.parametrize("effect", ["before", "after"])
async def test_a_socket_that_comes_back_finishes_what_rest_could_not(autojump_clock: object, effect: str) -> None:
    async with stage() as world:
        strategy = world.strategy()
        orders = await world.place_seen(10)
        # Old enough for a new snapshot to speak about: a young order may be missing from one.
        await world.passed(5.0)
        world.cut_off(WS_HOST)
        await world.passed(0.01)
        world.inject("rest_status", route="spot_rest", match="CancelOrderBatch", effect=effect)
        world.inject("rest_status", route="spot_rest", match="CancelOrder", effect=effect)
        world.inject("rest_status", route="spot_rest", match="QueryOrders")
        for order_id in orders:
            strategy.ask(order_id=order_id, deadline_ms=10_000)
        await world.passed(1.0)
        assert strategy.heard == []
        world.reconnect()
        replies = await strategy.hear_all(10)
        assert {reply["outcome"] for reply in replies.values()} <= {"acked", "canceled", "closed"}
        assert world.resting == []


async def test_with_nothing_but_html_the_answer_is_unknown(autojump_clock: object) -> None:
    async with stage() as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        world.cut_off(WS_HOST)
        await world.passed(0.01)
        world.inject("rest_status", route="spot_rest", for_s=60.0)
        reply = await strategy.cancel(order_id=order_id)
        assert (reply["outcome"], reply["tried"]) == ("unknown", ["rest"])
        assert strategy.took(reply["id"]) == pytest.approx(2.0, abs=0.005)
        assert world.resting == [order_id]
