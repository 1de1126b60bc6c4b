"""One connection answers pings and tells of no order any more.

Nothing about such a connection looks dead. What became of a cancel is told on every connection of the account, so the
other one speaks for it; with both mute the order's state is asked for.
"""

import pytest

from ..world import SEEDS, Staging


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("until", ["ack", "proof"])
@pytest.mark.parametrize("mute", [0, 1])
async def test_the_other_connection_tells(
    autojump_clock: object, stage: Staging, seed: int, mute: int, until: str
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        for what in ("PendingCancel", "Canceled", "CancelRejected", "PendingNew", "New"):
            world.inject("drop_event", match=what, session=mute)
        orders = await world.place_seen(5)
        for order_id in orders:
            reply = await strategy.cancel(order_id=order_id, until=until)
            assert reply["outcome"] == ("acked" if until == "ack" else "canceled")
            assert (reply["attempts"], strategy.took(reply["id"])) == (1, 0.0)
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_with_both_mute_asking_tells(autojump_clock: object, stage: Staging, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        for what in ("PendingCancel", "Canceled", "CancelRejected", "PendingNew", "New"):
            world.inject("drop_event", match=what)
        [order_id] = world.place(1)
        reply = await strategy.cancel(order_id=order_id, symbol="BTC-USD", until="proof")
        assert reply["outcome"] == "canceled"
        assert strategy.took(reply["id"]) < 1.0
        assert world.resting == []
