"""The daemon is killed at some step of a cancel, and started again by its service manager.

Up to the record nothing had left, and the client that hears nothing asks again. From then on the next process knows of
the cancel: it finds out what became of the order, cancels it where it still rests, tells so on the event socket, and
the client that asks again hears the same without anything being sent for it. What was placed since is left alone.
"""

from typing import Any

import pytest

from canceld.transport.signals import Signal

from ..wirelog import CANCELS
from ..world import SEEDS, SpotProtocol
from .lives import RECORDED, STEPS, Lives, lives

GONE = {"canceled", "closed"}
PROTOCOLS: tuple[SpotProtocol, ...] = ("v1", "v2")


def asked_as(kind: str, orders: list[str]) -> dict[str, Any]:
    """A command of each kind for orders placed under userref 7, the first as client order id `mine`."""
    match kind:
        case "order_id":
            return {"type": "cancel", "order_id": orders[0]}
        case "cl_ord_id":
            return {"type": "cancel", "cl_ord_id": "mine"}
        case "userref":
            return {"type": "cancel", "userref": 7}
        case "batch":
            return {"type": "cancel_batch", "orders": [{"order_id": order_id} for order_id in orders]}
        case _:
            return {"type": "cancel_all", "venue": "spot"}


async def place(life: Lives, kind: str) -> list[str]:
    """What the command is after."""
    named: dict[str, dict[str, Any]] = {"userref": {"userref": 7}, "cl_ord_id": {"cl_ord_id": "mine"}}
    fields = named.get(kind, {})
    return await life.stage.place_seen(1 if kind in ("order_id", "cl_ord_id") else 3, **fields)


def cancels(life: Lives) -> int:
    """How many requests that cancel something the venue has received."""
    operations = {*CANCELS, "cancelAll", "cancel_all", "CancelAll"}
    return sum(received.operation in operations for received in life.stage.exchange.received)


def outcomes_of(reply: dict[str, Any]) -> list[str]:
    """Every outcome in a reply of any kind."""
    parts = reply.get("outcomes") or list(reply.get("venues", {}).values()) or [reply]
    return [part["outcome"] for part in parts]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("kind", ["order_id", "cl_ord_id", "userref", "batch", "all"])
@pytest.mark.parametrize("step", RECORDED)
async def test_what_was_recorded_is_settled_and_told(
    autojump_clock: object, step: str, kind: str, protocol: SpotProtocol
) -> None:
    async with lives(protocol=protocol) as life:
        world = life.stage
        strategy = life.strategy()
        orders = await place(life, kind)
        life.die_at(step)
        command = asked_as(kind, orders)
        strategy.ask(id="a", **command)
        await life.killed.wait()
        assert [intent.command.id for intent in life.recorded] == ["a"]
        await life.reborn()
        await life.settled()
        assert world.resting == []
        late = life.late
        assert len(late) == (3 if kind == "batch" else 1)
        assert {event["id"] for event in late} == {"a"}
        assert {event["outcome"] for event in late} <= GONE
        heard = len(strategy.heard)
        assert heard == (step in ("reply", "settling"))
        sent_before = cancels(life)
        if heard:
            await strategy.hear()
        again = await strategy.do(id="a", **command)
        assert again["replayed"] is True
        assert set(outcomes_of(again)) <= GONE
        assert cancels(life) == sent_before
        sent = {"userref": "7", "cl_ord_id": "mine"}.get(kind)
        if sent is not None:
            assert len(world.asked_of_venue(sent)) <= 1
        if kind == "all":
            assert len(world.frames("cancelAll")) <= 1


@pytest.mark.parametrize("step", sorted(set(STEPS) - set(RECORDED)))
@pytest.mark.parametrize("kind", ["order_id", "userref", "batch", "all"])
async def test_before_and_after_the_record_a_command_is_nobodys(autojump_clock: object, step: str, kind: str) -> None:
    async with lives() as life:
        world = life.stage
        strategy = life.strategy()
        orders = await place(life, kind)
        life.die_at(step)
        command = asked_as(kind, orders)
        strategy.ask(id="a", **command)
        await life.reborn()
        assert life.recorded == ()
        await world.passed(5.0)
        assert life.late == []
        assert world.resting == (orders if step == "decoded" else [])
        if step == "decoded":
            again = await strategy.do(id="a", **command)
            assert "replayed" not in again
            assert set(outcomes_of(again)) <= {*GONE, "acked"}
            await world.passed(1.0)
            assert world.resting == []
        else:
            assert len(strategy.heard) == 1


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", ["cl_ord_id", "userref", "all"])
@pytest.mark.parametrize("step", ["recorded", "frame"])
async def test_what_was_placed_since_is_left_alone(autojump_clock: object, step: str, kind: str, seed: int) -> None:
    """A name may mean another order by now: only what was open at the asking is cancelled, by its own id."""
    async with lives(seed) as life:
        world = life.stage
        strategy = life.strategy()
        orders = await place(life, kind)
        life.die_at(step)
        strategy.ask(id="a", **asked_as(kind, orders))
        await life.killed.wait()
        await world.passed(0.1)
        if kind == "cl_ord_id" and world.resting:
            # The venue lets nobody bear a name twice at a time.
            world.fill(orders[0])
        since = world.place(1, **({"cl_ord_id": "mine"} if kind == "cl_ord_id" else {"userref": 7}))
        await life.reborn()
        await life.settled()
        assert world.resting == since
        # Something rests under the name, so nobody is told that nothing does.
        assert [event["outcome"] for event in life.late] == ["unknown"]


@pytest.mark.parametrize("kind", ["order_id", "cl_ord_id", "userref", "batch", "all"])
@pytest.mark.parametrize("seed", SEEDS)
async def test_asked_again_too_early_it_waits_until_its_own_deadline(
    autojump_clock: object, seed: int, kind: str
) -> None:
    """The venue cannot be reached, so nobody knows yet what rests: that is no reason to call anything canceled."""
    async with lives(seed) as life:
        world = life.stage
        strategy = life.strategy()
        orders = await place(life, kind)
        command = {**asked_as(kind, orders), "id": "a", "deadline_ms": 700}
        life.die_at("recorded")
        strategy.ask(**command)
        await life.killed.wait()
        world.cut_off_venue("spot")
        await life.reborn(up=False)
        await world.ready.wait()
        begun_s = world.now_s
        early = await strategy.do(**command)
        assert set(outcomes_of(early)) == {"unknown"}
        assert early["replayed"]
        assert world.now_s - begun_s <= 0.75
        world.reconnect()
        await life.settled()
        assert world.resting == []
        assert {late["outcome"] for late in life.late} <= GONE


async def test_asked_again_while_it_is_settled_it_hears_what_comes_of_it(autojump_clock: object) -> None:
    async with lives() as life:
        world = life.stage
        strategy = life.strategy()
        await world.place_seen(3, userref=7)
        life.die_at("recorded")
        strategy.ask(id="a", userref=7, deadline_ms=20_000)
        await life.reborn(up=False)
        reply = await strategy.cancel(id="a", userref=7, deadline_ms=20_000)
        assert (reply["outcome"], reply["replayed"]) == ("canceled", True)
        assert world.resting == []
        assert world.asked_of_venue(7) == []
        await life.settled()


async def test_another_command_under_the_same_id_is_a_command_of_its_own(autojump_clock: object) -> None:
    """A process may have two clients that both count from 1."""
    async with lives() as life:
        world = life.stage
        strategy = life.strategy()
        first, second = await world.place_seen(2)
        life.die_at("frame")
        strategy.ask(id=1, order_id=first)
        await life.reborn()
        reply = await strategy.cancel(id=1, order_id=second)
        assert "replayed" not in reply
        assert reply["outcome"] in {*GONE, "acked"}
        await life.settled()
        assert world.resting == []


async def test_killed_again_while_settling_the_third_process_settles(autojump_clock: object) -> None:
    async with lives() as life:
        world = life.stage
        strategy = life.strategy()
        orders = await world.place_seen(3, userref=7)
        life.die_at("recorded")
        strategy.ask(id="a", userref=7)
        await life.killed.wait()
        await life.reborn(up=False)
        life.die_at("resumed")
        await life.killed.wait()
        assert [intent.command.id for intent in life.recorded] == ["a"]
        await life.reborn()
        await life.settled()
        assert world.resting == []
        assert world.asked_of_venue(7) == []
        assert all(world.asked_of_venue(order_id) for order_id in orders)
        assert [event["outcome"] for event in life.late][-1] in GONE


async def test_stopped_while_settling_the_next_process_settles(autojump_clock: object) -> None:
    async with lives() as life:
        world = life.stage
        strategy = life.strategy()
        [order_id] = await world.place_seen(1)
        life.die_at("recorded")
        strategy.ask(id="a", order_id=order_id)
        await life.killed.wait()
        world.cut_off_venue("spot")
        await life.reborn(up=False)
        await world.ready.wait()
        strategy.ask(id="a", order_id=order_id)
        world.signals.raise_now(Signal.TERMINATE)
        await world.ended.wait()
        # Who had asked again was answered, as everybody is before the daemon ends.
        reply = await strategy.hear()
        assert (reply["outcome"], reply["replayed"]) == ("unknown", True)
        assert world.pursuits.active == 0
        assert [intent.command.id for intent in life.recorded] == ["a"]
        assert life.late == []
        world.reconnect()
        life.begin()
        await life.up()
        await life.settled()
        assert world.resting == []
        assert [event["outcome"] for event in life.late] == ["canceled"]


async def test_an_order_that_filled_while_nobody_looked_is_told_as_filled(autojump_clock: object) -> None:
    async with lives() as life:
        world = life.stage
        strategy = life.strategy()
        [order_id] = await world.place_seen(1)
        life.die_at("recorded")
        strategy.ask(id="a", order_id=order_id)
        await life.killed.wait()
        world.fill(order_id)
        await life.reborn()
        await life.settled()
        [late] = life.late
        assert (late["outcome"], late["state"], late["order_id"]) == ("closed", "filled", order_id)
        assert world.asked_of_venue(order_id) == []


async def test_a_thousand_in_flight_are_all_settled(autojump_clock: object) -> None:
    async with lives() as life:
        world = life.stage
        strategy = life.strategy()
        orders = await world.place_seen(1000)
        world.inject("swallow_ack_before_effect", match="cancelOrder")
        for order_id in orders:
            strategy.ask(id=order_id, order_id=order_id, deadline_ms=60_000)
        await world.passed(0.1)
        assert len(life.recorded) == 1000
        life.die_at("frame")
        strategy.ask(id="last", userref=9)
        await life.killed.wait()
        world.clear()
        await life.reborn()
        await life.settled()
        assert world.resting == []
        late = life.late
        assert len(late) == 1001
        assert {event["outcome"] for event in late if event["id"] != "last"} <= GONE
