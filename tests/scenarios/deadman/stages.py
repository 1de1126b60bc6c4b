"""What the stories of the dead man's timer share: worlds that keep one, and what the venue was asked of it."""

from typing import Any, Final

from msgspec.structs import replace

from canceld.settings import Deadman

from ..world import SETTINGS, Stage, Strategy, settings_for

TIMEOUT_S: Final = 60
REFRESH_S: Final = 15

SPOT: Final = replace(SETTINGS, deadman=Deadman(spot=True))
FUTURES: Final = replace(settings_for("futures"), deadman=Deadman(futures=True))
UNIFIED: Final = replace(settings_for("futures", uws=True), deadman=Deadman(futures=True))


def by_socket(world: Stage) -> list[int]:
    """The timeouts that Spot was asked for on its sockets, oldest first."""
    return [int(asked["timeout"]) for asked in world.frames("cancelAllOrdersAfter")]


def by_rest(world: Stage) -> list[int]:
    """The same for REST, of the story's venue."""
    name = "CancelAllOrdersAfter" if world.venue == "spot" else "cancelallordersafter"
    return [int(asked["timeout"]) for asked in world.frames(name)]


async def shown(strategy: Strategy) -> dict[str, Any]:
    """The timer of the story's venue as `status` shows it."""
    timers: dict[str, Any] = (await strategy.do("status"))["deadman"]
    told: dict[str, Any] = timers[strategy.venue]
    return told


async def alerts(strategy: Strategy, part: str) -> list[dict[str, Any]]:
    """The alerts in `status` whose text has this part."""
    return [alert for alert in (await strategy.do("status"))["alerts"] if part in alert["what"]]
