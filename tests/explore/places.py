"""The venues as they are explored. Nothing of the daemon is imported here: mistakes are planted before it is."""

from typing import Final, Literal, TypeAlias

Place: TypeAlias = Literal["spot", "prime", "futures", "unified"]
"""Futures twice: with REST and its feed alone, and with the Unified WebSocket beside them."""

PLACES: Final[tuple[Place, ...]] = ("spot", "prime", "futures", "unified")
