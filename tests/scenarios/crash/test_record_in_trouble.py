"""The record of commands in flight cannot be used: the daemon starts and cancels all the same, and says so."""

import pytest

from canceld.engine.intents import HEADER, RECORD_BYTES, SLOT_BYTES
from canceld.transport.memory.disk import MemoryDirectory

from ..world import Stage
from .lives import INFLIGHT, Lives, lives

FILES = {
    "empty": b"",
    "foreign": b"#!/bin/sh\n".ljust(RECORD_BYTES, b"\0"),
    "another version": HEADER.replace(b"version 1", b"version 2").ljust(RECORD_BYTES, b"\0"),
    "shorter": HEADER.ljust(RECORD_BYTES - 1, b"\0"),
    "longer": HEADER.ljust(RECORD_BYTES + 1, b"\0"),
}

TORN_BYTES = 64
"""What was on the disk of a slot, and what of the rest is missing: a command is longer."""


def state(stage: Stage) -> MemoryDirectory:
    return stage.directory(stage.settings.state.dir)


async def alerts(life: Lives) -> dict[str, str]:
    """What status tells of, and how bad it is."""
    reply = await life.strategy().do("status")
    return {alert["what"]: alert["severity"] for alert in reply["alerts"]}


@pytest.mark.parametrize("content", FILES.values(), ids=FILES.keys())
async def test_a_file_of_something_else_is_left_alone_and_told(autojump_clock: object, content: bytes) -> None:
    async with lives(before=lambda stage: state(stage).replace_now(INFLIGHT, content), records=False) as life:
        world = life.stage
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        assert (await strategy.cancel(order_id=order_id))["outcome"] in ("acked", "canceled")
        assert world.resting == []
        assert (await alerts(life))["commands in flight are not recorded"] == "warning"
        assert state(world).read(INFLIGHT) == content


async def test_a_full_disk_costs_the_record_and_nothing_else(autojump_clock: object) -> None:
    def fill(stage: Stage) -> None:
        state(stage).faults.room_bytes = 100_000

    async with lives(before=fill, records=False) as life:
        world = life.stage
        strategy = world.strategy()
        orders = await world.place_seen(3)
        reply = await strategy.do("cancel_batch", orders=[{"order_id": order_id} for order_id in orders])
        assert {told["outcome"] for told in reply["outcomes"]} <= {"acked", "canceled"}
        assert world.resting == []
        assert (await alerts(life))["commands in flight are not recorded"] == "warning"


async def test_a_torn_slot_is_told_and_nothing_is_made_of_it(autojump_clock: object) -> None:
    """A power cut left half of a slot on the disk. The others are settled as ever."""
    async with lives() as life:
        world = life.stage
        strategy = life.strategy()
        first, second = await world.place_seen(2)
        world.inject("swallow_ack_before_effect", match="cancelOrder")
        strategy.ask(id="first", order_id=first)
        await world.passed(0.05)
        life.die_at("recorded")
        strategy.ask(id="second", order_id=second)
        await life.killed.wait()
        content = state(world).read(INFLIGHT)
        assert content is not None
        slot = life.recorded[0].slots[0]
        at = slot * SLOT_BYTES + TORN_BYTES
        torn = content[:at] + bytes(TORN_BYTES) + content[at + TORN_BYTES :]
        state(world).replace_now(INFLIGHT, torn)
        world.clear()
        await life.reborn()
        await life.settled()
        assert [event["id"] for event in life.late] == ["second"]
        assert world.resting == [first]
        assert (await alerts(life))["the record of commands in flight was torn"] == "critical"


async def test_where_a_venue_stays_away_the_cancel_is_given_up_as_unknown(autojump_clock: object) -> None:
    async with lives() as life:
        world = life.stage
        strategy = life.strategy()
        [order_id] = await world.place_seen(1)
        life.die_at("recorded")
        strategy.ask(id="a", order_id=order_id)
        await life.killed.wait()
        world.cut_off_venue("spot")
        await life.reborn(up=False)
        await world.passed(890.0)
        assert len(life.recorded) == 1
        await world.passed(20.0)
        assert not life.recorded
        [late] = life.late
        assert late["outcome"] == "unknown"
        assert (await alerts(life))["commands of the process before could not be settled"] == "critical"
        world.reconnect()
        await life.up()
