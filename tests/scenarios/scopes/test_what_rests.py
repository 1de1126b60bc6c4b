"""What is open, asked of the daemon: it tells what the exchange's own book holds, in pages, and says since when."""

import pytest

from ..world import Stage
from .stages import DIALECTS, book, stage


def really(world: Stage) -> dict[str, tuple[str, str, str | None]]:
    return {o.order_id: (o.symbol, o.side, o.cl_ord_id) for o in world.exchange.resting(world.venue)}


@pytest.mark.parametrize("fresh", [False, True])
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_the_book_is_the_venues(autojump_clock: object, dialect: str, fresh: bool) -> None:
    async with stage(dialect) as world:
        await book(world)
        reply = await world.strategy().do("what_rests", fresh=fresh)
        told = reply["venues"][world.venue]
        shown = {order["order_id"]: order for order in told["orders"]}
        assert shown.keys() == really(world).keys()
        for order_id, (symbol, side, name) in really(world).items():
            order = shown[order_id]
            assert order["side"] == side
            assert order.get("cl_ord_id") == name
            assert order["symbol"].replace("BTC/", "XBT/") == symbol
            assert float(order["quantity"]) == 1.0
            assert order["age_ms"] >= 0
        assert told["count"] == len(shown)
        assert told["by"] == ("list" if fresh else "stream")
        assert told["as_of"].endswith("Z")
        assert "after" not in reply


async def test_a_thousand_a_page(autojump_clock: object) -> None:
    async with stage("futures") as world:
        placed = await world.place_seen(2_345)
        await world.passed(2)
        strategy = world.strategy()
        seen: list[str] = []
        after, pages = None, 0
        while True:
            more = {} if after is None else {"after": after}
            reply = await strategy.do("what_rests", **more)
            seen += [order["order_id"] for order in reply["venues"]["futures"]["orders"]]
            pages += 1
            assert reply["venues"]["futures"]["count"] == 2_345
            after = reply.get("after")
            if after is None:
                break
        assert pages == 3
        assert sorted(seen) == sorted(placed)


async def test_without_a_stream_it_says_so_and_a_look_tells(autojump_clock: object) -> None:
    async with stage("spot v1") as world:
        from ..world import WS_HOST

        await world.place_seen(1)
        world.cut_off(WS_HOST)
        [unseen] = world.place(1, side="sell")
        await world.passed(1)
        strategy = world.strategy()
        stale = (await strategy.do("what_rests"))["venues"]["spot"]
        assert stale["by"] == "none"
        assert "fresh: true" in stale["error"]
        fresh = (await strategy.do("what_rests", fresh=True, scope=[{"side": "sell"}]))["venues"]["spot"]
        assert [order["order_id"] for order in fresh["orders"]] == [unseen]
        assert fresh["by"] == "list"
        world.reconnect()


async def test_a_cursor_that_no_reply_gave_is_refused(autojump_clock: object) -> None:
    async with stage("spot v1") as world:
        refused = await world.strategy().do("what_rests", after="nowhere")
        assert (refused["outcome"], refused["reason"]) == ("refused", "invalid")
        assert refused["detail"].startswith("after:")
