"""Several strategies want the same Prime order off, by its id and by its name: one frame, and an answer for each."""

import pytest

from ..world import SEEDS, Staging

NAME = "3f2b7f6e-0000-4000-8000-000000000001"


@pytest.mark.parametrize("seed", SEEDS)
async def test_one_frame_and_an_answer_for_each(autojump_clock: object, stage: Staging, seed: int) -> None:
    async with stage(seed) as world:
        clients = [world.strategy() for _ in range(6)]
        [order_id] = await world.place_seen(1, cl_ord_id=NAME)
        world.fill(order_id, "0.5")
        world.inject("delay_events", seconds=0.1)
        for number, client in enumerate(clients):
            name = {"order_id": order_id} if number % 2 else {"cl_ord_id": NAME}
            client.ask(**name, until="proof" if number > 3 else "ack")
        for number, client in enumerate(clients):
            reply = await client.hear()
            assert reply["outcome"] == ("canceled" if number > 3 else "acked")
            assert reply["order_id"] == order_id
            if number > 3:
                assert float(reply["filled_qty"]) == 0.5
        assert len(world.frames("OrderCancelRequest")) == 1
        assert world.resting == []
