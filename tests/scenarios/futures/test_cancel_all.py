"""Everything off on Futures, by one request whose answer lists what it canceled."""

import json

import pytest

from ..world import FEED_HOST, FUTURES_HOST, SEEDS
from .stages import stage


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("until", ["ack", "proof"])
@pytest.mark.parametrize("witness", ["feed up", "feed down"])
async def test_everything_is_off_the_book(autojump_clock: object, seed: int, until: str, witness: str) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        await world.place_seen(40)
        if witness == "feed down":
            world.cut_off(FEED_HOST)
            await world.passed(0.01)
        reply = await strategy.do("cancel_all", until=until)
        told = reply["venues"]["futures"]
        assert told["outcome"] in ({"canceled"} if until == "proof" else {"acked", "canceled"})
        if told["route"] == "rest":
            assert told["count"] == 40
        assert told["residual"] == []
        assert len(world.received("cancelallorders")) == 1
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("until", ["ack", "proof"])
async def test_with_nothing_open_it_is_said_at_once_or_proved_by_asking(
    autojump_clock: object, seed: int, until: str
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        surveys = len(world.received("openorders"))
        reply = await strategy.do("cancel_all", until=until)
        told = reply["venues"]["futures"]
        assert told["outcome"] == ("acked" if until == "ack" else "canceled")
        assert len(world.received("openorders")) - surveys == (until == "proof")


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("until", ["ack", "proof"])
async def test_a_list_beside_the_word_that_there_was_nothing_is_what_counts(
    autojump_clock: object, seed: int, until: str
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        orders = await world.place_seen(3)
        listed = [{"order_id": order_id, "cliOrdId": None} for order_id in orders]
        status = {"cancelOnly": "all", "status": "noOrdersToCancel", "cancelledOrders": listed, "orderEvents": []}
        world.inject(
            "rest_status",
            match="cancelallorders",
            status=200,
            body=json.dumps({"result": "success", "cancelStatus": status}),
            content_type="application/json",
            effect="after",
        )
        world.inject("delay_events", seconds=0.1)
        reply = await strategy.do("cancel_all", until=until)
        told = reply["venues"]["futures"]
        assert (told["outcome"], told["count"]) == ("acked" if until == "ack" else "canceled", 3)
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_an_order_that_appears_meanwhile_neither_holds_it_up_nor_is_called_gone(
    autojump_clock: object, seed: int
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        await world.place_seen(5)
        world.inject("rest_delay", match="cancelallorders", seconds=0.3)
        world.inject("delay_events", seconds=0.5)
        strategy.ask("cancel_all", until="proof")
        await world.passed(0.1)
        [newcomer] = world.place(1)
        reply = await strategy.hear()
        assert reply["venues"]["futures"]["outcome"] == "canceled"
        assert world.resting == [newcomer]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("effect", ["before", "after"])
@pytest.mark.parametrize("witness", ["feed up", "feed down"])
async def test_with_its_answer_lost_it_is_asked_for_again(
    autojump_clock: object, seed: int, effect: str, witness: str
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        await world.place_seen(5)
        if witness == "feed down":
            world.cut_off(FEED_HOST)
            await world.passed(0.01)
        world.inject("rest_close_before_answer", match="cancelallorders", effect=effect, times=1)
        reply = await strategy.do("cancel_all", until="proof")
        assert reply["venues"]["futures"]["outcome"] == "canceled"
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_swallowed_it_is_sent_again_when_a_list_shows_that_it_did_not_work(
    autojump_clock: object, seed: int
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        await world.place_seen(5)
        world.inject("rest_delay", match="cancelallorders", seconds=600.0, request=True, times=1)
        reply = await strategy.do("cancel_all", until="proof")
        assert reply["venues"]["futures"]["outcome"] == "canceled"
        assert world.resting == []


async def test_with_everything_down_what_rests_is_told(autojump_clock: object) -> None:
    async with stage() as world:
        strategy = world.strategy()
        orders = await world.place_seen(3)
        world.cut_off(FEED_HOST, FUTURES_HOST)
        await world.passed(0.01)
        reply = await strategy.do("cancel_all")
        told = reply["venues"]["futures"]
        assert (told["outcome"], told["reason"]) == ("refused", "no_route")
        assert sorted(told["residual"]) == sorted(orders)
        assert sorted(world.resting) == sorted(orders)
