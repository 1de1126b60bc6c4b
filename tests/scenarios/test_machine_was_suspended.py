"""Somebody closes the lid, or a virtual machine is put to sleep, for an hour: then it wakes as if nothing had been.

To the daemon no time has passed. Its timers stood still, its tokens look fresh, and its connections look alive, because
the other ends gave up while nobody was there to hear it. Whatever was filled meanwhile was told to nobody. So a sleep
of more than two seconds ends all trust: every session and every REST connection is dialled anew, cancels that were
under way take a living route, and an alert says what happened.
"""

import pytest

from canceld.transport.clock import NS_PER_S

from .world import FEED_HOST, PRIME_HOST, REST_HOST, SEEDS, WS_HOST, Stage, Staging, settings_for

HOUR_NS = 3_600 * NS_PER_S


def sleep(world: Stage, slept_ns: int) -> None:
    """The machine sleeps, and its peers do not: they have forgotten every connection, and no word of that arrives."""
    for session in (0, 1):
        world.inject("half_open", session=session, both=True)
    world.clock.suspend(slept_ns)


@pytest.mark.parametrize("seed", SEEDS)
async def test_every_session_is_dialled_anew_and_the_trader_is_told(
    autojump_clock: object, stage: Staging, seed: int
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        filled, order_id = await world.place_seen(2)
        alerts, sessions = world.listen("alert"), world.listen("session.spot")
        dialled = len(world.dials_to(WS_HOST)), len(world.dials_to(REST_HOST))
        sleep(world, HOUR_NS)
        world.fill(filled)
        # The first cancel after waking does not wait for anybody to notice silence, which takes five seconds.
        reply = await strategy.cancel(order_id=order_id)
        assert reply["outcome"] in ("acked", "canceled")
        assert strategy.took(reply["id"]) < 1.0
        await world.passed(1.0)
        [alert] = [event for event in alerts.events if "suspended" in event["what"]]
        assert alert["severity"] == "critical"
        assert "it slept 3600 s" in alert["do"]
        downs = [event for event in sessions.events if event["state"] == "down"]
        assert {event["name"] for event in downs} == {"spot-0", "spot-1"}
        assert all("suspended for 3600 s" in event["why"] for event in downs)
        await world.live()
        assert len(world.dials_to(WS_HOST)) == dialled[0] + 2
        assert len(world.dials_to(REST_HOST)) >= dialled[1] + 2
        # What was filled in the meantime is known from the new snapshot, not believed open.
        reply = await strategy.cancel(order_id=filled)
        assert (reply["outcome"], reply["state"]) == ("closed", "filled")
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_cancel_that_was_under_way_when_the_lid_closed_ends_well(
    autojump_clock: object, stage: Staging, seed: int
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        orders = await world.place_seen(5)
        for session in (0, 1):
            world.inject("half_open", session=session, both=True)
        asked = [strategy.ask(order_id=order_id, deadline_ms=5_000) for order_id in orders]
        await world.passed(0.001)
        world.clock.suspend(HOUR_NS)
        replies = await strategy.hear_all(len(asked))
        assert {reply["outcome"] for reply in replies.values()} <= {"acked", "canceled", "closed"}
        await world.live()
        assert world.resting == []


async def test_a_nap_of_two_seconds_costs_nothing(autojump_clock: object, stage: Staging) -> None:
    async with stage() as world:
        alerts, dialled = world.listen("alert"), len(world.dials)
        world.clock.suspend(2 * NS_PER_S)
        await world.passed(5.0)
        assert alerts.events == []
        assert len(world.dials) == dialled


async def test_no_venue_is_left_out(autojump_clock: object, stage: Staging) -> None:
    async with stage(settings=settings_for("spot", "prime", "futures")) as world:
        hosts = (WS_HOST, REST_HOST, PRIME_HOST, FEED_HOST)
        dialled = [len(world.dials_to(host)) for host in hosts]
        world.clock.suspend(HOUR_NS)
        await world.passed(2.0)
        for venue in world.settings.venues:
            await world.live(venue)
            assert all(connection.lives == 2 for connection in world.desk_of(venue).connections)
        redialled = [len(world.dials_to(host)) - before for host, before in zip(hosts, dialled, strict=True)]
        assert redialled[0] == redialled[2] == 2
        assert redialled[3] == 1
        assert redialled[1] >= 2
