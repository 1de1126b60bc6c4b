"""The same id again: who waits, who gets the stored reply, and when an id is free."""

import msgspec
import pytest

from canceld.contract.commands import Cancel
from canceld.engine import replays as room
from canceld.engine.replays import WINDOW_NS, Replays

CANCEL = Cancel(id=1, venue="spot", order_id="OAAAAA-BBBBB-CCCCCC")
KEY = (b"peer", 1)


@pytest.fixture
def replays() -> Replays[str]:
    replays: Replays[str] = Replays()
    replays.remember(KEY, "first", CANCEL, 0)
    return replays


def test_while_it_is_in_flight_its_waiter_is_known(replays: Replays[str]) -> None:
    known = replays.find(KEY, 1)
    assert known is not None
    assert (known.waiter, known.reply) == ("first", None)


def test_once_it_is_answered_its_reply_is_known(replays: Replays[str]) -> None:
    replays.settle(KEY, "first", b"reply")
    known = replays.find(KEY, 1)
    assert known is not None
    assert (known.waiter, known.reply) == (None, b"reply")


def test_a_refused_command_gives_its_id_back(replays: Replays[str]) -> None:
    replays.settle(KEY, "first", None)
    assert replays.find(KEY, 1) is None


def test_the_id_stands_for_the_command_whenever_that_was_sent(replays: Replays[str]) -> None:
    known = replays.find(KEY, 1)
    assert known is not None
    assert known.is_for(msgspec.structs.replace(CANCEL, sent_ns=5))
    assert not known.is_for(msgspec.structs.replace(CANCEL, until="proof"))


def test_ids_belong_to_peers(replays: Replays[str]) -> None:
    assert replays.find((b"other", 1), 1) is None


def test_an_id_is_free_when_its_time_is_over_though_nobody_has_swept_yet(replays: Replays[str]) -> None:
    assert replays.find(KEY, WINDOW_NS - 1) is not None
    assert replays.find(KEY, WINDOW_NS) is None


def test_what_is_too_old_is_forgotten_and_nothing_else(replays: Replays[str]) -> None:
    replays.remember((b"peer", 2), "second", CANCEL, 10)
    replays.forget_old(WINDOW_NS)
    assert len(replays) == 1
    assert replays.find((b"peer", 2), WINDOW_NS) is not None
    assert replays.forgotten == 0


def test_an_id_taken_anew_counts_from_then(replays: Replays[str]) -> None:
    """It moves behind younger ones: at the head it would keep those from being forgotten."""
    replays.remember((b"peer", 2), "second", CANCEL, 10)
    replays.remember(KEY, "anew", CANCEL, WINDOW_NS)
    replays.forget_old(WINDOW_NS + 10)
    assert len(replays) == 1
    assert replays.find(KEY, WINDOW_NS + 10) is not None


def test_the_answer_to_a_command_whose_id_was_taken_anew_is_not_stored(replays: Replays[str]) -> None:
    replays.remember(KEY, "anew", CANCEL, WINDOW_NS)
    replays.settle(KEY, "first", b"reply")
    known = replays.find(KEY, WINDOW_NS)
    assert known is not None
    assert (known.waiter, known.reply) == ("anew", None)


def test_past_the_limit_the_oldest_goes_and_is_counted(replays: Replays[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "REPLAY_LIMIT", 2)
    replays.remember((b"peer", 2), "second", CANCEL, 1)
    replays.remember((b"peer", 3), "third", CANCEL, 2)
    assert replays.find(KEY, 3) is None
    assert replays.forgotten == 1
    replays.settle(KEY, "first", b"reply")
    assert len(replays) == 2
