"""Spot's two WebSocket protocols: a story that takes its stage from here is told once over each."""

from functools import partial

import pytest

from . import world


@pytest.fixture(params=["v1", "v2"])
def stage(request: pytest.FixtureRequest) -> world.Staging:
    """`world.stage` with the protocol chosen."""
    return partial(world.stage, protocol=request.param)
