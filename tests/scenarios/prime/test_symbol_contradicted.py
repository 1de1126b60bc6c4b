"""A cancel names the wrong symbol. The order stream knows better: its symbol goes, and the reply says so."""

from ..world import Staging


async def test_the_streams_symbol_goes_and_the_reply_says_so(autojump_clock: object, stage: Staging) -> None:
    async with stage(1) as world:
        [order] = await world.place_seen(1, pair="BTC-USD")
        reply = await world.strategy().cancel(order_id=order, symbol="ETH-USD")
        assert reply["outcome"] in ("acked", "canceled")
        assert reply["symbol"] == "BTC-USD"
        assert reply["note"].startswith("symbol: the order is of BTC-USD")
        [frame] = world.frames("OrderCancelRequest")
        assert "BTC-USD" in str(frame)
        assert world.resting == []


async def test_a_symbol_that_is_right_is_not_talked_about(autojump_clock: object, stage: Staging) -> None:
    async with stage(1) as world:
        [order] = await world.place_seen(1, pair="BTC-USD")
        reply = await world.strategy().cancel(order_id=order, symbol="BTC-USD")
        assert "note" not in reply
