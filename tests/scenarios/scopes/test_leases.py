"""A strategy dies, and its lease says by selectors which orders were its own."""

import pytest

from ..leases.stages import take
from .stages import DIALECTS, book, stage


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_what_the_lease_selects_goes_and_nothing_else(autojump_clock: object, dialect: str) -> None:
    async with stage(dialect) as world:
        placed = await book(world)
        own = {i for kind, i in placed.items() if kind.endswith(("mm1-", " 7", "arb-"))}
        scope = [{"strategy": "mm-1"}, {"cl_ord_id_prefix": "arb-"}]
        await take(world.strategy(), "mm-1", scope)
        await world.passed(6)
        assert set(world.resting) == set(placed.values()) - own


async def test_an_old_scope_means_what_it_meant(autojump_clock: object) -> None:
    async with stage("spot v1") as world:
        first, second, third = await world.place_seen(3)
        await take(
            world.strategy(), "mm", [{"venue": "spot", "order_id": first}, {"venue": "spot", "order_id": second}]
        )
        await world.passed(5)
        assert world.resting == [third]


async def test_a_lease_that_names_an_unknown_strategy_is_refused(autojump_clock: object) -> None:
    async with stage("spot v1") as world:
        refused = await world.strategy().do("lease", strategy="x", ttl_ms=1000, scope=[{"strategy": "mm-9"}])
        assert refused["outcome"] == "refused"
        assert refused["detail"].startswith("scope[0].strategy")
