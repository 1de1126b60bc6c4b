"""One userref, three orders. The number may name other orders a moment later, so it must never be sent twice blindly.

Over v1 acks carry no order id: three of them for three known orders are an answer. When the answer is lost, the orders
that were meant are asked for one by one, by their own ids, and an order placed since under the same number is left
alone.
"""

import pytest

from .world import SEEDS, WS_HOST, Staging


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("until", ["ack", "proof"])
async def test_three_acks_are_one_answer(autojump_clock: object, stage: Staging, seed: int, until: str) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        await world.place_seen(3, userref=7)
        [other] = await world.place_seen(1, userref=8)
        reply = await strategy.cancel(userref=7, until=until)
        assert reply["outcome"] == ("canceled" if until == "proof" else reply["outcome"])
        assert reply["outcome"] in ("acked", "canceled")
        assert len(world.asked_of_venue(7)) == 1
        assert world.resting == [other]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("effect", ["before", "after"])
@pytest.mark.parametrize("sockets", ["one", "both"])
async def test_with_the_socket_lost_the_orders_are_asked_for_by_their_own_ids(
    autojump_clock: object, stage: Staging, seed: int, effect: str, sockets: str
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        orders = await world.place_seen(3, userref=7)
        world.inject("delay_events", seconds=0.3)
        world.inject(f"swallow_ack_{effect}_effect", match="cancelOrder", times=1)
        strategy.ask(userref=7)
        await world.passed(0.1)
        # Another strategy uses the number again: its order was not meant.
        [newcomer] = world.place(1, userref=7)
        if sockets == "both":
            world.cut_off(WS_HOST)
        else:
            world.inject("reset_sockets", session=world.received("cancelOrder")[0].session)
        reply = await strategy.hear()
        # With no stream left nobody knows that the newcomer is one: it is left alone, and not called gone either.
        assert reply["outcome"] in (("acked", "canceled") if sockets == "one" else ("unknown",))
        assert len(world.asked_of_venue(7)) == 1
        if effect == "before":
            assert all(world.asked_of_venue(order_id) for order_id in orders)
        assert world.resting == [newcomer]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("effect", ["before", "after"])
async def test_with_the_ack_swallowed_silence_splits_it_too(
    autojump_clock: object, stage: Staging, seed: int, effect: str
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        await world.place_seen(3, userref=7)
        world.inject("drop_event", match="canceled")
        world.inject(f"swallow_ack_{effect}_effect", match="cancelOrder", times=1)
        reply = await strategy.cancel(userref=7)
        assert reply["outcome"] in ("acked", "canceled")
        assert len(world.asked_of_venue(7)) == 1
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_one_refused_of_three_is_asked_for_by_its_own_id(
    autojump_clock: object, stage: Staging, seed: int
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        await world.place_seen(3, userref=7)
        world.inject("ack_error", match="cancelOrder", error="EService:Busy", times=1)
        reply = await strategy.cancel(userref=7)
        assert reply["outcome"] in ("acked", "canceled")
        assert len(world.asked_of_venue(7)) == 1
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_with_nothing_known_and_nothing_heard_the_answer_is_unknown(
    autojump_clock: object, stage: Staging, seed: int
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        world.inject("swallow_ack_before_effect", match="cancelOrder")
        reply = await strategy.cancel(userref=7)
        assert reply["outcome"] == "unknown"
        assert len(world.asked_of_venue(7)) == 1


@pytest.mark.parametrize("seed", SEEDS)
async def test_orders_the_stream_had_not_told_of_are_found_by_asking(
    autojump_clock: object, stage: Staging, seed: int
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        world.inject("drop_event", match="placed")
        world.place(3, userref=7)
        world.inject("swallow_ack_before_effect", match="cancelOrder", times=1)
        reply = await strategy.cancel(userref=7)
        assert reply["outcome"] in ("acked", "canceled")
        assert len(world.asked_of_venue(7)) == 1
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_userref_nobody_bears_is_not_open(autojump_clock: object, stage: Staging, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [other] = await world.place_seen(1, userref=8)
        reply = await strategy.cancel(userref=7)
        assert reply["outcome"] == "not_open"
        assert world.resting == [other]


@pytest.mark.parametrize("seed", SEEDS)
async def test_by_rest_alone(autojump_clock: object, stage: Staging, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        await world.place_seen(3, userref=7)
        world.cut_off(WS_HOST)
        await world.passed(0.01)
        reply = await strategy.cancel(userref=7)
        assert (reply["outcome"], reply["route"]) == ("acked", "rest")
        assert len(world.asked_of_venue(7)) == 1
        assert world.resting == []
