"""A way to the venue: its number within the engine, and its name in an outcome."""

from typing import Final, TypeAlias

from ..contract.outcomes import Route

Lane: TypeAlias = int
"""A way to the venue: 0, 1, … are its WebSocket sessions, REST is the REST lane."""

REST: Final[Lane] = -1

FEED: Final[Lane] = -2
"""The lane of a stream that tells of orders and takes no cancels: nothing is ever sent on it."""


def route_of(lane: Lane) -> Route:
    """How a lane is called in an outcome."""
    return "rest" if lane == REST else "ws"
