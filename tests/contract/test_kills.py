"""A kill in whatever form it comes, and everything that is none."""

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from canceld.contract.commands import NO_REASON, Drill, Kill
from canceld.contract.frames import COMMAND_BYTES, Malformed, decode_command
from canceld.contract.kills import NOTES_LIMIT, REASON_BYTES, read_kill

ENCODERS = (lambda message: json.dumps(message).encode(), msgspec.msgpack.encode)


def kill_in(message: Any) -> Kill:
    """What is understood of a message, in both encodings the same."""
    as_json, packed = (decode_command(encode(message)) for encode in ENCODERS)
    assert as_json == packed
    assert isinstance(packed, Kill)
    return packed


def test_a_kill_as_it_should_be_ignores_nothing() -> None:
    message = {
        "type": "kill", "id": "k", "reason": "fat finger", "venues": ["spot"], "deadline_ms": 500, "strategy": "mm",
        "sent_ns": 7, "drill": False,
    }  # fmt: skip
    assert kill_in(message) == Kill(
        id="k", reason="fat finger", venues=("spot",), deadline_ms=500, strategy="mm", sent_ns=7
    )


def test_a_kill_of_one_word_is_one() -> None:
    assert kill_in({"type": "kill"}) == Kill(ignored=("id: missing; the reply bears none",))


@pytest.mark.parametrize(
    ("field", "value", "instead"),
    [
        ("id", "", None),
        ("id", -1, None),
        ("id", None, None),
        ("id", ["k"], None),
        ("id", "x" * 65, None),
        ("id", "\u202e", None),
        ("reason", 7, "7"),
        ("reason", {"why": "?"}, "{'why': '?'}"),
        ("venues", ["mars"], None),
        ("venues", ["spot", "mars"], None),
        ("venues", "spot", None),
        ("venues", 1, None),
        ("drill", "true", False),
        ("drill", 1, False),
        ("drill", None, False),
        ("deadline_ms", 0, msgspec.UNSET),
        ("deadline_ms", None, msgspec.UNSET),
        ("deadline_ms", "10", msgspec.UNSET),
        ("sent_ns", -1, msgspec.UNSET),
        ("sent_ns", 1.5, msgspec.UNSET),
        ("strategy", "", None),
        ("strategy", 7, None),
    ],
)
def test_an_odd_field_is_named_and_the_kill_is_as_wide_as_it_can_be(field: str, value: Any, instead: Any) -> None:
    kill = kill_in({"type": "kill", "id": "k", "reason": "why", field: value})
    assert getattr(kill, field) == instead
    [note] = kill.ignored
    assert note.startswith(f"{field}: ")


@pytest.mark.parametrize("reason", [None, "", " \n"])
def test_no_reason_is_one_too(reason: str | None) -> None:
    kill = kill_in({"type": "kill", "id": "k", "reason": reason})
    assert (kill.reason, kill.ignored) == (NO_REASON, ())


def test_no_venue_at_all_is_every_venue() -> None:
    assert kill_in({"type": "kill", "id": "k", "venues": []}).venues is None


def test_a_misspelt_drill_is_a_kill_that_names_the_word() -> None:
    kill = kill_in({"type": "kill", "id": "k", "dril": True})
    assert not kill.drill
    assert kill.ignored == ("dril: unknown field",)


def test_a_drill_whose_other_fields_are_odd_stays_a_drill() -> None:
    kill = kill_in({"type": "kill", "drill": True, "reasn": "weekly", "venues": 1})
    assert kill.drill
    assert len(kill.ignored) == 3


def test_a_long_reason_is_cut_and_a_dangerous_one_cleaned() -> None:
    kill = kill_in({"type": "kill", "id": "k", "reason": "\x1b[31m" + "x" * 9_000})
    assert kill.reason.startswith("\ufffd[31mxxx")
    assert len(kill.reason.encode()) == REASON_BYTES
    assert kill.ignored == (f"reason: cut at {REASON_BYTES} bytes",)


@pytest.mark.parametrize("field", ["id", "deadline_ms", "sent_ns", "strategy", "venues", "drill"])
def test_half_a_character_in_a_field_is_named_and_kills(field: str) -> None:
    """JSON's escapes can spell one, and many languages do when a text was cut."""
    kill = decode_command(b'{"type":"kill","reason":"x","%b":"\\ud800"}' % field.encode())
    assert isinstance(kill, Kill)
    assert not kill.drill
    assert any(note.startswith(f"{field}: ") for note in kill.ignored)


@pytest.mark.parametrize("size", [COMMAND_BYTES + 1, 200_000, 1_000_000])
@pytest.mark.parametrize("encode", ENCODERS, ids=["json", "msgpack"])
def test_a_kill_that_is_too_long_is_one_all_the_same(encode: Callable[[Any], bytes], size: int) -> None:
    kill = decode_command(encode({"type": "kill", "id": "k", "reason": "x" * size, "venues": ["spot"]}))
    assert isinstance(kill, Kill)
    assert (kill.id, len(kill.reason), kill.venues) == ("k", REASON_BYTES, ("spot",))
    assert "a command has at most" in kill.ignored[-1]


def test_of_many_unknown_fields_some_are_named() -> None:
    kill = kill_in({"type": "kill", "id": "k", **dict.fromkeys(map(str, range(1_000)))})
    assert len(kill.ignored) == NOTES_LIMIT + 1
    assert kill.ignored[-1] == "and 980 more"


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b'{"type":"kill","id":1,"reason":"St\xf6rung"}', "Störung"),
        (b'{"type":"kill","id":1,"reason":"two\nlines"}', "two lines"),
        (b'\n {"type":"kill","id":1,"reason":"white space"}', "white space"),
        (b'{"type":"kill","id":1,"reason":"half \\ud800"}', "half \ufffd"),
        (b'{"type":"kill","id":1,"reason":"NaN","deadline_ms":NaN}', "NaN"),
        (b'{"\\u0074ype":"k\\u0069ll","id":1,"reason":"spelt"}', "spelt"),
        (b'{"type":"kill","id":1,"reason":"odd name","\xe9":1}', "odd name"),
        (b'{"type":"kill","id":1,"reason":"large","x":' + b"9" * 5_000 + b"}", "large"),
        (b'{"type":"kill","id":1,"reason":"first","reason":"last"}', "last"),
        (b'{"type":"ping","id":1,"reason":"once a ping","type":"kill"}', "once a ping"),
        (b"\x83\xa4type\xa4kill\xa2id\x01\xa6reason\xa7St\xf6rung", "Störung"),
        (b"\x83\xa4type\xa4kill\xa2id\x01\xa6reason\xd9\x07St\xf6rung", "Störung"),
        (b"\x83\xa4type\xa4kill\xa2id\x01\xa6reason\xc4\x07St\xf6rung", "St\ufffdrung"),
        (b"\x83\xa4type\xa4kill\xa2id\x01\xa6reason\xda\x00\x07St\xf6rung", "Störung"),
        (b"\x84\xa4type\xa4kill\xa2id\x01\xa6reason\xa3odd\xa1\xe9\x01", "odd"),
        (b"\x84\xa4type\xa4kill\xa2id\x01\xa6reason\xa3odd\x07\x01", "odd"),
        (b"\x83\xc4\x04type\xc4\x04kill\xc4\x02id\x01\xc4\x06reason\xc4\x05bytes", "bytes"),
    ],
)
def test_it_is_read_whatever_wrote_it(payload: bytes, reason: str) -> None:
    kill = decode_command(payload)
    assert isinstance(kill, Kill)
    assert (kill.id, kill.reason) in ((1, reason), (None, reason))


@pytest.mark.parametrize(
    "payload",
    [
        b'{"type":"kill"', b'["kill"]', b'"kill"', b"kill", b'{"kill":"type"}', b'{"type":["kill"]}',
        b'{"type":"kill","id":1,"type":"dead"}', b'{"type":"Kill","id":1}', b'{"type":"kill "}', b'{"tpye":"kill"}',
        b'{"type":"status","id":1,"strategy":"kill","x":1}', b'{"type":"drill","reasn":"kill"}', b"\xa4kill",
        b"\x81\xa4type\xa4kil", b"\x81\xa4type\x91\xa4kill", b"\x81\xa4kill\xa4type", b"",
    ],
)  # fmt: skip
def test_what_is_no_map_of_that_type_is_no_kill(payload: bytes) -> None:
    assert read_kill(payload) is None
    assert isinstance(decode_command(payload), Malformed)


def test_a_drill_is_read_strictly() -> None:
    assert decode_command(b'{"type":"drill","id":1,"reason":"weekly"}') == Drill(id=1, reason="weekly")
    assert isinstance(decode_command(b'{"type":"drill","id":1,"reason":"weekly","venue":"spot"}'), Malformed)


_scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=20)
_values = st.recursive(
    _scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
)
_names = st.sampled_from(
    ["type", "id", "reason", "venues", "drill", "dril", "deadline_ms", "sent_ns", "strategy"]
) | st.text(max_size=8)
_words = st.sampled_from(["kill", "kil", "Kill", "drill", "ping", "cancel_all", "rearm"])
_maps = st.builds(
    lambda members, word: {**members, "type": word}, st.dictionaries(_names, _values, max_size=8), _words | _values
)


@settings(max_examples=200, deadline=None)
@given(message=_maps, packed=st.booleans())
@example(message={"type": "kill", "drill": 1.0}, packed=True)
def test_every_map_of_that_type_is_a_kill_and_nothing_else_is(message: dict[str, Any], packed: bool) -> None:
    payload = msgspec.msgpack.encode(message) if packed else json.dumps(message).encode()
    told = decode_command(payload)
    assert isinstance(told, Kill) == (message["type"] == "kill")
    if isinstance(told, Kill):
        assert told.drill == (message.get("drill") is True)
        msgspec.json.encode(told)


@settings(max_examples=500, deadline=None)
@given(payload=st.binary(max_size=60) | st.binary(max_size=30).map(lambda tail: b"\x82\xa4type\xa4kill\xa1x" + tail))
def test_no_bytes_make_it_raise(payload: bytes) -> None:
    told = read_kill(payload)
    assert told is None or isinstance(told, Kill)
