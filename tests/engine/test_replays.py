"""The same id again: who waits, who gets the stored reply, and when an id is free."""

import tracemalloc
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from canceld.contract.commands import Cancel, CancelAll
from canceld.contract.frames import outcome_map
from canceld.contract.ids import CommandID, Target
from canceld.contract.outcomes import Acked, Settlement
from canceld.engine import replays as room
from canceld.engine.replays import WINDOW_NS, Replays, key_of

CANCEL = Cancel(id=1, venue="spot", order_id="OAAAAA-BBBBB-CCCCCC")
KEY = key_of(b"peer", 1)
REPLY = {"type": "outcome", "id": 1, "outcome": "acked", "route": None, "attempts": 1, "tried": ["ws"]}


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
    replays.settle(KEY, "first", REPLY)
    known = replays.find(KEY, 1)
    assert known is not None
    assert (known.waiter, known.reply) == (None, REPLY)


def test_a_refused_command_gives_its_id_back(replays: Replays[str]) -> None:
    replays.settle(KEY, "first", None)
    assert replays.find(KEY, 1) is None


def test_the_id_stands_for_the_command_whenever_that_was_sent(replays: Replays[str]) -> None:
    known = replays.find(KEY, 1)
    assert known is not None
    assert known.is_for(msgspec.structs.replace(CANCEL, sent_ns=5))
    assert not known.is_for(msgspec.structs.replace(CANCEL, until="proof"))


def test_once_answered_the_id_stands_for_the_same_command(replays: Replays[str]) -> None:
    replays.settle(KEY, "first", REPLY)
    known = replays.find(KEY, 1)
    assert known is not None
    assert known.is_for(msgspec.structs.replace(CANCEL, sent_ns=5))
    assert not known.is_for(msgspec.structs.replace(CANCEL, until="proof"))
    assert not known.is_for(CancelAll(id=1, venue="spot"))


@pytest.mark.parametrize(
    "reply",
    [
        REPLY,
        {"type": "batch", "id": "a", "outcomes": [{"outcome": "acked", "received_ns": 2**53}, {"outcome": "unknown"}]},
        {"type": "all", "id": 2, "venues": {"spot": {"outcome": "acked", "count": 3}, "prime": {"residual": None}}},
    ],
)
def test_a_reply_is_given_back_as_it_was(replays: Replays[str], reply: dict[str, Any]) -> None:
    other = key_of(b"peer", 2)
    replays.remember(other, "second", CANCEL, 0)
    replays.settle(other, "second", {**REPLY, "error": "in between"})
    replays.settle(KEY, "first", reply)
    known = replays.find(KEY, 1)
    assert known is not None
    assert known.reply == reply


def test_no_two_peers_and_ids_have_the_same_key() -> None:
    peers = [b"", b"a", b"as", b"\x01", b"\0\0\0\0\1", bytes(255)]
    ids: list[CommandID] = [0, 1, 11, -1, "", "1", "i1", "s", "asa", "\x00é"]
    keys = [key_of(peer, id) for peer in peers for id in ids]
    assert len(set(keys)) == len(keys)


def test_a_full_table_of_plain_acks_stays_small(tell: Callable[[str], None]) -> None:
    count = 2_000
    tracemalloc.start()
    try:
        replays: Replays[str] = Replays()
        before = tracemalloc.get_traced_memory()[0]
        for number in range(count):
            id = f"strategy-{number:06}"
            order_id = f"OAAAAA-BBBBB-{number:06}"
            key = key_of(b"\0\0\0\0\1", id)
            replays.remember(key, "waiter", Cancel(id=id, venue="spot", order_id=order_id), number)
            settlement = Settlement(
                venue="spot", target=Target("order_id", order_id), outcome=Acked(), route="ws", attempts=1
            )
            replays.settle(key, "waiter", outcome_map(id, 10**15 + number, settlement))
        each = (tracemalloc.get_traced_memory()[0] - before) // count
    finally:
        tracemalloc.stop()
    tell(f"bytes of a remembered reply: {each}")
    assert each < 320, "a full table of 65,536 is to take 20 MiB at most"


def test_ids_belong_to_peers(replays: Replays[str]) -> None:
    assert replays.find(key_of(b"other", 1), 1) is None


def test_an_id_is_free_when_its_time_is_over_though_nobody_has_swept_yet(replays: Replays[str]) -> None:
    assert replays.find(KEY, WINDOW_NS - 1) is not None
    assert replays.find(KEY, WINDOW_NS) is None


def test_what_is_too_old_is_forgotten_and_nothing_else(replays: Replays[str]) -> None:
    replays.remember(key_of(b"peer", 2), "second", CANCEL, 10)
    replays.forget_old(WINDOW_NS)
    assert len(replays) == 1
    assert replays.find(key_of(b"peer", 2), WINDOW_NS) is not None
    assert replays.forgotten == 0


def test_an_id_taken_anew_counts_from_then(replays: Replays[str]) -> None:
    """It moves behind younger ones: at the head it would keep those from being forgotten."""
    replays.remember(key_of(b"peer", 2), "second", CANCEL, 10)
    replays.remember(KEY, "anew", CANCEL, WINDOW_NS)
    replays.forget_old(WINDOW_NS + 10)
    assert len(replays) == 1
    assert replays.find(KEY, WINDOW_NS + 10) is not None


def test_the_answer_to_a_command_whose_id_was_taken_anew_is_not_stored(replays: Replays[str]) -> None:
    replays.remember(KEY, "anew", CANCEL, WINDOW_NS)
    replays.settle(KEY, "first", REPLY)
    known = replays.find(KEY, WINDOW_NS)
    assert known is not None
    assert (known.waiter, known.reply) == ("anew", None)


def test_past_the_limit_the_oldest_goes_and_is_counted(replays: Replays[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "REPLAY_LIMIT", 2)
    replays.remember(key_of(b"peer", 2), "second", CANCEL, 1)
    replays.remember(key_of(b"peer", 3), "third", CANCEL, 2)
    assert replays.find(KEY, 3) is None
    assert replays.forgotten == 1
    replays.settle(KEY, "first", REPLY)
    assert len(replays) == 2
