"""An account has thousands of orders open when a session comes up, and the venue tells of them in one long message.

It is taken in piece by piece. Meanwhile cancels go out and are answered, what ends is not brought back by a list from
before its end, and at the end the daemon believes in exactly what rests.
"""

import pytest

from canceld.contract.ids import Venue
from canceld.tasks import conversation, hand, long_lists
from canceld.venues import pieces

from .world import FEED_HOST, PRIME_HOST, SEEDS, WS_HOST, Staging, settings_for
from .world import stage as world_of

MANY = 600


@pytest.fixture(autouse=True, params=["in pieces", "at once"])
def _long(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "in pieces":
        monkeypatch.setattr(conversation, "LONG_CHARS", 2_000)
        monkeypatch.setattr(pieces, "LONG_CHARS", 2_000)
        monkeypatch.setattr(pieces, "PIECE", 5)
        monkeypatch.setattr(hand, "LET_GO", 5)


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_long_list_leaves_the_book_as_the_venue_has_it(
    autojump_clock: object, stage: Staging, seed: int
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        orders = await world.place_seen(MANY)
        # Long enough ago for any list to show them.
        await world.passed(3.0)
        world.cut_off(WS_HOST)
        gone, born = orders[: MANY // 3], world.place(50)
        for order_id in gone:
            world.fill(order_id)
        world.reconnect()
        await world.live()
        reply = await strategy.cancel(order_id=orders[-1], until="proof")
        assert reply["outcome"] == "canceled"
        await world.passed(5.0)
        rests = set(orders[MANY // 3 : -1]) | set(born)
        assert set(world.resting) == rests
        assert set(world.pursuits.resting.open_ids()) == rests


async def test_a_kill_reaches_what_a_long_list_tells_of(autojump_clock: object, stage: Staging) -> None:
    async with stage() as world:
        operator = world.strategy()
        await world.place_seen(MANY)
        world.cut_off(WS_HOST)
        await world.passed(1.0)
        world.reconnect()
        reply = await operator.do("kill", reason="while it comes up")
        assert reply["venues"]["spot"]["state"] == "flat"
        assert world.resting == []


@pytest.mark.parametrize(("venue", "stream"), [("spot", WS_HOST), ("futures", FEED_HOST), ("prime", PRIME_HOST)])
async def test_a_long_list_that_is_asked_for_leaves_the_book_as_the_venue_has_it(
    autojump_clock: object, venue: Venue, stream: str
) -> None:
    async with world_of(settings=settings_for(venue)) as world:
        strategy = world.strategy()
        orders = await world.place_seen(MANY)
        await world.passed(3.0)
        world.cut_off(stream)
        await world.passed(0.5)
        for order_id in orders[: MANY // 3]:
            world.fill(order_id)
        rests = set(orders[MANY // 3 :]) | set(world.place(50))
        if venue == "prime":
            world.reconnect()
            await world.live()
        reply = await strategy.do("what_rests", fresh=True, deadline_ms=5_000)
        told = reply["venues"][venue]
        assert (told["by"], told["count"]) == ("list", len(rests))
        assert set(world.pursuits.resting.open_ids()) == rests
        world.reconnect()


async def test_people_hear_of_lists_that_are_long_as_long_as_they_are(
    autojump_clock: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(long_lists, "MANY", MANY)
    what = "spot lists very many open orders, or lists them slowly"
    async with world_of() as world:
        assert world.daemon is not None
        events, strategy = world.daemon.events, world.strategy()
        orders = await world.place_seen(MANY)
        for _ in range(2):
            await strategy.do("what_rests", fresh=True, deadline_ms=5_000)
            (alert,) = [alert for alert in events.alerts if alert["what"] == what]
            assert alert["do"].startswith(f"{MANY} orders took 0.0 s to be taken in; cancels and kills go on")
        world.fill(orders[0])
        await strategy.do("what_rests", fresh=True, deadline_ms=5_000)
        assert what not in [alert["what"] for alert in events.alerts]
