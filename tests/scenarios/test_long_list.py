"""An account has thousands of orders open when a session comes up, and the venue tells of them in one long message.

It is taken in piece by piece. Meanwhile cancels go out and are answered, what ends is not brought back by a list from
before its end, and at the end the daemon believes in exactly what rests.
"""

import pytest

from canceld.tasks import conversation
from canceld.venues import pieces

from .world import SEEDS, WS_HOST, Staging

MANY = 600


@pytest.fixture(autouse=True, params=["in pieces", "at once"])
def _long(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "in pieces":
        monkeypatch.setattr(conversation, "LONG_CHARS", 2_000)
        monkeypatch.setattr(pieces, "PIECE", 5)


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
