"""The keeper of leases by itself, with a dispatcher that answers when it is told to."""

from collections.abc import Iterable
from typing import Any

import pytest
import trio

from canceld.contract.commands import Lease, LeaseScope
from canceld.contract.ids import EVERYTHING, Target
from canceld.contract.outcomes import Canceled, NotOpen, Outcome, Rejected, Settlement, Unknown
from canceld.engine.leases import Terms, format_leases, parse_leases
from canceld.tasks.events import Events
from canceld.tasks.expired import GIVE_UP_NS, PAUSE_LIMIT_NS
from canceld.tasks.hand import Owner
from canceld.tasks.killswitch import KillSwitch
from canceld.tasks.leasing import Leasing
from canceld.tasks.scoping import Scoping
from canceld.transport.clock import VirtualClock
from canceld.transport.entropy import SeededEntropy
from canceld.transport.memory.disk import MemoryDirectory
from canceld.transport.memory.zeromq import MemoryBus

EVENTS = "ipc:///run/canceld/events.sock"
ORDER = LeaseScope("spot", order_id="OAAAAA-BBBBB-CCCCCC")
FAMILY = LeaseScope("spot", userref=7)


class Desk:
    """What leasing sees of a dispatcher."""

    venue = "spot"

    def __init__(self) -> None:
        self.asked: list[tuple[Owner, Target, float]] = []
        self.withdrawn: list[Target] = []

    def submit(self, owner: Owner, target: Target, proof: bool, deadline_ns: int, now_ns: int) -> None:
        assert proof
        self.asked.append((owner, target, trio.current_time()))

    def submit_batch(self, owners: Any, proof: bool, deadline_ns: int, now_ns: int) -> None:
        for owner, target, _ in owners:
            self.submit(owner, target, proof, deadline_ns, now_ns)

    def withdraw(self, owners: Iterable[Owner]) -> None:
        for owner in owners:
            [mine] = [asked for asked in self.asked if asked[0] is owner]
            self.asked.remove(mine)
            self.withdrawn.append(mine[1])
            owner.answered(Settlement(venue="spot", target=mine[1], outcome=Unknown(("ws",))))

    def perform(self) -> None:
        pass

    def answer(self, outcome: Outcome, *, residual: tuple[str, ...] = (), late: bool = False) -> None:
        """Answer the oldest asking that waits."""
        owner, target, _ = self.asked.pop(0)
        settlement = Settlement(venue="spot", target=target, outcome=outcome, residual=residual)
        if late:
            owner.late(settlement)
        else:
            owner.answered(settlement)


class World:
    """Leasing that runs, and what it needs."""

    def __init__(self, nursery: trio.Nursery, directory: MemoryDirectory | None = None) -> None:
        self.clock = VirtualClock()
        self.desk = Desk()
        self.directory = directory or MemoryDirectory("/state")
        self.events = Events(MemoryBus().publisher(EVENTS, mode=0o660), self.clock)
        desks: Any = {"spot": self.desk}
        scoping = Scoping(desks, self.clock, {})
        kill = KillSwitch({}, self.directory, self.clock, SeededEntropy(1), self.events, scoping)
        self.leasing = Leasing(desks, self.directory, self.clock, self.events, kill, scoping)
        nursery.start_soon(self.leasing.run)

    def take(self, strategy: str, ttl_ms: int, *scope: LeaseScope) -> None:
        command = Lease(id=1, strategy=strategy, ttl_ms=ttl_ms, scope=scope)
        assert self.leasing.renew(command, "uid 1 pid 2", self.clock.monotonic_ns()) is None

    @property
    def stored(self) -> tuple[list[str], list[str]]:
        found = parse_leases(self.directory.read("leases"))
        return [terms.strategy for terms in found.terms], [terms.strategy for terms in found.expired]


@pytest.fixture
async def world(nursery: trio.Nursery) -> World:
    world = World(nursery)
    await trio.testing.wait_all_tasks_blocked()
    return world


async def test_every_answer_but_a_proof_is_asked_again_and_told_to_people(autojump_clock: object, world: World) -> None:
    world.take("mm-1", 1000, ORDER)
    await trio.sleep(1.1)
    for outcome in (Unknown(("ws",)), Rejected("throttled"), Unknown(()), Unknown(()), Unknown(()), Unknown(())):
        world.desk.answer(outcome)
        assert world.desk.asked == []
        await trio.sleep(11)
        assert len(world.desk.asked) == 1
    assert [alert["severity"] for alert in world.events.alerts] == ["warning", "critical"]
    world.desk.answer(NotOpen())
    await trio.sleep(60)
    assert world.desk.asked == []
    assert [alert["severity"] for alert in world.events.alerts] == ["warning"]


async def test_pauses_begin_short_and_have_a_limit(autojump_clock: object, world: World) -> None:
    world.take("mm-1", 1000, ORDER)
    await trio.sleep(1.1)
    pauses = []
    for _ in range(8):
        asked_s = trio.current_time()
        world.desk.answer(Unknown(()))
        while not world.desk.asked:  # noqa: ASYNC110 - leasing owes no event for this
            await trio.sleep(0.1)
        pauses.append(round(trio.current_time() - asked_s, 1))
    assert pauses[0] < 0.7
    assert pauses == sorted(pauses)
    assert pauses[-1] < PAUSE_LIMIT_NS / 1e9 + 0.2


async def test_a_cancel_of_everything_is_done_only_when_nothing_is_left(autojump_clock: object, world: World) -> None:
    world.take("mm-1", 1000, LeaseScope("spot"), ORDER)
    await trio.sleep(1.1)
    assert [target for _, target, _ in world.desk.asked] == [EVERYTHING]
    world.desk.answer(Canceled(), residual=("OAAAAA-BBBBB-CCCCCC",))
    await trio.sleep(1)
    assert [target for _, target, _ in world.desk.asked] == [EVERYTHING]
    world.desk.answer(Canceled())
    assert world.leasing.status() == []


async def test_a_late_proof_ends_the_asking(autojump_clock: object, world: World) -> None:
    world.take("mm-1", 1000, ORDER)
    await trio.sleep(1.1)
    owner, target, _ = world.desk.asked[0]
    world.desk.answer(Unknown(("ws",)))
    owner.late(Settlement(venue="spot", target=target, outcome=Canceled()))
    await trio.sleep(30)
    assert world.desk.asked == []
    assert world.leasing.status() == []


async def test_an_answer_to_what_a_late_one_settled_changes_nothing(autojump_clock: object, world: World) -> None:
    world.take("mm-1", 1000, ORDER)
    await trio.sleep(1.1)
    owner, target, _ = world.desk.asked[0]
    world.desk.answer(Unknown(("ws",)))
    await trio.sleep(1)
    owner.late(Settlement(venue="spot", target=target, outcome=Canceled()))
    world.desk.answer(Unknown(("ws",)))
    await trio.sleep(30)
    assert world.desk.asked == []


async def test_a_strategy_that_is_back_keeps_its_names_and_loses_its_ids(autojump_clock: object, world: World) -> None:
    world.take("mm-1", 1000, FAMILY, ORDER)
    await trio.sleep(1.1)
    world.desk.answer(Unknown(()))
    world.desk.answer(Unknown(()))
    world.take("mm-1", 60_000, FAMILY)
    await trio.sleep(5)
    assert [target.kind for _, target, _ in world.desk.asked] == ["order_id"]


async def test_a_cancel_by_name_that_is_under_way_is_withdrawn_when_the_strategy_is_back(
    autojump_clock: object, world: World
) -> None:
    world.take("mm-1", 1000, FAMILY, ORDER)
    await trio.sleep(1.1)
    world.take("mm-1", 60_000, FAMILY)
    assert world.desk.withdrawn == [Target("userref", 7)]
    assert [target.kind for _, target, _ in world.desk.asked] == ["order_id"]
    await trio.sleep(5)
    assert [target.kind for _, target, _ in world.desk.asked] == ["order_id"]


async def test_what_cannot_be_cancelled_here_any_more_is_said_and_given_up(
    autojump_clock: object, nursery: trio.Nursery
) -> None:
    directory = MemoryDirectory("/state")
    directory.replace_now("leases", format_leases([Terms("mm-1", 500, "cancel", (LeaseScope("prime"),))]))
    world = World(nursery, directory)
    await trio.sleep(1)
    assert any("prime is not enabled" in alert["do"] for alert in world.events.alerts)
    await trio.sleep(GIVE_UP_NS / 1e9)
    assert any("asked for no more" in alert["what"] for alert in world.events.alerts)
    assert world.stored == ([], [])


async def test_a_disk_that_fails_is_told_and_tried_again(autojump_clock: object, world: World) -> None:
    world.directory.faults.detail = "no space left"
    world.take("mm-1", 60_000, ORDER)
    await trio.sleep(0.5)
    assert any("cannot be stored" in alert["what"] for alert in world.events.alerts)
    world.directory.faults.detail = None
    await trio.sleep(2)
    assert world.stored == (["mm-1"], [])
    assert world.events.alerts == []


async def test_changes_are_gathered_into_few_writes(autojump_clock: object, world: World) -> None:
    for number in range(100):
        world.take("mm-1", 60_000, LeaseScope("spot", userref=number + 1))
        await trio.sleep(0.001)
    await trio.sleep(0.2)
    assert world.stored == (["mm-1"], [])


async def test_nothing_expires_once_the_end_has_begun(autojump_clock: object, world: World) -> None:
    world.take("mm-1", 1000, ORDER)
    world.leasing.halt()
    await trio.sleep(5)
    await world.leasing.close()
    assert world.desk.asked == []
    assert world.stored == (["mm-1"], [])


async def test_the_end_waits_for_what_is_under_way(autojump_clock: object, world: World) -> None:
    world.take("mm-1", 1000, ORDER)
    await trio.sleep(1.1)
    with trio.move_on_after(1) as patience:
        await world.leasing.settled()
    assert patience.cancelled_caught
    world.desk.answer(Canceled())
    with trio.fail_after(1):
        await world.leasing.settled()
