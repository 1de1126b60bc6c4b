"""One strategy has orders at all three venues and takes them off, one by one and then everything.

Each answer names its venue and is judged by that venue's book; what is asked of one leaves the others alone.
"""

from collections.abc import Sequence
from typing import Any

import pytest

from canceld.contract.ids import VENUES, Venue

from .world import SEEDS, Stage, Strategy, settings_for, stage


async def _cancel(strategy: Strategy, venue: Venue, order_id: str, **fields: Any) -> None:
    reply = await strategy.cancel(venue=venue, order_id=order_id, **fields)
    assert reply["venue"] == venue
    assert reply["outcome"] in ("acked", "canceled")


def _check_resting(world: Stage, left: dict[Venue, Sequence[str]]) -> None:
    assert {venue: world.resting_at(venue) for venue in VENUES} == left


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("uws", [False, True], ids=["futures by REST", "futures by the Unified WebSocket"])
@pytest.mark.parametrize("until", ["ack", "proof"])
async def test_each_comes_off_its_own_book(autojump_clock: object, seed: int, uws: bool, until: str) -> None:
    async with stage(seed, settings_for(*VENUES, uws=uws)) as world:
        strategy = world.strategy()
        orders = {venue: await world.place_seen(3, venue) for venue in VENUES}
        left: dict[Venue, Sequence[str]] = dict(orders)
        for venue in VENUES:
            await _cancel(strategy, venue, orders[venue][0], until=until)
            left[venue] = orders[venue][1:]
            _check_resting(world, left)
        reply = await strategy.do("cancel_all", venue="prime")
        assert reply["venues"].keys() == {"prime"}
        _check_resting(world, left | {"prime": []})
        reply = await strategy.do("cancel_all")
        assert reply["venues"].keys() == set(VENUES)
        _check_resting(world, {venue: [] for venue in VENUES})


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("lost", VENUES)
async def test_a_venue_that_is_gone_takes_no_other_along(autojump_clock: object, seed: int, lost: Venue) -> None:
    async with stage(seed, settings_for(*VENUES)) as world:
        strategy = world.strategy()
        orders = {venue: await world.place_seen(2, venue) for venue in VENUES}
        world.cut_off_venue(lost)
        await world.passed(5.0)
        for venue in VENUES:
            reply = await strategy.cancel(venue=venue, order_id=orders[venue][0])
            assert reply["outcome"] in (("refused", "unknown") if venue == lost else ("acked", "canceled")), reply
            assert strategy.took(reply["id"]) < (2.1 if venue == lost else 0.01)
        status = await strategy.do("status")
        assert {venue: told["state"] for venue, told in status["venues"].items()} == {
            venue: "down" if venue == lost else "up" for venue in VENUES
        }
        world.reconnect()
        await world.passed(35.0)
        await world.live(lost)
        await _cancel(strategy, lost, orders[lost][1])
