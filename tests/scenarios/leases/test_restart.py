"""The daemon ends, however it ends, and starts again. What it promised to strategies is in the file `leases`.

A lease that was live is waited for one ttl, since its strategy could not renew while nobody was there; an expired one
that was not carried out to the end goes on at once.
"""

from collections.abc import Callable

from canceld.contract.commands import LeaseScope
from canceld.engine.leases import Terms, format_leases, parse_leases
from canceld.transport.signals import Signal

from ..world import REST_HOST, WS_HOST, Stage, Staging
from .stages import hold, shown, take

SCOPE = (LeaseScope("spot", userref=7),)
ASKED = [{"venue": "spot", "userref": 7}]


def left_behind(*live: Terms, expired: tuple[Terms, ...] = ()) -> Callable[[Stage], None]:
    """What the last run stored, and two orders under the number that the leases name."""

    def before(world: Stage) -> None:
        world.directory("/state").replace_now("leases", format_leases(live, expired))
        world.place(2, userref=7)

    return before


def stored(world: Stage) -> tuple[list[str], list[str]]:
    """The strategies whose live and whose expired leases a restart would find."""
    found = parse_leases(world.directory("/state").read("leases"))
    assert found.why is None
    return [terms.strategy for terms in found.terms], [terms.strategy for terms in found.expired]


async def test_a_lease_not_renewed_within_one_ttl_expires(autojump_clock: object, stage: Staging) -> None:
    async with stage(before=left_behind(Terms("mm-1", 5000, "cancel", SCOPE))) as world:
        strategy = world.strategy()
        assert len(world.resting) == 2
        [listed] = await shown(strategy)
        assert (listed["strategy"], listed["state"], listed["restored"]) == ("mm-1", "live", True)
        await world.passed(5.5)
        assert world.resting == []


async def test_a_lease_renewed_in_time_goes_on(autojump_clock: object, stage: Staging) -> None:
    async with stage(before=left_behind(Terms("mm-1", 5000, "cancel", SCOPE))) as world:
        strategy = world.strategy()
        await hold(world, strategy, "mm-1", ASKED, 20.0)
        assert len(world.resting) == 2
        await take(strategy, "mm-1", [], ttl_ms=0)


async def test_an_expired_one_is_carried_out_at_once(autojump_clock: object, stage: Staging) -> None:
    before = left_behind(expired=(Terms("mm-1", 60_000, "cancel", SCOPE),))
    async with stage(before=before) as world:
        await world.passed(1.0)
        assert world.resting == []
        assert stored(world) == ([], [])


async def test_a_kill_that_was_not_latched_yet_is_pulled_again(autojump_clock: object, stage: Staging) -> None:
    before = left_behind(expired=(Terms("mm-1", 60_000, "kill", ()),))
    async with stage(before=before) as world:
        await world.passed(2.0)
        assert world.resting == []
        told = (await world.strategy().do("status"))["kill"]
        assert (told["latched"], told["trigger"], told["who"]) == (True, "lease", "mm-1")


async def test_the_file_follows_what_is_held(autojump_clock: object, stage: Staging) -> None:
    async with stage() as world:
        strategy = world.strategy()
        await world.place_seen(1, userref=7)
        await take(strategy, "mm-1", ASKED)
        await world.passed(0.2)
        assert stored(world) == (["mm-1"], [])
        world.cut_off(WS_HOST, REST_HOST)
        await world.passed(2.0)
        assert stored(world) == ([], ["mm-1"])
        world.reconnect()
        await world.passed(30.0)
        assert stored(world) == ([], [])


async def test_a_clean_stop_leaves_live_leases_to_the_next_start(autojump_clock: object, stage: Staging) -> None:
    async with stage() as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1, userref=7)
        await take(strategy, "mm-1", ASKED)
        world.signals.raise_now(Signal.TERMINATE)
        await world.passed(5.0)
        assert world.ended.is_set()
        assert world.resting == [order_id]
        assert stored(world) == (["mm-1"], [])


async def test_one_given_back_right_before_a_clean_stop_is_not_missed(autojump_clock: object, stage: Staging) -> None:
    async with stage() as world:
        strategy = world.strategy()
        await take(strategy, "mm-1", ASKED)
        await world.passed(0.2)
        world.signals.raise_now(Signal.TERMINATE)
        await take(strategy, "mm-1", [], ttl_ms=0)
        await world.passed(5.0)
        assert world.ended.is_set()
        assert stored(world) == ([], [])


async def test_a_stop_while_orders_are_left_hands_them_to_the_next_start(
    autojump_clock: object, stage: Staging
) -> None:
    async with stage() as world:
        strategy = world.strategy()
        await world.place_seen(1, userref=7)
        await take(strategy, "mm-1", ASKED)
        world.cut_off(WS_HOST, REST_HOST)
        await world.passed(3.0)
        world.signals.raise_now(Signal.TERMINATE)
        await world.passed(8.0)
        assert world.ended.is_set()
        assert stored(world) == ([], ["mm-1"])


async def test_an_unreadable_file_is_told_to_people(autojump_clock: object, stage: Staging) -> None:
    def before(world: Stage) -> None:
        world.directory("/state").replace_now("leases", b'{"version":1')

    async with stage(before=before) as world:
        told = (await world.strategy().do("status"))["alerts"]
        assert any(alert["what"].startswith("leases are forgotten") for alert in told)
