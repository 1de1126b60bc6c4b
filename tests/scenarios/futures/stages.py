"""Futures alone, by its classic way: cancels over REST, the feed as their witness."""

from functools import partial
from typing import Any, Final

from ..world import Stage, settings_for
from ..world import stage as any_stage

stage: Final = partial(any_stage, settings=settings_for("futures"))


def rest_state(world: Stage) -> dict[str, Any]:
    """The REST lane as `status` shows it."""
    assert world.desk.rest is not None
    return world.desk.rest.status()
