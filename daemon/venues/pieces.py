"""A long list of open orders, read piece by piece, so that nothing else waits for all of it.

An account may have 50,000 orders open, and a venue tells of them in one message of tens of megabytes. Finding where
each of them begins takes a moment; reading them is spread.
"""

from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

import msgspec

from ..contract.evidence import Evidence, Orders, OrderState, Unreadable

PIECE: Final = 250
"""Orders in one piece: read and taken in within 10 ms on a slow machine."""

LONG_CHARS: Final = 256 * 1024
"""A message shorter than this is read at once: it holds no more than about a thousand orders."""

Read: TypeAlias = Callable[[list[msgspec.Raw]], list[OrderState] | Unreadable]


def in_pieces(rows: list[msgspec.Raw], read: Read, sequence: int | None) -> Iterator[Evidence]:
    """The orders of a snapshot as changes of PIECE orders each, and at last the snapshot itself, of all of them.

    Where a row cannot be read the last is the Unreadable: an order that is missing would count as ended.
    """
    every: list[OrderState] = []
    for at in range(0, len(rows), PIECE):
        states = read(rows[at : at + PIECE])
        if isinstance(states, Unreadable):
            yield states
            return
        every += states
        yield Orders(tuple(states), snapshot=False)
    yield Orders(tuple(every), snapshot=True, sequence=sequence)
