"""An operator kills a part: one strategy is cancelled and stays cancelled, and the others trade on.

What appears in the scope is cancelled on sight until it is re-armed; a restart does not forget it. The whole account's
latch is another matter, and stands beside it.
"""

from typing import Any

import pytest

from canceld.tasks.scope_kill import SCOPES_FILE

from ..world import CONTROL, Stage, Strategy
from .stages import DIALECTS, book, stage

SCOPE = [{"cl_ord_id_prefix": "mm1-"}]


async def kill_scope(asker: Strategy, scope: list[dict[str, Any]], **fields: Any) -> dict[str, Any]:
    reply = await asker.do("kill_scope", scope=scope, **{"reason": "mm-1 runs wild", "deadline_ms": 10_000, **fields})
    assert reply["type"] == "killed", reply
    return reply


async def rearm(operator: Strategy) -> dict[str, Any]:
    asked = await operator.do("rearm")
    return await operator.do("rearm", confirm=asked["code"], reason="mended")


def file_there(world: Stage) -> bool:
    return world.directory("/state").read(SCOPES_FILE) is not None


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_the_scope_is_cancelled_and_what_appears_in_it_too(autojump_clock: object, dialect: str) -> None:
    async with stage(dialect) as world:
        placed = await book(world)
        meant = {order_id for kind, order_id in placed.items() if kind.endswith("mm1-")}
        strategy, operator = world.strategy(), world.strategy(endpoint=CONTROL)
        reply = await kill_scope(strategy, SCOPE)
        assert reply["latched"]
        assert reply["venues"][world.venue]["state"] == "flat"
        assert set(world.resting) == set(placed.values()) - meant
        assert file_there(world)
        [wild] = world.place(1, cl_ord_id="mm1-again")
        [tame] = world.place(1, cl_ord_id="mm2-again")
        await world.passed(1)
        assert wild not in world.resting
        assert tame in world.resting
        kill = (await operator.do("status"))["kill"]
        assert not kill["latched"]
        assert kill["scopes"][0]["scope"] == SCOPE
        assert kill["scopes"][0]["reason"] == "mm-1 runs wild"
        await world.passed(5)
        rearmed = await rearm(operator)
        assert (rearmed["latched"], rearmed["scopes"]) == (False, [])
        assert not file_there(world)
        [free] = world.place(1, cl_ord_id="mm1-free")
        await world.passed(20)
        assert free in world.resting
        assert "scopes" not in (await operator.do("status"))["kill"]


async def test_it_survives_the_daemon(autojump_clock: object) -> None:
    async with stage("spot v1") as world:
        await kill_scope(world.strategy(), SCOPE)
        await world.die()
        [wild] = world.place(1, cl_ord_id="mm1-meanwhile")
        [tame] = world.place(1, cl_ord_id="mm2-meanwhile")
        await world.restart()
        await world.passed(3)
        assert world.resting == [tame], wild


async def test_the_whole_accounts_latch_stands_beside_it(autojump_clock: object) -> None:
    async with stage("spot v1") as world:
        strategy, operator = world.strategy(), world.strategy(endpoint=CONTROL)
        await kill_scope(strategy, SCOPE)
        await strategy.do("kill", reason="everything", deadline_ms=10_000)
        await world.passed(3)
        first = await operator.do("rearm")
        assert first["scopes"][0]["scope"] == SCOPE
        rearmed = await operator.do("rearm", confirm=first["code"])
        assert rearmed["latched"] is False
        assert rearmed["scopes"][0]["scope"] == SCOPE, "the scope is latched yet, and named"
        [wild] = world.place(1, cl_ord_id="mm1-again")
        await world.passed(1)
        assert world.resting == [], wild
        rearmed = await rearm(operator)
        assert rearmed["scopes"] == []


async def test_a_dry_run_latches_nothing(autojump_clock: object) -> None:
    async with stage("spot v1") as world:
        [order] = await world.place_seen(1, cl_ord_id="mm1-1")
        reply = await kill_scope(world.strategy(), SCOPE, dry_run=True)
        assert (reply["latched"], reply["dry_run"]) == (False, True)
        assert reply["venues"]["spot"]["order_ids"] == [order]
        await world.passed(3)
        assert world.resting == [order]
        assert not file_there(world)


async def test_it_is_not_re_armed_while_something_of_it_rests(autojump_clock: object) -> None:
    async with stage("spot v1") as world:
        operator = world.strategy(endpoint=CONTROL)
        await world.place_seen(1, cl_ord_id="mm1-1")
        world.cut_off_venue("spot")
        await kill_scope(operator, SCOPE, deadline_ms=2_000)
        asked = await operator.do("rearm")
        refused = await operator.do("rearm", confirm=asked["code"])
        assert refused["outcome"] == "refused"
        world.reconnect()
        await world.passed(20)
        assert world.resting == []
        assert (await rearm(operator))["latched"] is False
