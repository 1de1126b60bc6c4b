"""This machine's clock goes wrong: somebody sets it, or nothing keeps it, and nobody notices until a venue refuses.

No deadline looks at that clock, so cancels go on as before. But Prime has us sign the time for every new connection,
and how far off it may be is nowhere written. Every answer of a venue is dated anyway; from those dates, whatever their
delay, the daemon knows by how much its own clock is wrong at least: above a second it says so once, and above five the
status shows that Prime may turn the next connection away.
"""

from email.utils import formatdate
from typing import Any

import pytest
import trio

from canceld.transport.clock import NS_PER_S, VIRTUAL_UTC_START_NS

from .world import SETTINGS, Stage, Staging, settings_for

START_S = VIRTUAL_UTC_START_NS // NS_PER_S


class Edge:
    """What stands before a venue and dates its answers, by a clock that is right."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    async def send_all(self, told: bytes) -> None:
        if bytes(told[:9]) == b"HTTP/1.1 ":
            date = formatdate(START_S + trio.current_time(), usegmt=True).encode()
            told = bytes(told).replace(b"\r\n", b"\r\nDate: " + date + b"\r\n", 1)
        await self._stream.send_all(told)


def dated(world: Stage) -> None:
    """Put an edge before every venue."""
    serve = world.exchange.serve_stream

    async def serve_behind_edge(stream: Any) -> None:
        await serve(Edge(stream))

    world.exchange.serve_stream = serve_behind_edge  # type: ignore[method-assign]


async def status(world: Stage) -> dict[str, Any]:
    return await world.strategy().do("status")


async def test_it_is_told_once_and_cancels_go_on(autojump_clock: object, stage: Staging) -> None:
    async with stage(before=dated) as world:
        strategy, alerts = world.strategy(), world.listen("alert")
        await world.passed(60.0)
        assert (await status(world))["clock"] == {"ahead_s": 0.0}
        world.clock.step_utc(3 * NS_PER_S)
        await world.passed(60.0)
        [alert] = alerts.events
        assert (alert["severity"], alert["what"]) == ("warning", "this machine's clock is off by more than a second")
        assert 1.9 <= (await status(world))["clock"]["ahead_s"] <= 3.0
        [order_id] = await world.place_seen(1)
        assert (await strategy.cancel(order_id=order_id, until="proof"))["outcome"] == "canceled"
        world.clock.step_utc(-3 * NS_PER_S)
        await world.passed(2.0)
        told = await status(world)
        assert (told["clock"], told["alerts"]) == ({"ahead_s": 0.0}, [])


@pytest.mark.parametrize("step_s", [-8, 8])
async def test_prime_signing_is_shown_as_degraded_before_prime_turns_us_away(
    autojump_clock: object, stage: Staging, step_s: int
) -> None:
    """With Prime alone there is no other request than those that open its connections."""
    async with stage(settings=settings_for("prime"), before=dated) as world:
        assert (await status(world))["venues"]["prime"]["signing"] == "good"
        alerts = world.listen("alert")
        world.clock.step_utc(step_s * NS_PER_S)
        await world.passed(5.0)
        told = await status(world)
        assert told["venues"]["prime"]["signing"] == "degraded"
        assert told["venues"]["prime"]["state"] == "up"
        assert [event["severity"] for event in alerts.events] == ["warning", "critical"]
        assert ("ahead of" if step_s > 0 else "behind") in alerts.events[1]["do"]
        world.clock.step_utc(-step_s * NS_PER_S)
        await world.passed(2.0)
        told = await status(world)
        assert (told["venues"]["prime"]["signing"], told["alerts"]) == ("good", [])


async def test_a_slow_venue_is_not_taken_for_a_wrong_clock(autojump_clock: object, stage: Staging) -> None:
    async with stage(settings=SETTINGS, before=dated) as world:
        alerts = world.listen("alert")
        world.inject("rest_delay", seconds=2.0)
        await world.passed(120.0)
        assert not [event for event in alerts.events if "clock" in event["what"]]
        assert (await status(world))["clock"] == {"ahead_s": 0.0}
