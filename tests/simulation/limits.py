"""The daemon's limits, drawn anew for each seed: fairness, budgets and gates meet each other at 3 and not only at
10,000, where nobody gets to.

What is drawn is how much of something there may be, never how long something takes, and never a figure of the contract
that clients count on (ids that are remembered, replies that are kept).
"""

import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from typing import Final
from unittest.mock import patch

DRAWN: Final[dict[str, tuple[int, ...]]] = {
    "canceld.tasks.admission.IN_FLIGHT_LIMIT": (3, 20, 200),
    "canceld.tasks.gateway.DRAIN_LIMIT": (1, 3),
    "canceld.tasks.gateway.LOOK_AHEAD": (1, 8),
    "canceld.tasks.gateway.BACKLOG_LIMIT": (4, 40),
    "canceld.tasks.journal.SLICE": (1, 16),
    "canceld.tasks.fair_use.PEERS_LIMIT": (1, 4),
    "canceld.engine.pursuits.questions.LOOK_LIMIT": (1, 3),
    "canceld.engine.pursuits.sessions.EVENT_LIMIT": (64, 512),
    "canceld.engine.pursuits.sessions.FIRED_LIMIT": (2, 8),
    "canceld.engine.pursuits.families.WALK_BURST": (2, 10),
    "canceld.engine.sweep_orders.SINGLES_LIMIT": (3, 10),
    "canceld.engine.sweep_orders.KNOWN_LIMIT": (3, 30),
    "canceld.engine.sweep.SHOWN_LIMIT": (2, 10),
    "canceld.desks.RESTING_LIMIT": (64, 512),
    "canceld.venues.pieces.PIECE": (1, 3),
    "canceld.venues.pieces.PIECE_CHARS": (100, 1000),
    "canceld.venues.pieces.LONG_CHARS": (200, 2000),
    "canceld.tasks.conversation.LONG_CHARS": (200, 2000),
    "canceld.tasks.hand.LET_GO": (1, 5),
}
"""Where each limit is read, and what it may be instead."""

SHARE: Final = 0.5
"""How many of the limits a seed that draws any has changed."""


def drawn(seed: int) -> dict[str, int]:
    """The limits that are other ones in this seed; none in every third one, which runs as the daemon is shipped."""
    rng = random.Random(f"limits {seed}")
    if seed % 3 == 0:
        return {}
    return {place: rng.choice(values) for place, values in DRAWN.items() if rng.random() < SHARE}


@contextmanager
def within(limits: dict[str, int]) -> Iterator[None]:
    """Run with these limits in place of the daemon's own."""
    with ExitStack() as patches:
        for place, limit in limits.items():
            module, _, name = place.rpartition(".")
            assert isinstance(getattr(import_module(module), name), int), f"{place} is no limit"
            patches.enter_context(patch.object(import_module(module), name, limit))
        yield
