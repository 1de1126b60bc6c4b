"""Ten thousand commands are waiting for the venue, which is in maintenance.

The next one is refused as overloaded, at once and truthfully: it may be sent again. As soon as there is room, commands
are taken again.
"""

from .world import stage

LIMIT = 10_000
"""Source: contract section 4."""


async def test_the_next_one_is_refused_as_overloaded(autojump_clock: object) -> None:
    async with stage() as world:
        strategy, another = world.strategy(), world.strategy()
        [order_id] = await world.place_seen(1)
        world.inject("maintenance", for_s=3.0)
        await world.passed(0.01)
        for number in range(LIMIT):
            strategy.ask(order_id=f"OAAAAA-BBBBB-{number:06d}", deadline_ms=1000)
        await world.passed(0.1)
        reply = await another.cancel(order_id=order_id)
        assert (reply["type"], reply["outcome"], reply["reason"]) == ("outcome", "refused", "overloaded")
        assert another.took(reply["id"]) == 0.0
        reply = await another.do("cancel_all")
        assert (reply["type"], reply["reason"]) == ("refused", "overloaded")
        assert (await another.do("status"))["in_flight"] == LIMIT
        replies = await strategy.hear_all(LIMIT)
        assert {(reply["outcome"], reply["reason"]) for reply in replies.values()} == {("refused", "no_route")}
        assert (await another.do("status"))["in_flight"] == 0
        reply = await another.cancel(order_id=order_id, deadline_ms=10_000)
        assert reply["outcome"] in ("acked", "canceled")
        assert world.resting == []
