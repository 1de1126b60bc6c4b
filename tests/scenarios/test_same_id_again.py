"""A strategy is not sure that it was heard and asks again, with the same id.

The same command gets the stored reply, or a place beside the one in flight; it never reaches the venue a second time.
Another command under a used id is refused, since one of the two would have to be lost.
"""

import pytest

from .world import REST_HOST, SEEDS, WS_HOST, stage


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("second", ["msgpack", "json"])
async def test_after_the_reply_it_is_told_again(autojump_clock: object, seed: int, second: str) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        first = await strategy.cancel(id="a", order_id=order_id)
        again = await strategy.cancel(id="a", order_id=order_id, encoding=second)
        assert again.pop("replayed") is True
        assert again == first
        assert len(world.asked_of_venue(order_id)) == 1
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_in_flight_it_joins_and_each_asking_has_its_reply(autojump_clock: object, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        world.inject("delay", match="cancelOrder", seconds=0.5)
        world.inject("delay_events", seconds=1.0)
        world.cut_off(REST_HOST)
        for encoding in ("msgpack", "json", "msgpack"):
            strategy.ask(id="a", order_id=order_id, encoding=encoding)
            await world.passed(0.1)
        replies = [await strategy.hear() for _ in range(3)]
        assert sorted(reply.get("replayed", False) for reply in replies) == [False, True, True]
        assert {reply["outcome"] for reply in replies} <= {"acked", "canceled"}
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_different_command_under_a_used_id_is_refused(autojump_clock: object, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        first, second = await world.place_seen(2)
        await strategy.cancel(id="a", order_id=first)
        for changed in (
            {"order_id": second},
            {"order_id": first, "until": "proof"},
            {"order_id": first, "deadline_ms": 1},
        ):
            reply = await strategy.cancel(id="a", **changed)
            assert (reply["type"], reply["outcome"], reply["reason"]) == ("refused", "refused", "id_reused")
        assert world.resting == [second]


@pytest.mark.parametrize("seed", SEEDS)
async def test_ids_belong_to_their_client(autojump_clock: object, seed: int) -> None:
    async with stage(seed) as world:
        one, another = world.strategy(), world.strategy()
        first, second = await world.place_seen(2)
        assert "replayed" not in await one.cancel(id=1, order_id=first)
        assert "replayed" not in await another.cancel(id=1, order_id=second)
        # A number and its text are two ids.
        assert "replayed" not in await one.cancel(id="1", order_id=second)
        assert world.resting == []


async def test_a_refused_id_may_be_used_again_and_a_malformed_one_too(autojump_clock: object) -> None:
    async with stage() as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        world.cut_off(WS_HOST, REST_HOST)
        await world.passed(0.01)
        assert (await strategy.cancel(id="a", order_id=order_id, deadline_ms=500))["reason"] == "no_route"
        assert (await strategy.cancel(id="a", order_id=order_id, userref=7))["reason"] == "invalid"
        assert (await strategy.cancel(id="a", venue="prime", order_id=order_id))["reason"] == "unsupported"
        assert (await strategy.cancel(id="a", venue="prime", order_id=order_id))["reason"] == "unsupported"
        world.reconnect()
        await world.live()
        reply = await strategy.cancel(id="a", order_id=order_id)
        assert reply["outcome"] in ("acked", "canceled")
        assert "replayed" not in reply
        assert world.resting == []


async def test_an_id_is_remembered_for_a_quarter_of_an_hour(autojump_clock: object) -> None:
    async with stage() as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        await strategy.cancel(id="a", order_id=order_id)
        await world.passed(890.0)
        assert (await strategy.cancel(id="a", order_id=order_id))["replayed"] is True
        await world.passed(20.0)
        reply = await strategy.cancel(id="a", order_id=order_id)
        assert "replayed" not in reply
        assert reply["outcome"] == "closed"


async def test_batches_and_cancel_all_are_replayed_whole(autojump_clock: object) -> None:
    async with stage() as world:
        strategy = world.strategy()
        orders = await world.place_seen(3)
        named = [{"order_id": order_id} for order_id in orders]
        first = await strategy.do("cancel_batch", id="b", orders=named)
        again = await strategy.do("cancel_batch", id="b", orders=named, encoding="json")
        assert again.pop("replayed") is True
        assert again == first
        first = await strategy.do("cancel_all", id="c")
        again = await strategy.do("cancel_all", id="c")
        assert again.pop("replayed") is True
        assert again == first
        assert len(world.frames("cancelAll")) == 1
