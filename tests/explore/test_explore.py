"""Every event alone, and some pairs of them, on each commit; `python -m tests.explore` plays all sequences of three."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from ..simulation.mutants import Mutant, hunt
from .daemon import Connection
from .kernel import by_hand
from .mistakes import MISTAKES
from .places import PLACES, Place
from .run import Run
from .search import play, sampled
from .states import digest

EVERY: Final[dict[Place, int]] = {"spot": 7, "prime": 3, "futures": 5, "unified": 12}
"""One of so many pairs: a few seconds for each venue."""

QUICK: Final = (
    "a refused key closes REST to a kill too",
    "a kill joins what is under way for an order, and waits with it",
)


@pytest.mark.parametrize("venue", PLACES)
def test_after_any_one_event_and_many_pairs_of_them_a_kill_keeps_its_promises(
    venue: Place, tell: Callable[[str], None]
) -> None:
    found = sampled(venue, EVERY[venue])
    tell(f"{venue}: {found.sequences:,} sequences of events, {sum(found.wrong.values())} wrong")
    assert not found.wrong, found.report()


@pytest.mark.parametrize("venue", PLACES)
def test_a_state_is_the_same_however_it_was_come_by_and_whenever(venue: Place) -> None:
    def state(*path: str) -> bytes:
        run: Run = play(venue, "idle", path)
        written = digest(run)
        run.end()
        return written

    with by_hand(Connection):
        assert state() == state()
        assert state("all sockets reset") == state("all sockets reset")
        assert state("a kill") != state()
        assert state("an order placed") != state()
        assert state("maintenance") != state("all sockets reset")


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_each_mistake_has_its_place_in_the_source(mistake: Mutant) -> None:
    spec = importlib.util.find_spec(mistake.module)
    assert spec is not None
    assert spec.origin is not None
    source = Path(spec.origin).read_text()
    assert source.count(mistake.right) == 1
    compile(source.replace(mistake.right, mistake.wrong), mistake.module, "exec")


@pytest.mark.parametrize("mistake", [one for one in MISTAKES if one.name in QUICK], ids=lambda mistake: mistake.name)
def test_a_mistake_is_found(mistake: Mutant, tell: Callable[[str], None]) -> None:
    found = hunt(mistake, "tests.explore")
    tell(f"{mistake.name}: {found or 'NOT FOUND'}")
    assert found is not None
