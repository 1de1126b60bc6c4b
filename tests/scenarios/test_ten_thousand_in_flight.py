"""A strategy cancels without end while the venue is in maintenance, and gives its commands a long time.

Ten thousand commands may be in flight. It may have as many of them as it leaves: the next one is refused as
overloaded, at once and truthfully: it may be sent again. Another strategy's cancels find room, and an alert names the
first. As soon as there is room, commands are taken again.
"""

from canceld.transport.messages import Peer

from .world import stage

LIMIT = 10_000
"""Source: contract section 4."""

HALF = LIMIT // 2
ANOTHER = Peer(uid=1_000, pid=4_343)


async def test_one_strategy_leaves_room_for_another(autojump_clock: object) -> None:
    async with stage() as world:
        strategy, another = world.strategy(), world.strategy(peer=ANOTHER)
        alerts = world.listen("alert")
        [order_id] = await world.place_seen(1)
        world.inject("maintenance", for_s=3.0)
        await world.passed(0.01)
        for number in range(HALF):
            strategy.ask(order_id=f"OAAAAA-BBBBB-{number:06d}", deadline_ms=1000)
        await world.passed(0.1)
        assert (await another.do("status"))["in_flight"] == HALF
        reply = await strategy.cancel(order_id=order_id)
        assert (reply["type"], reply["outcome"], reply["reason"]) == ("outcome", "refused", "overloaded")
        assert strategy.took(reply["id"]) == 0.0
        reply = await strategy.do("cancel_all")
        assert (reply["type"], reply["reason"]) == ("refused", "overloaded")
        told = {event["what"]: event["do"] for event in alerts.events}
        assert "pid 4242" in told["one client holds half of the places for commands"]
        for number in range(HALF // 2):
            another.ask(order_id=f"OBBBBB-BBBBB-{number:06d}", deadline_ms=1000)
        replies = await another.hear_all(HALF // 2)
        assert {(reply["outcome"], reply["reason"]) for reply in replies.values()} == {("refused", "no_route")}
        await strategy.hear_all(HALF)
        assert (await another.do("status"))["in_flight"] == 0
        reply = await strategy.cancel(order_id=order_id, deadline_ms=10_000)
        assert reply["outcome"] in ("acked", "canceled")
        assert world.resting == []
