"""Figures that tests measure, in one section at the end of the run: what a worker process prints nobody would see."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

FIGURE = "figure"

# How fast examples are made tells of the machine and its other guests, nothing of what is tested.
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")


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
