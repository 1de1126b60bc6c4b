"""Ten agents on a cluster of three nodes: what a fleet's kill takes, and who was cut off from it follows afterwards.

The long one is `python -m tests.fleet`: nodes and agents are killed too, and it goes on for as long as is asked.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from canceld.fleet import timer_lease
from tests.fleet.cluster import cluster, needs_nats

needs_nats()

from tests.fleet.links import Links  # noqa: E402 - it is there only where the extra is
from tests.fleet.storm import LEASE, NODES, SECOND_NS, storm  # noqa: E402


def test_a_kill_reaches_ten_hosts_and_later_those_that_were_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tell: Callable[[str], None]
) -> None:
    for name, seconds in LEASE.items():
        monkeypatch.setattr(timer_lease, name, int(seconds * SECOND_NS))

    async def play() -> None:
        async with storm(tmp_path, bus, links, seed=1) as (one, hand):
            await one.calm(hand, 5)
            await one.strike_agents(hand, 3)
            # The stream's leader stays with the greater part: what an election takes is for the long one to see.
            await one.cut(hand, await one.follower(hand), 2.0)
            assert one.judged.faults == []
            assert len(one.judged.reached_s) == 50
            assert one.judged.owners > 0, "somebody kept the timer"
            tell(str(one.judged))

    with Links() as links, cluster(tmp_path, NODES, route=links.route) as bus:
        asyncio.run(play())
