"""What concerns the whole run: its sequence, and the figures that tests measure, in one section at its end.

What a worker process prints nobody would see.
"""

from collections.abc import Callable
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, settings

FIGURE = "figure"

# How fast examples are made tells of the machine and its other guests, nothing of what is tested.
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")


LONGEST: Final = (
    "tests/simulation/test_run.py",
    "tests/explore/",
    "tests/simulation/test_mutants.py",
    "tests/processes/test_operators_page.py",
    "tests/processes/test_mistakes.py",
    "tests/fleet/",
    "tests/fuzz/",
    "tests/hostile/",
    "tests/hurt/",
    "tests/processes/",
    "tests/setup/",
)
"""Where most of the time goes, the longest first: begun last, one of these files would hold up the end of the run while
the other processors have nothing left to do."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first; the others stay in their sequence behind them."""

    def place(item: pytest.Item) -> int:
        return next((at for at, path in enumerate(LONGEST) if item.nodeid.startswith(path)), len(LONGEST))

    items.sort(key=place)


@pytest.fixture
def tell(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Show a line at the end of the run, whatever becomes of the test."""
    return lambda line: record_property(FIGURE, line)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    told = sorted(
        (report.nodeid, line)
        for outcome in ("passed", "failed")
        for report in terminalreporter.getreports(outcome)
        for name, line in report.user_properties
        if name == FIGURE
    )
    if told:
        terminalreporter.section("figures")
    file = ""
    for nodeid, line in told:
        if (before := file) != (file := nodeid.partition("::")[0]):
            terminalreporter.write_line(("\n" if before else "") + file)
        terminalreporter.write_line(f"  {line}")
