"""Futures with the Unified WebSocket: two sockets under Spot's tokens, classic REST behind them, two witnesses."""

from functools import partial
from typing import Final

from ..world import Stage, settings_for
from ..world import stage as any_stage

stage: Final = partial(any_stage, settings=settings_for("futures", uws=True))

CLASSIC: Final = ("cancelorder", "batchorder", "cancelallorders", "orders/status", "openorders", "instruments")


def retire_rest(world: Stage) -> None:
    """Classic REST is no more: whatever is asked of it, a redirect to a page for people answers."""
    world.inject("rest_redirect", route="futures_rest", location="https://www.kraken.com/", status=301)
