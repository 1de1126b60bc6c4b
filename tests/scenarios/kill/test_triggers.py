"""Whoever pulls, and however, all that rests anywhere is cancelled, and nothing that waited in a queue goes first.

A strategy, an operator, a signal, a file, and another program that has latched the state directory: each alone, and
each while ten thousand cancels of a strategy wait at the door. The first thing that every venue hears then cancels
everything; the ten thousand have their answers too.
"""

from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Final

import pytest

from canceld.contract.ids import VENUES
from canceld.engine.latch import Latch, format_latch
from canceld.tasks.latch_file import LATCH_FILE
from canceld.tasks.trigger_file import TRIGGER_FILE
from canceld.transport.signals import Signal

from ..world import SEEDS, Stage
from .stages import (
    MASS,
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

QUEUED: Final = 10_000

AHEAD: Final = 500
"""How many of them may have left before a kill is even read that was said after all of them, at the same door."""

Pull = Callable[[Stage], Awaitable[None]]


async def by_strategy(world: Stage) -> None:
    ask_kill(world.strategy())


async def by_operator(world: Stage) -> None:
    ask_kill(operator(world))


async def by_signal(world: Stage) -> None:
    world.signals.raise_now(Signal.USER1)


async def by_file(world: Stage) -> None:
    world.directory(world.settings.state.dir).replace_now(TRIGGER_FILE, b"enough\n")


async def by_latch(world: Stage) -> None:
    latch = Latch(trigger="panic", reason="from outside", who="uid 0 pid 1")
    world.directory(world.settings.state.dir).replace_now(LATCH_FILE, format_latch(latch))


TRIGGERS: Final = {
    "strategy": (by_strategy, 0.0, "command"),
    "operator": (by_operator, 0.0, "command"),
    "signal": (by_signal, 0.0, "signal"),
    "file": (by_file, 0.1, "file"),
    "latch": (by_latch, 1.0, "panic"),
}
"""By name: who pulls, within how many seconds it must be noticed, and as what it is recorded."""


def assert_first(world: Stage, since: int) -> None:
    for venue in VENUES:
        place = next(n for n, name in enumerate(operations(world, venue, since)) if name in MASS[venue])
        assert place <= AHEAD, f"{place} requests to {venue} went first"


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("uws", [False, True], ids=["futures by REST", "futures by the Unified WebSocket"])
@pytest.mark.parametrize("trigger", TRIGGERS)
async def test_each_trigger_alone_leaves_nothing_anywhere(
    autojump_clock: object, seed: int, uws: bool, trigger: str
) -> None:
    pull, within_s, recorded = TRIGGERS[trigger]
    async with stage(seed, uws=uws) as world:
        await place_everywhere(world, 20)
        heard = world.listen("kill")
        since = len(world.exchange.received)
        await pull(world)
        await world.passed(within_s + 0.01)
        assert book(world) == empty()
        for venue in VENUES:
            assert operations(world, venue, since)[0] in MASS[venue]
        await world.passed(5.0)
        told = await status(operator(world))
        assert (told["latched"], told["durable"], told["trigger"]) == (True, True, recorded)
        assert_flat(told)
        states_heard = [event["state"] for event in heard.events]
        assert states_heard[0] == "latched"
        assert states_heard.count("flat") == 3


@pytest.mark.parametrize("trigger", TRIGGERS)
async def test_ten_thousand_waiting_commands_wait_a_little_longer(autojump_clock: object, trigger: str) -> None:
    pull, within_s, _ = TRIGGERS[trigger]
    async with stage() as world:
        await place_everywhere(world, 5)
        busy = world.strategy()
        orders = world.place(QUEUED, "spot")
        since = len(world.exchange.received)
        for order_id in orders:
            busy.ask(order_id=order_id, venue="spot", deadline_ms=30_000)
        await pull(world)
        await world.passed(within_s + 0.01)
        assert book(world) == empty()
        if not within_s:
            # What is looked for at intervals may be noticed after the queue is done.
            assert_first(world, since)
        replies = await busy.hear_all(QUEUED)
        outcomes = Counter(reply["outcome"] for reply in replies.values())
        # All ten thousand places are for several clients: one may hold half of those that are free, also while nobody
        # else is there, since the next one finds room at once only where room was left. The kill itself takes one.
        assert outcomes.pop("refused", 0) <= QUEUED // 2 + 1
        assert outcomes.keys() <= {"acked", "canceled", "closed", "not_open"}


async def test_a_kill_behind_ten_thousand_commands_of_its_own_strategy_goes_first(autojump_clock: object) -> None:
    async with stage() as world:
        await place_everywhere(world, 5)
        busy = world.strategy()
        orders = world.place(QUEUED, "spot")
        since = len(world.exchange.received)
        for order_id in orders:
            busy.ask(order_id=order_id, venue="spot", deadline_ms=30_000)
        asked = ask_kill(busy)
        replies = await busy.hear_all(QUEUED + 1)
        assert replies[asked]["type"] == "killed"
        assert_first(world, since)


async def test_the_reply_tells_every_venue_and_how_many_orders(autojump_clock: object) -> None:
    async with stage() as world:
        await place_everywhere(world, 7)
        reply = await kill(operator(world))
        assert reply["latched"] is True
        assert "durable" not in reply
        assert {venue: (part["state"], part["canceled"]) for venue, part in reply["venues"].items()} == dict.fromkeys(
            VENUES, ("flat", 7)
        )


async def test_status_tells_of_each_venue_since_when_and_by_whom_it_is_latched(autojump_clock: object) -> None:
    """A strategy kills its own venue; five seconds later somebody sends the signal, which is for all of them. Whoever
    takes over the watch reads of each venue who did it and when."""
    async with stage() as world:
        strategy, watcher = world.strategy(), operator(world)
        await kill(strategy, venues=["spot"])
        first = (await status(watcher))["venues"]
        assert first.keys() == {"spot"}
        assert first["spot"]["trigger"] == "command"
        assert first["spot"]["since"] == (await status(watcher))["at"]
        await world.passed(5.0)
        world.signals.raise_now(Signal.USER1)
        await world.passed(0.5)
        told = await status(watcher)
        assert told["venues"].keys() == set(VENUES)
        parts = {venue: (part["trigger"], part["since"], part["who"]) for venue, part in told["venues"].items()}
        assert parts["spot"] == ("command", first["spot"]["since"], first["spot"]["who"])
        assert parts["prime"] == parts["futures"]
        assert parts["futures"][0] == "signal"
        assert parts["futures"][1] > first["spot"]["since"]
        assert (told["trigger"], told["at"]) == ("command", first["spot"]["since"])
        await world.passed(5.0)
        assert (await rearm(watcher))["latched"] is False
        await kill(watcher)
        assert {part["trigger"] for part in (await status(watcher))["venues"].values()} == {"command"}
