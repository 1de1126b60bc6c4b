"""Log lines: their shape, what they may carry, and that no secret gets through."""

import ast
import base64
import json
import logging
import urllib.parse
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

import canceld
from canceld.contract.plain_text import BLOT
from canceld.credentials import Secret
from canceld.logs import FIELDS, REDACTED, TOKENS_LIMIT, VALUE_CHARS, Logs, configure
from canceld.transport.clock import Clock

RAW = bytes(range(190, 254))
KEY = 'Marked+Key/with"quote=='
TOKEN = "marked-session-token-0001"


class FixedClock(Clock):
    def utc_ns(self) -> int:
        return 1_700_000_000_123_456_000


class Sink:
    def __init__(self) -> None:
        self.lines: list[bytes] = []

    def __call__(self, line: bytes) -> None:
        assert line.endswith(b"\n")
        assert line.count(b"\n") == 1
        self.lines.append(line)

    def last(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.lines[-1])
        return found


log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


@pytest.fixture
def sink() -> Sink:
    return Sink()


@pytest.fixture(autouse=True)
def logs(sink: Sink) -> Iterator[Logs]:
    logs = configure("info", "json", sink, FixedClock(), [Secret(RAW), Secret(KEY)])
    yield logs
    logs.close()
    structlog.reset_defaults()


def test_one_event_is_one_json_line_with_time_level_and_fields(sink: Sink) -> None:
    log.info("answered", venue="spot", attempts=2, error=None, tried=("ws", "rest"), venues={"spot": "up"})
    assert sink.last() == {
        "ts": "2023-11-14T22:13:20.123456Z",
        "level": "info",
        "event": "answered",
        "venue": "spot",
        "attempts": 2,
        "error": None,
        "tried": ["ws", "rest"],
        "venues": {"spot": "up"},
    }


def test_the_level_filters_and_can_change_while_running(sink: Sink, logs: Logs) -> None:
    log.debug("hidden")
    assert sink.lines == []
    logs.set_level("debug")
    log.debug("shown")
    assert sink.last()["event"] == "shown"
    logs.set_level("error")
    log.warning("hidden")
    log.error("shown too")
    assert [json.loads(line)["event"] for line in sink.lines] == ["shown", "shown too"]


def test_a_field_that_is_not_on_the_list_is_not_shown(sink: Sink) -> None:
    log.info("odd", payload="anything", venue="spot")
    assert sink.last().items() >= {"payload": REDACTED, "venue": "spot"}.items()


def test_no_field_can_take_the_place_of_time_or_level(sink: Sink) -> None:
    log.info("odd", ts="yesterday", level="debug")
    assert sink.last().items() >= {"ts": "2023-11-14T22:13:20.123456Z", "level": "info"}.items()


def spellings(value: bytes) -> list[str]:
    plain = base64.b64encode(value).decode()
    return [
        plain,
        plain.rstrip("="),
        base64.urlsafe_b64encode(value).decode(),
        value.hex(),
        value.hex().upper(),
        urllib.parse.quote(value, safe=""),
        urllib.parse.quote(plain, safe=""),
        urllib.parse.quote(plain, safe="").replace("%2B", "%2b").replace("%2F", "%2f"),
        repr(value),
        value.decode("utf-8", "backslashreplace"),
    ]


@pytest.mark.parametrize("spelling", spellings(RAW) + spellings(KEY.encode()) + [KEY], ids=range(21))
def test_a_known_secret_is_replaced_wherever_it_stands(sink: Sink, spelling: str) -> None:
    log.info(f"event with {spelling}", error=f"<{spelling}>", venues={spelling: [spelling]}, what=spelling.encode())
    log.warning("failed", error=ValueError(spelling))
    try:
        raise ValueError(spelling)
    except ValueError:
        log.exception("failed")
    shown = b"".join(sink.lines).decode()
    core = spelling.removeprefix("b'").removesuffix("'").rstrip("=")
    assert core not in shown
    assert json.dumps(core)[1:-1] not in shown
    assert shown.count(REDACTED) >= 5


def test_a_token_learnt_at_run_time_is_concealed_and_old_ones_make_room_but_never_keys(sink: Sink, logs: Logs) -> None:
    logs.conceal(Secret(TOKEN))
    log.info("sent", what=TOKEN)
    assert sink.last()["what"] == REDACTED
    for n in range(TOKENS_LIMIT):
        logs.conceal(Secret(f"another-token-{n:04}"))
    log.info("sent", what=TOKEN, why=KEY, reason="another-token-0031")
    assert sink.last().items() >= {"what": TOKEN, "why": REDACTED, "reason": REDACTED}.items()


def test_a_value_too_short_to_be_a_secret_blots_nothing_out(sink: Sink, logs: Logs) -> None:
    logs.conceal(Secret("up"))
    logs.conceal(Secret(""))
    log.info("venue up", state="up")
    assert sink.last()["state"] == "up"


@pytest.mark.parametrize("start", range(VALUE_CHARS - len(KEY) - 2, VALUE_CHARS + 3))
def test_a_long_value_is_cut_and_the_cut_leaves_no_half_of_a_secret(sink: Sink, start: int) -> None:
    log.info("frame", what="x" * start + KEY + "y" * 100_000)
    shown = sink.last()["what"]
    assert len(shown) < VALUE_CHARS + 50
    assert shown.endswith("characters)")
    assert "Marked" not in shown


def test_objects_are_shown_by_type_only(sink: Sink) -> None:
    class Holder:
        def __repr__(self) -> str:
            return "everything it holds"

    log.info("odd", what=Holder(), why=Secret("marked-value"), size=2**70, error=[[[[["deep"]]]]])
    assert sink.last().items() >= {"what": "<Holder>", "why": "<Secret>", "size": str(2**70)}.items()
    assert "deep" not in str(sink.last()["error"])


def test_an_exception_is_type_message_and_frames_without_locals(sink: Sink) -> None:
    def fail() -> None:
        local_value = "marked-local"  # noqa: F841
        raise RuntimeError("could not")

    try:
        try:
            fail()
        except RuntimeError as error:
            raise OSError("outer") from error
    except OSError:
        log.exception("task ended")
    line = sink.last()
    assert (line["level"], line["exception"], line["causes"]) == (
        "error",
        "OSError: outer",
        ["RuntimeError: could not"],
    )
    assert line["frames"][0].startswith("tests/test_logs.py:")
    assert b"marked-local" not in sink.lines[-1]


def test_a_group_of_exceptions_names_its_members(sink: Sink) -> None:
    group = ExceptionGroup("two", [ValueError("a"), ExceptionGroup("inner", [KeyError("b")])])
    log.error("task ended", exc_info=group)
    assert sink.last()["causes"] == ["ValueError: a", "ExceptionGroup: inner (1 sub-exception)", "KeyError: 'b'"]


def test_a_line_that_cannot_be_made_is_told_and_ends_nothing(sink: Sink) -> None:
    class Bad(Exception):
        def __str__(self) -> str:
            raise RuntimeError("marked")

    log.info("odd", error=Bad())
    assert sink.last() == {"level": "error", "event": "log line lost", "error": "RuntimeError"}


def test_half_characters_and_bytes_that_are_no_text_are_shown_escaped(sink: Sink) -> None:
    log.info("odd", path="\udcff", what=b"\xff\x00")
    assert sink.last().items() >= {"path": "\\udcff", "what": "\\xff\x00"}.items()


def test_library_warnings_arrive_by_the_same_way_and_their_chatter_does_not(sink: Sink, logs: Logs) -> None:
    logs.set_level("debug")
    library = logging.getLogger("some.library")
    library.debug("headers: %s", KEY)
    assert sink.lines == []
    library.warning("odd %s", KEY)
    line = sink.last()
    assert (line["event"], line["level"], line["logger"]) == (f"odd {REDACTED}", "warning", "some.library")
    library.log(35, "own level")
    assert sink.last()["level"] == "warning"
    try:
        raise ValueError("x")
    except ValueError:
        library.exception("failed")
    assert sink.last()["exception"] == "ValueError: x"
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)
        warnings.warn("old way", DeprecationWarning, stacklevel=1)
    assert "old way" in sink.last()["event"]


def test_a_librarys_bad_arguments_cost_only_the_arguments(sink: Sink) -> None:
    # Straight to our own handler: pytest's raises.
    bridge = next(handler for handler in logging.getLogger().handlers if type(handler).__module__ == "canceld.logs")
    bridge.handle(logging.LogRecord("some.library", logging.ERROR, __file__, 1, "bad %d", ("arguments",), None))
    assert sink.last()["event"] == "bad %d"


def test_configuring_again_moves_every_logger_to_the_new_sink(sink: Sink) -> None:
    other = Sink()
    logs = configure("info", "json", other, FixedClock())
    log.info("there")
    logging.getLogger("some.library").warning("there too")
    logs.close()
    assert sink.lines == []
    assert len(other.lines) == 2


def test_the_console_form_is_one_plain_line_that_cannot_paint_the_terminal() -> None:
    sink = Sink()
    logs = configure("info", "console", sink, FixedClock(), [Secret(KEY)])
    log.warning("venue mode", venue="spot", what="\x1b[2Jgone\n", count=2, error=KEY, tried=("ws",))
    logs.close()
    assert sink.lines == [
        b"2023-11-14T22:13:20.123456Z warning  venue mode venue=spot what=\\x1b[2Jgone\\n count=2 "
        b'error=[redacted] tried=["ws"]\n'
    ]


@pytest.mark.parametrize("form", ["json", "console"])
def test_what_strangers_wrote_commands_no_terminal_that_shows_the_log(form: Literal["json", "console"]) -> None:
    sink = Sink()
    logs = configure("info", form, sink, FixedClock())
    log.warning("kill", reason="\x1b[2J\x07\r\n\x7f\x9b31m\u202etalf Zürich", ways={"\u202e": ["\x9b"]})
    logs.close()
    [line] = sink.lines
    assert line.decode().removesuffix("\n").isprintable()
    assert "Zürich" in line.decode()
    if form == "json":
        assert sink.last()["reason"] == "\x1b[2J\x07\r\n\x7f\x9b31m\u202etalf Zürich"


@given(event=st.text(), value=st.recursive(st.none() | st.integers() | st.floats() | st.text() | st.binary(), st.lists))
def test_any_value_gives_one_line_of_json(event: str, value: object) -> None:
    sink = Sink()
    logs = configure("info", "json", sink, FixedClock(), [Secret(RAW)])
    log.info(event.replace("%", ""), what=value)
    logs.close()
    assert sink.last()["level"] == "info"


def test_every_field_that_the_daemon_logs_is_on_the_list() -> None:
    """A new field belongs on the list in daemon/logs.py, once it is sure to hold no secret."""
    unknown = []
    for source in Path(canceld.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(source.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and isinstance(node.func.value, ast.Name)
                and node.func.value.id == "log"
            ):
                named = {keyword.arg for keyword in node.keywords} - {"exc_info", None}
                unknown += [f"{source.name}:{node.lineno} {name}" for name in sorted(named - FIELDS)]  # type: ignore[type-var]
    assert unknown == []


@pytest.mark.parametrize(
    ("level", "event", "priority"),
    [
        ("debug", "x", 7),
        ("info", "x", 6),
        ("warning", "answered", 6),
        ("error", "kill", 6),
        ("warning", "alert", 4),
        ("critical", "alert", 2),
    ],
)
def test_for_journald_only_alerts_stand_out(level: str, event: str, priority: int) -> None:
    """`journalctl -p warning` shows what a person has to act on; every other line explains it."""
    lines: list[bytes] = []
    logs = configure("debug", "json", lines.append, FixedClock(), priorities=True)
    try:
        getattr(structlog.get_logger(), level)(event, what="w", do="d")
    finally:
        logs.close()
    [line] = lines
    assert line.startswith(b"<%d>{" % priority)
    assert json.loads(line[3:])["level"] == level


def test_what_must_keep_its_length_is_blotted_however_a_secret_is_spelt(logs: Logs) -> None:
    logs.conceal(Secret("an-older-token-of-these"))
    logs.conceal(Secret(TOKEN))
    spelt = [TOKEN, KEY, base64.b64encode(RAW).decode().rstrip("="), RAW.hex(), "an-older-token-of-these"]
    packed = b"".join(b"\xd9%c%s" % (len(one), one.encode()) for one in spelt)
    blotted = logs.blotted(packed)
    assert len(blotted) == len(packed)
    assert not [one for one in spelt if one.encode() in blotted]
    assert blotted.startswith(b"\xd9%c" % len(TOKEN) + BLOT.encode() * len(TOKEN))
    assert logs.blotted(b"nothing of the kind") == b"nothing of the kind"
