"""What people and programs are told in the end, and the exit status."""

from typing import Any

import pytest

from canceld.contract.ids import Venue
from canceld.panic.report import Report
from canceld.panic.verdict import exit_status_of, print_table, venue_of


def report(state: Any, *residual: str, why: str | None = None) -> Report:
    made = Report()
    made.state, made.residual, made.why, made.took_s = state, residual, why, 0.25
    return made


@pytest.mark.parametrize(
    ("states", "status"),
    [
        (("flat", "flat"), 0),
        (("flat", "residual"), 1),
        (("flat", "unreachable"), 3),
        (("residual", "unreachable"), 1),
    ],
)
def test_the_exit_status_is_0_only_when_everything_is_flat(states: tuple[str, str], status: int) -> None:
    reports: dict[Venue, Report] = {"spot": report(states[0]), "futures": report(states[1])}
    assert exit_status_of(reports) == status


def test_the_table_names_what_rests_and_what_was_tried(capsys: pytest.CaptureFixture[str]) -> None:
    spot, prime = report("residual", "O-1", "O-2", why="EService:Busy\x1b[2J"), report("unreachable")
    spot.canceled = 7
    spot.note("REST CancelAll")
    spot.note("REST CancelAll")
    prime.took_s = None
    print_table(
        {
            "latched": True,
            "latch_error": None,
            "venues": {"spot": venue_of(spot), "prime": venue_of(prime)},
            "remarks": ["look here"],
        }
    )
    assert capsys.readouterr().out.splitlines() == [
        "kill switch latched",
        "venue  state        canceled  residual  took",
        "spot   residual     7         2         250 ms",
        "prime  unreachable  0         ?",
        "spot still rests: O-1",
        "spot still rests: O-2",
        "spot residual: EService:Busy\\x1b[2J; tried: REST CancelAll x2",
        "prime unreachable: out of time; tried: nothing",
        "note: look here",
    ]
