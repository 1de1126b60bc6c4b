"""The live view: what it shows, and that the terminal is commanded by nobody else and given back in the end."""

import fcntl
import html
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from codecs import getincrementaldecoder
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from canceld.verbs.fold import columns, folded
from canceld.verbs.minute import Minute
from canceld.verbs.paint import painter, print_with_rich
from canceld.verbs.view import ALERTS_SHOWN, EVENTS_KEPT, STALE_S, Line, View
from tests.processes.conftest import exchange, home, service, start
from tests.processes.peers import Dealer
from tests.processes.stage import Exchange, Service

__all__ = ["exchange", "home", "service", "start"]

ROOT = Path(__file__).parent.parent.parent
CLOCK = "2027-01-15 08:00:00 UTC"
ROWS, COLUMNS = 30, 110
WITHIN_S = 15.0
GIVEN_BACK = "\x1b[?25h\x1b[?1049l"
STATUS: dict[str, Any] = {
    "version": "1.2.3",
    "state": "serving",
    "in_flight": 7,
    "venues": {
        "spot": {
            "state": "degraded",
            "mode": "online",
            "sessions": [
                {"name": "spot-0", "state": "live", "round_trip_us": 1500.0, "token_expires_in_s": 890},
                {"name": "spot-1", "state": "down", "why": "refused"},
            ],
            "rest": {"state": "up"},
            "open_orders": 12,
        }
    },
    "kill": {"latched": False},
    "alerts": [],
}


def shown(view: View, *, width: int = COLUMNS, height: int = ROWS, now_s: float = 100.0) -> str:
    return "\n".join(line.text for line in view.picture(width, height, now_s, CLOCK))


def view_of(**changes: Any) -> View:
    view = View()
    view.answered({**STATUS, **changes}, 100.0)
    return view


def outcome(name: str, **fields: Any) -> dict[str, Any]:
    return {"type": "outcome", "venue": "spot", "outcome": name, "order_id": "O-1", "route": "ws", **fields}


def style_of(view: View, text: str) -> str:
    [line] = [line for line in view.picture(COLUMNS, ROWS, 100.0, CLOCK) if text in line.text]
    return line.style


# ---------------------------------------------------------------- the picture


def test_it_shows_how_the_daemon_and_each_venue_is_and_why() -> None:
    lines = shown(view_of()).splitlines()
    assert lines[0].startswith("canceld 1.2.3  serving  in flight 7 ")
    assert lines[0].endswith(CLOCK)
    assert "kill switch armed" in lines[1]
    assert "spot  degraded  mode online  open 12  rest up" in lines
    assert "  spot-0 live  1.5 ms  token ends in 14 min" in lines
    assert "  spot-1 down: refused" in lines
    assert style_of(view_of(), "spot-0") == "good"
    assert style_of(view_of(), "spot-1") == "bad"


def test_a_latched_kill_switch_and_what_still_rests_cannot_be_overlooked() -> None:
    venues = {"spot": {"state": "residual", "canceled": 3, "residual": ["O-1", "O-2"]}, "prime": {"state": "flat"}}
    view = view_of(kill={"latched": True, "at": "T", "trigger": "signal", "reason": "enough", "venues": venues})
    assert "KILL SWITCH LATCHED since T by signal: enough" in shown(view)
    assert style_of(view, "KILL SWITCH") == "bad"
    assert style_of(view, "residual  3 canceled  2 still rest") == "bad"
    assert style_of(view, "prime  flat") == "good"


def test_a_daemon_that_does_not_answer_is_said_to_be_silent_and_for_how_long() -> None:
    view = view_of()
    view.silent("no answer")
    picture = view.picture(COLUMNS, ROWS, 105.0, CLOCK)
    assert picture[0] == Line("bad", "NO ANSWER for 5 s: no answer")
    assert picture[1] == Line("bad", "All below is 5 s old.")
    # What was good then is not shown as good now.
    assert {line.style for line in picture[2:]} == {"dim", "title"}
    view.answered(STATUS, 106.0)
    assert "NO ANSWER" not in shown(view, now_s=106.0)


def test_a_status_that_has_grown_old_is_grey_although_nobody_noticed_a_silence() -> None:
    """The program itself was stopped, as by Ctrl-Z: what it last heard is no news."""
    view = view_of()
    assert "good" in {line.style for line in view.picture(COLUMNS, ROWS, 100.0 + STALE_S, CLOCK)}
    assert "good" not in {line.style for line in view.picture(COLUMNS, ROWS, 101.0 + STALE_S, CLOCK)}


def test_outcomes_of_the_last_minute_are_counted_and_older_ones_are_not() -> None:
    view = view_of()
    for second in range(100):
        view.heard("outcome.spot", outcome("acked"), float(second))
    view.heard("outcome.spot", outcome("unknown"), 99.0)
    assert "acked 59  canceled 0" in shown(view, now_s=100.0)
    assert style_of(view, "unknown 1") == "bad"
    later = shown(view, now_s=500.0)
    assert "acked 0" in later
    # An order whose fate nobody knows is no matter of one minute.
    assert "since this view began  unknown 1" in later


def test_how_long_answers_took_is_told_with_a_bar_for_each_power_of_ten() -> None:
    view = view_of()
    for number in range(100):
        took_ns = 900_000_000 if number == 99 else 2_000_000
        view.heard("outcome.spot", outcome("acked", received_ns=1, answered_ns=1 + took_ns), 100.0)
    lines = [line.split() for line in shown(view).splitlines()]
    [p50] = [line for line in lines if line[:1] == ["p50"]]
    [most] = [line for line in lines if line[:1] == ["max"]]
    assert (p50[1], most[1]) == ("2.0", "900.0")
    assert 0 < len(p50[3]) < len(most[3])


@pytest.mark.parametrize("took_us", [0.0, 1.0, 3.0, 99.0, 1_000.0, 123_456.0])
def test_a_percentile_is_at_most_a_sixteenth_too_high_and_never_too_low(took_us: float) -> None:
    minute = Minute()
    minute.count("acked", took_us, 1.0)
    minute.count("acked", 1e9, 1.0)
    times = minute.times(1.0)
    assert times is not None
    assert took_us <= times.p50_us <= max(took_us * (1 + 1 / 16), 2.0)
    assert times.max_us == times.p99_us == 1e9


def test_what_stands_behind_the_cancels_is_told() -> None:
    leases = [{"strategy": "mm-1", "state": "live"}, {"strategy": "mm-2", "state": "expired"}]
    view = view_of(
        leases=leases, deadman={"spot": {"state": "armed"}}, kill={"latched": False, "drill": {"age_s": 3 * 86_400}}
    )
    assert "leases 1  dead man's timers spot armed  last good drill 3 d ago" in shown(view)
    assert style_of(view, "orders not proved gone: mm-2") == "bad"
    assert style_of(view_of(), "kill never drilled") == "warn"


def crowded() -> View:
    """A day on which everything happens that an operator must not overlook."""
    alerts = [
        {"severity": "critical", "ts": CLOCK, "what": "spot answers nobody at all " * 3, "do": "call the venue FIRST"},
        {"severity": "warning", "ts": CLOCK, "what": "the disk is full", "do": "make room SECOND"},
    ]
    venues = {"spot": {"state": "residual", "canceled": 3, "residual": ["O-1", "O-2"]}}
    reason = "the strategy bought what it was to sell, and nobody could say why"
    kill = {"latched": True, "at": CLOCK, "trigger": "command", "who": "uid 1000", "reason": reason, "venues": venues}
    view = view_of(alerts=alerts, kill=kill)
    for name in ("acked", "rejected", "unknown"):
        took = {"received_ns": 0, "answered_ns": 7_000_000, "ts": "2027-01-15T08:00:00.123456Z"}
        view.heard("outcome.spot", outcome(name, **took), 100.0)
    return view


WIDTHS = [60, 80, 120, 200]
NEVER_HIDDEN = (
    "spot-0 live", "spot-1 down: refused", "unknown 1", "rejected 1", "call the venue FIRST", "make room SECOND",
    "KILL SWITCH LATCHED", "and nobody could say why", "2 still rest", "canceld rearm", "p99", "token ends in",
)  # fmt: skip


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_that_matters_falls_off_the_edge(width: int) -> None:
    picture = crowded().picture(width, 40, 100.0, CLOCK)
    assert all(columns(line.text) <= width for line in picture)
    text = " ".join(line.text.strip() for line in picture)
    for told in NEVER_HIDDEN:
        assert told in text


@pytest.mark.parametrize("width", WIDTHS)
def test_rich_draws_the_same_text_and_nothing_of_it_is_markup(width: int) -> None:
    """An SVG of it is left with the test's files, to be looked at."""
    console_of = pytest.importorskip("rich.console").Console
    view = crowded()
    view.heard("alert", {"type": "alert", "what": "[bold]no markup[/bold]", "do": ":bomb:"}, 100.0)
    picture = view.picture(width, 40, 100.0, CLOCK)
    assert picture[-1].text.endswith("[bold]no markup[/bold]; :bomb:")
    console = console_of(record=True, width=width, file=StringIO(), force_terminal=True)
    print_with_rich(console, picture)
    drawn = console.export_text(clear=False).splitlines()
    assert len(drawn) == len(picture)
    for line, text in zip(picture, drawn, strict=True):
        assert columns(text) <= width
        assert line.text.rstrip() in text
    if folder := os.environ.get("CANCELD_PICTURES"):
        console.save_svg(f"{folder}/watch-{width}.svg", title=f"canceld watch at {width} columns")


def test_without_rich_it_is_drawn_plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rich", None)
    picture = [Line("title", "venues"), Line("good", "spot up"), Line("plain", "x")]
    assert painter(True)(picture, 80) == ["\x1b[1mvenues\x1b[0m", "\x1b[32mspot up\x1b[0m", "x"]
    assert painter(False)(picture, 80) == ["-- venues --", "spot up", "x"]


def test_a_low_terminal_shows_fewer_alerts_and_counts_what_it_cannot_show() -> None:
    alerts = [{"severity": "warning", "what": f"alert {number}", "do": "mend"} for number in range(ALERTS_SHOWN)]
    view = view_of(alerts=alerts)
    full = view.picture(COLUMNS, None, 100.0, CLOCK)
    lower = shown(view, height=len(full) - 3)
    assert f"alerts, the latest {ALERTS_SHOWN - 3} of {ALERTS_SHOWN}" in lower
    assert "spot-1 down" in lower
    assert shown(view, height=5).splitlines()[-1].endswith("more lines: a higher window shows them")


def test_the_keys_are_told_when_asked_for() -> None:
    view = view_of()
    assert "q  end" not in shown(view)
    view.help = True
    assert "q  end" in shown(view)


@pytest.mark.parametrize("width", [1, 2, 5, 16, 40])
@pytest.mark.parametrize("text", ["", "word", "  a b c d e f g h", "x" * 99, "取引所が答えない " * 5, "a" * 30 + " b"])
def test_folding_loses_nothing_and_is_never_too_wide(text: str, width: int) -> None:
    lines = list(folded(text, width))
    # A character of two columns cannot be shown in one.
    assert all(columns(line) <= max(width, 2) for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())


def test_the_latest_events_are_at_the_bottom_and_as_many_as_there_is_room_for() -> None:
    view = view_of()
    for number in range(2 * EVENTS_KEPT):
        view.heard("outcome.spot", outcome("acked", order_id=f"O-{number}"), 100.0)
    picture = view.picture(COLUMNS, ROWS, 100.0, CLOCK)
    assert len(picture) == ROWS
    assert f"O-{2 * EVENTS_KEPT - 1} " in picture[-1].text
    assert f"O-{2 * EVENTS_KEPT - 2} " in picture[-2].text


def test_an_event_is_a_line_with_what_matters() -> None:
    view = view_of()
    took = {"received_ns": 1_000_000, "answered_ns": 3_500_000, "ts": "2027-01-15T08:00:00.123456Z"}
    view.heard("outcome.spot", outcome("rejected", error="EOrder:X", **took), 100.0)
    view.heard("order.spot", {"type": "order", "order_id": "O-GONE", "state": "canceled"}, 100.0)
    view.heard("kill", {"type": "kill", "state": "flat", "venue": "prime", "canceled": 4}, 100.0)
    view.heard("alert", {"type": "alert", "severity": "critical", "what": "bad news", "do": "act"}, 100.0)
    view.heard("session.spot", {"type": "session", "venue": "spot", "session": "spot-0", "state": "live"}, 100.0)
    told = shown(view)
    assert "08:00:00.123  outcome.spot      O-1  rejected  ws  2.5 ms  EOrder:X" in told.splitlines()
    assert "O-GONE" not in told
    assert "state flat  venue prime  canceled 4" in told
    assert "bad news; act" in told
    assert style_of(view, "rejected  ws") == "warn"
    assert style_of(view, "bad news") == "bad"
    assert style_of(view, "session spot-0  state live") == "good"


def test_what_was_missed_is_told_where_it_is_missing_and_as_long_as_counts_are_too_low() -> None:
    """By the numbers that each event bears in its topic. A daemon that was started anew counts from one again."""
    view = view_of()
    for seq in (7, 8, 12):
        view.heard("outcome.spot", outcome("acked", seq=seq, started_ns=5), 100.0)
    for seq in (1, 3):
        view.heard("order.spot", {"type": "order", "seq": seq, "started_ns": 5}, 100.0)
    told = shown(view)
    assert "events missed here, of outcome.spot: 3" in told
    assert "events missed here, of order.spot: 1" in told
    assert style_of(view, "events missed since this view began: 4; counts are too low") == "warn"
    assert "started anew" not in told
    for topic in ("outcome.spot", "outcome.prime"):
        view.heard(topic, outcome("acked", seq=1, started_ns=6), 100.0)
    assert shown(view).count("the daemon was started anew: what it told in between, nobody can say") == 1
    assert "began: 4; counts" in shown(view)
    assert "started_ns" not in told


def test_the_latest_alerts_are_shown() -> None:
    alerts = [
        {"severity": "warning", "what": f"alert {number}", "do": "mend", "ts": "2027-01-15T08:00:00Z"}
        for number in range(2 * ALERTS_SHOWN)
    ]
    told = shown(view_of(alerts=alerts))
    assert f"08:00:00  alert {2 * ALERTS_SHOWN - 1}; mend" in told
    assert f"alert {ALERTS_SHOWN - 1};" not in told


@pytest.mark.parametrize("height", [1, 3, 10, 50])
@pytest.mark.parametrize("width", [1, 20, 80])
def test_it_fits_any_terminal(width: int, height: int) -> None:
    view = view_of(alerts=[{"what": "x" * 200, "do": "y"}])
    view.heard("alert", {"what": "z" * 300}, 100.0)
    picture = view.picture(width, height, 100.0, CLOCK)
    assert len(picture) <= height
    assert all(len(line.text) <= width for line in picture)


def test_before_the_first_status_there_is_a_picture_too() -> None:
    assert shown(View()).startswith("NO ANSWER yet\ncanceld")


@pytest.mark.parametrize("evil", ["\x1b[2J", "\r\nroot#", "\x07", "\u202e", "\x9b31m"])
def test_nothing_from_elsewhere_commands_the_terminal(evil: str) -> None:
    venues = {"spot": {"state": evil, "mode": evil, "sessions": [{"name": evil, "state": evil, "why": evil}]}}
    kill = {"latched": True, "reason": evil, "who": evil, "venues": {evil: {"state": evil}}}
    view = view_of(version=evil, state=evil, venues=venues, kill=kill, alerts=[{"what": evil, "do": evil}])
    view.silent(evil)
    view.heard("outcome.spot", outcome("unknown", error=evil, order_id=evil), 100.0)
    view.heard("alert", {"what": evil, "do": evil}, 100.0)
    view.heard("session.spot", {"why": evil, "more": {"in": evil}}, 100.0)
    picture: list[Line] = view.picture(COLUMNS, ROWS, 100.0, CLOCK)
    assert all(line.text.isprintable() for line in picture)


# ---------------------------------------------------------------- the program


class Terminal:
    """A program on a terminal of its own, and everything that it wrote there."""

    def __init__(self, *arguments: str, **environ: str) -> None:
        self._ours, its = pty.openpty()
        fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self.before = termios.tcgetattr(its)
        self.written = ""
        self._decoder = getincrementaldecoder("utf-8")()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "canceld", "watch", *arguments],
            cwd=ROOT,
            stdin=its,
            stdout=its,
            stderr=its,
            env={**os.environ, "TERM": "xterm", **environ},
            start_new_session=True,
        )
        self._its = its

    @property
    def picture(self) -> str:
        """The last one, without its colours."""
        return re.sub("\x1b\\[[0-9;?]*[a-zA-Z]", "", self.written.rpartition("\x1b[H")[2])

    @property
    def modes(self) -> list[Any]:
        return termios.tcgetattr(self._its)

    def read_until(self, holds: Callable[[], bool], what: str) -> None:
        until_s = time.monotonic() + WITHIN_S
        while not holds():
            assert time.monotonic() < until_s, f"not within {WITHIN_S} s: {what}\n{self.written[-2000:]!r}"
            if select.select([self._ours], [], [], 0.05)[0]:
                # A read may end in the middle of a character.
                self.written += self._decoder.decode(os.read(self._ours, 65536))

    def press(self, key: bytes) -> None:
        os.write(self._ours, key)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._ours)
        os.close(self._its)


@pytest.fixture
def terminal(service: Service) -> Iterator[Terminal]:
    terminal = Terminal("--endpoint", service.control)
    yield terminal
    terminal.close()


def test_an_operator_sees_a_cancel_and_a_kill_as_they_happen(
    exchange: Exchange, service: Service, terminal: Terminal
) -> None:
    """The daemon is watched from beside it: venues, then a cancel with how long it took, then the kill switch."""
    terminal.read_until(lambda: "kill switch armed" in terminal.picture, "the first picture")
    terminal.read_until(lambda: "spot-0 live" in terminal.picture, "the session is shown")
    [order_id] = exchange.place(1)
    with Dealer(service.commands) as dealer:
        dealer.cancel(order_id, id="a")
        dealer.hear(WITHIN_S)
    terminal.read_until(lambda: order_id in terminal.picture, "the cancel is shown")
    with Dealer(service.control) as dealer:
        dealer.ask("kill", reason="enough of it")
    terminal.read_until(lambda: "KILL SWITCH LATCHED" in terminal.picture, "the kill is shown")
    assert "enough of it" in terminal.picture
    terminal.press(b"q")
    terminal.read_until(lambda: terminal.process.poll() is not None, "q ends it")
    terminal.read_until(lambda: terminal.written.endswith(GIVEN_BACK), "the screen is given back")
    assert terminal.process.returncode == 0
    assert terminal.modes == terminal.before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_and_the_terminal_is_as_it_was(terminal: Terminal, number: signal.Signals) -> None:
    terminal.read_until(lambda: "kill switch armed" in terminal.picture, "the first picture")
    assert terminal.modes != terminal.before
    terminal.process.send_signal(number)
    terminal.read_until(lambda: terminal.written.endswith(GIVEN_BACK), "the screen is given back")
    assert terminal.process.wait(WITHIN_S) == 0
    assert terminal.modes == terminal.before
    assert "Traceback" not in terminal.written


def test_a_daemon_that_goes_is_shown_as_silent_and_one_that_is_back_as_there(
    service: Service, terminal: Terminal
) -> None:
    terminal.read_until(lambda: "kill switch armed" in terminal.picture, "the first picture")
    service.kill()
    terminal.read_until(lambda: "NO ANSWER" in terminal.picture, "its silence is shown")
    service.launch()
    terminal.read_until(lambda: "NO ANSWER" not in terminal.picture and "serving" in terminal.picture, "it is back")


def test_a_question_mark_shows_the_keys_and_hides_them_again(terminal: Terminal) -> None:
    terminal.read_until(lambda: "kill switch armed" in terminal.picture, "the first picture")
    terminal.press(b"?")
    terminal.read_until(lambda: "q  end" in terminal.picture, "the keys are shown")
    terminal.press(b"?")
    terminal.read_until(lambda: "kill switch" in terminal.picture and "q  end" not in terminal.picture, "and hidden")


def test_a_dumb_terminal_gets_pictures_one_below_the_other_and_no_command(service: Service) -> None:
    terminal = Terminal("--endpoint", service.control, TERM="dumb")
    try:
        terminal.read_until(lambda: terminal.written.count("kill switch armed") >= 2, "two pictures")
        terminal.process.send_signal(signal.SIGINT)
        terminal.read_until(lambda: terminal.process.poll() is not None, "Ctrl-C ends it")
        assert terminal.process.returncode == 0
        assert "\x1b" not in terminal.written
        assert "-- venues --" in terminal.written
    finally:
        terminal.close()


def test_one_picture_can_be_had_without_a_terminal(exchange: Exchange, service: Service) -> None:
    """Into a file or a message to a colleague: what was answered since the daemon began stands in for events."""
    [order_id] = exchange.place(1)
    with Dealer(service.commands) as dealer:
        dealer.cancel(order_id)
        name = dealer.hear(WITHIN_S)["outcome"]
    command = [sys.executable, "-m", "canceld", "watch", "--once", "--config", str(service.config)]
    environ = {**os.environ, "COLUMNS": "60"}
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=WITHIN_S)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0].startswith("canceld ")
    assert all(line.isprintable() and len(line) <= 60 for line in lines)
    assert f"{name} 1" in done.stdout
    assert "unknown 0" in done.stdout
    told = subprocess.run([*command, "--json"], cwd=ROOT, capture_output=True, text=True, timeout=WITHIN_S)
    assert json.loads(told.stdout)["type"] == "status"


def test_for_a_program_everything_is_a_line_of_json(exchange: Exchange, service: Service) -> None:
    watching = subprocess.Popen(
        [sys.executable, "-m", "canceld", "watch", "--config", str(service.config), "--json"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert watching.stdout is not None
        assert json.loads(watching.stdout.readline())["type"] == "status"
        # Once it has a second status, it has been listening for a second.
        while json.loads(watching.stdout.readline())["type"] != "status":
            pass
        [order_id] = exchange.place(1)
        with Dealer(service.commands) as dealer:
            dealer.cancel(order_id, id="a")
            dealer.hear(WITHIN_S)
        lines = (json.loads(line) for line in watching.stdout)
        told = next(line for line in lines if line.get("topic") == "outcome.spot")
        assert (told["type"], told["order_id"], told["id"]) == ("outcome", order_id, "a")
        watching.send_signal(signal.SIGINT)
        assert watching.wait(WITHIN_S) == 0
    finally:
        watching.kill()
        watching.wait()


def said(*arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "canceld", "watch", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
    )
    return done.returncode, done.stderr


def test_bad_use_is_one_line_that_says_what_to_do(tmp_path: Path) -> None:
    status, text = said("--endpoint", f"ipc://{tmp_path}/control.sock")
    assert status == 2
    assert text.startswith("canceld: watch: standard output is no terminal; --once prints one picture, --json prints ")
    assert text.count("\n") == 1
    status, text = said("--json", "--endpoint", f"ipc://{tmp_path}/control.sock")
    assert status == 3
    assert text.count("\n") == 1
    assert "no such socket file" in text
    status, text = said("--json", "--endpoint", "inproc://x")
    assert (status, text.count("\n")) == (2, 1)


def test_the_picture_in_readme_is_what_it_draws() -> None:
    pytest.importorskip("rich")
    from tests.verbs.watch_picture import PICTURE, lines

    drawn = PICTURE.read_text()
    assert f"({PICTURE.relative_to(ROOT)})" in (ROOT / "README.md").read_text()
    assert "http" not in drawn.replace("http://www.w3.org/", "").replace("https://www.textualize.io", "")
    words = " ".join(html.unescape(re.sub(r"<[^>]+>", " ", drawn)).replace("\xa0", " ").split())
    for line in lines():
        for word in line.text.split():
            assert word in words, f"{word} is not in the picture: python -m tests.verbs.watch_picture draws it anew"
