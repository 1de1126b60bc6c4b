"""Who may renew a shared timer: for how long, and by whose newest word."""

from canceld.engine.instants import MS
from canceld.engine.timer_right import RightToRenew

START_NS = 1000 * 10**9


def test_a_timer_that_is_not_shared_is_ours_and_no_agent_says_otherwise() -> None:
    right = RightToRenew(shared=False)
    refused = right.grant(7, 0, START_NS)
    assert refused is not None
    assert "deadman.owner" in refused
    assert right.at(START_NS) == "ours"


def test_a_shared_timer_is_anothers_until_an_agent_hands_it_over_and_again_when_that_runs_out() -> None:
    right = RightToRenew(shared=True)
    assert right.at(START_NS) == "another's"
    assert right.grant(3, 12_000 * MS, START_NS) is None
    assert [right.at(START_NS + ms * MS) for ms in (0, 11_999, 12_000)] == ["ours", "ours", "another's"]


def test_what_an_older_claim_said_comes_too_late() -> None:
    right = RightToRenew(shared=True)
    assert right.grant(4, 0, START_NS) is None
    refused = right.grant(3, 12_000 * MS, START_NS)
    assert refused is not None
    assert "3 is older than 4" in refused
    assert right.at(START_NS) == "another's"


def test_where_nobody_is_known_to_keep_it_it_has_to_be_off() -> None:
    right = RightToRenew(shared=True)
    assert right.grant(3, 0, START_NS, off=True) is None
    assert right.at(START_NS) == "nobody's"
    assert right.grant(9, 12_000 * MS, START_NS) is None
    assert right.at(START_NS) == "ours"
