"""Blocks of notes: what goes through the pipe becomes the very lines that the notes would have become."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canceld.contract.commands import Cancel, CancelBatch, OrderRef
from canceld.contract.plain_text import BLOT
from canceld.engine.journal import ROOT, Chain, Entry
from canceld.scribe.messages import Block, Stream, framed, order_in, packed_block
from canceld.scribe.writer import unblotted

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
FIELDS = st.dictionaries(st.sampled_from(("frame", "id", "why", "left", "n", "what")), PLAIN, max_size=5)
KINDS = st.sampled_from(("frame_out", "frame_in", "outcome", "kill", "command", "who"))


def lines(entries: list[Entry]) -> bytes:
    return Chain(ROOT, None, unblotted).lines(entries)


def through_the_pipe(entries: list[Entry]) -> list[Entry]:
    [message] = Stream().take(framed(packed_block(1, entries)))
    block = order_in(message)
    assert isinstance(block, Block)
    return list(block.entries)


@given(st.lists(st.tuples(st.integers(0, 2**61), st.integers(0, 2**61), KINDS, FIELDS), min_size=1, max_size=4))
def test_any_note_becomes_the_same_line(entries: list[Entry]) -> None:
    assert lines(through_the_pipe(entries)) == lines(entries)


def test_commands_become_the_same_lines() -> None:
    cancel = Cancel(id=7, venue="spot", order_id="O1", until="proof")
    batch = CancelBatch(id="b", venue="spot", orders=(OrderRef(order_id="O1"), OrderRef(userref=3)))
    who: dict[str, Any] = {"door": "commands", "uid": 1, "pid": None}
    entries: list[Entry] = [(1, 1, "command", {"command": one, **who}) for one in (cancel, batch)]
    assert lines(through_the_pipe(entries)) == lines(entries)


def test_what_no_message_can_hold_costs_its_own_line_alone() -> None:
    circle: list[Any] = []
    circle.append(circle)
    entries: list[Entry] = [
        (1, 1, "outcome", {"id": 1}),
        (1, 1, "outcome", {"id": circle}),
        (1, 1, "outcome", {"id": 3}),
    ]
    assert [fields for _, _, _, fields in through_the_pipe(entries)] == [
        {"id": 1},
        {"unencodable": "RecursionError"},
        {"id": 3},
    ]


def test_what_is_left_of_a_secret_is_told_as_one() -> None:
    told = lines([(1, 1, "session", {"why": f"a {BLOT * 44} b", "what": f"{BLOT * 2}"})])
    assert b'"why":"a [redacted] b"' in told
    assert (BLOT * 2).encode() in told, "a stranger's own character is none"


@given(st.lists(st.binary(max_size=40), max_size=5), st.integers(1, 17))
def test_messages_come_whole_out_of_any_pieces(messages: list[bytes], size: int) -> None:
    data = b"".join(map(framed, messages))
    stream = Stream()
    assert [one for at in range(0, len(data), size) for one in stream.take(data[at : at + size])] == messages


def test_a_length_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="a message of"):
        list(Stream().take(b"\xff" * 8))
