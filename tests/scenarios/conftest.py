"""Spot's two WebSocket protocols: a story that takes its stage from here is told once over each."""

from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any, Protocol

import pytest

from . import world


class Staging(Protocol):
    """What `world.stage` is, with the protocol chosen."""

    def __call__(self, *args: Any, **kwargs: Any) -> AbstractAsyncContextManager[world.Stage]: ...


@pytest.fixture(params=["v1", "v2"])
def stage(request: pytest.FixtureRequest) -> Staging:
    return partial(world.stage, protocol=request.param)
