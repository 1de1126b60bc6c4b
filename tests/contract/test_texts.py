"""Other people's text: what is left of it when it has been made fit to be shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canceld.contract.texts import REASON_BYTES, cleaned


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("fat finger", "fat finger"),
        ("Störung, 注文", "Störung, 注文"),
        ("  two\r\nlines\tand more \n", "two lines and more"),
        ("\x1b]0;owned\x07", "\ufffd]0;owned\ufffd"),
        ("\x9b31m", "\ufffd31m"),
        ("a\u202eb\u2066c\u200fd", "a\ufffdb\ufffdc\ufffdd"),
        ("\u2028", ""),
        ("Störung".encode("latin-1"), "Störung"),
        ("Störung".encode("latin-1").decode(errors="surrogateescape"), "Störung"),
        ("Störung".encode(), "Störung"),
        ("\ud800x", "\ufffdx"),
        (b"", ""),
        (b"\xff\xfe", "ÿþ"),
        ("é" * 100, "é" * 5),
        ("é".encode() * 100, "é" * 5),
        ("xé" * 100, "xéxéxéx"[:7]),
    ],
)  # fmt: skip
def test_it_is_one_printable_line(text: str | bytes, shown: str) -> None:
    assert cleaned(text, 10 if len(text) >= 100 else 100) == shown


@given(text=st.text(st.characters()) | st.binary(), limit=st.integers(1, 50))
def test_whatever_it_is_it_can_be_encoded_shown_and_is_not_too_long(text: str | bytes, limit: int) -> None:
    shown = cleaned(text, limit)
    assert len(shown.encode()) <= limit
    assert not [char for char in shown if ord(char) < 32 or 0x7F <= ord(char) < 0xA0 or char in "\u202e\u2066\u2028"]
    assert cleaned(shown, limit) == shown


@pytest.mark.parametrize(
    ("argument", "meant"),
    [
        (b"fat finger", "fat finger"),
        ("Zürich".encode(), "Zürich"),
        ("Zürich".encode("latin-1"), "Zürich"),
        (b" \xff\x9b\x00 ", "ÿ\ufffd\ufffd"),
        (b"", ""),
    ],
)
def test_an_argument_of_any_bytes_is_a_reason(argument: bytes, meant: str) -> None:
    assert cleaned(argument.decode("utf-8", "surrogateescape"), REASON_BYTES) == meant


@given(st.text(), st.integers(1, 50))
def test_a_reason_of_any_form_can_be_sent(text: str, limit_bytes: int) -> None:
    kept = cleaned(text, limit_bytes)
    assert kept.isprintable()
    assert len(kept.encode()) <= limit_bytes


def test_a_reason_of_any_length_is_cut() -> None:
    assert len(cleaned("ü" * 100_000, REASON_BYTES).encode()) == REASON_BYTES
