"""Fifty userrefs over REST alone at 40 ms: they share a request, and a list tells what became of them.

Its answer is one number for all of them, so that nobody learns from it which userref met an order. Nothing by userref
is ever sent a second time, but where the venue refused the form: then each goes alone, since nothing was carried out.
"""

from collections import Counter
from typing import Any

import pytest

from .world import WS_HOST, Stage, Staging

USERREFS = range(1, 51)


async def cut_off(world: Stage, *, seen: bool) -> None:
    """An order under each, placed before or after the last stream was lost."""
    if not seen:
        world.cut_off(WS_HOST)
        await world.passed(0.5)
    for userref in USERREFS:
        world.place(1, userref=userref)
    await world.passed(0.5)
    if seen:
        world.cut_off(WS_HOST)
        await world.passed(0.5)
    world.inject("rest_delay", seconds=0.04)


async def batch(world: Stage, **more: Any) -> list[dict[str, Any]]:
    orders = [{"userref": userref} for userref in USERREFS]
    reply = await world.strategy().do("cancel_batch", orders=orders, **more)
    outcomes: list[dict[str, Any]] = reply["outcomes"]
    return outcomes


@pytest.mark.parametrize(
    ("seen", "until", "word"),
    [(True, "ack", "acked"), (True, "proof", "canceled"), (False, "ack", "closed"), (False, "proof", "closed")],
)
async def test_they_go_in_one_request(
    autojump_clock: object, stage: Staging, seen: bool, until: str, word: str
) -> None:
    async with stage(1) as world:
        await cut_off(world, seen=seen)
        outcomes = await batch(world, until=until)
        assert Counter(told["outcome"] for told in outcomes) == {word: 50}
        if not seen:
            assert {told["cause"] for told in outcomes} == {"unconfirmed"}
        assert not any("count" in told or "order_ids" in told for told in outcomes), "nobody knows whose they were"
        assert len(world.frames("CancelOrderBatch")) + len(world.frames("CancelOrder")) == 1
        assert len(world.frames("OpenOrders")) <= 2
        assert world.resting == []
        world.reconnect()


async def test_single_commands_share_requests_too(autojump_clock: object, stage: Staging) -> None:
    async with stage(1) as world:
        await cut_off(world, seen=True)
        strategy = world.strategy()
        for userref in USERREFS:
            strategy.ask("cancel", userref=userref)
        replies = await strategy.hear_all(50)
        assert {reply["outcome"] for reply in replies.values()} == {"acked"}
        assert len(world.frames("CancelOrderBatch")) + len(world.frames("CancelOrder")) <= 2
        assert world.resting == []
        world.reconnect()


async def test_a_few_go_alone_and_each_hears_how_many(autojump_clock: object, stage: Staging) -> None:
    async with stage(1) as world:
        await cut_off(world, seen=True)
        orders = [{"userref": userref} for userref in (1, 2, 3)]
        reply = await world.strategy().do("cancel_batch", orders=orders)
        assert [told["count"] for told in reply["outcomes"]] == [1, 1, 1]
        assert world.frames("CancelOrderBatch") == []
        world.reconnect()


async def test_where_the_form_is_refused_each_goes_alone(autojump_clock: object, stage: Staging) -> None:
    async with stage(1) as world:
        await cut_off(world, seen=True)
        error = "EGeneral:Invalid arguments:orders"
        world.inject("rest_error", route="spot_rest", match="CancelOrderBatch", error=error)
        outcomes = await batch(world, deadline_ms=20_000)
        assert {told["outcome"] for told in outcomes} <= {"acked", "canceled"}
        alone = Counter(frame["txid"] for frame in world.frames("CancelOrder"))
        assert any(name.isdigit() for name in alone)
        assert set(alone.values()) == {1}, "by userref or by the id that a list told, and nothing twice"
        assert world.resting == []
        world.reconnect()


@pytest.mark.parametrize("keep", [1, 20, 50])
async def test_what_it_left_is_found_by_the_list_and_goes_by_its_id(
    autojump_clock: object, stage: Staging, keep: int
) -> None:
    async with stage(1) as world:
        await cut_off(world, seen=True)
        world.inject("batch_partial", keep=keep, times=1)
        outcomes = await batch(world, deadline_ms=20_000)
        assert {told["outcome"] for told in outcomes} <= {"acked", "closed", "canceled", "not_open"}
        assert all(len(world.asked_of_venue(userref)) <= 2 for userref in USERREFS)
        assert world.resting == []
        world.reconnect()


@pytest.mark.parametrize("kind", ["rest_status", "rest_close_before_answer", "rest_html_200"])
async def test_an_answer_that_says_nothing_sends_no_userref_again(
    autojump_clock: object, stage: Staging, kind: str
) -> None:
    async with stage(1) as world:
        await cut_off(world, seen=True)
        world.inject(kind, route="spot_rest", match="CancelOrderBatch", effect="after", times=1)
        await batch(world, deadline_ms=5_000)
        assert all(len(world.asked_of_venue(userref)) == 1 for userref in USERREFS)
        assert world.resting == []
        world.reconnect()


async def test_an_order_that_appears_meanwhile_is_not_called_gone(autojump_clock: object, stage: Staging) -> None:
    async with stage(1) as world:
        await cut_off(world, seen=False)
        strategy = world.strategy()
        strategy.ask("cancel_batch", orders=[{"userref": userref} for userref in USERREFS], deadline_ms=3_000)
        await world.passed(0.2)
        world.place(1, userref=7)
        [reply] = (await strategy.hear_all(1)).values()
        seventh = reply["outcomes"][6]
        assert (seventh["outcome"] == "unknown") == bool(world.resting), seventh
        world.reconnect()
