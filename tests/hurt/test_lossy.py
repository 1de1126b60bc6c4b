"""Twenty seconds of the ten minutes that `python -m tests.hurt` takes."""

from collections.abc import Callable

import pytest

from tests.hurt.lossy import run


@pytest.mark.timeout(120)
def test_over_a_lossy_line_nobody_is_told_anything_wrong(tell: Callable[[str], None]) -> None:
    figures = run(20.0, 0.5, 7)
    for line in figures.lines():
        tell(line)
    assert figures.good, list(figures.lines())
    assert figures.cancels > 50
    assert figures.faults.total() > 15
