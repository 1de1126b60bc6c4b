"""The daemon is started while something is wrong already: nothing changes, so no change can tell of it.

The operator has pressed start and looks away. Within ten seconds an alert says at which venue nothing can be cancelled
by which way, why, and what to mend; and it is gone once that is mended. A stop on purpose is nothing to act on.
"""

from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

import pytest

from .world import REST_HOST, SEEDS, WS_HOST, Stage


class Staging(Protocol):
    def __call__(self, *args: Any, **kwargs: Any) -> AbstractAsyncContextManager[Stage]: ...


PROMISED_S = 10.0
NO_SESSION = "spot has no live WebSocket session"


def standing(world: Stage) -> dict[str, str]:
    """The alerts of `status`: what, and what to do."""
    return {alert["what"]: alert["do"] for alert in world.daemon.events.alerts}


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_key_that_may_not_have_a_token(autojump_clock: object, stage: Staging, seed: int) -> None:
    def forbid(world: Stage) -> None:
        world.inject(
            "rest_error", route="spot_rest", match="GetWebSocketsToken", error="EGeneral:Permission denied", for_s=60.0
        )

    async with stage(seed, up=False, before=forbid) as world:
        await world.passed(PROMISED_S)
        do = standing(world)[NO_SESSION]
        assert "cancels go by REST alone" in do
        assert "Permission denied" in do
        assert "give the key the rights" in do
        world.clear()
        await world.passed(60.0)
        assert NO_SESSION not in standing(world)


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_venue_that_cannot_be_reached_at_all(autojump_clock: object, stage: Staging, seed: int) -> None:
    async with stage(seed, up=False, before=lambda world: world.cut_off(WS_HOST, REST_HOST)) as world:
        await world.passed(PROMISED_S)
        do = standing(world)[NO_SESSION]
        assert "REST cannot be reached either, so that no cancel can leave" in do
        assert "REST alone" not in do
        assert "spot REST has not come up" in standing(world)
        world.reconnect()
        await world.passed(60.0)


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_good_start_and_a_stop_on_purpose_raise_nothing(
    autojump_clock: object, stage: Staging, seed: int
) -> None:
    async with stage(seed) as world:
        alerts = world.listen("alert")
        await world.passed(PROMISED_S)
        assert standing(world) == {}
    assert [alert["what"] for alert in alerts.events] == []
    assert standing(world) == {}
