"""What `status --check` tells a program."""

from typing import Any

import pytest

from canceld.verbs.status import readiness


@pytest.mark.parametrize(
    ("state", "venues", "latched", "status"),
    [
        ("serving", ["up", "up"], False, 0),
        ("serving", ["up", "degraded"], False, 1),
        ("serving", ["up", "down"], False, 1),
        ("serving", ["up", "up"], True, 1),
        ("serving", ["down", "down"], False, 3),
        ("serving", [], False, 3),
        ("starting", ["up"], False, 3),
        ("draining", ["up"], False, 3),
        ("serving", ["of another version"], False, 3),
    ],
)
def test_readiness(state: str, venues: list[str], latched: bool, status: int) -> None:
    parts: dict[str, Any] = {f"venue-{number}": {"state": one} for number, one in enumerate(venues)}
    assert readiness({"state": state, "venues": parts, "kill": {"latched": latched}}) == status


def test_a_reply_that_says_nothing_is_not_ready() -> None:
    assert readiness({}) == 3
