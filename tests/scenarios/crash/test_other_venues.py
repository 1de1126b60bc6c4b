"""Killed with a cancel in flight at Prime or Futures: the next process settles it there as it does on Spot."""

from typing import Any

import pytest

from ..world import settings_for
from .lives import lives

GONE = {"canceled", "closed"}


@pytest.mark.parametrize("venue", ["prime", "futures"])
@pytest.mark.parametrize("kind", ["order_id", "cl_ord_id", "all"])
@pytest.mark.parametrize("step", ["recorded", "reply"])
async def test_it_is_settled_and_told(autojump_clock: object, step: str, kind: str, venue: Any) -> None:
    async with lives(settings=settings_for(venue)) as life:
        world = life.stage
        strategy = life.strategy()
        named: dict[str, Any] = {"cl_ord_id": "mine"} if kind == "cl_ord_id" else {}
        orders = await world.place_seen(3 if kind == "all" else 1, **named)
        command: dict[str, Any] = {"type": "cancel", **(named or {"order_id": orders[0]})}
        if kind == "all":
            command = {"type": "cancel_all", "venue": venue}
        life.die_at(step)
        strategy.ask(id="a", **command)
        await life.killed.wait()
        assert [intent.command.id for intent in life.recorded] == ["a"]
        await life.reborn()
        await life.settled()
        assert world.resting == []
        [late] = life.late
        assert late["venue"] == venue
        assert late["outcome"] in GONE
        if strategy.heard:
            await strategy.hear()
        again = await strategy.do(id="a", **command)
        assert again["replayed"] is True
        assert again.get("outcome", late["outcome"]) == late["outcome"]


async def test_a_cancel_of_everything_everywhere_is_settled_at_every_venue(autojump_clock: object) -> None:
    async with lives(settings=settings_for("spot", "prime", "futures")) as life:
        world = life.stage
        strategy = life.strategy()
        for venue in world.settings.venues:
            await world.place_seen(2, venue)
        life.die_at("recorded")
        strategy.ask("cancel_all", id="a")
        await life.reborn()
        await life.settled()
        assert [world.resting_at(venue) for venue in world.settings.venues] == [[], [], []]
        assert {event["venue"]: event["outcome"] for event in life.late} == dict.fromkeys(
            world.settings.venues, "canceled"
        )
        again = await strategy.do("cancel_all", id="a")
        assert again["replayed"] is True
        assert {venue: told["count"] for venue, told in again["venues"].items()} == dict.fromkeys(again["venues"], 2)


async def test_of_a_venue_that_is_no_longer_enabled_nobody_is_told_that_nothing_rests(autojump_clock: object) -> None:
    async with lives(settings=settings_for("spot", "futures")) as life:
        world = life.stage
        strategy = life.strategy("futures")
        [order_id] = await world.place_seen(1, "futures")
        life.die_at("recorded")
        strategy.ask(id="a", order_id=order_id)
        await life.killed.wait()
        world.settings = settings_for("spot")
        await life.reborn()
        await life.settled()
        assert world.resting_at("futures") == [order_id]
        [late] = life.late
        assert (late["venue"], late["outcome"]) == ("futures", "unknown")
        status = await life.strategy().do("status")
        assert any("could not be settled" in alert["what"] for alert in status["alerts"])
