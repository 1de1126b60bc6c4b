"""Reply maps to results: what is said, what is left out, and what is not taken for an answer."""

from typing import Any

import pytest

from canceld.client.results import (
    Asked,
    CommandRefused,
    read_all,
    read_batch,
    read_cancel,
    read_killed,
    read_lease,
    read_pong,
    read_rearm,
    read_status,
)
from canceld.contract.frames import UnreadableReply
from canceld.contract.ids import Target
from canceld.contract.outcomes import Acked, Closed, Unknown

ASKED = Asked("c", "spot", Target("order_id", "A-B"), repeated=False)


def test_members_that_are_absent_are_none() -> None:
    result = read_cancel(ASKED, {"type": "outcome", "outcome": "acked"})
    assert (result.route, result.attempts, result.error, result.order_id) == ("none", 0, None, None)
    assert (result.received_ns, result.sent_ns, result.answered_ns) == (None, None, None)


def test_how_an_order_ended_is_told() -> None:
    result = read_cancel(ASKED, {"type": "outcome", "outcome": "closed", "state": "filled", "filled_qty": "2"})
    assert result.outcome == Closed("filled", "2")
    assert (result.name, result.gone) == ("closed", True)


def test_what_went_is_told() -> None:
    told = {"count": 3, "order_ids": ["A", "B"], "more": 1, "pending": True, "received_time": "2026-11-03T09:20:00Z"}
    result = read_cancel(ASKED, {"type": "outcome", "outcome": "acked", **told})
    assert (result.count, result.order_ids, result.more) == (3, ("A", "B"), 1)
    assert (result.pending, result.received_time) == (True, "2026-11-03T09:20:00Z")


@pytest.mark.parametrize(
    "reply",
    [
        {"type": "outcome", "outcome": "unknown", "tried": 1},
        {"type": "outcome", "outcome": "unknown", "tried": None},
        {"type": "outcome", "outcome": "rejected"},
        {"type": "outcome"},
    ],
)
def test_half_an_outcome_is_no_answer(reply: dict[str, Any]) -> None:
    with pytest.raises(UnreadableReply):
        read_cancel(ASKED, reply)


@pytest.mark.parametrize(
    "outcomes", [None, {}, [], [{"outcome": "acked"}] * 2, ["acked"], [{"outcome": "?"}]], ids=repr
)
def test_a_batch_is_answered_whole_or_not_at_all(outcomes: Any) -> None:
    with pytest.raises(UnreadableReply):
        read_batch([ASKED], {"type": "batch", "outcomes": outcomes})


def test_a_replayed_batch_marks_each_of_its_outcomes() -> None:
    results = read_batch([ASKED], {"type": "batch", "outcomes": [{"outcome": "acked"}], "replayed": True})
    assert [(result.outcome, result.replayed) for result in results] == [(Acked(), True)]


def test_a_venue_that_cannot_be_read_hides_no_other() -> None:
    venues = {"spot": {"outcome": "acked", "count": 1}, "prime": {"outcome": "unknown", "tried": 7, "residual": ["P"]}}
    result = read_all("c", {"type": "all", "venues": venues})
    assert result.venues["spot"].outcome == Acked()
    assert (result.venues["prime"].outcome, result.venues["prime"].residual) == (Unknown(()), ("P",))


@pytest.mark.parametrize(("told", "ignored"), [(["id: none"], ("id: none",)), ([7], ("7",)), ("id", ()), (None, ())])
def test_what_a_kill_ignored_is_read_and_stops_no_reading(told: Any, ignored: tuple[str, ...]) -> None:
    result = read_killed("k", {"type": "killed", "latched": True, "venues": {}, "ignored": told})
    assert (result.latched, result.ignored) == (True, ignored)


def test_a_kill_that_does_not_say_latched_is_not_latched_and_a_venue_without_a_state_not_reached() -> None:
    result = read_killed("k", {"type": "killed", "latched": "yes", "venues": {"spot": {}}})
    assert not result.latched
    assert result.venues["spot"].state == "unreachable"


def test_only_a_plain_no_re_arms() -> None:
    assert read_rearm("r", {"type": "rearm", "latched": False}).latched is False
    for latched in (None, 0, "false", True):
        assert read_rearm("r", {"type": "rearm", "latched": latched}).latched is True


@pytest.mark.parametrize(
    ("read", "reply"),
    [
        (read_all, {"type": "killed", "venues": {}}),
        (read_all, {"type": "all"}),
        (read_all, {"type": "all", "venues": {"spot": 1}}),
        (read_all, {"type": "all", "venues": {"spot": {"outcome": "acked", "residual": "A-B"}}}),
        (read_killed, {"type": "killed", "latched": True}),
        (read_killed, {"type": "all", "latched": True, "venues": {}}),
        (read_killed, {"type": "killed", "latched": True, "venues": {"spot": {"state": "residual", "residual": 1}}}),
        (read_rearm, {"type": "killed", "latched": False}),
        (read_rearm, {"type": "rearm", "latched": True, "residual": {"spot": 1}}),
        (read_rearm, {"type": "rearm", "latched": True, "residual": ["A"]}),
        (read_lease, {"type": "lease", "strategy": "mm"}),
    ],
)
def test_a_reply_that_is_not_the_one_asked_for_is_no_answer(read: Any, reply: dict[str, Any]) -> None:
    with pytest.raises(UnreadableReply):
        read("id", reply)


def test_status_and_pong_are_checked_too() -> None:
    with pytest.raises(UnreadableReply):
        read_status({"type": "pong"})
    with pytest.raises(UnreadableReply):
        read_pong({"type": "pong", "monotonic_ns": "now"})


@pytest.mark.parametrize("read", [read_all, read_killed, read_rearm, read_lease])
def test_a_refusal_is_raised_with_its_words(read: Any) -> None:
    reply = {"type": "refused", "outcome": "refused", "reason": "invalid", "detail": "type: control socket only"}
    with pytest.raises(CommandRefused, match="control socket only") as caught:
        read("id", reply)
    assert caught.value.reply == reply
