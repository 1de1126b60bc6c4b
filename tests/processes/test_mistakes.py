"""The planted mistakes of the hand's side have their places; a release hunts all, and each commit a quick one."""

from collections.abc import Callable

import pytest

from tests.processes.mistakes import HOUSE, MISTAKES, Mistake, hunt, planted

QUICK = "signals are taken once the imports are done"


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_each_mistake_has_its_place_in_the_source(mistake: Mistake) -> None:
    source = (HOUSE / "daemon" / mistake.file).read_text()
    compile(planted(mistake, source), mistake.file, "exec")


def test_a_mistake_is_found(tell: Callable[[str], None]) -> None:
    [mistake] = [one for one in MISTAKES if one.name == QUICK]
    found = hunt(mistake)
    tell(f"{mistake.name}: {found or 'NOT FOUND'}")
    assert found is not None
