"""A strategy stops: it crashed, hangs, or lost its machine. One ttl later what its lease names is off the book.

Nobody asks for those cancels, so nobody but the exchange's book is asked what became of the orders; and what the lease
does not name rests on, whoever placed it.
"""

from typing import Any

import pytest

from ..world import SEEDS, Staging, settings_for
from ..world import stage as any_stage
from .stages import TTL_MS, hold, shown, take


@pytest.mark.parametrize("seed", SEEDS)
async def test_the_orders_of_its_scope_go_and_all_others_stay(
    autojump_clock: object, stage: Staging, seed: int
) -> None:
    async with stage(seed) as world:
        strategy, leases = world.strategy(), world.listen("lease")
        named = await world.place_seen(3, userref=7)
        [by_client_id] = await world.place_seen(1, cl_ord_id="mine-1")
        [by_order_id] = await world.place_seen(1)
        others = [*await world.place_seen(2, userref=8), *await world.place_seen(2)]
        scope = [
            {"venue": "spot", "userref": 7},
            {"venue": "spot", "cl_ord_id": "mine-1"},
            {"venue": "spot", "order_id": by_order_id},
        ]
        reply = await take(strategy, "mm-1", scope)
        assert (reply["strategy"], reply["expires_in_ms"]) == ("mm-1", TTL_MS)
        await world.passed(TTL_MS / 1000 - 0.1)
        assert len(world.resting) == 9
        await world.passed(0.2)
        assert world.resting == others
        assert {*named, by_client_id, by_order_id}.isdisjoint(world.resting)
        await world.passed(1.0)
        assert [event["state"] for event in leases.events] == ["taken", "expired", "settled"]
        assert all(event["strategy"] == "mm-1" for event in leases.events)
        assert await shown(strategy) == []
        # One frame each: what a userref means is asked for once.
        assert len(world.asked_of_venue(7)) == 1


async def test_a_lease_on_the_whole_venue_takes_everything_there(autojump_clock: object, stage: Staging) -> None:
    async with stage() as world:
        strategy = world.strategy()
        orders = await world.place_seen(5)
        await take(strategy, "mm-1", [{"venue": "spot"}, {"venue": "spot", "order_id": orders[0]}])
        await world.passed(1.2)
        assert world.resting == []
        assert world.asked_of_venue(orders[0]) == []


async def test_nothing_happens_to_a_strategy_that_renews_or_gives_its_lease_back(
    autojump_clock: object, stage: Staging
) -> None:
    async with stage() as world:
        strategy, leases = world.strategy(), world.listen("lease")
        orders = await world.place_seen(2, userref=7)
        scope = [{"venue": "spot", "userref": 7}]
        await hold(world, strategy, "mm-1", scope, 30.0)
        [listed] = await shown(strategy)
        assert (listed["strategy"], listed["state"], listed["restored"]) == ("mm-1", "live", False)
        reply = await take(strategy, "mm-1", [], ttl_ms=0)
        assert reply["expires_in_ms"] == 0
        await world.passed(5.0)
        assert world.resting == orders
        # Renewals are no news.
        assert [event["state"] for event in leases.events] == ["taken", "returned"]


async def test_a_scope_that_was_stated_anew_is_the_one_that_counts(autojump_clock: object, stage: Staging) -> None:
    async with stage() as world:
        strategy = world.strategy()
        first, second = await world.place_seen(2)
        await take(strategy, "mm-1", [{"venue": "spot", "order_id": first}])
        await take(strategy, "mm-1", [{"venue": "spot", "order_id": second}])
        await world.passed(2.0)
        assert world.resting == [first]


async def test_two_strategies_with_overlapping_scopes(autojump_clock: object, stage: Staging) -> None:
    async with stage() as world:
        dead, alive = world.strategy(), world.strategy()
        own = await world.place_seen(2, userref=1)
        others = await world.place_seen(2, userref=2)
        [both] = await world.place_seen(1)
        shared = {"venue": "spot", "order_id": both}
        await take(dead, "dead", [{"venue": "spot", "userref": 1}, shared])
        await hold(world, alive, "alive", [{"venue": "spot", "userref": 2}, shared], 5.0)
        assert world.resting == others
        assert not set(own) & set(world.resting)
        await take(alive, "alive", [], ttl_ms=0)


async def test_both_expire_at_once_and_each_is_settled(autojump_clock: object, stage: Staging) -> None:
    async with stage() as world:
        strategy, leases = world.strategy(), world.listen("lease")
        orders = await world.place_seen(3)
        for name in ("one", "other"):
            await take(strategy, name, [{"venue": "spot", "order_id": order_id} for order_id in orders])
        await world.passed(3.0)
        assert world.resting == []
        settled = [event["strategy"] for event in leases.events if event["state"] == "settled"]
        assert sorted(settled) == ["one", "other"]
        # The same order, gone after for both: no frame twice.
        assert all(len(world.asked_of_venue(order_id)) == 1 for order_id in orders)


async def test_on_three_venues_at_once(autojump_clock: object) -> None:
    async with any_stage(settings=settings_for("spot", "prime", "futures")) as world:
        strategy = world.strategy()
        scope: list[dict[str, Any]] = []
        for venue in ("spot", "prime", "futures"):
            mine, _ = await world.place_seen(2, venue)
            scope.append({"venue": venue, "order_id": mine})
        await take(strategy, "mm-1", scope)
        await world.passed(2.5)
        assert [len(world.resting_at(venue)) for venue in ("spot", "prime", "futures")] == [1, 1, 1]
        left = [order for venue in ("spot", "prime", "futures") for order in world.resting_at(venue)]
        assert not {entry["order_id"] for entry in scope} & set(left)


async def test_five_hundred_orders_of_one_strategy(autojump_clock: object, stage: Staging) -> None:
    async with stage() as world:
        strategy = world.strategy()
        orders = await world.place_seen(250)
        await take(strategy, "mm-1", [{"venue": "spot", "order_id": order_id} for order_id in orders])
        await world.passed(3.0)
        assert world.resting == []


async def test_a_renewal_that_came_too_late_to_mean_anything_is_refused(autojump_clock: object, stage: Staging) -> None:
    async with stage() as world:
        strategy = world.strategy()
        await world.place_seen(1, userref=7)
        scope = [{"venue": "spot", "userref": 7}]
        await take(strategy, "mm-1", scope)
        stale_ns = world.clock.monotonic_ns()
        await world.passed(0.8)
        fields: dict[str, Any] = {"strategy": "mm-1", "ttl_ms": TTL_MS, "scope": scope}
        reply = await strategy.do("lease", sent_ns=stale_ns, deadline_ms=500, **fields)
        assert (reply["type"], reply["reason"]) == ("refused", "expired")
        await world.passed(0.5)
        assert world.resting == []


async def test_what_cannot_be_held_is_refused_and_what_was_held_goes_on(autojump_clock: object, stage: Staging) -> None:
    async with stage() as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        await take(strategy, "mm-1", [{"venue": "spot", "order_id": order_id}])
        refused = await strategy.do("lease", strategy="mm-1", ttl_ms=60_000, scope=[{"venue": "prime"}])
        assert (refused["type"], refused["outcome"], refused["reason"]) == ("refused", "refused", "invalid")
        assert "prime is not enabled" in refused["detail"]
        await world.passed(1.5)
        assert world.resting == []


async def test_a_renewal_counts_again_under_the_same_id_and_never_takes_a_cancels_id(
    autojump_clock: object, stage: Staging
) -> None:
    async with stage() as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        scope = [{"venue": "spot", "order_id": order_id}]
        for _ in range(6):
            await take(strategy, "mm-1", scope, id="renewal")
            await world.passed(0.7)
        assert world.resting == [order_id]
        await strategy.do("cancel", id="taken", order_id=order_id)
        reply = await strategy.do("lease", id="taken", strategy="mm-1", ttl_ms=TTL_MS)
        assert reply["reason"] == "id_reused"
