"""Kraken's REST is gone, the sockets live, and the kill is pulled.

The cancel-all leaves on a socket, but nobody can be asked what is open, and "cancelled" is no proof of "flat". So the
socket that is used least gives up its order stream and asks for it anew: with it comes the list of all that is open.
Twice that list is empty, and only then is the venue called flat. After 1 March 2027 this is all that Futures has left.
"""

import pytest
import trio

from .world import FUTURES_HOST, REST_HOST, settings_for, stage


@pytest.mark.parametrize("way", ["v1", "v2", "unified"])
async def test_what_is_open_is_listed_anew_by_a_session(way: str, autojump_clock: trio.testing.MockClock) -> None:
    unified = way == "unified"
    settings = settings_for("futures", uws=True) if unified else settings_for("spot")
    async with stage(settings=settings, protocol="v1" if unified else way) as world:
        strategy = world.strategy()
        await world.place_seen(40)
        world.cut_off(FUTURES_HOST if unified else REST_HOST)
        await world.passed(1)

        reply = await strategy.do("kill", reason="a bad day")

        told = reply["venues"][world.venue]
        assert (told["state"], told["canceled"], told["residual"]) == ("flat", 40, [])
        assert strategy.took(reply["id"]) < 1
        assert world.resting == []

        # What appears while the switch is latched is cancelled on sight, and looked for in the same way.
        world.place(1)
        await world.passed(2)
        assert world.resting == []
        assert world.daemon is not None
        assert world.daemon.status(False)["kill"]["venues"][world.venue]["state"] == "flat"
        assert [session.lives for session in world.desk.sessions] == [1, 1], "no session was given up for it"
        world.reconnect()


async def test_a_list_that_a_session_cannot_give_is_no_proof(autojump_clock: trio.testing.MockClock) -> None:
    """The subscription is never confirmed again: the venue is not called flat although the orders are gone."""
    async with stage() as world:
        strategy = world.strategy()
        await world.place_seen(5)
        world.cut_off(REST_HOST)
        await world.passed(1)
        world.inject("stall_subscribe")

        reply = await strategy.do("kill", reason="a bad day", deadline_ms=3000)

        assert world.resting == []
        assert reply["venues"]["spot"]["state"] != "flat"
        await world.passed(6)
        assert max(session.lives for session in world.desk.sessions) == 1
        assert len(world.pursuits.live) < 2, "a session without its order stream is given up"
        world.clear()
        world.reconnect()
        await world.passed(30)
        assert world.daemon is not None
        assert world.daemon.status(False)["kill"]["venues"]["spot"]["state"] == "flat"
