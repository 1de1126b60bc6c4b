"""Sealed lines: read back as written, or not at all."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from canceld.engine.sealed import Broken, seal, unseal


class Members(msgspec.Struct):
    text: str
    number: int | None = None


@given(st.text(), st.none() | st.integers(-(2**63), 2**63 - 1))
def test_members_read_back_as_they_were_written(text: str, number: int | None) -> None:
    content = seal(3, {"text": text, "number": number})
    assert content.endswith(b'"}\n')
    assert content.count(b"\n") == 1
    assert unseal(content, 3, Members) == Members(text, number)


@given(st.text(), st.data())
def test_truncated_line_is_broken(text: str, data: st.DataObject) -> None:
    content = seal(1, {"text": text})
    assert isinstance(unseal(content[: data.draw(st.integers(0, len(content) - 1))], 1, Members), Broken)


@given(st.binary(max_size=200))
def test_nothing_else_reads_as_sealed(content: bytes) -> None:
    assert isinstance(unseal(content, 1, Members), Broken)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is empty"),
        (seal(1, {"text": "a"})[:-1], "is damaged or was not written whole"),
        (seal(1, {"text": "a"}) + b" ", "is damaged or was not written whole"),
        (seal(1, {"text": "a"}).replace(b'"a"', b'"b"'), "does not agree with its checksum"),
        (seal(2, {"text": "a"}), "has version 2, this program reads version 1"),
        (seal(1, {"text": 1}), "does not hold what it should"),
        (seal(1, {}), "does not hold what it should"),
    ],
)
def test_broken_content_says_why(content: bytes, why: str) -> None:
    assert unseal(content, 1, Members) == Broken(why)
