"""The daemon crashes and is started again, each second and a half, for two and a half minutes.

The venue's edge counts the dials of an address, not of a process: whoever forgets them at each start is banned after a
minute, and then has no session for ten. So the times of the last dials outlive the process. What waits for them are
its sockets; a kill goes by REST at once, in whichever life it is pulled.
"""

from typing import Final

import pytest

from canceld.tasks.rest_exchange import TRIES

from ..world import CONTROL, SEEDS, WS_HOST, settings_for, stage

CRASHES: Final = 95
LIFE_S: Final = 1.5
LIMIT: Final = 120
WINDOW_S: Final = 600.0


@pytest.mark.parametrize("seed", SEEDS)
async def test_the_sockets_wait_and_the_kill_does_not(autojump_clock: object, seed: int) -> None:
    async with stage(seed, settings_for("spot")) as world:
        for _ in range(CRASHES):
            await world.die()
            world.begin()
            await world.passed(LIFE_S)
        dials = world.dials_to(WS_HOST)
        assert len(dials) > LIMIT / 2
        assert max(sum(start <= at_s < start + WINDOW_S for at_s in dials) for start in dials) <= LIMIT
        await world.ready.wait()
        world.place(5)
        operator = world.strategy(endpoint=CONTROL)
        began_s = world.now_s
        reply = await operator.do("kill", reason="it crashes", deadline_ms=10_000)
        assert reply["venues"]["spot"]["state"] == "flat"
        assert world.resting == []
        assert world.now_s - began_s < 2.0


@pytest.mark.parametrize("seed", SEEDS)
async def test_tokens_and_refused_nonces_are_remembered_too(autojump_clock: object, seed: int) -> None:
    """A key that may have no token is asked with no oftener by ten processes than by one."""
    async with stage(seed, settings_for("spot")) as world:
        for error, most in (("EGeneral:Permission denied", 7), ("EAPI:Invalid nonce", 7 * TRIES)):
            world.clear()
            world.inject("rest_error", route="spot_rest", match="GetWebSocketsToken", error=error)
            before = len(world.received("GetWebSocketsToken"))
            for _ in range(10):
                await world.die()
                world.begin()
                await world.passed(LIFE_S)
            assert 2 <= len(world.received("GetWebSocketsToken")) - before <= most
            world.clear()
            await world.passed(31.0)
            await world.live()
            await world.passed(61.0)
