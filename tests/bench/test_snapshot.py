"""No list of open orders makes the daemon's loop stand, counted instead of timed: the bench with a short list."""

from collections.abc import Callable
from typing import Final

import pytest

from canceld.venues import pieces

from .snapshot import PLANS, ways

COUNT: Final = 1_500
"""Orders: long enough for every way to read them in pieces."""

CALLS_LIMIT: Final = 20_000
"""Calls in one step, however many orders there are. A piece takes up to 9,000, and 16,000 with what the first list of a
process has made for it, once; all of these orders at once take more than 60,000."""


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.comes_up.partition(":")[0])
def test_no_step_takes_in_more_than_a_piece(plan: object, tell: Callable[[str], None]) -> None:
    for way in ways(COUNT, calls=True, plans=(plan,)):  # type: ignore[arg-type]
        told = f"{way.name}: {way.longest.cost:,} of {way.total:,} calls in the longest step ({way.longest.task})"
        tell(told)
        assert way.longest.cost <= CALLS_LIMIT, told


def test_a_list_in_one_piece_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    for limit in ("PIECE", "PIECE_CHARS"):
        monkeypatch.setattr(pieces, limit, 1 << 30)
    assert max(way.longest.cost for way in ways(COUNT, calls=True, plans=PLANS[:1])) > 3 * CALLS_LIMIT
