"""Answers that tell what went: a userref, everything, a kill and an expired lease name the orders that they took."""

from typing import Any

import pytest

from ..leases.stages import take
from ..test_audit_journal import records
from .stages import DIALECTS, stage


@pytest.mark.parametrize("until", ["ack", "proof"])
@pytest.mark.parametrize("dialect", ["spot v1", "spot v2"])
async def test_a_userref_names_its_orders(autojump_clock: object, dialect: str, until: str) -> None:
    async with stage(dialect) as world:
        own = await world.place_seen(3, userref=7)
        await world.place_seen(2, userref=8)
        world.fill(own[0], "0.25")
        await world.passed(0.1)
        reply = await world.strategy().cancel(userref=7, until=until)
        assert reply["count"] == 3
        assert set(reply["order_ids"]) == set(own)
        if until == "proof":
            assert float(reply["filled_qty"]) == 0.25


@pytest.mark.parametrize("until", ["ack", "proof"])
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_everything_names_its_orders(autojump_clock: object, dialect: str, until: str) -> None:
    async with stage(dialect) as world:
        placed = await world.place_seen(5)
        told = (await world.strategy().do("cancel_all", until=until))["venues"][world.venue]
        assert told["count"] == 5
        assert set(told["order_ids"]) == set(placed)


async def test_a_long_list_is_cut_and_says_so(autojump_clock: object) -> None:
    async with stage("futures") as world:
        await world.place_seen(612)
        told = (await world.strategy().do("cancel_all"))["venues"]["futures"]
        assert (told["count"], len(told["order_ids"]), told["more"]) == (612, 500, 112)


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_kill_names_its_orders(autojump_clock: object, dialect: str) -> None:
    async with stage(dialect) as world:
        placed = await world.place_seen(4)
        reply = await world.strategy().do("kill", reason="enough", deadline_ms=10_000)
        told = reply["venues"][world.venue]
        assert told["canceled"] == 4
        assert set(told["order_ids"]) == set(placed)


async def test_an_expired_lease_names_its_orders(autojump_clock: object) -> None:
    async with stage("spot v1") as world:
        listener = world.listen("lease")
        own = await world.place_seen(2, cl_ord_id=None, userref=7)
        await take(world.strategy(), "mm-1", [{"venue": "spot", "userref": 7}])
        await world.passed(5)
        [settled] = [event for event in listener.events if event["state"] == "settled"]
        assert settled["count"] == 2
        assert set(settled["order_ids"]) == set(own)


@pytest.mark.parametrize("asked", ["userref", "everything", "scope", "kill", "kill_scope"])
async def test_the_event_and_the_record_name_them_too(autojump_clock: object, asked: str) -> None:
    async with stage("spot v1") as world:
        outcomes, kills = world.listen("outcome"), world.listen("kill")
        own = await world.place_seen(2, userref=7)
        strategy = world.strategy()
        match asked:
            case "userref":
                await strategy.cancel(userref=7, until="proof")
            case "everything":
                await strategy.do("cancel_all", until="proof")
            case "scope":
                await strategy.do("cancel_all", scope=[{"userref": 7}], until="proof")
            case _:
                more = {"scope": [{"userref": 7}]} if asked == "kill_scope" else {}
                await strategy.do(asked, reason="enough", deadline_ms=10_000, **more)
        await world.passed(0.5)
        events = (kills if asked.startswith("kill") else outcomes).events
        named = [_named(event, own) for event in events]
        assert any(named), events
        recorded = [*records(world, "outcome"), *records(world, "kill")]
        assert any(_named(record, own) for record in recorded), recorded


def _named(event: dict[str, Any], own: list[str]) -> bool:
    told = [event, *event.get("venues", {}).values()]
    return any(set(part.get("order_ids", ())) == set(own) for part in told)
