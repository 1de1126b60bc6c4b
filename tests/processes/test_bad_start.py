"""What stops a start, in whole processes: status 2, one line that names the thing, and nothing disturbed."""

import base64
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.processes.peers import Dealer
from tests.processes.stage import Exchange, Program, Service, canceld

Shared = tuple[Exchange, Service]

SOON_S = 5.0
NOWHERE = __file__
"""As a directory: nobody can make one there, not even root."""

CONNECT_S = 1.5
"""What a verb waits for a daemon. Start-up of the interpreter comes on top."""


def refused_start(service: Service) -> str:
    """The one line of a start that must fail."""
    began = time.monotonic()
    ended = canceld("run", "--config", str(service.config))
    assert time.monotonic() - began < SOON_S
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("canceld: ")
    assert ended.stderr.endswith("\n")
    assert ended.stderr.count("\n") == 1
    return ended.stderr


@pytest.fixture
def unstarted(home: Path) -> Service:
    """Configured so that it would start, and would then look for an exchange where there is none."""
    credentials = home / "credentials"
    credentials.mkdir(mode=0o700)
    for name, value in (("key", "UNUSED"), ("secret", base64.b64encode(bytes(64)).decode())):
        file = credentials / f"spot.{name}"
        file.touch(mode=0o600)
        file.write_text(value)
    nowhere = {"spot_ws_url": "wss://127.0.0.1:1", "spot_rest_url": "https://127.0.0.1:1", "ca_file": ""}
    return Service(home, {**nowhere, "credentials_dir": str(credentials)})


# A choice only: the settings' own tests have all of them, and each start costs a third of a second.
@pytest.mark.parametrize(
    ("sections", "named"),
    [
        pytest.param({"spot": {"sesions": 2}}, "spot.sesions: unknown key", id="unknown key"),
        pytest.param({"spot": {"sessions": 9}}, "spot.sessions: ", id="out of range"),
        pytest.param({"spot": {"enabled": False}}, "no venue is enabled", id="no venue"),
        pytest.param({"state": {"dir": f"{NOWHERE}/state"}}, f"{NOWHERE}/state", id="no state directory"),
        pytest.param({"credentials": {"dir": NOWHERE}}, f"{NOWHERE}/spot.key", id="no credentials"),
        pytest.param({"credentials": {"dir": ""}}, "CREDENTIALS_DIRECTORY", id="no place for credentials"),
        pytest.param({"tls": {"ca_file": f"{NOWHERE}/ca.pem"}}, "tls.ca_file: ", id="no CA file"),
        pytest.param({"tls": {"ca_file": __file__}}, "tls.ca_file: ", id="no certificate in the CA file"),
        pytest.param({"gateway": {"events": f"ipc://{NOWHERE}/e.sock"}}, NOWHERE, id="no socket directory"),
    ],
)
def test_a_bad_configuration_is_named(unstarted: Service, sections: dict[str, Any], named: str) -> None:
    unstarted.configure(**sections)
    assert named in refused_start(unstarted)


def test_a_typing_mistake_is_named_with_its_line(unstarted: Service) -> None:
    unstarted.config.write_text("[spot]\nenabled = ture\n")
    assert "line 2" in refused_start(unstarted)


def test_a_file_that_is_not_there_is_named(unstarted: Service) -> None:
    unstarted.config.unlink()
    assert str(unstarted.config) in refused_start(unstarted)


def test_a_secret_that_is_no_base64_is_named_and_not_shown(unstarted: Service) -> None:
    (Path(unstarted.sections["credentials"]["dir"]) / "spot.secret").write_text("not//base64!!")
    line = refused_start(unstarted)
    assert "spot.secret: is not base64" in line
    assert "not//base64" not in line


def test_a_credential_that_others_can_read_is_refused_with_the_mend(unstarted: Service) -> None:
    path = Path(unstarted.sections["credentials"]["dir"]) / "spot.key"
    path.chmod(0o644)
    line = refused_start(unstarted)
    assert "0644" in line
    assert f"chmod 600 {path}" in line


def test_a_missing_credential_is_named(unstarted: Service) -> None:
    path = Path(unstarted.sections["credentials"]["dir"]) / "spot.secret"
    path.unlink()
    assert str(path) in refused_start(unstarted)


def serves(exchange: Exchange, service: Service) -> None:
    """The daemon cancels as before."""
    [order_id] = exchange.place(1)
    with Dealer(service.commands) as dealer:
        [reply] = dealer.hear_all([dealer.cancel(order_id)], 5.0)
    assert reply["outcome"] in ("acked", "canceled")
    assert order_id not in exchange.resting()


@pytest.mark.parametrize("part", ["state", "gateway"])
def test_a_second_instance_leaves_the_first_alone(home: Path, shared: Shared, part: str) -> None:
    exchange, first = shared
    second = Service(home, exchange.told, **{part: first.sections[part]})
    with Dealer(first.commands) as strategy:
        strategy.fence()
        line = refused_start(second)
        assert f"held by process {first.program.pid}" in line
        # The connection from before lives on, and the address still leads to the first.
        strategy.fence()
    serves(exchange, first)
    assert {session["lives"] for session in first.status()["venues"]["spot"]["sessions"]} == {1}


def test_a_lock_that_a_dead_daemon_left_stops_nobody(exchange: Exchange, service: Service) -> None:
    service.kill()
    service.start()
    serves(exchange, service)


def test_a_busy_port_stops_the_exchange_with_one_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = canceld("sim", "--port", str(port))
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == f"canceld sim: port {port} is in use\n"


def test_an_unknown_verb_is_usage(tmp_path: Path) -> None:
    ended = canceld("cancle", "spot", "OAAAAA-BBBBB-CCCCCC")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "cancle" in ended.stderr
    assert "Traceback" not in ended.stderr


def no_daemon(home: Path) -> Path:
    return home / "commands.sock"


def a_killed_daemon(home: Path) -> Path:
    """The socket file of a process that is gone."""
    path = home / "commands.sock"
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(str(path))
        gone.listen()
    return path


@pytest.mark.parametrize("absent", [no_daemon, a_killed_daemon])
def test_every_verb_says_soon_that_there_is_no_daemon(home: Path, absent: Callable[[Path], Path]) -> None:
    path = absent(home)
    began = time.monotonic()
    verbs = [
        Program([*verb, "--endpoint", f"ipc://{path}"], home, verb[0])
        for verb in (("cancel", "spot", "OAAAAA-BBBBB-CCCCCC"), ("cancel-all",), ("status",))
    ]
    try:
        assert [verb.wait() for verb in verbs] == [3, 3, 3]
        assert time.monotonic() - began < CONNECT_S + SOON_S / 2
    finally:
        for verb in verbs:
            verb.kill()
    for verb in verbs:
        assert verb.out == ""
        assert verb.err.count("\n") == 1
        assert str(path) in verb.err


def test_a_secret_in_the_environment_stops_the_start(exchange: Exchange, home: Path) -> None:
    """Whoever may look at the process reads its environment, and children inherit it."""
    service = Service(home, exchange.told)
    secret = (Path(exchange.told["credentials_dir"]) / "spot.secret").read_text().strip()
    program = Program(["run", "--config", str(service.config)], home, "canceld", environ={"MY_NOTES": f"x {secret}"})
    try:
        assert program.wait(20.0) == 2
    finally:
        program.kill()
    assert "the environment variable MY_NOTES holds a key or secret" in program.err
    assert secret not in program.err
