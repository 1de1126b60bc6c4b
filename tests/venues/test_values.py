"""Reading what several venues spell alike: what is believed, and what is left out."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from canceld.contract.ids import REQID_LIMIT
from canceld.venues.values import (
    decimal_text,
    elapsed_ns,
    error_text,
    instant_ns,
    is_timer_reason,
    order_id_of,
    reqid_of,
    text_of,
)

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@pytest.mark.parametrize("text", ["0", "12", "0.10000000", "0E-11", "1e5", "5e+3", "123456789012345678901234567890.5"])
def test_decimal_stays_as_it_is_written(text: str) -> None:
    assert decimal_text(msgspec.Raw(text.encode())) == text
    assert decimal_text(msgspec.Raw(f'"{text}"'.encode())) == text


@pytest.mark.parametrize(
    "raw", [b"", b"null", b"true", b'""', b'"1', b'1"', b"-1", b".5", b"1.", b"1e", b'"1\\n"', b"[1]", b'"\xff"']
)
def test_what_is_no_quantity_is_left_out(raw: bytes) -> None:
    assert decimal_text(msgspec.Raw(raw)) is None


@pytest.mark.parametrize("value", [0, -1, REQID_LIMIT + 1, True, 7.0, "7", None, [7]])
def test_only_a_plain_integer_is_a_request_id(value: object) -> None:
    assert reqid_of(value) is None
    assert reqid_of(7) == 7
    assert reqid_of(REQID_LIMIT) == REQID_LIMIT


@pytest.mark.parametrize("value", ["", "NONE", "4711", 'O"-B', "OAAAAA-BBBBB-CCCCCC\n", "O-" + "A" * 64, 7, None])
def test_what_could_not_go_into_a_frame_is_no_order_id(value: object) -> None:
    assert order_id_of(value) is None


def test_texts_are_left_out_and_errors_are_cut_when_too_long() -> None:
    assert text_of("a" * 128) == "a" * 128
    assert text_of("a" * 129) is text_of("") is text_of(7) is None
    assert error_text("a" * 600) == "a" * 512
    assert error_text(None) == ""


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("1970-01-01T00:00:00.000001Z", 1000),
        ("2026-11-03T09:13:02.505519Z", 1793697182505519000),
        ("2026-11-03T10:13:02.505519+01:00", 1793697182505519000),
        ("2026-11-03T09:13:02.505519", None),
        ("2026-11-03", None),
        ("soon", None),
        ("", None),
        (1793697182, None),
        (None, None),
    ],
)
def test_instant_needs_an_offset_and_keeps_its_microseconds(text: object, ns: int | None) -> None:
    assert instant_ns(text) == ns


def test_time_between_two_texts_is_told_where_it_is_one() -> None:
    first, last = "2023-09-21T14:36:57.428972Z", "2023-09-21T14:36:57.437952Z"
    assert elapsed_ns(first, last) == 8_980_000
    assert elapsed_ns(first, first) == 0
    assert elapsed_ns(last, first) is None
    assert elapsed_ns(first, None) is None
    assert elapsed_ns(first, "2023-09-21T14:36:57") is None


@given(ANYTHING, ANYTHING)
def test_readers_take_anything(one: Any, other: Any) -> None:
    for reader in (reqid_of, order_id_of, text_of, error_text, instant_ns):
        reader(one)
    elapsed = elapsed_ns(one, other)
    assert elapsed is None or elapsed >= 0


@given(st.binary())
def test_any_raw_bytes_have_a_quantity_or_none(raw: bytes) -> None:
    text = decimal_text(msgspec.Raw(raw))
    assert text is None or text.encode() in raw


@pytest.mark.parametrize(
    ("reason", "timer"),
    [
        ("dead_man_switch", True),
        ("DEAD_MAN_SWITCH", True),
        ("Cancel all orders after timeout", True),
        ("User requested", False),
        ("cancelled_by_user", False),
        ("", False),
    ],
)
def test_a_reason_that_names_the_timer_is_told_from_others(reason: str, timer: bool) -> None:
    assert is_timer_reason(reason) is timer
