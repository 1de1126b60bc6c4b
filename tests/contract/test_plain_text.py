"""Text from elsewhere: what passes, what is escaped, and that JSON goes on meaning the same."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canceld.contract.plain_text import plain, plain_json

ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()))
"""Halves of characters too: they are what bytes that are no UTF-8 come to."""

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("fat finger, Zürich, 東京", "fat finger, Zürich, 東京"),
        ("\x1b[2J\x1b]0;flat\x07", r"\x1b[2J\x1b]0;flat\x07"),
        ("first\r\nsecond\tthird", r"first\r\nsecond\tthird"),
        ("\x9b31m", r"\x9b31m"),
        ("\u202etalf", r"\u202etalf"),
        ("a\u200bb\u2028c\x7f", r"a\u200bb\u2028c\x7f"),
        (b"Z\xfcrich".decode("utf-8", "surrogateescape"), r"Z\udcfcrich"),
        ("\U000e0001", r"\U000e0001"),
    ],
)
def test_what_commands_a_terminal_is_shown_by_its_escape(text: str, shown: str) -> None:
    assert plain(text) == shown


@given(ANY_TEXT)
def test_what_comes_out_only_shows(text: str) -> None:
    shown = plain(text)
    assert shown.isprintable()
    assert plain(shown) == shown
    assert text.isprintable() is (shown == text)
    shown.encode()  # no half of a character is left


@given(ANY_JSON, st.booleans())
def test_json_only_shows_and_means_the_same(value: Any, ascii_only: bool) -> None:
    shown = plain_json(json.dumps(value, ensure_ascii=ascii_only))
    assert shown.isprintable()
    assert json.loads(shown) == value


def test_json_keeps_its_own_line_breaks() -> None:
    assert plain_json(json.dumps({"why": "\x7f\n"}, indent=1)) == '{\n "why": "\\u007f\\n"\n}'
