"""One client sends and never reads its replies.

They are kept for it, within bounds; past those they are counted and the operator is told. Whatever was not kept can
still be had by asking again with the same id. Nobody else waits for it.
"""

import pytest

from canceld.tasks import outbox

from .world import stage

SENT_LIMIT = 1_000
"""What the socket itself holds for a client that does not read."""

KEPT = 200
LOST = 30


async def test_its_replies_are_kept_up_to_the_bound_and_the_rest_can_be_asked_for_again(
    autojump_clock: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "OUTBOX_REPLIES", KEPT)
    async with stage() as world:
        alerts = world.listen("alert")
        good, deaf = world.strategy(), world.strategy(reads=False)
        orders = await world.place_seen(2)
        total = SENT_LIMIT + KEPT + LOST
        for number in range(total):
            deaf.ask(id=number, order_id=orders[0])
        await world.passed(0.1)
        reply = await good.cancel(order_id=orders[1])
        assert reply["outcome"] in ("acked", "canceled")
        assert good.took(reply["id"]) == 0.0
        assert world.daemon is not None
        assert world.daemon.gateway.outbox.undelivered == LOST
        [alert] = alerts.events
        assert "does not read" in alert["what"]
        assert world.resting == []

        world.start(deaf.read)
        await world.passed(5.0)
        assert sorted(heard.reply["id"] for heard in deaf.heard) == list(range(total - LOST))
        for number in range(total - LOST, total):
            deaf.ask(id=number, order_id=orders[0])
        await world.passed(5.0)
        again = deaf.heard[total - LOST :]
        assert sorted(heard.reply["id"] for heard in again) == list(range(total - LOST, total))
        assert all(heard.reply["replayed"] for heard in again)
        assert {heard.reply["outcome"] for heard in again} <= {"acked", "canceled", "closed"}
        assert len(world.asked_of_venue(orders[0])) == 1


async def test_the_bound_is_in_bytes_too(autojump_clock: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "OUTBOX_BYTES", 10_000)
    async with stage() as world:
        deaf = world.strategy(reads=False)
        for number in range(SENT_LIMIT + 500):
            deaf.ask("ping", id=number)
        await world.passed(0.1)
        assert world.daemon is not None
        kept = 500 - world.daemon.gateway.outbox.undelivered
        world.start(deaf.read)
        await world.passed(5.0)
        assert len(deaf.heard) == SENT_LIMIT + kept
        assert 9_900 < sum(len(repr(heard.reply)) for heard in deaf.heard[SENT_LIMIT:]) < 30_000


async def test_one_that_goes_away_is_forgotten(autojump_clock: object) -> None:
    async with stage() as world:
        deaf = world.strategy(reads=False)
        for number in range(SENT_LIMIT + 500):
            deaf.ask("ping", id=number)
        await world.passed(0.1)
        deaf.dealer.close()
        await world.passed(0.1)
        assert world.daemon is not None
        assert world.daemon.gateway.outbox.undelivered == 500
        # A client that is gone when its reply comes is no reason to stop either.
        gone = world.strategy(reads=False)
        [order_id] = await world.place_seen(1)
        gone.ask(order_id=order_id)
        gone.dealer.close()
        await world.passed(0.1)
        assert world.resting == []
