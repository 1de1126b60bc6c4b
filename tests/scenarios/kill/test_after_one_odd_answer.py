"""Something odd was answered to one ordinary call, and then the kill is pulled.

A wrong word of the venue, a page of the edge in front of it, a lockout, a session that was turned away: after these the
daemon spares the venue, since whoever repeats a wrong key is locked out. A kill is no ordinary call. It tries every way
at once, closed or not, and again after a pause that grows from one second to fifteen for as long as the latch holds.
"""

import pytest
import trio

from canceld.contract.ids import Venue

from ..world import PRIME_HOST, SEEDS, WS_HOST, Stage
from .stages import (
    MASS,
    ask_kill,
    assert_flat,
    kill,
    operations,
    operator,
    place_everywhere,
    rearm,
    stage,
    states,
)

HTML = {"status": 403, "body": "<html>Forbidden</html>"}
AT_ONCE_S = 0.05
SOON_S = 1.0


async def flat_in(world: Stage, since_s: float) -> float:
    """How long after `since_s` the book of the story's venue was empty."""
    with trio.fail_after(150):
        while world.resting:
            await world.passed(0.01)
    return trio.current_time() - since_s


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("odd", ["authenticationError", "accountInactive", "HTML 403", "HTML 401"])
async def test_one_odd_answer_to_one_cancel_does_not_disarm_futures(
    autojump_clock: object, seed: int, odd: str
) -> None:
    async with stage(seed, ("futures",)) as world:
        orders = await world.place_seen(21)
        strategy = world.strategy()
        if odd.startswith("HTML"):
            status = int(odd[-3:])
            world.inject("rest_status", match="cancelorder", times=1, **{**HTML, "status": status})
        else:
            world.inject("rest_error", match="cancelorder", times=1, error=odd)
        strategy.ask(order_id=orders[0], deadline_ms=2000)
        await world.passed(0.05)
        since, began = len(world.exchange.received), trio.current_time()
        asked = ask_kill(killer := operator(world))
        await world.passed(AT_ONCE_S)
        assert set(operations(world, "futures", since)) & MASS["futures"]
        assert await flat_in(world, began) < SOON_S
        reply = await killer.hear()
        assert_flat(reply, ["futures"])
        assert killer.took(asked) < 2.0
        # The order of the odd answer went like any other.
        assert (await strategy.hear())["outcome"] in ("acked", "canceled")


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("error", ["EAPI:Invalid signature", "EAPI:Invalid key", "EGeneral:Temporary lockout"])
@pytest.mark.parametrize("times", [1, 2])
async def test_a_key_refused_on_spot_while_both_sockets_are_down_does_not_hold_the_kill_back(
    autojump_clock: object, seed: int, error: str, times: int
) -> None:
    async with stage(seed, ("spot",)) as world:
        orders = await world.place_seen(20)
        world.cut_off(WS_HOST)
        await world.passed(0.05)
        world.inject("rest_error", match="CancelOrder", times=times, error=error)
        strategy = world.strategy()
        strategy.ask(order_id=orders[0], deadline_ms=1000)
        await world.passed(0.5)
        since, began = len(world.exchange.received), trio.current_time()
        asked = ask_kill(killer := operator(world))
        await world.passed(AT_ONCE_S)
        assert operations(world, "spot", since)[0] in MASS["spot"]
        assert await flat_in(world, began) < SOON_S
        assert_flat(await killer.hear(), ["spot"])
        assert killer.took(asked) < 3.0
        # The venue has taken the key again, and so do ordinary cancels.
        assert (await strategy.hear())["outcome"] in ("acked", "canceled", "closed", "rejected", "unknown", "refused")
        [order_id] = world.place(1)
        reply = await strategy.cancel(order_id=order_id)
        assert reply["outcome"] in ("acked", "canceled", "closed", "not_open"), reply
        world.reconnect()


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("venue", ["spot", "futures"])
@pytest.mark.parametrize(
    ("for_s", "took_s"),
    # Each pause ends in a call. A look that is taken, at 7.25 s, opens REST to the cancels, which wait until 15 s.
    [(0.5, 1.0), (2.5, 3.0), (7.1, 7.4), (20.0, 30.0), (100.0, 105.0)],
)
async def test_a_key_that_is_refused_for_a_while_is_tried_again_after_a_pause_that_grows(
    autojump_clock: object, seed: int, venue: Venue, for_s: float, took_s: float
) -> None:
    error = {"spot": "EGeneral:Temporary lockout", "futures": "accountInactive"}[venue]
    async with stage(seed, (venue,)) as world:
        await world.place_seen(10)
        if venue == "spot":
            world.cut_off(WS_HOST)
            await world.passed(0.05)
        world.inject("rest_error", error=error, for_s=for_s)
        began = trio.current_time()
        since = len(world.exchange.received)
        killer = operator(world)
        ask_kill(killer, deadline_ms=60_000)
        await world.passed(for_s - 0.01)
        assert len(world.resting) == 10
        tries = [one for one in operations(world, venue, since) if one in MASS[venue]]
        # Twice at once, since one connection proves nothing; then 1, 2, 4, 8 and 15 s apart.
        assert 2 <= len(tries) <= 7 + for_s / 15
        assert await flat_in(world, began) == pytest.approx(took_s, abs=0.1)
        await world.passed(3.0)
        world.reconnect()


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_kill_pulled_anew_does_not_wait_for_the_pause(autojump_clock: object, seed: int) -> None:
    async with stage(seed, ("futures",)) as world:
        await world.place_seen(5)
        world.inject("rest_error", error="accountInactive", for_s=40.0)
        killer = operator(world)
        ask_kill(killer, deadline_ms=200)
        # Tries at 0, 1, 3, 7, 15, 30 and then not before 45.
        await world.passed(41.0)
        assert len(world.resting) == 5
        began = trio.current_time()
        await kill(killer)
        assert await flat_in(world, began) < SOON_S


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_socket_that_comes_back_cancels_while_rest_is_left_alone(autojump_clock: object, seed: int) -> None:
    async with stage(seed, ("spot",)) as world:
        await world.place_seen(5)
        world.cut_off(WS_HOST)
        for one in MASS["spot"] | {"OpenOrders"}:
            world.inject("rest_error", match=one, error="EGeneral:Temporary lockout")
        killer = operator(world)
        ask_kill(killer, deadline_ms=200)
        await killer.hear()
        # By now both the sockets and REST are tried again after 15 s.
        await world.passed(32.0)
        since = len(world.exchange.received)
        world.reconnect()
        with trio.fail_after(20):
            while "subscribe" not in operations(world, "spot", since):
                await world.passed(0.01)
        began = trio.current_time()
        assert len(world.resting) in (0, 5)
        assert await flat_in(world, began) < 0.1
        with trio.fail_after(1.0):
            while (await killer.do("status"))["kill"]["venues"]["spot"]["state"] != "flat":
                await world.passed(0.02)
        world.clear()


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_kill_after_a_rearm_waits_for_no_pause_of_the_one_before(autojump_clock: object, seed: int) -> None:
    async with stage(seed, ("futures",)) as world:
        await world.place_seen(5)
        killer = operator(world)
        world.inject("rest_error", error="accountInactive", times=4)
        ask_kill(killer, deadline_ms=50)
        await world.passed(0.1)
        await killer.hear()
        assert (await rearm(killer, force=True))["latched"] is False
        world.clear()
        began = trio.current_time()
        ask_kill(killer)
        assert await flat_in(world, began) < AT_ONCE_S


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_token_that_was_asked_for_before_the_kill_holds_no_socket_back(
    autojump_clock: object, seed: int
) -> None:
    """The sockets were lost and are open again; REST is silent, and each asks it for a new token first."""
    async with stage(seed, ("spot",)) as world:
        await world.place_seen(5)
        world.inject("rest_delay", seconds=3600.0, request=True)
        world.inject("reset_sockets")
        await world.passed(0.1)
        assert not world.pursuits.live
        began = trio.current_time()
        ask_kill(killer := operator(world))
        # A subscription's way there and back, and a cancel's.
        assert await flat_in(world, began) < 0.15
        world.clear()
        assert_flat(await killer.hear(), ["spot"])


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("status", [401, 403, 429])
async def test_sessions_that_were_turned_away_are_dialled_at_once(
    autojump_clock: object, seed: int, status: int
) -> None:
    """Prime has nothing but its two sockets; both wait out a minute, or ten, when the kill is pulled."""
    async with stage(seed, ("prime",)) as world:
        await world.place_seen(10)
        world.inject("refuse_upgrade", status=status)
        world.inject("reset_sockets")
        await world.passed(5.0)
        assert not world.pursuits.live
        world.clear()
        await world.passed(1.0)
        assert not world.pursuits.live
        began = trio.current_time()
        reply = await kill(operator(world))
        assert_flat(reply, ["prime"])
        assert world.resting == []
        assert trio.current_time() - began < 2.0


@pytest.mark.parametrize("seed", SEEDS)
async def test_while_a_kill_is_on_a_session_is_dialled_every_fifteen_seconds_at_least(
    autojump_clock: object, seed: int
) -> None:
    async with stage(seed, ("prime",)) as world:
        await world.place_seen(10)
        world.inject("refuse_upgrade", status=403)
        world.inject("reset_sockets")
        await world.passed(5.0)
        reply = await kill(operator(world))
        assert states(reply) == {"prime": "unreachable"}
        await world.passed(60.0)
        dialled = len(world.dials_to(PRIME_HOST))
        await world.passed(30.0)
        assert 2 <= len(world.dials_to(PRIME_HOST)) - dialled <= 8
        began = trio.current_time()
        world.clear()
        assert await flat_in(world, began) < 17.0
        await world.passed(3.0)


@pytest.mark.parametrize("seed", SEEDS)
async def test_the_others_venues_are_not_waited_for(autojump_clock: object, seed: int) -> None:
    async with stage(seed) as world:
        await place_everywhere(world, 5)
        # Tries at 0, 1, 3 and 7 s: flat within the deadline of the kill.
        world.inject("rest_error", route="futures_rest", error="accountInactive", for_s=6.5)
        began = trio.current_time()
        ask_kill(killer := operator(world))
        await world.passed(0.3)
        assert world.resting_at("spot") == world.resting_at("prime") == []
        reply = await killer.hear()
        assert_flat(reply)
        assert trio.current_time() - began < 7.0 + SOON_S
