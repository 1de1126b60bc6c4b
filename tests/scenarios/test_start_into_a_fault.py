"""The daemon is started while something is wrong already: nothing changes, so no change can tell of it.

The operator has pressed start and looks away. Within ten seconds an alert says at which venue nothing can be cancelled
by which way, why, and what to mend; and it is gone once that is mended. A stop on purpose is nothing to act on.
"""

from contextlib import AbstractAsyncContextManager
from itertools import pairwise
from typing import Any, Protocol

import pytest

from canceld.tasks.rest_exchange import TRIES

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
async def test_nonces_that_are_refused_whatever_they_are(autojump_clock: object, stage: Staging, seed: int) -> None:
    """Another program has used the key on a finer scale, so that no jump reaches it. The daemon has had no nonce taken,
    so each call jumps for as often as one is tried; calls come ever further apart, since refused nonces bring a key
    nearer to a lockout."""

    def refuse(world: Stage) -> None:
        world.inject("rest_error", route="spot_rest", error="EAPI:Invalid nonce", for_s=60.0)

    async with stage(seed, up=False, before=refuse) as world:
        refused = [len(world.frames("GetWebSocketsToken"))]
        for _ in range(4):
            await world.passed(PROMISED_S / 2)
            refused.append(len(world.frames("GetWebSocketsToken")))
        assert "Invalid nonce" in standing(world)[NO_SESSION]
        assert "spot: another program uses this key: our nonces are overtaken" in standing(world)
        # Each session asks at the start, and then after 1, 2, 4, 8 s.
        assert TRIES <= refused[1] <= 4 * TRIES
        assert [later - before for before, later in pairwise(refused[1:])] == [TRIES, 0, TRIES]
        world.clear()
        await world.passed(60.0)
        assert NO_SESSION not in standing(world)


@pytest.mark.parametrize("seed", SEEDS)
async def test_sockets_that_are_unavailable_while_rest_is_well(
    autojump_clock: object, stage: Staging, seed: int
) -> None:
    """Each upgrade ends with 503: cancels go by REST, and the operator reads it."""

    def close(world: Stage) -> None:
        world.inject("refuse_upgrade", route="spot_ws", status=503, for_s=60.0)

    async with stage(seed, up=False, before=close) as world:
        await world.passed(PROMISED_S)
        do = standing(world)[NO_SESSION]
        assert "cancels go by REST alone" in do
        assert "503" in do
        [order_id] = world.place(1)
        reply = await world.strategy().cancel(order_id=order_id)
        assert (reply["outcome"], reply["route"]) == ("acked", "rest")
        assert world.resting == []
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
        assert "spot REST is not up" in standing(world)
        world.reconnect()
        await world.passed(60.0)
        assert standing(world) == {}


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
