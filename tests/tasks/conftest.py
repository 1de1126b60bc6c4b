"""What the tests of several parts behind the front door are given."""

import pytest
import trio

from .door import Door


@pytest.fixture
async def door(nursery: trio.Nursery) -> Door:
    """A gateway that runs, with a client at each of its sockets."""
    return Door(nursery)
