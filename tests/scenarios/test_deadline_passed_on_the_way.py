"""The machine was busy and a cancel sat in a queue before the daemon saw it.

`sent_ns` says when it was sent, and the deadline runs from there: a strategy that has given up must not have its order
cancelled afterwards, or hear of it later than it waits.
"""

import pytest

from .world import REST_HOST, WS_HOST, stage


async def test_a_cancel_already_past_its_deadline_is_expired_and_not_sent(autojump_clock: object) -> None:
    async with stage() as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        await world.passed(10.0)
        sent_ns = world.clock.monotonic_ns() - 3_000_000_000
        reply = await strategy.cancel(order_id=order_id, sent_ns=sent_ns)
        assert (reply["type"], reply["outcome"], reply["reason"]) == ("outcome", "refused", "expired")
        assert strategy.took(reply["id"]) == 0.0
        assert world.asked_of_venue(order_id) == []
        # Nothing was used up: the same id may be asked again, with time left.
        reply = await strategy.cancel(id=reply["id"], order_id=order_id, sent_ns=world.clock.monotonic_ns())
        assert reply["outcome"] in ("acked", "canceled")
        assert world.resting == []


async def test_the_time_in_the_queue_is_taken_off_the_deadline(autojump_clock: object) -> None:
    async with stage() as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        world.cut_off(WS_HOST, REST_HOST)
        await world.passed(10.0)
        sent_ns = world.clock.monotonic_ns() - 1_500_000_000
        reply = await strategy.cancel(order_id=order_id, sent_ns=sent_ns)
        assert (reply["outcome"], reply["reason"]) == ("refused", "no_route")
        assert strategy.took(reply["id"]) == pytest.approx(0.5, abs=0.005)


async def test_a_clock_that_runs_ahead_grants_no_more_time(autojump_clock: object) -> None:
    async with stage() as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        world.cut_off(WS_HOST, REST_HOST)
        await world.passed(10.0)
        sent_ns = world.clock.monotonic_ns() + 900_000_000
        reply = await strategy.cancel(order_id=order_id, sent_ns=sent_ns)
        assert reply["reason"] == "no_route"
        assert strategy.took(reply["id"]) == pytest.approx(2.0, abs=0.005)


async def test_a_time_by_another_clock_is_refused_but_never_a_kill(autojump_clock: object) -> None:
    """By the wall's clock nothing would ever be too old, and nobody would know until the queue is long one day."""
    async with stage() as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        sent_ns = world.clock.monotonic_ns() + 1_700_000_000_000_000_000
        reply = await strategy.cancel(order_id=order_id, sent_ns=sent_ns)
        assert (reply["type"], reply["outcome"], reply["reason"]) == ("refused", "refused", "invalid")
        assert reply["detail"].startswith("sent_ns: ")
        assert world.resting == [order_id]
        reply = await strategy.do("kill", reason="drill", sent_ns=sent_ns)
        assert reply["type"] == "killed"
        assert world.resting == []


@pytest.mark.parametrize("type", ["cancel_batch", "cancel_all"])
async def test_batches_and_cancel_all_expire_too(autojump_clock: object, type: str) -> None:
    async with stage() as world:
        strategy = world.strategy()
        orders = await world.place_seen(2)
        await world.passed(10.0)
        fields = {"orders": [{"order_id": order_id} for order_id in orders]} if type == "cancel_batch" else {}
        reply = await strategy.do(type, sent_ns=world.clock.monotonic_ns() - 3_000_000_000, **fields)
        assert (reply["type"], reply["outcome"], reply["reason"]) == ("refused", "refused", "expired")
        assert len(world.resting) == 2
