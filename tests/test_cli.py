"""The command line: verbs, exit statuses, what is printed, and what a verb must not import."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from canceld import cli
from canceld.client import COMMANDS_ENDPOINT, CONTROL_ENDPOINT
from canceld.contract.commands import NO_REASON
from canceld.settings import Gateway
from canceld.verbs import ask

from .client.stub import Command, Reply, StubDaemon, acked, refused


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "c.sock"


def canceld(*arguments: str) -> int:
    try:
        return cli.main(arguments)
    except SystemExit as end:
        return int(end.code or 0)


def answering(path: Path, *replies: dict[str, Any]) -> StubDaemon:
    """A daemon that gives the n-th command the n-th reply, and every further one the last."""
    count = 0

    def answer(command: Command) -> Iterator[Reply]:
        nonlocal count
        count += 1
        yield {"id": command["id"], **replies[min(count, len(replies)) - 1]}

    return StubDaemon(path, answer)


def by_order_id(outcomes: dict[str, dict[str, Any]]) -> Any:
    def answer(command: Command) -> Iterable[Reply]:
        yield acked(command, **outcomes[command["order_id"]])

    return answer


# -------------------------------------------------------------------- cancel


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        ({"outcome": "acked"}, 0),
        ({"outcome": "canceled", "filled_qty": "0.1"}, 0),
        ({"outcome": "closed", "state": "filled"}, 0),
        ({"outcome": "not_open"}, 0),
        ({"outcome": "rejected", "class": "throttled", "error": "EOrder:Rate limit exceeded"}, 1),
        ({"outcome": "unknown", "tried": ["ws", "rest"]}, 1),
        ({"outcome": "refused", "reason": "draining", "detail": "stopping"}, 1),
        ({"outcome": "refused", "reason": "no_route", "detail": "spot is down"}, 3),
    ],
)
def test_the_exit_status_of_a_cancel_says_whether_nothing_rests_or_the_venue_took_it(
    path: Path, outcome: dict[str, Any], status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with StubDaemon(path, by_order_id({"A-B": outcome})) as daemon:
        assert canceld("cancel", "spot", "A-B", "--endpoint", daemon.endpoint) == status
    shown = capsys.readouterr()
    assert shown.out.startswith(f"spot  A-B  {outcome['outcome']}")
    assert shown.err == ""


def test_several_ids_get_a_line_each_and_a_summary(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outcomes: dict[str, dict[str, Any]] = {
        "A-1": {"outcome": "acked"},
        "A-22": {"outcome": "unknown", "tried": ["ws"], "error": "silence"},
        "A-3": {"outcome": "acked"},
    }
    with StubDaemon(path, by_order_id(outcomes)) as daemon:
        assert canceld("cancel", "spot", "A-1", "A-22", "A-3", "--endpoint", daemon.endpoint) == 1
    assert capsys.readouterr().out.splitlines() == [
        "spot  A-1   acked    ws  0.0 ms",
        "spot  A-22  unknown  ws  0.0 ms  treat it as live; silence",
        "spot  A-3   acked    ws  0.0 ms",
        "3 asked: 2 acked, 1 unknown",
    ]


def test_json_prints_the_reply_maps_one_per_line(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with StubDaemon(path, by_order_id({"A-1": {}, "A-2": {}})) as daemon:
        assert canceld("cancel", "spot", "A-1", "A-2", "--json", "--endpoint", daemon.endpoint) == 0
        ids = [command["id"] for command in daemon.received]
    replies = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [reply["id"] for reply in replies] == ids
    assert all(reply["type"] == "outcome" and reply["outcome"] == "acked" for reply in replies)


def test_json_of_an_order_without_its_answer_is_an_unknown_too(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def answer(command: Command) -> Iterable[Reply]:
        return [acked(command)] if command["order_id"] == "A-1" else []

    with StubDaemon(path, answer) as daemon:
        end = ("--json", "--deadline-ms", "100", "--endpoint", daemon.endpoint)
        assert canceld("cancel", "spot", "A-1", "A-2", *end) == 1
    second = json.loads(capsys.readouterr().out.splitlines()[1])
    assert (second["outcome"], second["order_id"], second["tried"]) == ("unknown", "A-2", [])


@pytest.mark.parametrize(
    ("flag", "text", "sent"),
    [
        ("--userref", "-7", {"userref": -7}),
        ("--cl-ord-id", "my order 1", {"cl_ord_id": "my order 1"}),
    ],
)
def test_a_flag_says_what_the_ids_are(path: Path, flag: str, text: str, sent: dict[str, Any]) -> None:
    with answering(path, {"type": "outcome", "venue": "spot", "outcome": "acked"}) as daemon:
        end = ("--until", "proof", "--deadline-ms", "900", "--endpoint", daemon.endpoint)
        assert canceld("cancel", "spot", text, flag, *end) == 0
    assert daemon.received[0].items() >= {**sent, "until": "proof", "deadline_ms": 900}.items()


@pytest.mark.parametrize(
    "arguments",
    [
        ("cancel", "spot", "bad!"),
        ("cancel", "spot", "x", "--userref"),
        ("cancel", "spot", "0", "--userref"),
        ("cancel", "prime", "5", "--userref"),
        ("cancel", "spot", "A-B", "--endpoint", "nonsense"),
        ("status", "--config", "/nonexistent/canceld.toml"),
        ("kill", "--config", "/nonexistent/canceld.toml"),
        ("check", "--config", "/nonexistent/canceld.toml"),
    ],
)
def test_bad_input_is_one_clear_line_and_status_2(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert canceld(*arguments) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("canceld: ")
    assert shown.err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("launch",),
        ("cancel",),
        ("cancel", "spot"),
        ("cancel", "mars", "A-B"),
        ("cancel", "spot", "A-B", "--cl-ord-id", "--userref"),
        ("cancel", "spot", "A-B", "--deadline-ms", "0"),
        ("cancel", "spot", "A-B", "--deadline-ms", "60001"),
        ("cancel", "spot", "A-B", "--deadline-ms", "1e3"),
        ("run",),
        ("status", "--endpoint", "ipc:///a", "--config", "b"),
    ],
)
def test_bad_usage_is_status_2(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert canceld(*arguments) == 2
    shown = capsys.readouterr()
    assert (shown.out, shown.err.count("\n")) == ("", 1)
    assert shown.err.startswith("canceld: ")
    assert "--help" in shown.err


@pytest.mark.parametrize(
    ("arguments", "guess"),
    [
        (("stat",), "there is no verb 'stat'; did you mean status?"),
        (("klil",), "there is no verb 'klil'; did you mean kill?"),
        (("kill", "--reson", "x"), "kill: there is no option --reson; did you mean --reason?"),
        (("kill", "--dril"), "kill: there is no option --dril; did you mean --drill?"),
        (("status", "--conf", "x"), "status: there is no option --conf; did you mean --config?"),
        (("cancel", "sopt", "A-B"), "cancel: argument VENUE: there is no 'sopt'; did you mean spot?"),
        (("kill", "fat", "finger"), "kill: 'fat' is one word too many; see canceld kill --help"),
    ],
)
def test_a_misspelt_word_is_named_with_what_it_may_have_meant(
    arguments: tuple[str, ...], guess: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Abbreviations are no words either: they would become interface, and `--dril` must not pull a kill."""
    assert canceld(*arguments) == 2
    shown = capsys.readouterr()
    assert guess in shown.err
    assert shown.err.count("\n") == 1


# -------------------------------------------------------------------- cancel-all, kill, rearm, status


def test_cancel_all_lists_what_still_rests(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    venues = {
        "spot": {"outcome": "acked", "count": 3, "residual": ["A-1"]},
        "prime": {"outcome": "acked", "count": 0, "residual": []},
    }
    with answering(path, {"type": "all", "venues": venues}) as daemon:
        assert canceld("cancel-all", "--endpoint", daemon.endpoint) == 1
        assert canceld("cancel-all", "spot", "--json", "--endpoint", daemon.endpoint) == 1
    assert [command.get("venue") for command in daemon.received] == [None, "spot"]
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == [
        "spot   acked  3 canceled  1 still rest",
        "prime  acked  0 canceled",
        "spot still rests: A-1",
    ]
    assert json.loads(lines[3])["venues"] == venues


@pytest.mark.parametrize(
    ("venues", "status", "line"),
    [
        (
            {"spot": {"outcome": "refused", "reason": "no_route", "detail": "REST refuses", "residual": ["A-1"]}},
            3,
            "spot  refused  1 still rest  no_route; REST refuses",
        ),
        (
            {"spot": {"outcome": "refused", "reason": "overloaded", "detail": "10000 commands", "residual": []}},
            1,
            "spot  refused  overloaded; 10000 commands",
        ),
        (
            {
                "spot": {"outcome": "refused", "reason": "no_route", "detail": "REST refuses", "residual": []},
                "prime": {"outcome": "acked", "count": 1, "residual": ["B-2"]},
            },
            1,
            "spot   refused                            no_route; REST refuses",
        ),
        (
            {"spot": {"outcome": "rejected", "class": "auth", "error": "EAPI:Invalid key", "residual": []}},
            1,
            "spot  rejected  auth; EAPI:Invalid key",
        ),
    ],
)
def test_a_cancel_all_that_did_not_happen_says_why(
    path: Path, venues: dict[str, Any], status: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with answering(path, {"type": "all", "venues": venues}) as daemon:
        assert canceld("cancel-all", "--endpoint", daemon.endpoint) == status
    assert capsys.readouterr().out.splitlines()[0] == line


@pytest.mark.parametrize(
    ("latched", "states", "status"),
    [
        (True, {"spot": "flat"}, 0),
        (True, {"spot": "flat", "prime": "residual"}, 1),
        (True, {"spot": "flat", "prime": "unreachable"}, 1),
        (True, {"spot": "unreachable", "prime": "unreachable"}, 1),
        (True, {"spot": "residual", "prime": "unreachable"}, 1),
        (False, {"spot": "flat"}, 1),
    ],
)
def test_kill_is_done_only_when_every_venue_is_flat(
    path: Path, latched: bool, states: dict[str, str], status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    venues = {venue: {"state": state, "canceled": 1, "residual": []} for venue, state in states.items()}
    with answering(path, {"type": "killed", "latched": latched, "venues": venues}) as daemon:
        assert canceld("kill", "--reason", "fat finger", "--endpoint", daemon.endpoint) == status
    assert daemon.received[0].items() >= {"type": "kill", "reason": "fat finger", "deadline_ms": 10_000}.items()
    assert ("NOT" in capsys.readouterr().out) is not latched


def test_rearm_outside_a_terminal_takes_one_step_per_call(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = {"type": "rearm", "latched": True, "code": "K7-Q2", "expires_in_ms": 60_000, "residual": {"spot": ["A-1"]}}
    with answering(path, first, {"type": "rearm", "latched": False}) as daemon:
        # Not done yet: `canceld rearm && start-trading` must not start trading.
        assert canceld("rearm", "--endpoint", daemon.endpoint) == 1
        lines = capsys.readouterr().out.splitlines()
        assert lines[0] == "spot still rests: A-1"
        assert "--confirm K7-Q2" in lines[1]
        step = ("--confirm", "K7-Q2", "--reason", "mended", "--force", "--endpoint", daemon.endpoint)
        assert canceld("rearm", *step) == 0
    assert "confirm" not in daemon.received[0]
    assert daemon.received[1].items() >= {"confirm": "K7-Q2", "reason": "mended", "force": True}.items()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("typed", "asked", "status"),
    [
        ("mended\nK7\n", 2, 0),
        ("mended\nK8\n", 1, 1),
        ("\n", 1, 1),
        ("", 1, 130),
    ],
)
def test_rearm_at_a_terminal_asks_for_a_reason_and_the_code(
    path: Path, typed: str, asked: int, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(typed))
    monkeypatch.setattr(sys, "stdout", Terminal())
    first = {"type": "rearm", "latched": True, "code": "K7", "expires_in_ms": 60_000, "residual": {}}
    with answering(path, first, {"type": "rearm", "latched": False}) as daemon:
        assert canceld("rearm", "--endpoint", daemon.endpoint) == status
    assert len(daemon.received) == asked
    if asked == 2:
        assert daemon.received[1].items() >= {"confirm": "K7", "reason": "mended"}.items()


def test_rearm_of_what_is_not_latched_is_done(path: Path) -> None:
    with answering(path, {"type": "rearm", "latched": False}) as daemon:
        assert canceld("rearm", "--endpoint", daemon.endpoint) == 0


def test_a_refusal_is_one_line_and_status_1(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with StubDaemon(path, lambda command: [refused(command, "unsupported")]) as daemon:
        assert canceld("rearm", "--json", "--endpoint", daemon.endpoint) == 1
    shown = capsys.readouterr()
    assert shown.err == "canceld: refused (unsupported): as the test wants\n"
    assert json.loads(shown.out)["reason"] == "unsupported"


def test_status_is_readable_and_complete_in_json(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = {
        "type": "status",
        "version": "0.1.0",
        "state": "serving",
        "in_flight": 2,
        "venues": {
            "spot": {
                "state": "up",
                "sessions": [{"name": "spot-1", "state": "live"}, {"name": "spot-2", "state": "dialling"}],
                "rest": {"state": "up"},
            }
        },
        "kill": {
            "latched": True,
            "reason": "fat finger",
            "trigger": "command",
            "who": "uid 7 pid 8",
            "at": "2027-01-15T08:00:00.000000Z",
            "venues": {
                "spot": {
                    "state": "residual",
                    "canceled": 3,
                    "residual": ["A-1"],
                    "resting": 2,
                    "since": "2027-01-15T08:00:00.000000Z",
                    "trigger": "command",
                    "who": "uid 7 pid 8",
                },
                "prime": {
                    "state": "unreachable",
                    "residual": [],
                    "since": "2027-01-15T08:05Z",
                    "trigger": "signal",
                    "who": "",
                    "tried": {"ws": "no session is up"},
                },
            },
        },
        "leases": [{}],
        "deadman": {},
        "alerts": [{"severity": "warning", "what": "clock", "do": "set it"}],
    }
    with answering(path, status) as daemon:
        assert canceld("status", "--endpoint", daemon.endpoint) == 0
        assert canceld("status", "--json", "--detail", "--endpoint", daemon.endpoint) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:-1] == [
        "canceld 0.1.0  serving  in flight 2",
        "kill switch LATCHED since 2027-01-15T08:00:00.000000Z by command uid 7 pid 8: fat finger",
        "  spot   residual     3 canceled  2 still rest",
        "  prime  unreachable  0 canceled                since 2027-01-15T08:05Z by signal  ws: no session is up",
        "  spot still rests: A-1",
        "never drilled",
        "spot  up  spot-1 live  spot-2 dialling  rest up",
        "leases  1",
        "warning: clock; set it",
    ]
    assert json.loads(lines[-1]).items() >= status.items()
    assert [command.get("detail") for command in daemon.received] == [None, True]


def test_status_says_why_a_lane_is_down_and_what_the_venue_takes(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spot = {
        "state": "degraded",
        "mode": "maintenance",
        "sessions": [{"name": "spot-0", "state": "live"}, {"name": "spot-1", "state": "down", "why": "no token"}],
        "rest": {"state": "closed", "why": "EAPI:Invalid key"},
    }
    with answering(path, {"type": "status", "venues": {"spot": spot}}) as daemon:
        assert canceld("status", "--endpoint", daemon.endpoint) == 0
    assert capsys.readouterr().out.splitlines()[-3:] == [
        "spot  degraded  spot-0 live  spot-1 down  rest closed  mode maintenance",
        "spot  spot-1 down: no token",
        "spot  rest closed: EAPI:Invalid key",
    ]


# -------------------------------------------------------------------- where the daemon is


def test_the_default_paths_are_those_of_the_settings() -> None:
    assert Gateway().commands == COMMANDS_ENDPOINT
    assert Gateway().control == CONTROL_ENDPOINT


def test_the_configuration_file_names_the_sockets(tmp_path: Path) -> None:
    config = tmp_path / "canceld.toml"
    config.write_text(
        f'[gateway]\ncommands = "ipc://{tmp_path}/commands.sock"\ncontrol = "ipc://{tmp_path}/control.sock"\n'
    )
    outcome = {"type": "outcome", "venue": "spot", "outcome": "acked"}
    with (
        answering(tmp_path / "commands.sock", outcome) as commands,
        answering(tmp_path / "control.sock", outcome, {"type": "status"}) as control,
    ):
        assert canceld("cancel", "spot", "A-B", "--config", str(config)) == 0
        assert canceld("status", "--config", str(config)) == 0
    assert [command["type"] for command in control.received] == ["cancel", "status"]
    assert commands.received == []


def test_a_configuration_that_was_broken_after_the_start_still_names_the_sockets(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "canceld.toml"
    config.write_text(f'[gateway]\ncontrol = "ipc://{tmp_path}/control.sock"\n[log]\nlevle = info\n[gone\n')
    with answering(tmp_path / "control.sock", {"type": "killed", "latched": True, "venues": {}}) as control:
        assert canceld("kill", "--config", str(config)) == 0
    assert control.received[0]["reason"] == NO_REASON
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == len(set(lines)) == 3
    assert all(line.startswith(f"canceld: {config}: ") for line in lines)


def test_an_absent_daemon_is_status_3_and_soon(
    path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ask, "CONNECT_TIMEOUT_MS", 100)
    started = time.monotonic()
    assert canceld("kill", "--reason", "x", "--endpoint", f"ipc://{path}") == 3
    assert time.monotonic() - started < 1.0
    shown = capsys.readouterr()
    assert "no such socket file" in shown.err
    assert shown.out == ""


def test_a_silent_daemon_is_status_3_and_the_fate_is_called_unknown(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with StubDaemon(path, lambda _: []) as daemon:
        assert canceld("cancel", "spot", "A-B", "--deadline-ms", "100", "--endpoint", daemon.endpoint) == 3
    assert "unknown" in capsys.readouterr().err


@pytest.mark.parametrize("answers", ["never", "absent"])
def test_a_kill_that_no_daemon_answers_ends_with_what_to_type(
    path: Path, answers: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ask, "CONNECT_TIMEOUT_MS", 100)
    end = ("--deadline-ms", "100", "--endpoint", f"ipc://{path}")
    if answers == "never":
        with StubDaemon(path, lambda _: []):
            assert canceld("kill", "--reason", "it's on fire", *end) == 3
    else:
        assert canceld("kill", "--reason", "it's on fire", *end) == 3
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.splitlines()[-1].endswith(
        """type: canceld panic --config /etc/canceld/canceld.toml --reason 'it'"'"'s on fire'"""
    )


def test_a_daemon_that_is_stricter_with_reasons_is_asked_again_without_one(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    no = {"type": "refused", "outcome": "refused", "reason": "invalid", "detail": "reason: at most 512 characters"}
    with answering(path, no, {"type": "killed", "latched": True, "venues": {}}) as daemon:
        assert canceld("kill", "--reason", "x" * 5000, "--endpoint", daemon.endpoint) == 0
    assert [command["reason"] for command in daemon.received] == ["x" * 4096, NO_REASON]
    assert "killing without the reason" in capsys.readouterr().err


# -------------------------------------------------------------------- whole processes


def run(*arguments: str, program: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", program] if program else [sys.executable, "-m", "canceld", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    ("arguments", "reply"),
    [
        (("kill", "--reason", "x"), {"type": "killed", "latched": True, "venues": {}}),
        (("status",), {"type": "status"}),
        (("cancel", "spot", "A-B"), {"type": "outcome", "venue": "spot", "outcome": "acked"}),
    ],
)
def test_an_urgent_verb_loads_neither_trio_nor_structlog(
    path: Path, arguments: tuple[str, ...], reply: dict[str, Any]
) -> None:
    with answering(path, reply) as daemon:
        asked = (*arguments, "--endpoint", daemon.endpoint)
        program = (
            f"import sys; from canceld.cli import main; status = main({asked!r});"
            "print(sorted({'trio', 'structlog', 'asyncio', 'tomllib', 'ssl'} & set(sys.modules))); sys.exit(status)"
        )
        ended = run(program=program)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.splitlines()[-1] == "[]"


def test_an_installation_that_is_broken_says_what_needs_less(path: Path) -> None:
    program = "import sys; sys.modules['zmq'] = None; from canceld.cli import main; sys.exit(main(['kill']))"
    ended = run(program=program)
    assert (ended.returncode, ended.stdout) == (3, "")
    [line] = ended.stderr.splitlines()
    assert line.startswith("canceld: this installation is broken: import of zmq halted")
    assert "canceld panic" in line


def test_the_module_is_the_command() -> None:
    ended = run("--version")
    assert (ended.returncode, ended.stdout) == (0, "canceld 0.1.0\n")


@pytest.mark.parametrize("through", [[], ["sh", "-c", 'trap "" INT; exec "$@"', "sh"]], ids=["terminal", "background"])
def test_an_interrupt_is_no_traceback(path: Path, through: list[str]) -> None:
    with StubDaemon(path, lambda _: []) as daemon:
        asked = [*through, sys.executable, "-m", "canceld", "cancel", "spot", "A-B", "--endpoint", daemon.endpoint]
        process = subprocess.Popen(
            [*asked, "--deadline-ms", "60000"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        daemon.wait_for(1)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert out == ""
    assert err == "canceld: interrupted before the answer was here\n"


def test_a_reader_that_goes_away_is_no_traceback(path: Path) -> None:
    with answering(path, {"type": "status"}) as daemon:
        read, write = os.pipe()
        os.close(read)
        ended = subprocess.run(
            [sys.executable, "-m", "canceld", "status", "--json", "--endpoint", daemon.endpoint],
            stdout=write,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
        )
        os.close(write)
    assert (ended.returncode, ended.stderr) == (1, "")


def test_the_schema_is_valid_json_that_names_every_command() -> None:
    ended = run("schema")
    assert ended.returncode == 0
    schema = json.loads(ended.stdout)
    assert schema["$schema"].startswith("https://json-schema.org/")
    assert set(schema["$defs"]["command"]["discriminator"]["mapping"]) == {
        "cancel",
        "cancel_batch",
        "cancel_all",
        "kill",
        "drill",
        "rearm",
        "timer_right",
        "lease",
        "status",
        "ping",
        "kill_scope",
        "what_rests",
    }
