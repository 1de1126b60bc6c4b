"""A trader cancels a part of what he has: one pair, the buys of one strategy, what is older than a minute.

At every venue and in every dialect of it: what the scope means goes, and nothing else is touched. The reply names what
went, as the exchange's own book has it.
"""

from typing import Any

import pytest

from ..meaning import is_meant
from ..world import Stage
from .stages import DIALECTS, STRATEGIES, SYMBOLS, book, stage

OWN = {name: {"cl_ord_id_prefix": own.cl_ord_id_prefix, "userrefs": own.userrefs} for name, own in STRATEGIES.items()}

SCOPES: dict[str, list[dict[str, Any]]] = {
    "one pair": [{"symbol": "FIRST"}],
    "the buys": [{"side": "buy"}],
    "a prefix": [{"cl_ord_id_prefix": "mm1-"}],
    "a strategy's sells in one pair": [{"strategy": "mm-1", "side": "sell", "symbol": "FIRST"}],
    "two selectors": [{"cl_ord_id_prefix": "arb-"}, {"symbol": "SECOND", "side": "buy"}],
    "nobody's": [{"cl_ord_id_prefix": "zz-"}],
}


def spelled(world: Stage, scope: list[dict[str, Any]]) -> list[dict[str, Any]]:
    first, second = SYMBOLS[world.venue]
    return [{name: {"FIRST": first, "SECOND": second}.get(value, value) for name, value in s.items()} for s in scope]


@pytest.mark.parametrize("until", ["ack", "proof"])
@pytest.mark.parametrize("name", SCOPES)
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_what_is_meant_goes_and_nothing_else(autojump_clock: object, dialect: str, name: str, until: str) -> None:
    async with stage(dialect) as world:
        placed = await book(world)
        scope = spelled(world, SCOPES[name])
        orders = world.exchange.resting(world.venue)
        meant = {order.order_id for order in orders if is_meant(order, scope, OWN, 0)}
        reply = await world.strategy().do("cancel_all", scope=scope, until=until)
        told = reply["venues"][world.venue]
        await world.passed(1)
        assert set(world.resting) == set(placed.values()) - meant
        assert set(told["order_ids"]) == meant
        assert told["count"] == len(meant)
        assert told["outcome"] in (("canceled", "acked") if meant else ("not_open",))
        if meant and until == "proof":
            assert told["outcome"] == "canceled"
        assert told["residual"] == []
        assert "unsure" not in told


@pytest.mark.parametrize("dialect", ["spot v1", "spot v2"])
async def test_a_userref_in_one_pair(autojump_clock: object, dialect: str) -> None:
    async with stage(dialect) as world:
        placed = await book(world)
        reply = await world.strategy().do("cancel_all", scope=[{"userref": 7, "symbol": "BTC/USD"}])
        gone = {order_id for kind, order_id in placed.items() if kind in ("XBT/USD buy 7", "XBT/USD sell 7")}
        assert set(reply["venues"]["spot"]["order_ids"]) == gone
        assert set(world.resting) == set(placed.values()) - gone


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_what_is_older(autojump_clock: object, dialect: str) -> None:
    async with stage(dialect) as world:
        old = await world.place_seen(3)
        await world.passed(30)
        young = await world.place_seen(2)
        reply = await world.strategy().do("cancel_all", scope=[{"older_than_ms": 20_000}], until="proof")
        assert set(reply["venues"][world.venue]["order_ids"]) == set(old)
        assert world.resting == young


async def test_a_symbol_meant_whole_goes_by_the_venues_own_request(autojump_clock: object) -> None:
    """It meets an order that was placed a moment before, and of which the feed has not told."""
    async with stage("futures") as world:
        await world.place_seen(3, pair="PF_XBTUSD")
        [other] = await world.place_seen(1, pair="PF_ETHUSD")
        world.inject("delay_events", seconds=0.5)
        [unseen] = world.place(1, pair="PF_XBTUSD")
        reply = await world.strategy().do("cancel_all", scope=[{"symbol": "PF_XBTUSD"}])
        told = reply["venues"]["futures"]
        assert unseen in told["order_ids"]
        assert told["count"] == 4
        assert world.resting == [other]
        assert len(world.frames("cancelallorders")) == 1


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_all_of_what_is_open_never_becomes_everything(autojump_clock: object, dialect: str) -> None:
    """The scope fits every order that is known. One more was just placed, which it does not mean: that one stays."""
    async with stage(dialect) as world:
        await world.place_seen(60, side="buy")
        world.inject("delay_events", seconds=0.5)
        [sell] = world.place(1, side="sell")
        await world.strategy().do("cancel_all", scope=[{"side": "buy"}], deadline_ms=10_000)
        await world.passed(3)
        assert world.resting == [sell]


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_an_order_born_in_the_gap_is_met(autojump_clock: object, dialect: str) -> None:
    """Placed before the command, told of after it: proof looks a second time."""
    async with stage(dialect) as world:
        await world.place_seen(2, side="buy")
        world.inject("delay_events", seconds=0.4)
        [late] = world.place(1, side="buy")
        reply = await world.strategy().do("cancel_all", scope=[{"side": "buy"}], until="proof", deadline_ms=8_000)
        told = reply["venues"][world.venue]
        assert told["outcome"] == "canceled"
        assert late in told["order_ids"]
        assert world.resting == []


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_dry_run_tells_and_touches_nothing(autojump_clock: object, dialect: str) -> None:
    async with stage(dialect) as world:
        placed = await book(world)
        strategy = world.strategy()
        scope = [{"side": "buy"}]
        dry = await strategy.do("cancel_all", scope=scope, dry_run=True)
        assert set(world.resting) == set(placed.values())
        wet = await strategy.do("cancel_all", scope=scope)
        venue = world.venue
        assert set(dry["venues"][venue]["order_ids"]) == set(wet["venues"][venue]["order_ids"])
        assert dry["venues"][venue]["count"] == wet["venues"][venue]["count"]


async def test_a_strategys_label_is_no_scope(autojump_clock: object) -> None:
    async with stage("spot v1") as world:
        await world.place_seen(3)
        strategy = world.strategy()
        refused = await strategy.do("cancel_all", strategy="mm-1")
        assert (refused["outcome"], refused["reason"]) == ("refused", "invalid")
        assert "say scope, or everything: true" in refused["detail"]
        assert len(world.resting) == 3
        reply = await strategy.do("cancel_all", strategy="mm-1", everything=True)
        assert reply["venues"]["spot"]["outcome"] in ("acked", "canceled")
        assert world.resting == []


async def test_an_unknown_strategy_is_refused_by_its_path(autojump_clock: object) -> None:
    async with stage("spot v1") as world:
        await world.place_seen(1)
        refused = await world.strategy().do("cancel_all", scope=[{"side": "buy"}, {"strategy": "mm-9"}])
        assert refused["reason"] == "invalid"
        assert refused["detail"].startswith("scope[1].strategy: 'mm-9' is not configured")
        assert len(world.resting) == 1
