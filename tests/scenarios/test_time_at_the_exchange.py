"""Cancels are slow, and somebody asks whether it is the line or the exchange.

Over v2 each ack says when the request came in at the exchange and when the answer left it; `status` shows that beside
the round trips. Over v1 nothing tells, and nothing is made up.
"""

from .world import Staging


async def test_the_exchange_tells_its_own_share_over_v2_alone(autojump_clock: object, stage: Staging) -> None:
    async with stage() as world:
        strategy = world.strategy()
        for order_id in await world.place_seen(5):
            await strategy.cancel(order_id=order_id)
        # An order that is not there has no ack, and does not count.
        await strategy.cancel(order_id="ONEVER-WASAN-ORDER1", deadline_ms=100)
        times = (await strategy.do("status"))["venues"]["spot"]["venue_times"]
        assert times["count"] == (5 if world.settings.spot.protocol == "v2" else 0)
        # The exchange here answers in the same instant.
        assert times["max_us"] == 0
        assert world.resting == []
