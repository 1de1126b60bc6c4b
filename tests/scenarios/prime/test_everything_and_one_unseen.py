"""An order rests at Prime, and its event was lost on the way. Then everything is to be canceled.

Prime has no request for that: what is cancelled is what is known to rest. So beside those cancels the daemon looks for
itself at all that is open, and before it has seen that list it calls nothing acked. The order that nobody had told of
is in the list, and goes the way of the others.
"""

import pytest
import trio

from ..world import settings_for, stage


@pytest.mark.parametrize("until", ["ack", "proof"])
@pytest.mark.parametrize("known", [0, 3])
async def test_an_order_that_the_stream_did_not_tell_of_is_canceled_too(
    until: str, known: int, autojump_clock: trio.testing.MockClock
) -> None:
    async with stage(settings=settings_for("prime")) as world:
        strategy = world.strategy()
        await world.place_seen(known)
        world.inject("drop_event")
        world.place(1)
        await world.passed(0.1)
        world.clear("drop_event")
        assert len(world.pursuits.resting) == known

        reply = await strategy.do("cancel_all", venue="prime", until=until, deadline_ms=5000)

        told = reply["venues"]["prime"]
        assert told["outcome"] in ("acked", "canceled")
        assert told["count"] == known + 1
        await world.passed(0.5)
        assert world.resting == []
