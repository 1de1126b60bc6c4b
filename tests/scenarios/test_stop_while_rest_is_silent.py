"""The daemon is stopped while REST answers nothing, and calls wait there for their turn.

Each of them has a connection in hand already. They are closed with the others: nothing is left open behind the process.
"""

import pytest

from canceld.transport.signals import Signal

from .world import REST_HOST, Staging


@pytest.mark.parametrize("passed_s", [0.01, 0.3, 0.5])
async def test_no_connection_is_left_open(autojump_clock: object, stage: Staging, passed_s: float) -> None:
    async with stage() as world:
        await world.place_seen(3)
        world.inject("rest_delay", seconds=2.0)
        # Each session needs a token now.
        world.inject("invalid_session")
        world.inject("reset_sockets")
        await world.passed(passed_s)
        world.signals.raise_now(Signal.TERMINATE)
        await world.ended.wait()
        await world.passed(2.0)
        assert world.connections_to(REST_HOST) == 0
