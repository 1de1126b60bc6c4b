"""Several people pull, or one pulls twice; a reply is asked for again; strategies go on cancelling meanwhile."""

import pytest

from canceld.contract.ids import VENUES

from ..world import SEEDS
from .stages import (
    ask_kill,
    assert_flat,
    book,
    empty,
    kill,
    operations,
    operator,
    place_everywhere,
    rearm,
    stage,
    status,
)


@pytest.mark.parametrize("seed", SEEDS)
async def test_first_one_venue_then_all_of_them(autojump_clock: object, seed: int) -> None:
    async with stage(seed) as world:
        await place_everywhere(world, 5)
        killer = operator(world)
        reply = await kill(killer, venues=["spot"], reason="only spot")
        assert_flat(reply, ["spot"])
        assert [len(left) for left in book(world).values()] == [0, 5, 5]
        # The others trade on.
        await world.passed(30.0)
        assert [len(left) for left in book(world).values()] == [0, 5, 5]
        assert_flat(await kill(killer, reason="all of it"))
        assert book(world) == empty()
        told = await status(killer)
        assert told["reason"] == "only spot"
        assert (await rearm(killer))["latched"] is False


async def test_the_same_id_again_is_the_same_kill(autojump_clock: object) -> None:
    async with stage() as world:
        await place_everywhere(world, 5)
        killer = operator(world)
        ask_kill(killer, id="once")
        ask_kill(killer, id="once")
        first, second = await killer.hear(), await killer.hear()
        assert "replayed" not in first
        assert second["replayed"] is True
        assert first["venues"] == second["venues"]
        fired = len(operations(world, "spot"))
        again = await kill(killer, id="once")
        assert again["replayed"] is True
        assert len(operations(world, "spot")) == fired


@pytest.mark.parametrize("seed", SEEDS)
async def test_five_pull_at_once_and_each_has_a_reply(autojump_clock: object, seed: int) -> None:
    async with stage(seed) as world:
        await place_everywhere(world, 5)
        killers = [world.strategy() for _ in range(4)] + [operator(world)]
        for killer in killers:
            ask_kill(killer)
        for killer in killers:
            assert_flat(await killer.hear())
        assert book(world) == empty()
        # Five kills in one moment are not five cancel-alls a second for ever.
        assert len(operations(world, "spot")) < 40


@pytest.mark.parametrize("venue", VENUES)
async def test_ordinary_cancels_still_work_while_it_is_latched(autojump_clock: object, venue: str) -> None:
    async with stage() as world:
        await kill(operator(world))
        strategy = world.strategy()
        [order_id] = world.place(1, venue)  # type: ignore[arg-type]
        reply = await strategy.cancel(venue=venue, order_id=order_id)
        assert reply["outcome"] in ("acked", "canceled", "closed")
        assert book(world) == empty()


async def test_the_same_id_after_a_rearm_kills_again(autojump_clock: object) -> None:
    """A desk's script pulls under one id, always. The stored reply of this morning's kill flattens no book."""
    async with stage() as world:
        killer = operator(world)
        await place_everywhere(world, 5)
        assert_flat(await kill(killer, id="panic button"))
        assert (await rearm(killer))["latched"] is False
        await place_everywhere(world, 5)
        again = await kill(killer, id="panic button")
        assert "replayed" not in again
        assert_flat(again)
        assert book(world) == empty()


async def test_an_id_that_another_command_has_stops_no_kill(autojump_clock: object) -> None:
    async with stage() as world:
        killer = operator(world)
        await place_everywhere(world, 5)
        await killer.do("cancel", id=1, venue="spot", order_id="OAAAAA-BBBBB-CCCCCC")
        reply = await kill(killer, id=1)
        assert reply["id"] == 1
        assert reply["ignored"] == ["id: taken by another command less than 15 minutes ago"]
        assert_flat(reply)
        assert book(world) == empty()
