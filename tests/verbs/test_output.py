"""What is printed, and what becomes of it when nobody takes it."""

import io
import sys

import pytest

from canceld.verbs.output import at_terminal, complain, in_columns, output_lost, prepare, say, say_json


class Gone(io.StringIO):
    """A stream whose reader has gone."""

    def flush(self) -> None:
        raise BrokenPipeError


@pytest.fixture(autouse=True)
def fresh() -> None:
    prepare()


def test_a_text_of_others_is_one_line_that_only_shows(capsys: pytest.CaptureFixture[str]) -> None:
    assert say("\x1b[2Jflat\n")
    assert say_json({"why": "\u202e\x7f"})
    complain("\r\x9b")
    shown = capsys.readouterr()
    assert shown.out == '\\x1b[2Jflat\\n\n{"why": "\\u202e\\u007f"}\n'
    assert shown.err == "canceld: \\r\\x9b\n"


def test_columns_are_as_wide_as_what_is_shown() -> None:
    assert list(in_columns([["a", "", "\x07"], ["bb", "", "c"]])) == ["a   \\x07", "bb  c"]


@pytest.mark.parametrize("stream", [Gone(), None])
def test_an_output_that_is_lost_is_no_error_and_is_remembered(
    stream: io.StringIO | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(sys, "stderr", stream)
    assert not say("flat")
    assert not say_json({})
    complain("nobody hears this")
    assert (output_lost() is None) is (stream is None)


def test_a_stream_that_was_closed_is_no_terminal() -> None:
    closed = io.StringIO()
    closed.close()
    assert not at_terminal(None)
    assert not at_terminal(closed)
    assert not at_terminal(io.StringIO())
