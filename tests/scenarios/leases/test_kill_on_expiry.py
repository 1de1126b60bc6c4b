"""A strategy that asked for it takes everything with it: its lease expires and pulls the kill in its name."""

from ..world import Staging
from .stages import TTL_MS, hold, take


async def test_the_kill_is_pulled_in_the_name_of_the_strategy(autojump_clock: object, stage: Staging) -> None:
    async with stage() as world:
        strategy, kills = world.strategy(), world.listen("kill")
        await world.place_seen(5)
        await take(strategy, "mm-1", [], on_expiry="kill")
        await world.passed(TTL_MS / 1000 + 2.0)
        assert world.resting == []
        told = (await strategy.do("status"))["kill"]
        assert (told["latched"], told["trigger"], told["who"]) == (True, "lease", "mm-1")
        assert told["durable"]
        assert (kills.events[0]["state"], kills.events[0]["who"]) == ("latched", "mm-1")
        # While latched, what appears is cancelled too, and the lease is spent.
        world.place(2)
        await world.passed(2.0)
        assert world.resting == []


async def test_a_renewed_one_never_pulls(autojump_clock: object, stage: Staging) -> None:
    async with stage() as world:
        strategy = world.strategy()
        orders = await world.place_seen(2)
        for _ in range(20):
            await take(strategy, "mm-1", [], on_expiry="kill")
            await world.passed(0.9)
        await take(strategy, "mm-1", [], ttl_ms=0)
        await world.passed(5.0)
        assert world.resting == orders
        assert not (await strategy.do("status"))["kill"]["latched"]


async def test_the_latch_keeps_it_after_the_lease_is_taken_again(autojump_clock: object, stage: Staging) -> None:
    async with stage() as world:
        strategy = world.strategy()
        await take(strategy, "mm-1", [], on_expiry="kill")
        await world.passed(2.0)
        await hold(world, strategy, "mm-1", [], 5.0)
        assert (await strategy.do("status"))["kill"]["latched"]
        await take(strategy, "mm-1", [], ttl_ms=0)
