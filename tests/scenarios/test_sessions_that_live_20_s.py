"""A line, or a venue, that ends every connection 20 s after it took it.

Each dial is taken, so nobody gains from a daemon that stays away after the tenth drop. What bounds it is the venue's
count of dials from one address: it is kept, and within it a strategy finds a session nearly always, at one venue as at
three.
"""

from typing import Final

import pytest

from canceld.contract.ids import VENUES, Venue

from .world import FEED_HOST, PRIME_HOST, WS_HOST, Stage, settings_for, stage

LIVES_S: Final = 20.0
STORY_S: Final = 1800.0
LOOK_S: Final = 0.1
SHARE: Final = 0.02
LIMIT: Final = 120
WINDOW_S: Final = 600.0
SOCKETS: Final = frozenset({WS_HOST, PRIME_HOST, FEED_HOST})


async def shares_without(world: Stage, venues: tuple[Venue, ...], for_s: float) -> dict[Venue, float]:
    """Of so much time, the part in which no session of a venue took cancels."""
    looks, without = 0, dict.fromkeys(venues, 0)
    while looks * LOOK_S < for_s:
        await world.passed(LOOK_S)
        looks += 1
        for venue in venues:
            without[venue] += not world.desk_of(venue).dispatcher.live
    return {venue: count / looks for venue, count in without.items()}


def most_dials_in_a_window(world: Stage) -> int:
    dials = [dial.at_s for dial in world.dials if dial.host in SOCKETS]
    return max(sum(start <= at_s < start + WINDOW_S for at_s in dials) for start in dials)


def shorten(world: Stage) -> None:
    world.line_lives_s = LIVES_S


@pytest.mark.parametrize("enabled", [("spot",), ("prime",), VENUES])
async def test_there_is_nearly_always_a_session(autojump_clock: object, enabled: tuple[Venue, ...]) -> None:
    async with stage(1, settings_for(*enabled), before=shorten) as world:
        with_sessions = tuple(venue for venue in enabled if venue != "futures")
        shares = await shares_without(world, with_sessions, STORY_S)
        assert max(shares.values()) <= SHARE, shares
        assert most_dials_in_a_window(world) <= LIMIT
