"""A story that takes its stage from here is told at Prime."""

from functools import partial

import pytest

from .. import world


@pytest.fixture
def stage() -> world.Staging:
    """`world.stage` with Prime as the one venue."""
    return partial(world.stage, settings=world.settings_for("prime"))
