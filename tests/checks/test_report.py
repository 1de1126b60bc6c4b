"""Every check of a route has its line, whatever happened."""

import pytest

from canceld.checks.findings import Verdict
from canceld.checks.report import Report

OK = Verdict("ok", "well")
LOST = Verdict("fail", "lost")


def test_checks_that_were_not_come_to_are_told_as_such() -> None:
    report = Report("spot", ("one", "two", "three"))
    report.tell("one", OK)
    report.end(LOST)
    report.close()
    assert [(one.check, one.level) for one in report.findings] == [("one", "ok"), ("two", "fail"), ("three", "skip")]


def test_end_after_everything_was_told_adds_nothing() -> None:
    report = Report("spot", ("one",))
    report.tell("one", OK)
    report.end(LOST)
    report.close()
    assert [one.level for one in report.findings] == ["ok"]


def test_check_of_another_route_is_a_mistake() -> None:
    with pytest.raises(AssertionError):
        Report("spot", ("one",)).tell("two", OK)
