"""The kill is pulled while a venue's sockets are down, or just coming back, or when the venue is not to be had at all.

Spot and Futures are killed over REST within a quarter of a second. Prime has no REST: with one socket left it goes by
that, and with none the orders wait for the first that is back, while people are alerted and the reply says what was
tried. The other venues are flat at once and wait for nobody.
"""

import pytest
import trio

from canceld.contract.ids import VENUES, Venue

from ..world import FEED_HOST, PRIME_HOST, REST_HOST, SEEDS, UWS_HOST, WS_HOST
from .stages import (
    DEADLINE_MS,
    MASS,
    ask_kill,
    assert_flat,
    book,
    empty,
    kill,
    operations,
    operator,
    place_everywhere,
    rearm,
    stage,
    states,
    status,
)

SOCKETS = {"spot": (WS_HOST,), "futures": (FEED_HOST, UWS_HOST)}
NOTICED_S = 0.02


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("venue", SOCKETS)
@pytest.mark.parametrize("uws", [False, True], ids=["futures by REST", "futures by the Unified WebSocket"])
async def test_without_sockets_rest_does_it_within_a_quarter_of_a_second(
    autojump_clock: object, seed: int, venue: Venue, uws: bool
) -> None:
    async with stage(seed, uws=uws) as world:
        await place_everywhere(world, 10)
        # A list of open orders may lack one that was placed a moment ago: young ones take longer to be believed gone.
        await world.passed(2.0)
        world.cut_off(*SOCKETS[venue])
        await world.passed(NOTICED_S)
        since = len(world.exchange.received)
        asked = ask_kill(killer := operator(world))
        await world.passed(0.25)
        assert book(world) == empty()
        assert operations(world, venue, since)[0] in MASS[venue]
        reply = await killer.hear()
        assert_flat(reply)
        assert killer.took(asked) < 1.5


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("lane", [0, 1])
async def test_with_one_prime_socket_left_it_goes_by_that(autojump_clock: object, seed: int, lane: int) -> None:
    async with stage(seed, ("prime",)) as world:
        await place_everywhere(world, 10, ("prime",))
        dead = sorted(world.exchange.sessions)[lane]
        world.inject("reset_sockets", session=dead)
        world.inject("refuse_connections")
        await world.passed(NOTICED_S)
        reply = await kill(operator(world))
        assert world.resting == []
        assert_flat(reply, ["prime"])
        world.clear()


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("lost", VENUES)
async def test_a_venue_that_is_gone_is_told_so_and_holds_up_no_other(
    autojump_clock: object, seed: int, lost: Venue
) -> None:
    others = tuple(venue for venue in VENUES if venue != lost)
    async with stage(seed) as world:
        placed = await place_everywhere(world, 10)
        alerts = world.listen("alert")
        world.cut_off_venue(lost)
        await world.passed(NOTICED_S)
        killer = operator(world)
        asked = ask_kill(killer)
        await world.passed(0.05)
        assert book(world, others) == empty(others)
        await world.passed(1.0)
        told = [event for event in alerts.events if event["what"].startswith(f"{lost}: not flat")]
        assert [event["severity"] for event in told] == ["critical"]
        assert placed[lost][0] in told[0]["do"]
        reply = await killer.hear()
        assert killer.took(asked) == pytest.approx(DEADLINE_MS / 1000, abs=0.05)
        assert states(reply) == {venue: "unreachable" if venue == lost else "flat" for venue in VENUES}
        assert reply["latched"] is True
        assert sorted(reply["venues"][lost]["residual"]) == sorted(placed[lost])
        assert reply["venues"][lost]["tried"]
        await world.passed(20.0)
        world.reconnect()
        began = trio.current_time()
        while world.resting_at(lost):
            await world.passed(0.05)
        assert trio.current_time() - began < 20.0
        await world.passed(3.0)
        assert (await status(killer))["venues"][lost]["state"] == "flat"
        assert not [one for one in (await killer.do("status"))["alerts"] if "not flat" in one["what"]]
        await world.passed(60.0)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("hosts", [(WS_HOST, REST_HOST), (PRIME_HOST,)], ids=["spot", "prime"])
async def test_it_is_pulled_while_the_sockets_are_being_dialled_again(
    autojump_clock: object, seed: int, hosts: tuple[str, ...]
) -> None:
    async with stage(seed) as world:
        await place_everywhere(world, 10)
        world.cut_off(*hosts)
        await world.passed(1.0)
        world.inject("delay", seconds=0.3)
        world.reconnect()
        await world.passed(0.3)
        reply = await kill(operator(world), deadline_ms=60_000)
        assert_flat(reply)
        assert book(world) == empty()


@pytest.mark.parametrize("venue", VENUES)
@pytest.mark.parametrize("seed", SEEDS)
async def test_a_venue_that_takes_everything_and_says_nothing_is_unreachable(
    autojump_clock: object, seed: int, venue: Venue
) -> None:
    others = tuple(one for one in VENUES if one != venue)
    async with stage(seed) as world:
        await place_everywhere(world, 10)
        alerts = world.listen("alert")
        for route in {"spot": ("spot_ws",), "prime": ("prime_ws",), "futures": ("futures_feed",)}[venue]:
            world.inject("half_open", route=route, both=True)
        if venue != "prime":
            world.inject("rest_delay", route=f"{venue}_rest", seconds=3600.0, request=True)
        killer = operator(world)
        ask_kill(killer)
        await world.passed(0.05)
        assert book(world, others) == empty(others)
        await world.passed(1.0)
        assert any(event["what"].startswith(f"{venue}: not flat") for event in alerts.events)
        reply = await killer.hear()
        # Prime's own silence is noticed in five seconds, and a new connection finds a machine that answers.
        assert states(reply)[venue] in (("flat",) if venue == "prime" else ("unreachable", "residual"))
        assert {states(reply)[other] for other in others} == {"flat"}
        await world.passed(90.0)
        world.clear()
        await world.passed(40.0)
        assert book(world) == empty()
        assert (await status(killer))["venues"][venue]["state"] == "flat"
        # A stall of minutes must not have left a queue of old calls behind.
        assert len([name for name in operations(world, venue) if name in MASS[venue]]) < 400
        assert (await rearm(killer))["latched"] is False
