"""Ten agents on a real cluster of three nodes, which is cut in two and healed, and whose nodes and agents are killed.

The agents' daemons are switches behind real control sockets; whoever judges looks at those, and at what the operators
put on the bus and when. Agents, switches and judge share one process, the three servers two cores with it: latencies
are those of a busy machine, and without a network.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from canceld.fleet import timer_lease
from canceld.fleet.bus import BusFailed
from canceld.fleet.orders import KillOrder
from tests.fleet.cluster import Cluster, cluster
from tests.fleet.desk import Desk, Hand, Host, until
from tests.fleet.links import Links, ways

NODES: Final = 3
SECOND_NS: Final = 10**9
RETURN_S: Final = 90.0
"""Within this every host that can reach the bus again is where it has to be: a cluster without a leader takes up to ten
seconds to elect one, twice where it was cut meanwhile, and a machine with two cores is slower."""

LEASE: Final = {"LEASE_NS": 4.0, "RENEW_NS": 1.0, "MARGIN_NS": 1.0, "ANSWER_NS": 1.0}
"""Seconds, so that many leases pass."""


@dataclass
class Judged:
    """What was found. reached_s: of each kill and each host that was on the bus, how long until it was latched."""

    faults: list[str] = field(default_factory=list)
    reached_s: list[float] = field(default_factory=list)
    kills: int = 0
    cuts: int = 0
    nodes_killed: int = 0
    agents_killed: int = 0
    owners: int = 0
    ownerless_s: float = 0.0

    def quantile(self, part: float) -> float:
        ordered = sorted(self.reached_s)
        return ordered[min(len(ordered) - 1, int(part * len(ordered)))]

    def __str__(self) -> str:
        reached = f"{len(self.reached_s)} latches, p50 {1000 * self.quantile(0.5):.0f} ms"
        reached += f", p99 {1000 * self.quantile(0.99):.0f} ms, longest {1000 * max(self.reached_s):.0f} ms"
        struck = f"{self.cuts} cuts, {self.nodes_killed} nodes and {self.agents_killed} agents killed"
        return f"{self.kills} kills ({reached}); {struck}; {self.owners} owners of a timer; {len(self.faults)} faults"


class Storm:
    """Ten hosts of one account; every third one can reach one node alone, as behind a line that may be cut."""

    def __init__(self, root: Path, bus: Cluster, links: Links, seed: int, hosts: int = 10) -> None:
        self.bus = bus
        self.links = links
        self.random = random.Random(seed)
        self.judged = Judged()
        names = tuple(f"h{number}" for number in range(hosts))
        # Of each three, one is on n1 alone, one on n2, and the third may go anywhere.
        self.behind = {name: number % 3 for number, name in enumerate(names) if number % 3 < 2}
        servers = {name: bus.servers if name not in self.behind else [bus.servers[self.behind[name]]] for name in names}
        self.desk = Desk(root, servers | {"ann": bus.servers, "bob": bus.servers}, names, replicas=NODES)
        # What stands: from when it was ordered until the second approval is on its way.
        self.standing: KillOrder | None = None
        self.since_ns = 0
        self.over_ns = 0
        self._last_owner = ""

    @property
    def hosts(self) -> list[Host]:
        return list(self.desk.hosts.values())

    @asynccontextmanager
    async def playing(self) -> AsyncIterator[Hand]:
        """With agents, operators and a judge."""
        give_up = time.monotonic() + RETURN_S
        while True:
            try:
                # A cluster that has just begun takes no stream before it has a leader.
                self.desk.made = False
                async with self.desk.hand():
                    break
            except BusFailed:
                assert time.monotonic() < give_up, "the cluster makes the bucket"
        async with self.desk.controls(), self.desk.hand() as hand:
            for host in self.hosts:
                host.start()
            await self.all_hear()
            judging = asyncio.create_task(self._judge())
            yield hand
            judging.cancel()

    async def all_hear(self) -> None:
        def hears() -> bool:
            return all(h.agent and h.agent._live and time.monotonic() - h.agent._heard_s < 1 for h in self.hosts)

        await until(hears, "all agents hear the bus", RETURN_S)

    async def _judge(self) -> None:
        """Look at the switches, and at who may renew the timer."""
        seen = {host.name: 0 for host in self.hosts}
        before_s = time.monotonic()
        while True:
            now_ns = time.monotonic_ns()
            owners = [host.name for host in self.hosts if host.control.may_renew(now_ns)]
            if len(owners) > 1:
                self.judged.faults.append(f"{' and '.join(owners)} keep the timer at once")
            if owners and owners[0] != self._last_owner:
                self._last_owner = owners[0]
                self.judged.owners += 1
            if not owners and self.standing is None:
                self.judged.ownerless_s += time.monotonic() - before_s
            before_s = time.monotonic()
            for host in self.hosts:
                rearmed = host.control.rearmed_ns
                for at_ns in rearmed[seen[host.name] :]:
                    if at_ns >= self.since_ns and (self.standing is not None or at_ns < self.over_ns):
                        self.judged.faults.append(f"{host.name} was re-armed while a kill stood")
                seen[host.name] = len(rearmed)
            await asyncio.sleep(0.005)

    async def kill(self, hand: Hand, *, reaches: bool) -> KillOrder:
        """Order a kill of the fleet. reaches: every host is on the bus, and how long each takes is measured."""
        self.judged.kills += 1
        order = hand.order()
        self.standing = order
        self.since_ns = ordered_ns = time.monotonic_ns()
        await self._insist(hand, lambda one: one.put(f"kill.{order.scope}", order, "ann"))
        if reaches:
            await until(lambda: all(host.control.latched for host in self.hosts), "all are latched", RETURN_S)
            took = [(host.control.latched_ns - ordered_ns) / SECOND_NS for host in self.hosts]
            self.judged.reached_s += took
        return order

    async def end(self, hand: Hand, order: KillOrder) -> None:
        """Both persons, with codes of two hosts; and wait until all are armed."""
        # All that stands must have been heard where the codes are given out.
        await until(lambda: all(host.control.latched for host in self.hosts), "all are latched", RETURN_S)
        first, second = self.random.sample(self.hosts, 2)
        await self._approve(hand, order, "ann", first)
        await asyncio.sleep(self.random.random() * 0.3)
        self.over_ns = time.monotonic_ns()
        self.standing = None
        await self._approve(hand, order, "bob", second)
        await until(lambda: not any(host.control.latched for host in self.hosts), "all are armed", RETURN_S)

    async def _approve(self, hand: Hand, order: KillOrder, person: str, host: Host) -> None:
        await self._insist(hand, lambda one: one.approve(order, person, host.name))

    async def _insist(self, hand: Hand, act: Callable[[Hand], Awaitable[None]]) -> None:
        """As a person does: try again, by whichever server answers then."""
        with contextlib.suppress(BusFailed):
            return await act(hand)
        give_up = time.monotonic() + RETURN_S
        while True:
            try:
                async with self.desk.hand() as other:
                    return await act(other)
            except BusFailed:
                assert time.monotonic() < give_up, "a server takes it"

    async def follower(self, hand: Hand) -> int:
        """A node that does not lead the bucket's stream."""
        info = await hand.bucket._bus.stream_info("KV_canceld-desk")
        assert info is not None
        return 1 if info["cluster"]["leader"] == "n1" else 0

    # ---------------------------------------------------------------- what happens

    async def calm(self, hand: Hand, times: int) -> None:
        """Kills while all is well, each ended by two persons."""
        for _ in range(times):
            order = await self.kill(hand, reaches=True)
            await self.end(hand, order)

    async def cut(self, hand: Hand, node: int, lasts_s: float) -> None:
        """One node is cut off, a kill is ordered on the other side, and it is healed: who was behind it follows."""
        self.judged.cuts += 1
        self.links.cut(*ways(node))
        await asyncio.sleep(lasts_s * self.random.random())
        order = await self.kill(hand, reaches=False)
        await asyncio.sleep(lasts_s)
        self.links.heal()
        await until(lambda: all(host.control.latched for host in self.hosts), "all follow what they missed", RETURN_S)
        await self.end(hand, order)
        await self.all_hear()

    async def strike_node(self, hand: Hand, node: int, away_s: float) -> None:
        """A node dies, a kill is ordered, and it comes back."""
        self.judged.nodes_killed += 1
        self.bus.nodes[node].kill()
        ordering = asyncio.create_task(self.kill(hand, reaches=False))
        await asyncio.sleep(away_s)
        self.bus.nodes[node].start()
        order = await ordering
        await until(lambda: all(host.control.latched for host in self.hosts), "all are latched", RETURN_S)
        await self.end(hand, order)
        await self.all_hear()

    async def strike_agents(self, hand: Hand, count: int) -> None:
        """Agents die, a kill is ordered, and they come back with what they remember."""
        victims = self.random.sample(self.hosts, count)
        if owner := [host for host in self.hosts if host.control.may_renew(time.monotonic_ns())]:
            victims[0] = owner[0] if owner[0] not in victims else victims[0]
        self.judged.agents_killed += len(victims)
        for host in victims:
            await host.stop()
        order = await self.kill(hand, reaches=False)
        await asyncio.sleep(self.random.random())
        for host in victims:
            host.start()
        await self.end(hand, order)

    async def play(self, hand: Hand, seconds: float) -> None:
        """All of it at random."""
        until_s = time.monotonic() + seconds
        while time.monotonic() < until_s:
            what = self.random.randrange(4)
            match what:
                case 0:
                    await self.calm(hand, 3)
                case 1:
                    await self.cut(hand, self.random.randrange(NODES), 6.0)
                case 2:
                    await self.strike_node(hand, self.random.randrange(NODES), 8.0 * self.random.random())
                case _:
                    await self.strike_agents(hand, self.random.randint(1, 4))


@asynccontextmanager
async def storm(root: Path, bus: Cluster, links: Links, seed: int) -> AsyncIterator[tuple[Storm, Hand]]:
    """A storm whose agents hear, and an operator's hand in it."""
    (root / "desk").mkdir()
    one = Storm(root / "desk", bus, links, seed)
    async with one.playing() as hand:
        yield one, hand


def short_leases() -> dict[str, int]:
    """The constants of timer_lease that this changes, as they were; leases of a few seconds from now on."""
    before = {name: getattr(timer_lease, name) for name in LEASE}
    for name, seconds in LEASE.items():
        setattr(timer_lease, name, int(seconds * SECOND_NS))
    return before


def run(root: Path, seed: int, seconds: float, calm: int) -> Judged:
    """A whole storm, with leases of a few seconds in this process."""

    async def played() -> Judged:
        async with storm(root, bus, links, seed) as (one, hand):
            await one.calm(hand, calm)
            await one.play(hand, seconds)
            return one.judged

    short_leases()
    with Links() as links, cluster(root, NODES, route=links.route) as bus:
        return asyncio.run(played())
