"""One of Prime's two sockets is lost with cancels on it.

No answer to them can come there any more, and Prime has no other way in than the second socket. In the step that
notices, each cancel leaves again there, under an id of its own, and the order's state is asked for beside it: if the
first one was carried out, that is what tells.
"""

import pytest

from ..world import SEEDS, Staging


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("until", ["ack", "proof"])
@pytest.mark.parametrize("effect", ["before", "after"])
@pytest.mark.parametrize("kind", ["reset_sockets", "close_code"])
async def test_the_cancel_moves_to_the_other_socket_in_the_same_instant(
    autojump_clock: object, stage: Staging, seed: int, kind: str, effect: str, until: str
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        world.inject(kind, match="OrderCancelRequest", effect=effect, times=1)
        reply = await strategy.cancel(order_id=order_id, until=until)
        assert reply["outcome"] in ("acked", "canceled")
        assert strategy.took(reply["id"]) < 0.01
        assert world.resting == []
        await world.live()


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("effect", ["before", "after"])
async def test_a_burst_of_two_hundred_moves_whole_and_no_client_id_is_used_twice(
    autojump_clock: object, stage: Staging, seed: int, effect: str
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        orders = await world.place_seen(200)
        world.inject(f"swallow_ack_{effect}_effect", match="OrderCancelRequest", times=200)
        world.inject("drop_event", match="PendingCancel")
        world.inject("drop_event", match="Canceled", for_s=0.09)
        for order_id in orders:
            strategy.ask(order_id=order_id)
        await world.passed(0.1)
        world.clear("drop_event")
        assert strategy.heard == []
        active = world.received("OrderCancelRequest")[0].session
        world.inject("reset_sockets", session=active)
        replies = await strategy.hear_all(200)
        assert {reply["outcome"] for reply in replies.values()} <= {"acked", "canceled"}
        assert max(strategy.took(id) for id in replies) < 0.5
        names = [frame["ClOrdID"] for frame in world.frames("OrderCancelRequest")]
        assert len(names) == len(set(names)) == 400
        assert world.resting == []
