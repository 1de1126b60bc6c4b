"""One client sends as fast as it can, for as long as it can.

The reader takes its messages a handful at a time and lets everything else run in between: heartbeats are heard, acks
are read, and the cancel of another client does not wait.
"""

from canceld.settings import DRAIN_LIMIT

from .world import Stage, Strategy, stage


async def test_thousands_at_once_do_not_keep_the_sessions_from_running(autojump_clock: object) -> None:
    async with stage() as world:
        assert world.daemon is not None
        flood, good = world.strategy(), world.strategy()
        [order_id] = await world.place_seen(1)
        rounds = world.daemon.gateway.beats[0]
        for _ in range(100 * DRAIN_LIMIT):
            flood.ask("ping")
        reply = await good.cancel(order_id=order_id)
        assert good.took(reply["id"]) == 0.0
        await flood.hear_all(100 * DRAIN_LIMIT)
        assert world.daemon.gateway.beats[0] - rounds >= 100
        assert [session.lives for session in world.desk.sessions] == [1, 1]
        assert world.resting == []


async def test_a_steady_flood_of_commands_leaves_another_client_its_pace(autojump_clock: object) -> None:
    async with stage() as world:
        flood, good = world.strategy(), world.strategy()
        orders = await world.place_seen(10)
        [ended] = await world.place_seen(1)
        await good.cancel(order_id=ended, until="proof")
        world.start(_flood, world, flood, ended)
        for order_id in orders:
            reply = await good.cancel(order_id=order_id)
            assert reply["outcome"] in ("acked", "canceled")
            assert good.took(reply["id"]) <= 0.001
            await world.passed(0.05)
        await world.passed(0.1)
        assert len(flood.heard) == len(flood.asked) == 3000
        assert world.resting == []


async def _flood(world: Stage, flood: Strategy, order_id: str) -> None:
    """Commands, malformed ones and pings, six thousand a second."""
    for _ in range(500):
        for _ in range(2):
            flood.ask(order_id=order_id)
            flood.ask("ping")
            flood.say([b"\xc1"])
        await world.passed(0.001)
