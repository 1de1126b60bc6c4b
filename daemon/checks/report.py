"""Where the checks of one route write down what they came to, so that each has its line whatever happened."""

from collections.abc import Sequence

from ..contract.ids import Venue
from .findings import Finding, Verdict


class Report:
    """What is found on one route."""

    def __init__(self, venue: Venue, checks: Sequence[str]) -> None:
        self.findings: list[Finding] = []
        self._venue: Venue = venue
        self._checks = checks

    def tell(self, check: str, *verdicts: Verdict) -> None:
        """What a check came to; a line for each verdict."""
        assert check in self._checks, f"this route has no check {check!r}"
        self.findings += [Finding(self._venue, check, *verdict) for verdict in verdicts]

    def end(self, verdict: Verdict) -> None:
        """What was being checked, the first that has no line yet, came to nothing."""
        for check in self._untold()[:1]:
            self.tell(check, verdict)

    def close(self) -> None:
        """A line for every check that was not come to."""
        for check in self._untold():
            self.tell(check, Verdict("skip", "not tried, because of what failed before"))

    def _untold(self) -> list[str]:
        told = {finding.check for finding in self.findings}
        return [check for check in self._checks if check not in told]
